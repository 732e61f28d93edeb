//! The files that a report leaves in the run directory.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dataset::Dataset;
use crate::error::AnalysisError;
use crate::summary::Summary;
use crate::{csv, markdown, report};

/// Where a report's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFiles {
    /// The page.
    pub html: PathBuf,
    /// Every figure.
    pub json: PathBuf,
    /// One line a stage.
    pub csv: PathBuf,
    /// Tables for issues and wikis.
    pub markdown: PathBuf,
}

impl ReportFiles {
    /// `report.html`, `summary.json`, `summary.csv` and `summary.md` in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            html: folder.join("report.html"),
            json: folder.join("summary.json"),
            csv: folder.join("summary.csv"),
            markdown: folder.join("summary.md"),
        }
    }

    /// Writes all four into the run directory, each whole or not at all.
    ///
    /// # Errors
    /// A page that cannot be drawn, or a file that cannot be written.
    pub fn write(dataset: &Dataset, summary: &Summary) -> Result<Self, AnalysisError> {
        let files = Self::in_folder(dataset.run_dir());
        replace(&files.json, &json(summary)?)?;
        replace(&files.csv, &csv::document(summary))?;
        replace(&files.markdown, &markdown::document(summary))?;
        replace(&files.html, &report::html(dataset, summary)?)?;
        Ok(files)
    }
}

/// Figures as JSON for reading, with a line feed at its end.
///
/// # Errors
/// Values that JSON does not have, which figures never are.
pub fn json(value: &impl Serialize) -> Result<String, AnalysisError> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(AnalysisError::Json)
}

/// Writes beside `path` and renames, so that a reader never sees half a file.
///
/// # Errors
/// When the file system refuses; what was at `path` is then still there.
pub fn replace(path: &Path, text: &str) -> Result<(), AnalysisError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        // It may not even have been made.
        let _ = fs::remove_file(&temporary);
        AnalysisError::Write { path: path.to_owned(), source }
    })
}
