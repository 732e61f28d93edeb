//! Records back from a run directory. Parts that are still open are left out.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use vllm_bench_record::columns::metadata;
use vllm_bench_record::{EngineSample, GpuSample, RequestRecord, SCHEMA_VERSION};

use crate::error::StorageError;
use crate::rows::{Cells, Row};
use crate::run_dir::RunDir;
use crate::table::Table;

/// Rows decoded at once. Small: one row can hold a long answer.
const BATCH_ROWS: usize = 256;

/// All requests of a run, in the order in which they ended.
///
/// # Errors
/// When a part is damaged, newer than this program or not one of ours; the error names it.
pub fn requests(run_dir: &RunDir) -> Result<Vec<RequestRecord>, StorageError> {
    all(run_dir)
}

/// All GPU samples of a run, in order.
///
/// # Errors
/// As [`requests`].
pub fn gpu(run_dir: &RunDir) -> Result<Vec<GpuSample>, StorageError> {
    all(run_dir)
}

/// All engine samples of a run, in order.
///
/// # Errors
/// As [`requests`].
pub fn engine(run_dir: &RunDir) -> Result<Vec<EngineSample>, StorageError> {
    all(run_dir)
}

/// Hands every request of a run to `each`, a few hundred in memory at a time.
///
/// # Errors
/// As [`requests`].
pub fn each_request(
    run_dir: &RunDir,
    mut each: impl FnMut(RequestRecord),
) -> Result<(), StorageError> {
    each_batch(run_dir, |rows| rows.drain(..).for_each(&mut each))
}

/// The closed parts of a table, in order. None where the table's folder is missing.
///
/// # Errors
/// When the folder cannot be listed.
pub fn parts(run_dir: &RunDir, table: Table) -> Result<Vec<PathBuf>, StorageError> {
    let folder = run_dir.table(table);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StorageError::io("list", &folder)(e)),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.map_err(StorageError::io("list", &folder))?.path();
        if path.extension() == Some(OsStr::new("parquet")) {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

fn all<R: Row>(run_dir: &RunDir) -> Result<Vec<R>, StorageError> {
    let mut out = Vec::new();
    each_batch(run_dir, |rows| out.append(rows))?;
    Ok(out)
}

fn each_batch<R: Row>(
    run_dir: &RunDir,
    mut each: impl FnMut(&mut Vec<R>),
) -> Result<(), StorageError> {
    let mut rows = Vec::new();
    for path in parts(run_dir, R::TABLE)? {
        let failed = |source| StorageError::Part { path: path.clone(), source };
        let file = File::open(&path).map_err(StorageError::io("open", &path))?;
        let builder =
            unpanicked(|| ParquetRecordBatchReaderBuilder::try_new(file)).map_err(failed)?;
        check_version(&path, builder.metadata().file_metadata().key_value_metadata())?;
        let mut reader =
            unpanicked(|| builder.with_batch_size(BATCH_ROWS).build()).map_err(failed)?;
        let mut first_row = 0;
        while let Some(batch) = unpanicked(|| Ok(reader.next().transpose()?)).map_err(failed)? {
            R::read(&Cells::new(&batch, &path, first_row), &mut rows)?;
            first_row += batch.num_rows();
            each(&mut rows);
            rows.clear();
        }
    }
    Ok(())
}

/// The Parquet decoder of arrow 60.1 panics on some damaged pages ("offset +
/// len out of bounds"); to us that is a damaged file like any other. The
/// reader is not used again afterwards.
fn unpanicked<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(ParquetError::General("the decoder panicked".into())))
}

fn check_version(
    path: &Path,
    entries: Option<&Vec<parquet::file::metadata::KeyValue>>,
) -> Result<(), StorageError> {
    let version = entries
        .into_iter()
        .flatten()
        .find(|entry| entry.key == metadata::SCHEMA_VERSION)
        .and_then(|entry| entry.value.as_deref()?.parse().ok());
    match version {
        None => Err(StorageError::Part {
            path: path.to_path_buf(),
            source: ParquetError::General(format!("no {} in it", metadata::SCHEMA_VERSION)),
        }),
        Some(found) if found > u64::from(SCHEMA_VERSION) => {
            let supported = SCHEMA_VERSION;
            Err(StorageError::NewerSchema { path: path.to_path_buf(), found, supported })
        }
        Some(_) => Ok(()),
    }
}
