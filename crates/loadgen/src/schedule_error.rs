//! What is wrong with a schedule: a rate that makes none, a trace that cannot be replayed.

use std::io;

/// Why there is no schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A number of the arrival process makes no schedule.
    #[error("arrivals: {0}")]
    Arrivals(String),
    /// A setting of the replay makes no schedule.
    #[error("trace {name}: {reason}")]
    Replay {
        /// The trace, as its errors name it.
        name: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The trace cannot be read.
    #[error("cannot read trace {name}")]
    Read {
        /// The trace.
        name: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// Something in the trace is not right.
    #[error("{name}:{line}:{column}: {message}")]
    At {
        /// The trace.
        name: String,
        /// 1-based line.
        line: u64,
        /// 1-based column, characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// The trace has no request at all.
    #[error("trace {name} is empty: it has no request")]
    Empty {
        /// The trace.
        name: String,
    },
    /// The trace has requests, and none is left to send.
    #[error(
        "trace {name}: none of the {read} requests read is left; look at from, to, skip, first, last and the limits"
    )]
    NothingLeft {
        /// The trace.
        name: String,
        /// Requests read.
        read: u64,
    },
}
