//! The verdict of a run: what speaks for and against believing its figures, as plain values.
//!
//! [`Evidence`] is what it rests on: numbers that the program which runs the load counts while it
//! does, and that the analysis finds in the run directory. [`Verdict::of`] judges either: limits
//! and wording are here and nowhere else.

mod arrivals;
mod cache;
mod calibrated;
mod chunks;
mod client;
mod clock;
mod evidence;
mod facts;
mod gpu;
mod gpu_evidence;
mod judge;
mod requests;
mod schedule;
mod server;
mod server_starts;
#[cfg(test)]
mod tests;
mod window;

pub use arrivals::Arrivals;
pub use evidence::{Counts, Evidence, StageEvidence, SteadyEvidence};
pub use facts::{Ended, FINISHED_BY_LENGTH, RequestFacts};
pub use gpu_evidence::GpuEvidence;
pub use server_starts::ServerStarts;

use serde::{Deserialize, Serialize};

/// Every check of a run, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// One line a check.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// The worst status among the checks; [`CheckStatus::Pass`] when there are none.
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|c| c.status).max().unwrap_or(CheckStatus::Pass)
    }

    /// The checks with this status, in order.
    pub fn with(&self, status: CheckStatus) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |c| c.status == status)
    }
}

/// One line of the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Which check.
    pub kind: CheckKind,
    /// How it came out.
    pub status: CheckStatus,
    /// What was found, with its unit.
    pub figure: String,
    /// What this says about the run's figures.
    pub meaning: String,
    /// What to do about it; `None` when it passed.
    pub advice: Option<String>,
}

/// How a check came out, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Nothing to doubt.
    Pass,
    /// The run has no data to tell.
    Unknown,
    /// Figures hold, with the doubt that is named.
    Warn,
    /// The figures it concerns are not to be used as they are.
    Fail,
}

impl CheckStatus {
    /// The word on disk.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// The checks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckKind {
    /// Every planned stage ran to its end.
    RunComplete,
    /// This program's own lateness at reading, against the ITL measured.
    ClientLag,
    /// The load generator's threads had CPU to spare.
    ClientCpu,
    /// The client's own error, measured before the run, is small against what was measured.
    Calibrated,
    /// The kernel or a capture stamped the arrivals, not this program.
    Clock,
    /// Requests left when the plan wanted them to.
    ScheduleKept,
    /// No prompt was sent twice.
    SentOnce,
    /// Share of failed requests.
    Errors,
    /// Answers shorter than asked for.
    EarlyStops,
    /// The prefix cache had no part in the figures.
    CacheFree,
    /// The server took no running request's cache away.
    Preemptions,
    /// The same server process answered throughout.
    SameServer,
    /// Nobody else used the server.
    OtherTraffic,
    /// Client and server counted the same tokens.
    TokenCounts,
    /// Tokens of each chunk were told by the server, not assumed.
    ChunkTokens,
    /// Chunks came in reads of their own, so that each has its own arrival.
    ChunksApart,
    /// The GPU ran at full clocks.
    GpuClocks,
    /// Only the server used its GPUs.
    GpuShared,
    /// Full load held long enough.
    SteadyWindow,
    /// Samples are enough for the percentiles printed.
    Samples,
}

impl CheckKind {
    /// All checks, in the order in which they are shown.
    pub const ALL: [Self; 20] = [
        Self::RunComplete,
        Self::Errors,
        Self::SentOnce,
        Self::CacheFree,
        Self::TokenCounts,
        Self::EarlyStops,
        Self::ScheduleKept,
        Self::Clock,
        Self::Calibrated,
        Self::ClientLag,
        Self::ClientCpu,
        Self::ChunkTokens,
        Self::ChunksApart,
        Self::SteadyWindow,
        Self::Samples,
        Self::Preemptions,
        Self::SameServer,
        Self::OtherTraffic,
        Self::GpuClocks,
        Self::GpuShared,
    ];

    /// The name people see.
    pub const fn title(self) -> &'static str {
        match self {
            Self::RunComplete => "run complete",
            Self::ClientLag => "client lag",
            Self::ClientCpu => "client CPU",
            Self::Calibrated => "client error",
            Self::Clock => "clock",
            Self::ScheduleKept => "schedule kept",
            Self::SentOnce => "sent once",
            Self::Errors => "errors",
            Self::EarlyStops => "early stops",
            Self::CacheFree => "cache-free",
            Self::Preemptions => "preemptions",
            Self::SameServer => "same server",
            Self::OtherTraffic => "other traffic",
            Self::TokenCounts => "token counts",
            Self::ChunkTokens => "tokens a chunk",
            Self::ChunksApart => "chunks apart",
            Self::GpuClocks => "GPU clocks",
            Self::GpuShared => "GPU processes",
            Self::SteadyWindow => "steady window",
            Self::Samples => "samples",
        }
    }
}
