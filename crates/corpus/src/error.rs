//! What can go wrong while a corpus is made or read: one enum, every variant with its file, line or key.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A corpus could not be made or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// The spec is wrong at a place that is known.
    #[error("{file}:{line}:{column}: {message}{}", hint(.help))]
    Spec {
        /// The spec's path as the caller named it.
        file: String,
        /// 1-based line.
        line: usize,
        /// 1-based column, in characters.
        column: usize,
        /// What is wrong.
        message: String,
        /// What would be right, where that is known.
        help: Option<String>,
    },
    /// An option or an overridden value is wrong; no line of a file is to blame.
    #[error("{what}: {message}")]
    Option {
        /// The option or the key.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file could not be opened, read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `open`, `read`, `write`, `rename`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A source file has a line that cannot be used.
    #[error("{}:{line}: {message}", path.display())]
    SourceLine {
        /// The source file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A value in a data file is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// 1-based column, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A source file as a whole cannot be used.
    #[error("{}: {message}", path.display())]
    Source {
        /// The source file or folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file is needed, is not here, and downloads were switched off.
    #[error(
        "{file} of {repo} is not here and downloads are switched off\n  looked in {}\n  give a local copy (--source NAME=PATH, --tokenizer PATH), or run once with network",
        cache.display()
    )]
    Offline {
        /// The Hub repository.
        repo: String,
        /// The file inside it.
        file: String,
        /// The cache that was searched.
        cache: PathBuf,
    },
    /// A download failed.
    #[error(
        "cannot download {url}: {message}\n  what has arrived is kept and the next run goes on from there"
    )]
    Download {
        /// Where from.
        url: String,
        /// What happened.
        message: String,
    },
    /// A downloaded file is not the one that was pinned.
    #[error("{} has sha256 {found}, expected {expected} (from {pin})", path.display())]
    Sha256 {
        /// The file.
        path: PathBuf,
        /// What was pinned.
        expected: String,
        /// What it has.
        found: String,
        /// Who says so: the manifest or the Hub.
        pin: String,
    },
    /// A tokenizer could not be loaded or refused a text.
    #[error("tokenizer {name}: {message}")]
    Tokenizer {
        /// Its path or Hub id.
        name: String,
        /// What happened.
        message: String,
    },
    /// The chat template failed.
    #[error("chat template of {name}: {message}")]
    Template {
        /// The tokenizer's name.
        name: String,
        /// The template engine's or the template's own words.
        message: String,
    },
    /// A server that was asked to count tokens did not.
    #[error("{url}: {message}")]
    Server {
        /// The URL that was asked.
        url: String,
        /// What happened, with the server's own words.
        message: String,
    },
    /// The sources do not hold enough material.
    #[error(
        "the sources suffice for {possible} prompts, {wanted} are asked: {lacking}\n  {advice}"
    )]
    TooFew {
        /// Prompts asked for.
        wanted: usize,
        /// Prompts that can be made.
        possible: usize,
        /// What ran out.
        lacking: String,
        /// How to get more.
        advice: String,
    },
    /// The asked length cannot be met.
    #[error("{message}\n  {advice}")]
    Length {
        /// Which length, and what came out.
        message: String,
        /// What to change.
        advice: String,
    },
    /// The file is not a corpus of ours at all.
    #[error("{} is not a corpus: {message}\n  make one: vllm-bench-prepare SPEC.toml --out {0}", path.display())]
    NotACorpus {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A tokenizer keeps too few of the built-in words whole.
    #[error(
        "the tokenizer keeps only {found} of the built-in words whole, {fewest} are needed: lengths could not be hit"
    )]
    Words {
        /// Words of one token.
        found: usize,
        /// Words needed.
        fewest: usize,
    },
    /// A line of a corpus file is damaged, missing or edited.
    #[error("{}:{line}: {message}\n  a corpus must be whole: make it again with vllm-bench-prepare", path.display())]
    CorpusLine {
        /// The corpus file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A prompt that the corpus does not have.
    #[error("prompt {index} of a corpus of {prompts}")]
    NoSuchPrompt {
        /// The index asked for.
        index: usize,
        /// How many there are.
        prompts: usize,
    },
}

impl CorpusError {
    /// Whether the user's file or option is to blame (exit code 2 of the programs), rather than the machine or network.
    pub fn is_bad_input(&self) -> bool {
        !matches!(
            self,
            Self::Io { .. } | Self::Download { .. } | Self::Server { .. } | Self::Offline { .. }
        )
    }

    pub(crate) fn io(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn source(path: &Path, message: impl std::fmt::Display) -> Self {
        Self::Source { path: path.to_owned(), message: message.to_string() }
    }

    pub(crate) fn line(path: &Path, line: u64, message: impl std::fmt::Display) -> Self {
        Self::SourceLine { path: path.to_owned(), line, message: message.to_string() }
    }
}

fn hint(help: &Option<String>) -> String {
    help.as_ref().map(|help| format!("\n  {help}")).unwrap_or_default()
}
