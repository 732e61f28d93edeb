//! The capacity search: the highest load at which the objectives hold.
//!
//! [`Search`] decides, without clock or I/O; [`ProbeFigures`] holds a probe's requests against the
//! objectives; [`SearchSpec`] is what a scenario writes; `conduct` runs the probes.

mod conduct;
mod figures;
mod machine;
mod objective;
mod spec;
mod tell;
#[cfg(test)]
mod tests;
mod watch;

pub use machine::{ProbeRequest, ProbeResult, Search, SearchEnd, SearchPlan};
pub use objective::Objective;
pub use spec::{SearchPrompts, SearchSpec, Share};
pub use tell::search_text;

pub(crate) use conduct::conduct;
#[cfg(test)]
pub(crate) use figures::Judgement;
pub(crate) use spec::check;
pub(crate) use tell::{probe_line, started_line};
pub(crate) use watch::Watch;
