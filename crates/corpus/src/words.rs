//! Prompts of any length made of plain words, for traces that say how long each prompt is and which beginnings are shared.

use vllm_bench_protocol::{ChatMessage, Role};

use crate::dice::DiceKey;
use crate::error::CorpusError;
use crate::prompt::Prompt;
use crate::tokens::TokenCounter;

/// Words that most tokenizers keep whole after a space. Which of them the served model keeps whole is
/// found by asking it.
const WORDS: &str = "the of and to in is that for was on are with as it be at one have this from or had by not \
    but what all were when we there can an your which their said if do will each about how up out them then she \
    many some so these would other into has more her two like him see time could no make than first been its who \
    now people my made over did down only way find use may water long little very after words called just where \
    most know get through back much before go good new write our used me man too any day same right look think \
    also around another came come work three word must because does part even place well such here take why \
    things help put years different away again off went old number great tell men say small every found still \
    between name should home big give air line set own under read last never us left end along while might next \
    sound below saw something thought both few those always looked show large often together asked house world \
    going want school important until form food keep children feet land side without boy once animals life \
    enough took sometimes four head above kind began almost live page got earth need far hand high year mother \
    light parts country father let night following picture being study second eyes soon times story boys since \
    white days ever paper hard near sentence better best across during today others however sure means knew try \
    told young miles sun ways thing whole hear example heard several change answer room sea against top turned \
    learn point city play toward five using himself usually";

/// Makes prompts of asked-for lengths, each word a token.
#[derive(Debug, Clone)]
pub struct WordPrompts {
    words: Vec<&'static str>,
    /// Tokens that template and special tokens add.
    overhead: u32,
    own: DiceKey,
    shared: DiceKey,
}

/// What one such prompt has to be.
#[derive(Debug, Clone, Copy)]
pub struct WordPrompt<'a> {
    /// Its number: prompts of different numbers differ from their first block on.
    pub index: u64,
    /// Its length, tokens, template included.
    pub tokens: u32,
    /// One number a block of `block_tokens`: prompts whose lists begin alike begin with the same words.
    /// Empty: nothing is shared.
    pub blocks: &'a [u64],
    /// Tokens of such a block.
    pub block_tokens: u32,
}

impl WordPrompts {
    /// Finds by `counter` which words are one token each, and what the chat template adds.
    ///
    /// # Errors
    /// The counter refuses, or keeps fewer than 64 of the words whole.
    pub fn new(counter: &dyn TokenCounter, seed: u64) -> Result<Self, CorpusError> {
        let mut words = Vec::new();
        whole_words(counter, &WORDS.split_whitespace().collect::<Vec<_>>(), &mut words)?;
        if words.len() < FEWEST {
            return Err(CorpusError::Words { found: words.len(), fewest: FEWEST });
        }
        let overhead = count(counter, &words)?.saturating_sub(words.len() as u32);
        let key = |label| DiceKey::new(seed, label);
        Ok(Self { words, overhead, own: key("words/own"), shared: key("words/shared") })
    }

    /// The shortest prompt that can be made, tokens.
    pub const fn shortest(&self) -> u32 {
        self.overhead + 1
    }

    /// A prompt. One that is asked to be shorter than [`shortest`](Self::shortest) is that long.
    pub fn prompt(&self, asked: WordPrompt<'_>) -> Prompt {
        let words = asked.tokens.saturating_sub(self.overhead).max(1);
        let mut text = String::with_capacity(words as usize * 6);
        let block = asked.block_tokens.max(1);
        let mut left = words;
        for &id in asked.blocks {
            let here = left.min(block);
            self.add(&mut text, &self.shared, id, here);
            left -= here;
        }
        self.add(&mut text, &self.own, asked.index, left);
        let message = ChatMessage { role: Role::User, content: text };
        Prompt::new(format!("words-{:05}", asked.index), words + self.overhead, vec![message], None)
    }

    fn add(&self, text: &mut String, family: &DiceKey, stream: u64, count: u32) {
        let mut dice = family.stream(stream);
        for _ in 0..count {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(self.words[dice.index(self.words.len())]);
        }
    }
}

