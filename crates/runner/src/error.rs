//! Why a run did not happen, or could not go on.

use std::path::PathBuf;

use crate::scenario_error::ScenarioError;

/// Why a run did not happen, or could not go on. Failed requests are not errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The scenario is not right.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The corpus cannot be used.
    #[error("corpus of {place}")]
    Corpus {
        /// Where the scenario names it.
        place: String,
        /// What is wrong with it.
        #[source]
        source: vllm_bench_corpus::CorpusError,
    },
    /// The corpus has fewer prompts than the plan sends.
    #[error(
        "{} has {available} prompts, the scenario needs {needed} ({sum})\n  {place}\n  make more: vllm-bench-prepare SPEC.toml --count {needed} --out {}",
        file.display(), file.display()
    )]
    TooFewPrompts {
        /// The corpus.
        file: PathBuf,
        /// Prompts in it that can be sent.
        available: u64,
        /// Prompts the plan sends.
        needed: u64,
        /// How that number comes about.
        sum: String,
        /// The line of the scenario that asks for them.
        place: String,
    },
    /// A trace gives no prompt lengths, and there is no corpus to take prompts from.
    #[error(
        "the trace says nothing of prompt lengths, so there must be a corpus\n  {place}\n  add corpus.file, or name the trace's column with prompt_tokens"
    )]
    NoLengths {
        /// The line of the scenario with the trace.
        place: String,
    },
    /// Requests of a trace do not fit the server's context.
    #[error(
        "{too_long} of {requests} requests of the trace are longer than {url} takes: up to {longest} tokens, its limit is {limit}\n  {place}\n  set max_prompt_tokens and max_output_tokens there, with over_limit = \"drop\" or \"clip\""
    )]
    TraceTooLong {
        /// The line of the scenario with the trace.
        place: String,
        /// The server's base URL.
        url: String,
        /// Requests that are too long.
        too_long: u64,
        /// Requests of the trace.
        requests: u64,
        /// The longest, tokens, answer included.
        longest: u32,
        /// `max_model_len`.
        limit: u32,
    },
    /// Prompts cannot be made to a trace's lengths.
    #[error(
        "prompts cannot be made to the trace's lengths\n  {place}\n  add corpus.file to send prompts of a corpus instead"
    )]
    Words {
        /// The line of the scenario with the trace.
        place: String,
        /// What the counter said.
        #[source]
        source: Box<vllm_bench_corpus::CorpusError>,
    },
    /// A file that the scenario names cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// The load generator refuses its configuration.
    #[error(transparent)]
    Load(#[from] vllm_bench_loadgen::LoadError),
    /// The server does not answer.
    #[error("no server at {url}: {reason}")]
    NoServer {
        /// Its base URL.
        url: String,
        /// What happened instead of an answer.
        reason: String,
    },
    /// The server answers, but refuses.
    #[error("{url} refused {what}: {words}")]
    Refused {
        /// What was asked of it, a full URL.
        url: String,
        /// What that was for.
        what: String,
        /// Status and the server's own words.
        words: String,
    },
    /// The model asked for is not there, or none was named and there are several.
    #[error("{url} {problem}; it has: {}", models.join(", "))]
    Model {
        /// Its base URL.
        url: String,
        /// What is wrong.
        problem: String,
        /// The models that it has.
        models: Vec<String>,
    },
    /// Some prompts do not fit the server's context.
    #[error(
        "{too_long} of {prompts} prompts do not fit {url}: prompt and answer may have {max_model_len} tokens, the longest needs {longest}\n  the server says: {words}"
    )]
    TooLong {
        /// The server.
        url: String,
        /// Prompts that do not fit.
        too_long: u64,
        /// Prompts in the corpus.
        prompts: u64,
        /// The server's limit, tokens.
        max_model_len: u32,
        /// The longest prompt with its answer, tokens.
        longest: u32,
        /// The server's own words about it.
        words: String,
    },
    /// The capture sees nothing of what the server sends.
    #[error(
        "no packet of {url} could be captured: its answers carry another address or port here (a published container port, a service address); name the server by its own address, or set load.clock = \"auto\""
    )]
    CaptureBlind {
        /// The server.
        url: String,
    },
    /// The run directory cannot be written.
    #[error(transparent)]
    Storage(#[from] vllm_bench_storage::StorageError),
}

/// What kind of problem an error is, for exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// A file or flag is wrong.
    Input,
    /// The server is not there, not ready, or refuses.
    Server,
    /// Something broke on the way.
    Run,
}

impl RunError {
    /// What kind of problem it is.
    pub const fn problem(&self) -> Problem {
        match self {
            Self::Scenario(_)
            | Self::Corpus { .. }
            | Self::TooFewPrompts { .. }
            | Self::NoLengths { .. }
            | Self::TraceTooLong { .. }
            | Self::Words { .. }
            | Self::File { .. } => Problem::Input,
            Self::Load(_) | Self::CaptureBlind { .. } => Problem::Input,
            Self::NoServer { .. }
            | Self::Refused { .. }
            | Self::Model { .. }
            | Self::TooLong { .. } => Problem::Server,
            Self::Storage(_) => Problem::Run,
        }
    }
}
