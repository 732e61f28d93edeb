//! A small tokenizer of our own: greedy, deterministic and exactly reversible.
//!
//! The vocabulary is built once from a word list: special tokens, the 256 bytes, common words with and
//! without a space before them, common syllables and letter pairs. English takes about one and a half
//! tokens a word; any other text falls back to bytes, so a character can span several tokens as it does
//! with real models.

use std::sync::LazyLock;

use vllm_bench_protocol::{ChatMessage, Role};

use crate::words;

/// Begin of sequence.
pub(crate) const BOS: u32 = 1;
/// End of sequence: the token that ends an answer, and that has no text.
pub(crate) const EOS: u32 = 2;

const SPECIAL: [&str; 8] =
    ["<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"];
const END_OF_MESSAGE: u32 = 7;
const FIRST_BYTE: u32 = SPECIAL.len() as u32;

/// Letters, the space and the line feed: what pieces longer than a byte are made of.
const ALPHABET: usize = 54;

/// The vocabulary with a trie over its pieces.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    pieces: Vec<Vec<u8>>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    children: [u16; ALPHABET],
    token: Option<u32>,
}

const EMPTY: Node = Node { children: [0; ALPHABET], token: None };

impl Tokenizer {
    /// The one tokenizer of all simulated servers.
    pub(crate) fn shared() -> &'static Tokenizer {
        static SHARED: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::build);
        &SHARED
    }

    fn build() -> Self {
        let mut pieces: Vec<Vec<u8>> =
            SPECIAL.iter().map(|text| text.as_bytes().to_vec()).collect();
        pieces.extend((0..=255).map(|byte: u8| vec![byte]));
        let mut tokenizer = Tokenizer { pieces, nodes: vec![EMPTY] };
        for piece in words::pieces() {
            tokenizer.insert(piece.as_bytes());
        }
        tokenizer
    }

    fn insert(&mut self, piece: &[u8]) {
        let mut at = 0;
        for &byte in piece {
            let Some(letter) = letter(byte) else { return };
            let child = self.nodes[at].children[letter] as usize;
            at = if child == 0 {
                let Ok(new) = u16::try_from(self.nodes.len()) else { return };
                self.nodes[at].children[letter] = new;
                self.nodes.push(EMPTY);
                usize::from(new)
            } else {
                child
            };
        }
        if self.nodes[at].token.is_none() {
            self.nodes[at].token = Some(self.pieces.len() as u32);
            self.pieces.push(piece.to_vec());
        }
    }

    /// Number of tokens; ids are below it.
    pub(crate) fn vocabulary_size(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// Appends the tokens of a text, special tokens never among them.
    pub(crate) fn encode_into(&self, text: &str, tokens: &mut Vec<u32>) {
        let bytes = text.as_bytes();
        let mut from = 0;
        while from < bytes.len() {
            let (token, length) = self.longest(&bytes[from..]);
            tokens.push(token);
            from += length;
        }
    }

    /// Tokens of a text without special tokens.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        self.encode_into(text, &mut tokens);
        tokens
    }

    /// Tokens of a completion prompt: begin of sequence, then the text.
    pub(crate) fn encode_prompt(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 3 + 1);
        tokens.push(BOS);
        self.encode_into(text, &mut tokens);
        tokens
    }

    /// Tokens of a conversation by the chat template: `<s>`, then `<|role|>\n` + content + `<|end|>\n`
    /// a message, then `<|assistant|>\n` where an answer is to follow.
    pub(crate) fn encode_chat(&self, messages: &[ChatMessage], answer_follows: bool) -> Vec<u32> {
        let mut tokens = vec![BOS];
        for message in messages {
            tokens.push(role_token(message.role));
            self.encode_into("\n", &mut tokens);
            self.encode_into(&message.content, &mut tokens);
            tokens.push(END_OF_MESSAGE);
            self.encode_into("\n", &mut tokens);
        }
        if answer_follows {
            tokens.push(role_token(Role::Assistant));
            self.encode_into("\n", &mut tokens);
        }
        tokens
    }

    /// The bytes of a token; none for an id outside the vocabulary.
    pub(crate) fn piece(&self, token: u32) -> Option<&[u8]> {
        self.pieces.get(token as usize).map(Vec::as_slice)
    }

    /// Text of tokens, special ones left out, what is not UTF-8 replaced.
    pub(crate) fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens.iter().filter(|&&token| !is_special(token)) {
            bytes.extend_from_slice(self.piece(token).unwrap_or_default());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A token as byte-level tokenizers print it: `Ġ` for a space, `Ċ` for a line feed.
    pub(crate) fn token_text(&self, token: u32) -> String {
        let piece = self.piece(token).unwrap_or_default();
        if is_special(token) {
            return String::from_utf8_lossy(piece).into_owned();
        }
        piece.iter().map(|&byte| byte_character(byte)).collect()
    }

    fn longest(&self, bytes: &[u8]) -> (u32, usize) {
        let mut best = (FIRST_BYTE + u32::from(bytes[0]), 1);
        let mut at = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            let child = letter(byte).map_or(0, |letter| self.nodes[at].children[letter] as usize);
            if child == 0 {
                break;
            }
            at = child;
            if let Some(token) = self.nodes[at].token {
                best = (token, index + 1);
            }
        }
        best
    }
}

