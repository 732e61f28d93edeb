//! Numbers and charts from run directories.
//!
//! A [`Dataset`] is a run directory read; a [`Summary`] is every figure of it: one
//! [`StageSummary`] a measured stage, the totals and the verdict. [`table::terminal`],
//! [`markdown::document`] and [`csv::document`] write it down; [`compare::compare`] lays several
//! side by side; [`inspect`] picks single requests. [`charts`] and [`report`] draw.
//!
//! Warm-up stages are read but never enter a figure; failed requests never enter a latency.
//!
//! ```
//! use vllm_bench_analysis::Stat;
//!
//! let ttft_ms = Stat::of([142.0, 151.0, 139.0]).expect("three samples");
//! assert_eq!((ttft_ms.count, ttft_ms.p50.value), (3, 142.0));
//! assert!(ttft_ms.p95.low_samples, "three samples are too few for p95");
//! assert_eq!(Stat::of([]), None);
//! ```
//!
//! A whole run:
//!
//! ```no_run
//! use vllm_bench_analysis::{Dataset, ReportFiles, Summary, table};
//!
//! # fn main() -> Result<(), vllm_bench_analysis::AnalysisError> {
//! let dataset = Dataset::open("results/latest")?;
//! let summary = Summary::of(&dataset)?;
//! let text = table::terminal(&summary, &table::Look::PLAIN);
//! let files = ReportFiles::write(&dataset, &summary)?;
//! # Ok(())
//! # }
//! ```

mod arrivals;
mod calibration;
pub mod charts;
mod columns;
pub mod compare;
mod counters;
pub mod csv;
mod dataset;
mod economy;
mod error;
mod files;
mod frame;
pub mod index;
pub mod inspect;
mod locate;
pub mod markdown;
mod measure;
mod over_time;
mod percentile;
mod read;
pub mod report;
mod rows;
mod search;
mod slo;
mod span;
mod stage;
mod stat;
mod summary;
pub mod table;
mod text;
mod time_split;
mod verdict;

pub use dataset::Dataset;
pub use economy::{Economy, Energy, EnergySource, Prices, READING_SPEED, Readers};
pub use error::AnalysisError;
pub use files::{ReportFiles, json, replace};
pub use index::{Index, IndexGroup, IndexRun, IndexStage};
pub use locate::{newest_run, run_dir};
pub use over_time::{Cause, ChangeKind, Finding, Watched};
pub use percentile::{quantile, sample_floor};
pub use rows::{Chunks, RequestRow, RowOutcome};
pub use stage::{
    ChunkShares, ErrorCount, FiguresFrom, Goodput, ServerCounts, ServerFigures, SloResult,
    StageSummary, WindowSummary,
};
pub use stat::{Percentile, Stat};
pub use summary::{Asked, Methods, RunFacts, RunTotals, Summary};
pub use time_split::{TimePart, TimeSplit, TimeSplitSource};
