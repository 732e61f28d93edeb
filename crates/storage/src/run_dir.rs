//! The folder of one run, its manifest, and the link to the newest.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use vllm_bench_record::{Manifest, SCHEMA_VERSION, layout};

use crate::error::StorageError;
use crate::name::safe;
use crate::part::sync_folder;
use crate::table::Table;

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    run_id: String,
}

impl RunDir {
    /// Makes a folder for a new run in `results_dir` (made too, where missing)
    /// and writes the manifest. Where `run_name` is taken, it gets a suffix:
    /// `-2`, `-3`, …; [`run_id`](Self::run_id) tells which it became.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(
        results_dir: &Path,
        run_name: &str,
        manifest: &Manifest,
    ) -> Result<Self, StorageError> {
        fs::create_dir_all(results_dir).map_err(StorageError::io("create", results_dir))?;
        // Bounded by the number of runs that already have this name.
        for attempt in 1_u32.. {
            let name = safe(run_name);
            let run_id = if attempt == 1 { name } else { format!("{name}-{attempt}") };
            let path = results_dir.join(&run_id);
            match fs::create_dir(&path) {
                Ok(()) => {
                    let run_dir = Self { path, run_id };
                    if let Err(error) = run_dir.write_manifest(manifest) {
                        // Still empty: no one is to take it for a run.
                        let _ = fs::remove_dir(&run_dir.path);
                        return Err(error);
                    }
                    sync_folder(results_dir)?;
                    return Ok(run_dir);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(StorageError::io("create", &path)(e)),
            }
        }
        Err(StorageError::io("create", results_dir)(io::ErrorKind::AlreadyExists.into()))
    }

    /// The run in folder `path`, which may be a link (`results/latest`).
    ///
    /// # Errors
    /// When there is no readable manifest of a known version.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let path = follow(path)?;
        if !layout::manifest_path(&path).is_file() {
            return Err(StorageError::NotARun { path });
        }
        let mut run_dir = Self { path, run_id: String::new() };
        run_dir.run_id = run_dir.manifest()?.run_id;
        Ok(run_dir)
    }

    /// The newest run in `results_dir`: the one that `latest` names, else the
    /// one whose manifest started last.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn newest(results_dir: &Path) -> Result<Self, StorageError> {
        let latest = results_dir.join(layout::LATEST);
        if let Ok(path) = follow(&latest)
            && layout::manifest_path(&path).is_file()
        {
            return Self::open(&path);
        }
        let entries = match fs::read_dir(results_dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StorageError::NoRuns { path: results_dir.to_path_buf() });
            }
            Err(e) => return Err(StorageError::io("list", results_dir)(e)),
        };
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| layout::manifest_path(path).is_file())
            .max_by_key(|path| (started(path), path.clone()))
            .ok_or_else(|| StorageError::NoRuns { path: results_dir.to_path_buf() })
            .and_then(|path| Self::open(&path))
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, unique among the runs of its results folder.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The folder of one table.
    pub fn table(&self, table: Table) -> PathBuf {
        self.path.join(table.as_str())
    }

    /// Writes `manifest.json` anew, whole or not at all. `run_id` is set to
    /// this run's.
    ///
    /// # Errors
    /// When the file system refuses; the old manifest is then still there.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StorageError> {
        let path = layout::manifest_path(&self.path);
        let manifest = Manifest { run_id: self.run_id.clone(), ..manifest.clone() };
        let mut text = serde_json::to_string_pretty(&manifest)
            .map_err(|source| StorageError::Manifest { path: path.clone(), source })?;
        text.push('\n');
        replace(&path, text.as_bytes())
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// When it is missing, not a manifest (with line and column), or newer than this program.
    pub fn manifest(&self) -> Result<Manifest, StorageError> {
        let path = layout::manifest_path(&self.path);
        let text = fs::read(&path).map_err(StorageError::io("read", &path))?;
        let failed = |source| StorageError::Manifest { path: path.clone(), source };
        // The version first: a newer manifest may not parse as this one.
        let head: Head = serde_json::from_slice(&text).map_err(failed)?;
        if head.schema_version > u64::from(SCHEMA_VERSION) {
            let (found, supported) = (head.schema_version, SCHEMA_VERSION);
            return Err(StorageError::NewerSchema { path, found, supported });
        }
        serde_json::from_slice(&text).map_err(failed)
    }

    /// Points `latest`, beside this run, at it: a relative link, replaced in
    /// one step. On systems without symbolic links it is a text file that
    /// holds the run's name; [`open`](Self::open) follows both.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn link_latest(&self) -> Result<(), StorageError> {
        let results = self.path.parent().unwrap_or(Path::new(""));
        let latest = results.join(layout::LATEST);
        #[cfg(unix)]
        {
            // Where links are not allowed (some mounted folders), the text file serves.
            let link = results.join(format!(".latest-{}.tmp", std::process::id()));
            let _ = fs::remove_file(&link);
            if std::os::unix::fs::symlink(&self.run_id, &link).is_ok() {
                return fs::rename(&link, &latest).map_err(|e| {
                    let _ = fs::remove_file(&link);
                    StorageError::io("replace", &latest)(e)
                });
            }
        }
        replace(&latest, format!("{}\n", self.run_id).as_bytes())
    }
}

#[derive(serde::Deserialize)]
struct Head {
    schema_version: u64,
}

#[derive(serde::Deserialize)]
struct Started {
    wall_start_unix_ns: u64,
}

/// When the run in `path` started; 0 when its manifest does not tell.
fn started(path: &Path) -> u64 {
    let text = fs::read(layout::manifest_path(path)).unwrap_or_default();
    serde_json::from_slice(&text).map_or(0, |s: Started| s.wall_start_unix_ns)
}

/// The folder that `path` is or names.
fn follow(path: &Path) -> Result<PathBuf, StorageError> {
    if path.is_file() && path.file_name().is_some_and(|name| name == layout::LATEST) {
        let name = fs::read_to_string(path).map_err(StorageError::io("read", path))?;
        return Ok(path.with_file_name(safe(name.trim())));
    }
    if path.is_symlink() {
        return path.canonicalize().map_err(StorageError::io("follow", path));
    }
    Ok(path.to_path_buf())
}

/// Replaces `path` by `bytes` in one step.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(StorageError::io("write", &temporary))
        .and_then(|()| fs::rename(&temporary, path).map_err(StorageError::io("replace", path)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}
