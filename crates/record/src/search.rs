//! A capacity search: which probes were made, what each showed, and the answer with its bracket.

use serde::{Deserialize, Serialize};

use crate::load::Level;

/// A capacity search and what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchInfo {
    /// What was varied.
    pub over: SearchAxis,
    /// Lower bound asked for.
    pub from: f64,
    /// Upper bound asked for.
    pub to: f64,
    /// The bracket was to become narrower than this share of the answer.
    pub precision: f64,
    /// Every probe, in the order in which it was made.
    pub probes: Vec<Probe>,
    /// `None` while it runs, or when it ended before it could answer.
    pub answer: Option<Capacity>,
    /// Why it ended, one sentence.
    pub ended: Option<String>,
}

/// What a search varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchAxis {
    /// Requests a second, open loop.
    Rate,
    /// Users at once, closed loop.
    Concurrency,
}

/// One probe: a stage, and whether the objectives held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Index into the manifest's `stages`.
    pub stage: u32,
    /// The load tried.
    pub level: Level,
    /// Whether it repeats a level, to confirm.
    pub confirms: bool,
    /// How it came out.
    pub outcome: ProbeOutcome,
    /// Each objective with the figure found, its interval and whether it held.
    pub objectives: Vec<ProbeObjective>,
}

/// How a probe came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    /// Every objective held.
    Holds,
    /// At least one did not.
    Fails,
    /// Nothing can be said: too few answers, or the probe was cut short.
    Unclear,
}

/// One objective at one probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeObjective {
    /// As written: `ttft_p99 <= 500ms`.
    pub slo: String,
    /// What was found, in the objective's unit (nanoseconds, shares, per second); `None` when
    /// there was nothing to take it of.
    pub value: Option<f64>,
    /// 95 % confidence interval of `value`, where there is one.
    pub interval: Option<(f64, f64)>,
    /// Whether it held.
    pub holds: bool,
}

/// The answer of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The highest load at which the objectives held, confirmed.
    pub holds: f64,
    /// The lowest load at which they did not; `None` when they held up to the upper bound.
    pub fails: Option<f64>,
}
