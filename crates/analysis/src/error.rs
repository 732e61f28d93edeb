//! What can go wrong when a run directory is read.

use std::path::PathBuf;

use vllm_bench_record::SloError;

/// Why a run cannot be analysed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The directory has no manifest, so it is no run.
    #[error("{} is no run directory: it has no {}{}", .dir.display(), vllm_bench_record::layout::MANIFEST,
        .newest.as_ref().map_or_else(String::new, |run| format!("; the newest run in it is {}", run.display())))]
    NoRun {
        /// The directory.
        dir: PathBuf,
        /// The newest run below it, when it is a folder of runs.
        newest: Option<PathBuf>,
    },
    /// A folder of runs has none.
    #[error("no run in {}: make one with vllm-bench-run, or name a run directory", .results.display())]
    NoRuns {
        /// The folder.
        results: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The manifest is not what it should be.
    #[error("{} is damaged or not a manifest", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The run was written by a newer version.
    #[error("{} has layout version {found}, this program knows up to {known}: use the version of vllm-bench that ran it", .path.display())]
    NewerSchema {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// A part holds a value that no known version writes.
    #[error("{}: column {column}: {problem}", .path.display())]
    Column {
        /// The part.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong.
        problem: String,
    },
    /// An objective in the manifest cannot be read.
    #[error("{}: scenario.slo: {source}", .path.display())]
    Slo {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: SloError,
    },
    /// An objective that the reader asks for cannot be read.
    #[error("{source}")]
    AskedSlo {
        /// Why.
        source: SloError,
    },
    /// polars could not do what was asked.
    #[error("{}: {source}", .path.display())]
    Frame {
        /// The table or part.
        path: PathBuf,
        /// Why.
        source: Box<polars::error::PolarsError>,
    },
    /// A stage that the run has not.
    #[error("the run has no stage `{label}`; it has: {}", .known.join(", "))]
    UnknownStage {
        /// As given.
        label: String,
        /// Its stages.
        known: Vec<String>,
    },
    /// Fewer than two runs to compare.
    #[error("a comparison needs two runs or more, {given} given")]
    TooFewRuns {
        /// How many there were.
        given: usize,
    },
    /// Figures could not be written as JSON.
    #[error("cannot write the summary as JSON")]
    Json(#[source] serde_json::Error),
    /// A chart or page could not be made.
    #[error("cannot draw {what}: {problem}")]
    Draw {
        /// The chart or page.
        what: String,
        /// Why.
        problem: String,
    },
}

impl AnalysisError {
    /// Whether what was named is at fault (no run, a damaged or newer one, an unknown stage), and
    /// not the disk or this program.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::NoRun { .. }
                | Self::NoRuns { .. }
                | Self::Manifest { .. }
                | Self::NewerSchema { .. }
                | Self::Column { .. }
                | Self::Slo { .. }
                | Self::AskedSlo { .. }
                | Self::UnknownStage { .. }
                | Self::TooFewRuns { .. }
        )
    }
}
