//! The TOML that says what a corpus is to be.

mod cache;
mod length;
mod locate;
mod manifest;
mod parse;
mod rag;
mod source;
mod validate;

use serde::{Deserialize, Serialize};
use vllm_bench_protocol::Endpoint;

pub use cache::CacheSpec;
pub use length::{Distribution, LengthSpec};
pub(crate) use manifest::Pin;
pub use manifest::{HubLocation, ManifestFile, SourceManifest};
pub(crate) use parse::parse_toml;
pub use rag::{Leading, PassageOrder, QuestionPlace, RagSpec, Reuse, TemplateSpec};
pub use source::{Footnotes, Role as SourceRole, SourceKind, SourceSpec};

/// What a corpus is to be: the content of a spec file. Unknown keys are errors.
///
/// ```
/// use vllm_bench_corpus::CorpusSpec;
///
/// let spec = CorpusSpec::parse("name = \"tiny\"\nprompts = 8\n", "tiny.toml")?;
/// assert_eq!((spec.prompts(), spec.length().mean_tokens), (8, 1371));
///
/// let error = CorpusSpec::parse("name = \"tiny\"\npromts = 8\n", "tiny.toml").unwrap_err();
/// assert!(error.to_string().starts_with("tiny.toml:2:1: unknown key `promts`"), "{error}");
/// # Ok::<(), vllm_bench_corpus::CorpusError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSpec {
    /// Short name; prompt ids begin with it.
    pub name: String,
    /// One line for people. Not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a prompt is built as.
    #[serde(default)]
    pub form: Form,
    /// Every choice follows from it. Default 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// How many prompts. Default: 1,500; for ready-made prompts all that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<u32>,
    /// How long prompts are. Default for ready-made prompts: as long as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<LengthSpec>,
    /// How tokens are counted.
    #[serde(default)]
    pub tokens: TokensSpec,
    /// What a RAG prompt looks like.
    #[serde(default)]
    pub rag: RagSpec,
    /// What becomes of ready-made prompts that begin alike.
    #[serde(default)]
    pub shared_openings: SharedOpenings,
    /// The prefix cache that the header predicts hits for. Default: blocks of 16 tokens, without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
    /// Where text comes from. Default: the built-in encyclopedia.
    #[serde(default = "default_sources", rename = "source")]
    pub sources: Vec<SourceSpec>,
}

/// What a prompt is built as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Form {
    /// System line, history, numbered passages, a question.
    #[default]
    Rag,
    /// The prompts of a file, as they are.
    ReadyMade,
    /// The conversations of a file, as they are: each turn of a person is a prompt, with everything before it and the given
    /// answers as its history.
    Conversations,
}

/// How tokens are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensSpec {
    /// Who counts. Default: the tokenizer where one is named, else the built-in estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counter: Option<CounterKind>,
    /// A Hub model id, a folder with `tokenizer.json`, or that file itself (relative to the spec).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// The Hub revision; a commit makes the corpus reproducible. Default `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Expected sha256 of the Hub's `tokenizer.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The endpoint the prompts are for: with the chat template, or as plain text.
    pub endpoint: Endpoint,
}

/// Who counts tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CounterKind {
    /// A `tokenizer.json` with its chat template.
    Tokenizer,
    /// A server's `/tokenize`; the URL is given when the corpus is built.
    Server,
    /// The built-in word pieces: no file needed, an estimate for English text.
    BuiltIn,
}

/// What becomes of ready-made prompts that share their opening block with an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SharedOpenings {
    /// Leave out the later one.
    #[default]
    Drop,
    /// Keep it; the header counts them.
    Keep,
}

impl CorpusSpec {
    /// How many prompts are asked for; ready-made ones without a number: all there are, here `u32::MAX`.
    pub fn prompts(&self) -> u32 {
        self.prompts.unwrap_or(match self.form {
            Form::Rag => 1500,
            Form::ReadyMade | Form::Conversations => u32::MAX,
        })
    }

    /// The lengths asked for, or the default ones.
    pub fn length(&self) -> LengthSpec {
        self.length.clone().unwrap_or_default()
    }

    /// The prefix cache to look at, or the default one.
    pub fn cache(&self) -> CacheSpec {
        self.cache.unwrap_or_default()
    }

    /// Whether prompts are made by a retrieval plan: where a key of one is given, or a distribution of lengths that is
    /// met to the token.
    pub fn is_retrieved(&self) -> bool {
        self.form == Form::Rag
            && (self.rag.is_plan()
                || self.length.as_ref().is_some_and(|l| !l.distribution.is_bell()))
    }

    /// Who counts, after the default rule.
    pub fn counter(&self) -> CounterKind {
        self.tokens.counter.unwrap_or(match self.tokens.tokenizer {
            Some(_) => CounterKind::Tokenizer,
            None => CounterKind::BuiltIn,
        })
    }
}

impl Default for CorpusSpec {
    fn default() -> Self {
        Self {
            name: "built-in".to_owned(),
            description: None,
            form: Form::default(),
            seed: default_seed(),
            prompts: None,
            length: None,
            tokens: TokensSpec::default(),
            rag: RagSpec::default(),
            shared_openings: SharedOpenings::default(),
            cache: None,
            sources: default_sources(),
        }
    }
}

fn default_seed() -> u64 {
    1
}

fn default_sources() -> Vec<SourceSpec> {
    vec![SourceSpec::of_kind(SourceKind::Encyclopedia)]
}
