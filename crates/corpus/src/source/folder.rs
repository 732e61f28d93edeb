//! A folder of the user's own documents.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::load::{Reading, Request};
use super::material::Material;
use super::passages;
use crate::file::hex;
use crate::{CorpusError, unpack};

const ENDINGS: [&str; 6] = ["txt", "md", "markdown", "jsonl", "ndjson", "parquet"];

/// Reads all `.txt`, `.md`, `.jsonl`, `.parquet` of a folder and its folders (or one such file), in order of their paths.
/// Hidden files and other endings are passed over.
pub(super) fn read(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, &mut files)?;
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    if files.is_empty() {
        let message = format!(
            "no documents here; read are files that end with .{} (or that and .gz)",
            ENDINGS.join(", .")
        );
        return Err(CorpusError::source(path, message));
    }
    let mut all = Sha256::new();
    let mut records = 0;
    for file in &files {
        if records >= request.take() {
            break;
        }
        let reading = one(file, &request.after(records), material)?;
        records += reading.records;
        // Of a folder: names and contents, in order.
        let name = file.strip_prefix(path).unwrap_or(file).to_string_lossy().replace('\\', "/");
        all.update(name.as_bytes());
        all.update([0]);
        all.update(reading.sha256.unwrap_or_default().as_bytes());
        all.update(b"\n");
    }
    Ok(Reading { records, sha256: Some(hex(&all.finalize())) })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    for entry in std::fs::read_dir(folder).map_err(CorpusError::io("read", folder))? {
        let entry = entry.map_err(CorpusError::io("read", folder))?;
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(CorpusError::io("read", &path))?;
        if hidden {
            continue;
        } else if kind.is_dir() {
            walk(&path, files)?;
        } else if ending(&path).is_some_and(|e| ENDINGS.contains(&e.as_str())) {
            files.push(path);
        }
    }
    Ok(())
}

fn one(
    file: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    if matches!(ending(file).as_deref(), Some("jsonl" | "ndjson" | "parquet")) {
        return passages::read(file, request, material);
    }
    let bytes = unpack::read_whole(file)?;
    let sha256 = Some(hex(&Sha256::digest(&bytes)));
    let text = String::from_utf8(bytes).map_err(|e| {
        CorpusError::source(
            file,
            format!("not UTF-8 from byte {} on", e.utf8_error().valid_up_to()),
        )
    })?;
    let heading = text.lines().find_map(|line| line.strip_prefix("# "));
    let stem = file
        .file_name()
        .map(|n| n.to_string_lossy().split('.').next().unwrap_or_default().to_owned());
    passages::add(heading.or(stem.as_deref()), &text, request, material);
    Ok(Reading { records: 1, sha256 })
}

/// The ending, without `.gz`, in lower case.
fn ending(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map(|(_, ending)| ending.to_owned())
}
