//! The tokenizer's own merges, word by word and remembered: the same tokens as of the whole text, many times as fast.
//!
//! A tokenizer of the SentencePiece kind merges over the whole text at once. But a merge makes a token, so where no token
//! of the vocabulary has a space behind another character, no merge can reach over the beginning of a word: the tokens of
//! the text are those of its words, one after the other. Whether that holds is read off the vocabulary; where it does not,
//! there is no [`ByWord`], and texts are encoded whole.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{Model as _, Tokenizer};

/// Bytes of words that one thread remembers.
const MOST_WORDS: usize = 1 << 19;
/// Longer ones are seen once and not again.
const LONGEST: usize = 64;

/// Lines from this many bytes on are remembered as a whole.
const LINE: usize = 64;
/// Bytes of lines that one thread remembers.
const MOST_LINES: usize = 8 << 20;

/// What stands for a space.
const SPACE: char = '▁';

/// Encodes by words.
#[derive(Debug)]
pub(super) struct ByWord {
    prepend: PrependScheme,
    /// No token but its own holds a line feed: a line's end is a word's end.
    lines_apart: bool,
    /// What the tokenizer puts before and after a text when special tokens are asked for.
    around: (Vec<u32>, Vec<u32>),
    added: Added,
    /// One a thread at work, taken and given back.
    caches: Mutex<Vec<Words>>,
}

/// Texts seen, with their tokens.
#[derive(Debug, Default)]
struct Seen {
    found: HashMap<Box<str>, (u32, u32)>,
    /// Each token with the byte of its text that it begins at.
    tokens: Vec<(u32, u32)>,
    bytes: usize,
}

/// Words seen, and whole lines: a passage that stands in many prompts is looked up at once.
#[derive(Debug, Default)]
struct Words {
    words: Seen,
    lines: Seen,
}

/// Tokens that stand for themselves wherever they occur, such as `[INST]`.
#[derive(Debug)]
struct Added {
    /// By their first two bytes, the longest first.
    by_start: HashMap<[u8; 2], Vec<(Box<str>, u32)>>,
    /// First bytes.
    first: [bool; 256],
}

impl Added {
    /// Those of a tokenizer; `None` where one is more than a plain text.
    fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let mut added = Self { by_start: HashMap::new(), first: [false; 256] };
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            let plain = !token.normalized && !token.single_word && !token.lstrip && !token.rstrip;
            let &start = token.content.as_bytes().first_chunk::<2>().filter(|_| plain)?;
            added.first[usize::from(start[0])] = true;
            added.by_start.entry(start).or_default().push((token.content.as_str().into(), id));
        }
        for tokens in added.by_start.values_mut() {
            tokens.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.0.cmp(&b.0)));
        }
        Some(added)
    }

    /// The next one at or behind `from`: its place, length and id.
    fn next(&self, text: &str, from: usize) -> Option<(usize, usize, u32)> {
        let bytes = text.as_bytes();
        (from..bytes.len()).filter(|&at| self.first[usize::from(bytes[at])]).find_map(|at| {
            let tokens = self.by_start.get(bytes[at..].first_chunk::<2>()?)?;
            let (token, id) =
                tokens.iter().find(|(token, _)| bytes[at..].starts_with(token.as_bytes()))?;
            Some((at, token.len(), *id))
        })
    }
}

