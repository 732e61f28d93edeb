//! One Parquet part: written under a temporary name, synced, renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use vllm_bench_record::layout;

use crate::error::StorageError;
use crate::rows::Row;
use crate::schema::{self, Column, Context};

/// Rows and bytes that are turned into arrays at once.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 64 << 20;

/// Writes `rows` as part `number` of `folder`; gives the size of the file.
/// After an error nothing of it is left, so that the same part can be tried again.
pub(crate) fn write<R: Row>(
    folder: &Path,
    number: u32,
    run_id: &str,
    columns: &[Column<R>],
    rows: &[R],
    context: &Context,
) -> Result<u64, StorageError> {
    let path = folder.join(layout::part_name(number));
    let open = open_path(&path);
    let written = write_open(&open, run_id, columns, rows, context).and_then(|bytes| {
        fs::rename(&open, &path).map_err(StorageError::io("rename", &open))?;
        sync_folder(folder)?;
        Ok(bytes)
    });
    if written.is_err() {
        // Gives the space back; if even this fails, readers ignore the name.
        let _ = fs::remove_file(&open);
    }
    written
}

fn open_path(path: &Path) -> PathBuf {
    let mut open = path.as_os_str().to_owned();
    open.push(layout::OPEN_SUFFIX);
    open.into()
}

fn write_open<R: Row>(
    open: &Path,
    run_id: &str,
    columns: &[Column<R>],
    rows: &[R],
    context: &Context,
) -> Result<u64, StorageError> {
    let failed = |source| StorageError::Write { path: open.to_path_buf(), source };
    let file = File::create(open).map_err(StorageError::io("create", open))?;
    let mut file = io::BufWriter::with_capacity(1 << 16, file);
    let properties = schema::properties(R::TABLE, run_id, columns);
    let mut writer = ArrowWriter::try_new(&mut file, schema::schema(columns), Some(properties))
        .map_err(failed)?;
    for range in batches(rows) {
        let batch = schema::batch(columns, &rows[range], context).map_err(|e| failed(e.into()))?;
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    file.flush().map_err(StorageError::io("write", open))?;
    let file = file.get_ref();
    file.sync_all().map_err(StorageError::io("sync", open))?;
    Ok(file.metadata().map_err(StorageError::io("stat", open))?.len())
}

/// Cuts rows so that no batch holds too many rows or bytes (arrow's string
/// offsets are 32 bits).
fn batches<R: Row>(rows: &[R]) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (i, row) in rows.iter().enumerate() {
        if i > start && (i - start == BATCH_ROWS || bytes + row.bytes() > BATCH_BYTES) {
            ranges.push(start..i);
            (start, bytes) = (i, 0);
        }
        bytes += row.bytes();
    }
    if start < rows.len() {
        ranges.push(start..rows.len());
    }
    ranges
}

/// Makes a rename in `folder` last through a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    if cfg!(unix) {
        let synced = File::open(folder).and_then(|f| f.sync_all());
        synced.map_err(StorageError::io("sync", folder))?;
    }
    Ok(())
}
