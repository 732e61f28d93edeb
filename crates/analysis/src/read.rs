//! From the parts of a run directory to rows.

mod requests;
mod samples;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use requests::requests;
pub(crate) use samples::{engine, gpu};

use crate::error::AnalysisError;
use crate::frame::Frame;

/// The closed parts of a table, in order; none where its folder is missing.
pub(crate) fn parts(run_dir: &Path, table: &str) -> Result<Vec<PathBuf>, AnalysisError> {
    let folder = run_dir.join(table);
    let failed = |source| AnalysisError::Read { path: folder.clone(), source };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // An open part ends in `.open` and has no footer yet.
        if path.extension() == Some(OsStr::new("parquet")) {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

/// The rows of a part; one that cannot be read is a warning. Of the `added` columns, which older
/// programs did not write, those that are there.
fn readable(
    path: &Path,
    table: &str,
    columns: &[&str],
    added: &[&str],
    warnings: &mut Vec<String>,
) -> Option<Frame> {
    match Frame::read(path, columns, added, None) {
        Ok(frame) => Some(frame),
        Err(error) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let why = error.to_string().lines().next().unwrap_or_default().to_owned();
            warnings.push(format!("{table}/{name} cannot be read, its rows are missing ({why})"));
            None
        }
    }
}

/// A word of a column as its value; an unknown one is an error.
fn word<T>(
    frame: &Frame,
    column: &str,
    word: Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, AnalysisError> {
    let read = |w: String| read(&w).ok_or_else(|| frame.bad(column, format!("unknown word `{w}`")));
    word.map(read).transpose()
}
