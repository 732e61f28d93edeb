//! Numbers and charts from run directories.
//!
//! A [`Dataset`] is a run directory read; a [`Summary`] is every figure of it: one
//! [`StageSummary`] a measured stage, the totals and the verdict. [`table::terminal`],
//! [`markdown::document`] and [`csv::document`] write it down; [`compare::compare`] lays several
//! side by side; [`inspect`] picks single requests. [`charts`] and [`report`] draw.
//!
//! Warm-up stages are read but never enter a figure; failed requests never enter a latency.

pub mod charts;
mod columns;
pub mod compare;
mod counters;
pub mod csv;
mod dataset;
mod error;
mod files;
mod frame;
pub mod inspect;
mod locate;
pub mod markdown;
mod measure;
mod percentile;
mod read;
pub mod report;
mod rows;
mod slo;
mod span;
mod stage;
mod stat;
mod summary;
pub mod table;
mod text;
mod verdict;
mod window;

pub use dataset::Dataset;
pub use error::AnalysisError;
pub use files::{ReportFiles, json, replace};
pub use locate::{newest_run, run_dir};
pub use percentile::{quantile, sample_floor};
pub use rows::{Chunks, RequestRow, RowOutcome};
pub use stage::{
    ChunkShares, ErrorCount, FiguresFrom, Goodput, ServerCounts, ServerFigures, SloResult,
    StageSummary, WindowSummary,
};
pub use stat::{Percentile, Stat};
pub use summary::{Methods, RunFacts, RunTotals, Summary};
