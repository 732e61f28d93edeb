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
use tokenizers::{Model as _, NormalizerWrapper, OffsetReferential, OffsetType, Tokenizer};

/// Words that one thread remembers.
const MOST_WORDS: usize = 1 << 16;
/// Longer ones are seen once and not again.
const LONGEST: usize = 64;

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
    /// One a thread at work, taken and given back.
    caches: Mutex<Vec<Words>>,
}

/// Words seen, with their tokens.
#[derive(Debug, Default)]
struct Words {
    found: HashMap<Box<str>, (u32, u32)>,
    /// Each token with the byte of the word that it begins at.
    tokens: Vec<(u32, u32)>,
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
        let lines_apart = !vocabulary.keys().any(|token| feed(token));
        let plain = tokenizer.encode_fast("a", false).ok()?.get_ids().to_vec();
        let special = tokenizer.encode_fast("a", true).ok()?.get_ids().to_vec();
        let at = special.windows(plain.len().max(1)).position(|part| part == plain)?;
        let around = (special[..at].to_vec(), special[at + plain.len()..].to_vec());
        Some(Self {
            prepend: spaces.get_prepend_scheme(),
            lines_apart,
            around,
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
        let split = tokenizer
            .get_added_vocabulary()
            .extract_and_normalize(None::<&NormalizerWrapper>, text);
        for (part, (start, _), tokens) in
            split.get_splits(OffsetReferential::Original, OffsetType::Byte)
        {
            if let Some(tokens) = tokens {
                tokens.iter().for_each(|token| each(token.id, start));
                continue;
            }
            let prepend = match self.prepend {
                PrependScheme::Always => true,
                PrependScheme::First => start == 0,
                PrependScheme::Never => false,
            };
            let mut at = start;
            for word in self.words(part) {
                let bare = prepend && at == start && !word.starts_with([' ', SPACE]);
                words.tokens_of(word, bare, model, |id, from| each(id, at + from))?;
                at += word.len();
            }
        }
        self.lock().push(words);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Words>> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text in pieces that no token reaches over: spaces with the word behind them, line ends.
    fn words<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let lines_apart = self.lines_apart;
        let mut rest = text;
        std::iter::from_fn(move || {
            let mut last: Option<char> = None;
            let end = rest.char_indices().find_map(|(at, c)| {
                let before = last.replace(c)?;
                let space = |c| c == ' ' || c == SPACE;
                let new_word = space(c) && !space(before);
                let line = lines_apart && (c == '\n') != (before == '\n');
                (new_word || line).then_some(at)
            });
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            (!word.is_empty()).then_some(word)
        })
    }
}

impl Words {
    fn tokens_of(
        &mut self,
        word: &str,
        bare: bool,
        model: &BPE,
        mut each: impl FnMut(u32, usize),
    ) -> tokenizers::Result<()> {
        if !bare && let Some(&(from, to)) = self.found.get(word) {
            for &(id, start) in &self.tokens[from as usize..to as usize] {
                each(id, start as usize);
            }
            return Ok(());
        }
        let (normal, origin) = normalise(word, bare);
        let remember = !bare && word.len() <= LONGEST;
        if remember && self.found.len() >= MOST_WORDS {
            self.found.clear();
            self.tokens.clear();
        }
        let from = self.tokens.len() as u32;
        for token in model.tokenize(&normal)? {
            let start = origin[token.offsets.0];
            each(token.id, start as usize);
            if remember {
                self.tokens.push((token.id, start));
            }
        }
        if remember {
            self.found.insert(word.into(), (from, self.tokens.len() as u32));
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
