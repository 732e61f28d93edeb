//! The built-in word pieces: an estimate that needs no file, for trying things out.

use sha2::{Digest, Sha256};
use vllm_bench_protocol::ChatMessage;

use super::{Measure, TokenCounter, TokenizerIdentity};
use crate::{CorpusError, plain_text};

/// Letters of one piece of a word. Chosen so that English text comes out near 4 characters a token, as with the
/// tokenizers of today's models.
const PIECE: usize = 6;

/// Counts word pieces: up to six letters with the space before them, up to three digits, any other character alone.
///
/// It is an estimate: no model has these tokens. A real tokenizer or the server itself is better wherever there is one.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct BuiltInCounter;

impl BuiltInCounter {
    /// The counter.
    pub fn new() -> Self {
        Self
    }
}

impl TokenCounter for BuiltInCounter {
    fn identity(&self) -> TokenizerIdentity {
        TokenizerIdentity {
            name: "built-in (estimate)".to_owned(),
            sha256: None,
            chat_template: "none".to_owned(),
            exact: false,
        }
    }

    fn measure(&self, text: &str) -> Result<Measure, CorpusError> {
        Ok(Measure::Starts(pieces(text)))
    }

    fn prompt_ids(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, CorpusError> {
        let text = plain_text(messages);
        let starts = pieces(&text);
        let ends = starts.iter().skip(1).map(|&s| s as usize).chain([text.len()]);
        Ok(starts.iter().zip(ends).map(|(&start, end)| id(&text[start as usize..end])).collect())
    }
}

/// Where each piece begins.
fn pieces(text: &str) -> Vec<u32> {
    #[derive(PartialEq, Clone, Copy)]
    enum Class {
        Letter,
        Digit,
        Other,
    }
    let mut starts = Vec::with_capacity(text.len() / 4 + 1);
    let mut run = (Class::Other, 0usize);
    let mut space_before = false;
    for (at, c) in text.char_indices() {
        if c == ' ' && !space_before {
            // A single space belongs to the piece that follows it.
            starts.push(at as u32);
            space_before = true;
            run = (Class::Other, 0);
            continue;
        }
        let class = if c.is_alphabetic() {
            Class::Letter
        } else if c.is_ascii_digit() {
            Class::Digit
        } else {
            Class::Other
        };
        let most = match class {
            Class::Letter => PIECE,
            Class::Digit => 3,
            Class::Other => 1,
        };
        if !space_before && (class != run.0 || run.1 >= most) {
            starts.push(at as u32);
            run = (class, 1);
        } else {
            run = (class, run.1 + 1);
            if space_before {
                run.1 = 1;
            }
        }
        space_before = false;
    }
    starts
}

/// A number that equal pieces have in common.
fn id(piece: &str) -> u32 {
    let digest = Sha256::digest(piece.as_bytes());
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_digits_and_signs() {
        let text = "The encyclopedia, of 1998  or so.";
        let starts = pieces(text);
        let ends = starts.iter().skip(1).map(|&s| s as usize).chain([text.len()]);
        let got: Vec<&str> = starts.iter().zip(ends).map(|(&s, e)| &text[s as usize..e]).collect();
        assert_eq!(
            got,
            ["The", " encycl", "opedia", ",", " of", " 199", "8", "  ", "or", " so", "."]
        );
        assert_eq!(pieces(""), [0u32; 0]);
    }

    #[test]
    fn ids_are_of_the_text() {
        let ids = |text: &str| {
            BuiltInCounter.prompt_ids(&[ChatMessage::user(text)]).expect("never fails")
        };
        assert_eq!(ids("one two"), ids("one two"));
        assert_ne!(ids("one two"), ids("one too"));
        assert_eq!(ids("a a")[0..1], ids("a b")[0..1]);
    }
}
