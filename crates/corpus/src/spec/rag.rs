//! What a RAG prompt looks like, and how its passages are retrieved.

use serde::{Deserialize, Serialize};

/// What a RAG prompt looks like. The keys from `top_k` on make a retrieval plan: documents are cut into chunks, and
/// each prompt gets those that a retriever might have found for its question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RagSpec {
    /// The system line; empty for none.
    pub system: String,
    /// Earlier turns before the question: human question and answer pairs, each used once in the whole corpus.
    pub history_turns: u32,
    /// May a passage stand again in a later prompt, once all have been used? Never as the first passage of two prompts,
    /// so that no cache block is shared.
    pub reuse_passages: bool,
    /// Passages of a prompt. Without it: as many as fill the length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Tokens of a chunk. Default 256; with `top_k` and a length, what the length leaves for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<u32>,
    /// Tokens that a chunk has in common with the one before it. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_overlap: Option<u32>,
    /// Zipf exponent over documents: 0 for all alike, 1 for the n-th most popular one n times rarer than the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub popularity: Option<f64>,
    /// Order of the passages. Default: by relevance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<PassageOrder>,
    /// Is the passage that answers among them, where the source knows it? Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<bool>,
    /// May documents and questions come again? Default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
    /// What keeps the first blocks of prompts apart. Default: the first passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leading: Option<Leading>,
    /// Variants of the prompt's form. Default: one, with `system` and the question behind the passages.
    #[serde(rename = "template", skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateSpec>,
}

/// Order of retrieved passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PassageOrder {
    /// The answer first, then what the source has beside the question, then the others as they were drawn.
    #[default]
    Relevance,
    /// Any.
    Random,
    /// As in the collection: the same passages always stand in the same order.
    Fixed,
}

/// May documents and questions come again?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reuse {
    /// A chunk stands in one prompt, and in another only when all have been used (`reuse_passages`); a question is asked
    /// once.
    #[default]
    None,
    /// Documents are drawn for each prompt anew, by their popularity; questions come again when all have been asked.
    Documents,
}

/// What keeps the first blocks of prompts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Leading {
    /// No two prompts open with passages that begin alike: where the order would have it so, another passage of the prompt
    /// comes first.
    #[default]
    Passage,
    /// A short line of its own before everything else: `Request 3f9c0a...`.
    Line,
    /// Nothing: prompts may begin alike, as in production. The header says how many do.
    Free,
}

/// One form of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSpec {
    /// Its system line; default: that of `[rag]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Where the question stands.
    #[serde(default)]
    pub question: QuestionPlace,
    /// How often it is used, against the others.
    #[serde(default = "one")]
    pub weight: u32,
}

/// Where the question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum QuestionPlace {
    /// Behind the passages.
    #[default]
    After,
    /// Before them.
    Before,
    /// Both.
    Both,
}

fn one() -> u32 {
    1
}

impl Default for TemplateSpec {
    fn default() -> Self {
        Self { system: None, question: QuestionPlace::After, weight: 1 }
    }
}

impl Default for RagSpec {
    fn default() -> Self {
        Self {
            system: "You are a helpful assistant. Answer the question from the numbered passages, and say so if they do not \
                     hold the answer."
                .to_owned(),
            history_turns: 0,
            reuse_passages: true,
            top_k: None,
            chunk_tokens: None,
            chunk_overlap: None,
            popularity: None,
            order: None,
            answer: None,
            reuse: None,
            leading: None,
            templates: Vec::new(),
        }
    }
}

impl RagSpec {
    /// Whether any key asks for a retrieval plan.
    pub fn is_plan(&self) -> bool {
        self.top_k.is_some()
            || self.chunk_tokens.is_some()
            || self.chunk_overlap.is_some()
            || self.popularity.is_some()
            || self.order.is_some()
            || self.answer.is_some()
            || self.reuse.is_some()
            || self.leading.is_some()
            || !self.templates.is_empty()
    }

    /// The forms of a prompt; never empty.
    pub(crate) fn forms(&self) -> Vec<TemplateSpec> {
        if self.templates.is_empty() {
            vec![TemplateSpec::default()]
        } else {
            self.templates.clone()
        }
    }

    /// What makes no sense: the key after `rag.`, and why. `length` tells whether the spec has one.
    pub(super) fn fault(&self, length: bool) -> Option<(String, &'static str)> {
        let fault = |key: &str, message| Some((key.to_owned(), message));
        if self.history_turns > 256 {
            return fault("history_turns", "must be at most 256");
        }
        if !(1..=4096).contains(&self.top_k.unwrap_or(1)) {
            return fault("top_k", "must be from 1 to 4096");
        }
        if self.chunk_tokens.is_some_and(|n| n < 16) {
            return fault("chunk_tokens", "must be at least 16");
        }
        if self.top_k.is_some() && self.chunk_tokens.is_some() && length {
            return fault(
                "chunk_tokens",
                "with top_k the length follows: leave out one of top_k, chunk_tokens and [length]",
            );
        }
        if let Some(overlap) = self.chunk_overlap {
            let chunk = self.chunk_tokens.unwrap_or(256);
            if self.top_k.is_some() && self.chunk_tokens.is_none() {
                return fault(
                    "chunk_overlap",
                    "needs chunk_tokens: documents are not cut into chunks here",
                );
            }
            if overlap * 2 > chunk {
                return fault("chunk_overlap", "must not be more than half of chunk_tokens");
            }
        }
        if self.popularity.is_some_and(|s| !(0.0..=4.0).contains(&s)) {
            return fault("popularity", "must be a Zipf exponent from 0 to 4");
        }
        if self.popularity.is_some() && self.reuse != Some(Reuse::Documents) {
            return fault(
                "popularity",
                "needs reuse = \"documents\": a document that is used once cannot be popular",
            );
        }
        match self.templates.iter().position(|t| !(1..=1000).contains(&t.weight)) {
            Some(at) => fault(&format!("template.{at}.weight"), "must be from 1 to 1000"),
            None => None,
        }
    }
}