/// Whether a token stands for no text.
pub(crate) fn is_special(token: u32) -> bool {
    token < FIRST_BYTE
}

/// Turns one stream of tokens into text, holding bytes back until their character is whole.
#[derive(Debug, Default)]
pub(crate) struct StreamDecoder {
    pending: Vec<u8>,
}

impl StreamDecoder {
    /// Text that this token completes; empty for a special token and inside a character.
    pub(crate) fn push(&mut self, token: u32) -> String {
        if is_special(token) {
            return String::new();
        }
        self.pending.extend_from_slice(Tokenizer::shared().piece(token).unwrap_or_default());
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(whole) => {
                    text.push_str(whole);
                    self.pending.clear();
                    return text;
                }
                Err(problem) => {
                    let valid = problem.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[..valid]));
                    let Some(bad) = problem.error_len() else {
                        self.pending.drain(..valid);
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.pending.drain(..valid + bad);
                }
            }
        }
    }
}

fn role_token(role: Role) -> u32 {
    match role {
        Role::System => 3,
        Role::User => 4,
        Role::Assistant => 5,
        Role::Tool => 6,
    }
}

fn letter(byte: u8) -> Option<usize> {
    match byte {
        b'a'..=b'z' => Some(usize::from(byte - b'a')),
        b'A'..=b'Z' => Some(usize::from(byte - b'A') + 26),
        b' ' => Some(52),
        b'\n' => Some(53),
        _ => None,
    }
}

/// GPT-2's printable stand-in for a byte.
fn byte_character(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if printable(byte) {
        return char::from(byte);
    }
    let rank = (0..byte).filter(|&other| !printable(other)).count() as u32;
    char::from_u32(256 + rank).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        let tokenizer = Tokenizer::shared();
        let texts =
            ["", "Hello there, how are you?", "Grüße, 世界! 🎉👩‍🚀 naïve — ok", "a\n\n  b\t<s>"];
        for text in texts {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_encoded_is_decoded_the_same_in_one_piece_and_token_by_token(text: String) {
            let tokens = Tokenizer::shared().encode(&text);
            proptest::prop_assert_eq!(&Tokenizer::shared().decode(&tokens), &text);
            let mut decoder = StreamDecoder::default();
            let streamed: String = tokens.iter().map(|&token| decoder.push(token)).collect();
            proptest::prop_assert_eq!(streamed, text);
        }
    }

    #[test]
    fn common_words_are_one_token_and_english_takes_few() {
        let tokenizer = Tokenizer::shared();
        assert_eq!(tokenizer.encode(" the river").len(), 2);
        let text = "The oldest bridge over the river was built of stone and replaced twice. People \
                    cross it on foot every morning, because the station lies on the other side. \
                    Its engineer, Margaret Holloway, kept a detailed journal of the work.";
        let ratio = tokenizer.encode(text).len() as f64 / text.split(' ').count() as f64;
        assert!((1.1..1.8).contains(&ratio), "{ratio} tokens a word");
    }

    #[test]
    fn a_stream_waits_for_whole_characters() {
        let mut decoder = StreamDecoder::default();
        let texts: Vec<_> = Tokenizer::shared()
            .encode("ü🎉")
            .into_iter()
            .chain([EOS])
            .map(|token| decoder.push(token))
            .collect();
        assert_eq!(texts, ["", "ü", "", "", "", "🎉", ""]);
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced() {
        let mut decoder = StreamDecoder::default();
        assert_eq!(decoder.push(FIRST_BYTE + 0xc3), "");
        assert_eq!(decoder.push(FIRST_BYTE + u32::from(b'a')), "\u{fffd}a");
    }

    #[test]
    fn the_chat_template_frames_every_message() {
        let tokenizer = Tokenizer::shared();
        let messages = [ChatMessage::system("be"), ChatMessage::user("river")];
        let line = FIRST_BYTE + u32::from(b'\n');
        let (be, river) = (tokenizer.encode("be")[0], tokenizer.encode("river")[0]);
        let expected = [BOS, 3, line, be, 7, line, 4, line, river, 7, line, 5, line];
        assert_eq!(tokenizer.encode_chat(&messages, true), expected);
        assert_eq!(tokenizer.encode_chat(&messages, false), expected[..11]);
    }

    #[test]
    fn tokens_print_as_byte_level_tokenizers_do() {
        let tokenizer = Tokenizer::shared();
        let texts: Vec<_> = tokenizer
            .encode(" river\n")
            .into_iter()
            .map(|token| tokenizer.token_text(token))
            .collect();
        assert_eq!(texts, ["Ġriver", "Ċ"]);
        assert_eq!(tokenizer.token_text(BOS), "<s>");
    }
}
