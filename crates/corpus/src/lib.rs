//! Prompts with known token lengths, seeded.
//!
//! A [`CorpusSpec`] says what is wanted; [`build`] reads the sources, counts tokens with the served model's tokenizer and
//! writes a corpus file; [`Corpus`] reads one back and refuses it when a byte of it was changed. Every prompt of a corpus
//! is unique from its first cache block on, and the same spec gives the same bytes on any machine.
//!
//! ```
//! use vllm_bench_corpus::{Corpus, CorpusSpec, build};
//!
//! let spec = CorpusSpec::parse("name = \"demo\"\nprompts = 8\nlength = { mean_tokens = 400 }", "demo.toml")?;
//! let out = std::env::temp_dir().join(format!("demo-{}.jsonl", std::process::id()));
//! let header = build(&spec, ".".as_ref(), &out, &mut |_| {})?;
//! assert!((header.tokens.mean - 400.0).abs() <= 8.0);
//! assert_eq!(header.shared_leading_blocks, 0);
//!
//! let corpus = Corpus::open(&out)?;
//! let prompt = corpus.prompt(7)?;
//! assert_eq!((prompt.id.as_str(), corpus.len()), ("demo-00007", 8));
//! # std::fs::remove_file(&out).ok();
//! # Ok::<(), vllm_bench_corpus::CorpusError>(())
//! ```

mod build;
mod conversations;
mod dice;
mod error;
mod file;
mod header;
mod lengths;
mod overlap;
mod progress;
mod prompt;
mod rag;
mod ready;
mod source;
mod spec;
mod tokens;
mod uniqueness;
mod unpack;
mod words;

pub use build::{BuildOptions, build, build_counted, build_with};
pub use error::CorpusError;
pub use file::Corpus;
pub use header::{Aims, BLOCK_SIZE, CorpusHeader, Retrieval, SourceRecord, TokenStats};
pub use overlap::{LimitedCache, Overlap};
pub use progress::Progress;
pub use prompt::{Prompt, plain_text};
pub use source::{Article, Encyclopedia, HubOptions};
pub use spec::{
    CacheSpec, CorpusSpec, CounterKind, Distribution, Footnotes, Form, HubLocation, Leading,
    LengthSpec, ManifestFile, PassageOrder, QuestionPlace, RagSpec, Reuse, SharedOpenings,
    SourceKind, SourceManifest, SourceRole, SourceSpec, TemplateSpec, TokensSpec,
};
pub use tokens::{
    BuiltInCounter, Measure, ServerCounter, ServerOptions, TokenCounter, TokenizerCounter,
    TokenizerIdentity,
};
pub use words::{WordPrompt, WordPrompts};
