//! Names inside a run directory.

use std::path::{Path, PathBuf};

/// `manifest.json`.
pub const MANIFEST: &str = "manifest.json";
/// The folder of request parts.
pub const REQUESTS: &str = "requests";
/// The folder of GPU parts.
pub const GPU: &str = "gpu";
/// The folder of engine parts.
pub const ENGINE: &str = "engine";
/// Suffix of a part that is still being written; readers ignore it.
pub const OPEN_SUFFIX: &str = ".open";
/// Name of the link to the newest run in a results folder.
pub const LATEST: &str = "latest";

/// The file name of part `number` (0-based) of any table.
pub fn part_name(number: u32) -> String {
    format!("part-{number:05}.parquet")
}

/// The manifest of the run in `run_dir`.
pub fn manifest_path(run_dir: &Path) -> PathBuf {
    run_dir.join(MANIFEST)
}
