//! Sends requests on time and observes the answers.
//!
//! A [`Stage`] of users sends [`PreparedRequest`]s to a [`Target`] through
//! [`run_stage`], which says [`LoadEvent`]s: each request ends as one
//! [`RequestRecord`](vllm_bench_record::RequestRecord), whatever became of it.
//! No other crate of the project is needed but `record` and `protocol`; see
//! `examples/embed.rs`. With [`Load::Open`] each request is sent at its
//! [`due`](PreparedRequest::due), whatever the answers do: `examples/open_loop.rs`.
//!
//! ```no_run
//! use vllm_bench_loadgen::{ClientConfig, LoadEvent, Load, PreparedRequest, Stage, StopHandle, Target, Until, run_stage};
//! use vllm_bench_record::RunClock;
//!
//! let config = ClientConfig::new(Target::resolve("http://localhost:8000")?);
//! let load = Load::Closed { concurrency: 4 };
//! let stage = Stage { index: 0, load, until: Until { requests: Some(8), ..Until::default() } };
//! let requests = (0..8).map(|n| PreparedRequest {
//!     request_id: format!("r{n}"),
//!     prompt_id: format!("p{n}"),
//!     session: n,
//!     turn: 0,
//!     body: format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Say {n}"}}],"stream":true}}"#).into(),
//!     prompt_tokens: None,
//!     max_tokens: None,
//!     due: None,
//! });
//! run_stage(&config, stage, requests, RunClock::start(), &StopHandle::new(), |event| {
//!     if let LoadEvent::RequestFinished(record) = event {
//!         assert!(record.finished_at.is_some());
//!     }
//! })?;
//! # Ok::<(), vllm_bench_loadgen::LoadError>(())
//! ```

mod arrival;
mod capture;
mod client;
mod config;
mod connection;
mod cpu;
mod dice;
mod error;
mod event;
mod feeder;
mod human;
mod inverse;
mod kernel_clock;
mod observe;
mod open;
mod plan;
mod pool;
mod rate;
mod run;
mod schedule;
mod schedule_error;
mod stop;
mod target;
mod template;
mod timer;
mod trace;
mod transport;
mod worker;

pub use arrival::{ArrivalProcess, ArrivalSpec, ArrivalTimes, Gamma};
pub use capture::check_capture;
pub use config::{ApiKey, Arrivals, ClientConfig, Timeouts};
pub use error::LoadError;
pub use event::{Live, LoadEvent};
pub use human::HumanDuration;
pub use plan::{Load, PreparedRequest, Stage, Until};
pub use rate::{MAX_RATE, OnOff, Ramp, RateProfile, Steps};
pub use run::{StageReport, run_stage};
pub use schedule::{Due, LeftOut, Schedule, ScheduleSummary, TokenTotals};
pub use schedule_error::ScheduleError;
pub use stop::StopHandle;
pub use target::Target;
pub use trace::{
    Columns, OverLimit, TimeUnit, TraceFormat, TraceReplay, TraceRequest, TraceSpec, ZeroTokens,
};