impl ByWord {
    /// For this tokenizer; `None` where words are not proven to be apart.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
        let Some(PreTokenizerWrapper::Metaspace(spaces)) = tokenizer.get_pre_tokenizer() else {
            return None;
        };
        let plain = tokenizer.get_normalizer().is_none()
            && spaces.get_replacement() == SPACE
            && !spaces.get_split()
            && model.dropout.is_none_or(|p| p == 0.0)
            && !model.ignore_merges
            && [&model.continuing_subword_prefix, &model.end_of_word_suffix]
                .iter()
                .all(|affix| affix.as_deref().unwrap_or_default().is_empty());
        let vocabulary = model.get_vocab();
        // Unknown characters would be joined to one token across words.
        let whole = model.byte_fallback
            && (0..=255u8).all(|byte| vocabulary.contains_key(&format!("<{byte:#04X}>")));
        if !plain || !whole {
            return None;
        }
        let reaches_over = |token: &str| {
            token.chars().zip(token.chars().skip(1)).any(|(a, b)| a != SPACE && b == SPACE)
        };
        if vocabulary.keys().any(|token| reaches_over(token)) {
            return None;
        }
        let feed = |token: &str| {
            (token.contains('\n') && token != "\n")
                || (token.contains("<0x0A>") && token != "<0x0A>")
        };
        let added = Added::of(tokenizer)?;
        let lines_apart = !vocabulary.keys().any(|token| feed(token));
        let plain = tokenizer.encode_fast("a", false).ok()?.get_ids().to_vec();
        let special = tokenizer.encode_fast("a", true).ok()?.get_ids().to_vec();
        let at = special.windows(plain.len().max(1)).position(|part| part == plain)?;
        let around = (special[..at].to_vec(), special[at + plain.len()..].to_vec());
        Some(Self {
            prepend: spaces.get_prepend_scheme(),
            lines_apart,
            around,
            added,
            caches: Mutex::new(Vec::new()),
        })
    }

    /// The ids of a text, as the tokenizer's own `encode` gives them.
    pub(super) fn ids(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        special: bool,
    ) -> tokenizers::Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 3 + 8);
        if special {
            ids.extend(&self.around.0);
        }
        self.encode(tokenizer, text, |id, _| ids.push(id))?;
        if special {
            ids.extend(&self.around.1);
        }
        Ok(ids)
    }

    /// The byte at which each token of a text begins, special tokens not added.
    pub(super) fn starts(&self, tokenizer: &Tokenizer, text: &str) -> tokenizers::Result<Vec<u32>> {
        let mut starts = Vec::with_capacity(text.len() / 3 + 8);
        self.encode(tokenizer, text, |_, start| starts.push(start as u32))?;
        Ok(starts)
    }

    fn encode(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        mut each: impl FnMut(u32, usize),
    ) -> tokenizers::Result<()> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else {
            unreachable!("made for a tokenizer of this kind");
        };
        let mut words = self.lock().pop().unwrap_or_default();
        let mut from = 0;
        while let Some((at, length, id)) = self.added.next(text, from) {
            self.part(&mut words, model, &text[from..at], from, &mut each)?;
            each(id, at);
            from = at + length;
        }
        self.part(&mut words, model, &text[from..], from, &mut each)?;
        self.lock().push(words);
        Ok(())
    }

    /// A text without added tokens in it, that begins at `start`.
    fn part(
        &self,
        words: &mut Words,
        model: &BPE,
        text: &str,
        start: usize,
        each: &mut impl FnMut(u32, usize),
    ) -> tokenizers::Result<()> {
        let bare = match self.prepend {
            PrependScheme::Always => true,
            PrependScheme::First => start == 0,
            PrependScheme::Never => false,
        };
        let mut bare = bare && !text.starts_with([' ', SPACE]);
        if !self.lines_apart {
            return self.line(words, model, text, bare, |id, at| each(id, start + at));
        }
        let mut at = start;
        for line in text.split_inclusive('\n') {
            let (body, feed) = line.split_at(line.trim_end_matches('\n').len());
            if body.len() >= LINE && !bare {
                if !words.lines.look_up(body, |id, from| each(id, at + from)) {
                    let mut tokens = Vec::with_capacity(body.len() / 3);
                    self.line(words, model, body, false, |id, from| {
                        tokens.push((id, from as u32));
                        each(id, at + from);
                    })?;
                    words.lines.remember(body, &tokens, MOST_LINES);
                }
            } else if !body.is_empty() {
                self.line(words, model, body, bare, |id, from| each(id, at + from))?;
            }
            bare &= body.is_empty();
            if !feed.is_empty() {
                let here = at + body.len();
                self.line(words, model, feed, bare, |id, from| each(id, here + from))?;
                bare = false;
            }
            at += line.len();
        }
        Ok(())
    }

    /// One line, or a text whose lines are not apart, by words.
    fn line(
        &self,
        words: &mut Words,
        model: &BPE,
        text: &str,
        bare: bool,
        mut each: impl FnMut(u32, usize),
    ) -> tokenizers::Result<()> {
        let mut at = 0;
        for word in pieces(text) {
            words.words.tokens_of(word, bare && at == 0, model, |id, from| each(id, at + from))?;
            at += word.len();
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Words>> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text in pieces that no token reaches over: spaces with the word behind them.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut last: Option<char> = None;
        let space = |c| c == ' ' || c == SPACE;
        let end = rest.char_indices().find_map(|(at, c)| {
            let before = last.replace(c)?;
            (space(c) && !space(before)).then_some(at)
        });
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

impl Seen {
    /// Gives the tokens of a text that was seen; false of another.
    fn look_up(&self, text: &str, mut each: impl FnMut(u32, usize)) -> bool {
        let Some(&(from, to)) = self.found.get(text) else { return false };
        for &(id, start) in &self.tokens[from as usize..to as usize] {
            each(id, start as usize);
        }
        true
    }

    /// Remembers a text; all others are forgotten when there are too many.
    fn remember(&mut self, text: &str, tokens: &[(u32, u32)], most: usize) {
        if self.bytes + text.len() > most {
            *self = Self::default();
        }
        self.bytes += text.len();
        let from = self.tokens.len() as u32;
        self.tokens.extend(tokens);
        self.found.insert(text.into(), (from, self.tokens.len() as u32));
    }

    fn tokens_of(
        &mut self,
        word: &str,
        bare: bool,
        model: &BPE,
        mut each: impl FnMut(u32, usize),
    ) -> tokenizers::Result<()> {
        if !bare && self.look_up(word, &mut each) {
            return Ok(());
        }
        let (normal, origin) = normalise(word, bare);
        let found: Vec<(u32, u32)> =
            model.tokenize(&normal)?.iter().map(|t| (t.id, origin[t.offsets.0])).collect();
        found.iter().for_each(|&(id, start)| each(id, start as usize));
        if !bare && word.len() <= LONGEST {
            self.remember(word, &found, MOST_WORDS);
        }
        Ok(())
    }
}

/// The word as the model sees it, and for each of its bytes the place in `word` of the character that it stands for.
fn normalise(word: &str, bare: bool) -> (String, Vec<u32>) {
    let mut normal = String::with_capacity(word.len() + 8);
    if bare {
        normal.push(SPACE);
    }
    let mut origin = vec![0; normal.len()];
    for (at, c) in word.char_indices() {
        normal.push(if c == ' ' { SPACE } else { c });
        origin.resize(normal.len(), at as u32);
    }
    (normal, origin)
}
