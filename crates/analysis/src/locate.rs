//! Which run directory is meant.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vllm_bench_record::layout;

use crate::error::AnalysisError;

/// The run directory that `path` is or names: `results/latest` is a link, or a text file with the
/// run's name where the file system has no links.
///
/// # Errors
/// When `path` is no run directory.
pub fn run_dir(path: &Path) -> Result<PathBuf, AnalysisError> {
    let followed = follow(path);
    if layout::manifest_path(&followed).is_file() {
        return Ok(followed);
    }
    // A results folder instead of a run in it.
    let newest = newest_run(&followed).ok().filter(|_| followed.is_dir());
    Err(AnalysisError::NoRun { dir: followed, newest })
}

/// The newest run in `results`: the one that `latest` names, else the one that started last.
///
/// # Errors
/// When there is none, or the folder cannot be read.
pub fn newest_run(results: &Path) -> Result<PathBuf, AnalysisError> {
    let latest = follow(&results.join(layout::LATEST));
    if layout::manifest_path(&latest).is_file() {
        return Ok(latest);
    }
    let runs = run_dirs(results)?.into_iter().filter_map(|path| Some((started(&path)?, path)));
    runs.max()
        .map(|(_, path)| path)
        .ok_or_else(|| AnalysisError::NoRuns { results: results.to_owned() })
}

/// The folders in `results` that have a manifest, by name; never `latest`, which is one of the others.
///
/// # Errors
/// When there is none, or the folder cannot be read.
pub(crate) fn run_dirs(results: &Path) -> Result<Vec<PathBuf>, AnalysisError> {
    let none = || AnalysisError::NoRuns { results: results.to_owned() };
    let entries = match fs::read_dir(results) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
        Err(source) => return Err(AnalysisError::Read { path: results.to_owned(), source }),
    };
    let folders = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut dirs: Vec<PathBuf> = folders
        .map(|entry| entry.path())
        .filter(|dir| layout::manifest_path(dir).is_file())
        .collect();
    dirs.sort();
    if dirs.is_empty() { Err(none()) } else { Ok(dirs) }
}

fn follow(path: &Path) -> PathBuf {
    if path.is_file()
        && let Ok(name) = fs::read_to_string(path)
        && let Some(name) = Path::new(name.trim()).file_name()
    {
        return path.with_file_name(name);
    }
    match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_) => path.to_owned(),
    }
}

#[derive(Deserialize)]
struct Started {
    wall_start_unix_ns: u64,
}

/// When the run in `path` started; `None` when it is no run.
fn started(path: &Path) -> Option<u64> {
    let manifest = fs::read(layout::manifest_path(path)).ok()?;
    serde_json::from_slice::<Started>(&manifest).ok().map(|s| s.wall_start_unix_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(results: &Path, name: &str, started: u64) -> PathBuf {
        let dir = results.join(name);
        fs::create_dir_all(&dir).expect("a folder");
        fs::write(layout::manifest_path(&dir), format!("{{\"wall_start_unix_ns\": {started}}}"))
            .expect("a file");
        dir
    }

    #[test]
    fn the_newest_is_latest_else_the_one_that_started_last() {
        let results = tempfile::tempdir().expect("a folder");
        let missing = newest_run(&results.path().join("nowhere")).expect_err("no such folder");
        assert!(missing.to_string().contains("nowhere"), "{missing}");
        assert!(newest_run(results.path()).is_err());
        let old = run(results.path(), "zz-old", 5);
        let new = run(results.path(), "aa-new", 9);
        assert_eq!(newest_run(results.path()).expect("two runs"), new);
        fs::write(results.path().join(layout::LATEST), "zz-old\n").expect("a file");
        assert_eq!(newest_run(results.path()).expect("named"), old);
        assert_eq!(run_dir(&results.path().join(layout::LATEST)).expect("named"), old);
        // A name that leads out of the results folder is taken by its last part.
        fs::write(results.path().join(layout::LATEST), "../../zz-old").expect("a file");
        assert_eq!(newest_run(results.path()).expect("named"), old);
    }

    #[test]
    fn a_results_folder_is_no_run_but_names_one() {
        let results = tempfile::tempdir().expect("a folder");
        run(results.path(), "one", 5);
        let error = run_dir(results.path()).expect_err("not a run").to_string();
        assert!(error.contains("one"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let results = tempfile::tempdir().expect("a folder");
        let dir = run(results.path(), "one", 5);
        std::os::unix::fs::symlink("one", results.path().join(layout::LATEST)).expect("a link");
        assert_eq!(newest_run(results.path()).expect("linked"), dir);
    }
}
