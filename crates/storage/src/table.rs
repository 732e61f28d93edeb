//! The tables of a run, and the rows of one that wait to be written.

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use vllm_bench_record::layout;

use crate::error::StorageError;
use crate::part;
use crate::rows::Row;
use crate::schema::{Column, Context};
use crate::writer::{TableReport, WriterOptions};

/// A table of the run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// One row a request.
    Requests,
    /// One row a GPU and reading.
    Gpu,
    /// One row a server and reading.
    Engine,
}

impl Table {
    /// Its folder in the run directory.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => layout::REQUESTS,
            Self::Gpu => layout::GPU,
            Self::Engine => layout::ENGINE,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row above this (an answer of half a gigabyte) would not fit an arrow batch.
const LARGEST_ROW: usize = 512 << 20;

/// Rows wait here as records until their part is due: a part that could not be
/// written (disk full) is simply tried again.
pub(crate) struct Pending<R> {
    folder: PathBuf,
    run_id: String,
    columns: Vec<Column<R>>,
    rows: Vec<R>,
    bytes: usize,
    due: Option<Instant>,
    /// The last attempt failed: only `due` starts another.
    failing: bool,
    next_part: u32,
    pub(crate) report: TableReport,
}

impl<R: Row> Pending<R> {
    pub(crate) fn new(folder: PathBuf, run_id: &str) -> Self {
        Self {
            folder,
            run_id: run_id.to_owned(),
            columns: R::columns(),
            rows: Vec::new(),
            bytes: 0,
            due: None,
            failing: false,
            next_part: 0,
            report: TableReport::default(),
        }
    }

    /// When its part must be closed; `None` when no row waits.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn push(&mut self, row: R, options: &WriterOptions) {
        let bytes = row.bytes();
        if bytes > LARGEST_ROW || self.bytes + bytes > options.hold_bytes.max(options.part_bytes) {
            self.report.lost += 1;
            return;
        }
        self.due.get_or_insert_with(|| Instant::now() + options.part_interval);
        self.bytes += bytes;
        self.rows.push(row);
    }

    /// Writes a part if it is due or full.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        options: &WriterOptions,
        context: &Context,
    ) -> Result<(), StorageError> {
        let full = self.rows.len() >= options.part_rows || self.bytes >= options.part_bytes;
        let due = self.due.is_some_and(|due| due <= now);
        if due || (full && !self.failing) { self.write(options, context) } else { Ok(()) }
    }

    /// Writes what waits as one part.
    pub(crate) fn write(
        &mut self,
        options: &WriterOptions,
        context: &Context,
    ) -> Result<(), StorageError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let (part, rows) = (self.next_part, self.rows.as_slice());
        match part::write(&self.folder, part, &self.run_id, &self.columns, rows, context) {
            Ok(bytes) => {
                self.report.rows += rows.len() as u64;
                self.report.parts += 1;
                self.report.bytes += bytes;
                self.next_part += 1;
                self.rows.clear();
                (self.bytes, self.due, self.failing) = (0, None, false);
                Ok(())
            }
            Err(error) => {
                self.report.failed_writes += 1;
                self.due = Some(Instant::now() + options.part_interval);
                self.failing = true;
                Err(error)
            }
        }
    }

    /// The last attempt: what cannot be written now is lost.
    pub(crate) fn finish(
        &mut self,
        options: &WriterOptions,
        context: &Context,
    ) -> Result<(), StorageError> {
        let result = self.write(options, context);
        self.report.lost += self.rows.len() as u64;
        self.rows.clear();
        result
    }
}