/// With fewer words prompts would repeat themselves too much.
const FEWEST: usize = 64;

/// Adds those of `words` to `whole` that are one token each after a space: a group whose repetition adds one
/// token a word is; one that does not is looked at in halves.
fn whole_words(
    counter: &dyn TokenCounter,
    words: &[&'static str],
    whole: &mut Vec<&'static str>,
) -> Result<(), CorpusError> {
    let once = count(counter, words)?;
    let twice = count(counter, &[words, words].concat())?;
    if twice.saturating_sub(once) == words.len() as u32 {
        whole.extend(words);
    } else if words.len() > 1 {
        let (left, right) = words.split_at(words.len() / 2);
        whole_words(counter, left, whole)?;
        whole_words(counter, right, whole)?;
    }
    Ok(())
}

fn count(counter: &dyn TokenCounter, words: &[&str]) -> Result<u32, CorpusError> {
    let message = ChatMessage { role: Role::User, content: words.join(" ") };
    Ok(counter.prompt_ids(&[message])?.len() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Measure, TokenizerIdentity};

    /// Letters of a word beyond the eighth are a second token; the template adds 7.
    struct Eights;

    impl TokenCounter for Eights {
        fn identity(&self) -> TokenizerIdentity {
            TokenizerIdentity {
                name: "eights".into(),
                sha256: None,
                chat_template: "none".into(),
                exact: true,
            }
        }

        fn measure(&self, _: &str) -> Result<Measure, CorpusError> {
            unreachable!("whole prompts are counted")
        }

        fn prompt_ids(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, CorpusError> {
            let words = messages.iter().flat_map(|m| m.content.split(' '));
            let tokens: usize = words.map(|w| w.len().div_ceil(8)).sum();
            Ok(vec![0; tokens + 7])
        }
    }

    fn prompts() -> WordPrompts {
        WordPrompts::new(&Eights, 1).expect("words enough")
    }

    fn asked(index: u64, tokens: u32, blocks: &[u64]) -> WordPrompt<'_> {
        WordPrompt { index, tokens, blocks, block_tokens: 16 }
    }

    #[test]
    fn lengths_are_hit_to_the_token() {
        let prompts = prompts();
        assert!(!prompts.words.contains(&"important"), "nine letters are two tokens");
        assert!(prompts.words.contains(&"children"), "eight are one");
        for tokens in [8, 9, 100, 4_321] {
            let prompt = prompts.prompt(asked(3, tokens, &[1, 2]));
            let counted = Eights.prompt_ids(&prompt.messages).expect("counted").len() as u32;
            assert_eq!((prompt.tokens, counted), (tokens, tokens));
        }
        assert_eq!(prompts.prompt(asked(3, 1, &[])).tokens, prompts.shortest());
    }

    #[test]
    fn equal_blocks_are_equal_words_and_the_rest_differs() {
        let prompts = prompts();
        let words = |index, blocks: &[u64]| -> Vec<String> {
            let prompt = prompts.prompt(asked(index, 7 + 64, blocks));
            prompt.messages[0].content.split(' ').map(str::to_owned).collect()
        };
        let (a, b) = (words(0, &[5, 6, 7]), words(1, &[5, 6, 8]));
        assert_eq!(a[..32], b[..32]);
        assert_ne!(a[32..48], b[32..48]);
        assert_ne!(a[48..], b[48..], "what the trace says nothing of is its own");
        assert_ne!(words(0, &[])[..16], words(1, &[])[..16]);
        assert_eq!(words(4, &[9]), words(4, &[9]));
    }

    #[test]
    fn a_tokenizer_that_keeps_no_word_whole_is_refused() {
        struct Letters;
        impl TokenCounter for Letters {
            fn identity(&self) -> TokenizerIdentity {
                Eights.identity()
            }
            fn measure(&self, text: &str) -> Result<Measure, CorpusError> {
                Eights.measure(text)
            }
            fn prompt_ids(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, CorpusError> {
                Ok(vec![0; messages.iter().map(|m| m.content.len()).sum()])
            }
        }
        let error = WordPrompts::new(&Letters, 1).expect_err("no words");
        assert!(error.to_string().contains("64"), "{error}");
    }
}
