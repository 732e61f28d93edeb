//! What can go wrong between a client and the truth about it.

use std::io;
use std::path::PathBuf;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A system call refused.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A log cannot be read or written.
    #[error("cannot {verb} {}", .path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A log is not what it should be.
    #[error("{}, line {line}: {reason}", .path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The server answered the floor client with something else than the stream asked for.
    #[error("stream {stream}: {reason}")]
    Answer {
        /// Number of the stream.
        stream: u32,
        /// What came.
        reason: String,
    },
    /// Nothing arrived any more.
    #[error("{open} streams are open and nothing arrived for {seconds} s")]
    Stuck {
        /// Streams not finished.
        open: usize,
        /// How long was waited.
        seconds: u16,
    },
    /// Client and server do not tell of the same run.
    #[error("request {id:?}: {reason}")]
    Mismatch {
        /// The request.
        id: String,
        /// In what they differ.
        reason: String,
    },
    /// The client had failures: its figures are not those of the load asked for.
    #[error("{failed} requests failed, the first: {first}")]
    Failures {
        /// How many.
        failed: u64,
        /// What the first said.
        first: String,
    },
    /// A truth server's process did not do its part.
    #[error("{reason}")]
    TruthProcess {
        /// What it did instead, and its own words.
        reason: String,
    },
    /// The truth server needs Linux.
    #[error("the truth server runs on Linux only")]
    NotHere,
}

impl BenchError {
    /// Puts `what` was tried before a system call's error.
    pub(crate) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System { what, source: source.into() }
    }
}
