//! A scenario and its execution: the crate that composes corpus, load generation, telemetry and storage.
//!
//! [`Scenario::load`] reads the file, [`preflight`] checks everything that can
//! be known before the first prompt is sent, [`execute`] runs the stages and
//! writes the run directory, saying [`RunEvent`]s.
//!
//! ```
//! use std::path::Path;
//! use vllm_bench_runner::{RunPlan, Scenario};
//!
//! let text = r#"
//! name = "smoke"
//! corpus = { file = "corpora/smoke.jsonl" }
//! [load]
//! closed = { concurrency = [1, 4], requests_per_user = 5 }
//! "#;
//! let scenario = Scenario::parse(text, Path::new("smoke.toml"), &["request.max_tokens=32".into()])?;
//! assert_eq!(RunPlan::of(&scenario)?.prompts_needed().counted, 25);
//! # Ok::<(), vllm_bench_runner::ScenarioError>(())
//! ```

mod body;
mod brief;
mod calibrate;
mod calibrate_load;
mod counters;
mod error;
mod event;
mod evidence;
mod execute;
mod histogram;
mod host;
mod http;
mod load_spec;
mod narrate;
mod overrides;
mod plan;
mod precision;
mod preflight;
mod prompts;
mod recorded;
mod samplers;
mod scenario;
mod scenario_error;
mod search;
mod source;
mod units;
mod verdict_text;

pub use body::{BodyWriter, ChunkCounts};
pub use brief::{Brief, BriefError, BriefFigures};
pub use calibrate::{CalibrateError, Calibrated, calibrate};
pub use error::{Problem, RunError};
pub use event::RunEvent;
pub use execute::{RunOutcome, execute};
pub use load_spec::{ClosedSpec, LoadSpec, OpenSpec, Rates, WarmupSpec};
pub use narrate::{Narrator, Said, brief_table};
pub use plan::{Pace, PlannedStage, PromptsNeeded, RunPlan};
pub use precision::UntilSpec;
pub use preflight::{Ready, RunOptions, preflight};
pub use scenario::{
    ClockChoice, CorpusSpec, GpuChoice, OneOrMany, OutputSpec, RequestSpec, Scenario, ScenarioSpec,
    ServerSpec, TelemetrySpec, TimeoutSpec, TokenCounts,
};
pub use scenario_error::{Place, ScenarioError};
pub use search::{
    Objective, ProbeRequest, ProbeResult, Search, SearchEnd, SearchPlan, SearchPrompts, SearchSpec,
    Share, search_text,
};
pub use units::{HumanDuration, OneOrEach};
pub use verdict_text::verdict_text;
pub use vllm_bench_bench::{TruthCommand, TruthRole};
pub use vllm_bench_loadgen::{ApiKey, StopHandle};
