//! What can go wrong with a run directory.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::table::Table;
use crate::writer::WriterReport;

/// What can go wrong with a run directory. Every message names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `create`, `rename`, …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A part could not be encoded or written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The part.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: ParquetError,
    },
    /// A part is not a whole Parquet file.
    #[error("cannot read {}: damaged or cut short", path.display())]
    Part {
        /// The part.
        path: PathBuf,
        /// What the Parquet reader said.
        #[source]
        source: ParquetError,
    },
    /// A column is missing or has another type than expected.
    #[error("{}: column {column} should be {expected}, found {found}", path.display())]
    Column {
        /// The part.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The type it should have.
        expected: String,
        /// The type it has, or `nothing`.
        found: String,
    },
    /// A cell holds what no version of the program writes.
    #[error("{}: row {row}, column {column}: {problem}", path.display())]
    Cell {
        /// The part.
        path: PathBuf,
        /// 0-based row of the part.
        row: usize,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The manifest is not what it should be.
    #[error("{} is not a manifest", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// A newer version of the program wrote this.
    #[error(
        "{} has schema version {found}, this program reads up to {supported}: use a newer vllm-bench",
        path.display()
    )]
    NewerSchema {
        /// The manifest or part.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version known.
        supported: u32,
    },
    /// There is no run in this folder.
    #[error("{} is not a run directory: it has no manifest.json", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run in this results folder.
    #[error("no run in {}", path.display())]
    NoRuns {
        /// The results folder.
        path: PathBuf,
    },
    /// A record names a stage that the stage table given at start does not have.
    #[error(
        "{rows} request rows name a stage that is not in the stage table (first: stage_index {stage_index})"
    )]
    UnknownStage {
        /// How many.
        rows: u64,
        /// The first such index.
        stage_index: u32,
    },
    /// Rows could not be written. What could be is in the report.
    #[error("{lost} rows of {table} were lost: the disk did not take them")]
    RowsLost {
        /// The table with the loss (the first, when several have one).
        table: Table,
        /// Rows lost over all tables.
        lost: u64,
        /// What was written all the same.
        report: Box<WriterReport>,
        /// The last failure.
        #[source]
        source: Box<StorageError>,
    },
    /// The writer's thread could not be started or ended by a panic.
    #[error("the storage thread {problem}")]
    Thread {
        /// What happened to it.
        problem: String,
    },
}

impl StorageError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// The message and its causes on one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(c) = cause {
            text.push_str(": ");
            text.push_str(&c.to_string());
            cause = c.source();
        }
        text
    }
}
