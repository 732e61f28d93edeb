//! Files of the Hugging Face Hub: from its cache where they are there, else downloaded into it and verified.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::Progress as HubProgress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::file::hex;
use crate::spec::Pin;
use crate::{CorpusError, Progress};
use sha2::{Digest, Sha256};

/// How to reach the Hub. The programs fill it from HF_HOME, HF_ENDPOINT, HF_TOKEN; the library reads no environment.
#[derive(Clone)]
pub struct HubOptions {
    /// The cache, as Python's huggingface_hub lays it out: `$HF_HOME/hub`.
    pub cache: PathBuf,
    /// `https://huggingface.co` or a mirror.
    pub endpoint: String,
    /// For gated models. Sent to the endpoint only, never written.
    pub token: Option<String>,
    /// Use what is in the cache and nothing else.
    pub offline: bool,
    /// Attempts a file; each goes on where the last one stopped.
    pub attempts: u32,
}

impl HubOptions {
    /// The Hub itself, with this cache.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            attempts: 5,
        }
    }
}

// By hand: the token stays out of logs.
impl std::fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubOptions")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .field("attempts", &self.attempts)
            .finish()
    }
}

/// Whose file it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HubKind {
    Dataset,
    Model,
}

/// One file of a repository.
#[derive(Debug, Clone)]
pub(crate) struct HubFile {
    pub(crate) kind: HubKind,
    pub(crate) repo: String,
    pub(crate) revision: String,
    pub(crate) path: String,
    pub(crate) pin: Option<Pin>,
}

impl HubFile {
    /// What the header calls it.
    pub(crate) fn label(&self) -> String {
        format!("{}@{}:{}", self.repo, self.revision, self.path)
    }

    fn repo(&self) -> Repo {
        let kind = match self.kind {
            HubKind::Dataset => RepoType::Dataset,
            HubKind::Model => RepoType::Model,
        };
        Repo::with_revision(self.repo.clone(), kind, self.revision.clone())
    }
}

/// The path of a file that is in the cache, after a download if need be.
pub(crate) fn fetch(
    hub: Option<&HubOptions>,
    file: &HubFile,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, CorpusError> {
    fetch_if_there(hub, file, progress)?.ok_or_else(|| CorpusError::Download {
        url: file.label(),
        message: "the repository has no such file at this revision".to_owned(),
    })
}

/// As [`fetch`]; `None` when the repository has no such file.
pub(crate) fn fetch_if_there(
    hub: Option<&HubOptions>,
    file: &HubFile,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<PathBuf>, CorpusError> {
    let offline = |cache: &Path| CorpusError::Offline {
        repo: file.repo.clone(),
        file: file.path.clone(),
        cache: cache.to_owned(),
    };
    let Some(hub) = hub else { return Err(offline(Path::new("no cache"))) };
    if let Some(path) = cached(hub, file) {
        return Ok(Some(path));
    }
    if hub.offline {
        return Err(offline(&hub.cache));
    }
    let failed = |e: ApiError| CorpusError::Download { url: file.label(), message: e.to_string() };
    // Not `ApiBuilder::new`: it looks for a home directory, and panics without one.
    let api = ApiBuilder::from_cache(Cache::new(hub.cache.clone()))
        .with_endpoint(hub.endpoint.trim_end_matches('/').to_owned())
        .with_token(hub.token.clone())
        .with_progress(false)
        // Its own retries can begin at 0 in a file that was resumed; ours is below.
        .with_retries(0)
        .with_user_agent("vllm-bench", env!("CARGO_PKG_VERSION"))
        .build()
        .map_err(failed)?;
    let mut attempt = 1;
    loop {
        let bar = Bar { progress: &mut *progress, file: file.path.clone(), done: 0, total: 0 };
        let error = match api.repo(file.repo()).download_with_progress(&file.path, bar) {
            Ok(path) => {
                verify(&path, file)?;
                return Ok(Some(path));
            }
            Err(error) => error,
        };
        match verdict(&error) {
            Verdict::NotThere => return Ok(None),
            Verdict::Refused(message) => {
                return Err(CorpusError::Download {
                    url: api.repo(file.repo()).url(&file.path),
                    message,
                });
            }
            Verdict::Stale => drop_part(&api, hub, file),
            Verdict::Again => {}
        }
        attempt += 1;
        if attempt > hub.attempts.max(1) {
            return Err(CorpusError::Download {
                url: api.repo(file.repo()).url(&file.path),
                message: format!("{error} ({} attempts)", hub.attempts.max(1)),
            });
        }
        progress(Progress::Note(format!(
            "{}: {error}; attempt {attempt} of {}",
            file.path, hub.attempts
        )));
        std::thread::sleep(Duration::from_millis(250 << attempt.min(5)));
    }
}

/// hf-hub's own look-up wants a `refs` file, which Python's cache does not write for a commit.
fn cached(hub: &HubOptions, file: &HubFile) -> Option<PathBuf> {
    let repo = Cache::new(hub.cache.clone()).repo(file.repo());
    let direct = repo.pointer_path(&file.revision).join(&file.path);
    if direct.is_file() { Some(direct) } else { repo.get(&file.path) }
}

enum Verdict {
    NotThere,
    Refused(String),
    /// The partial file is no good.
    Stale,
    Again,
}

fn verdict(error: &ApiError) -> Verdict {
    match error {
        ApiError::InvalidResume => Verdict::Stale,
        ApiError::IoError(e) if e.kind() == std::io::ErrorKind::StorageFull => {
            Verdict::Refused(e.to_string())
        }
        ApiError::LockAcquisition(path) => {
            Verdict::Refused(format!("another download of it is running (lock {})", path.display()))
        }
        ApiError::RequestError(inner) => match **inner {
            ureq::Error::StatusCode(404) => Verdict::NotThere,
            ureq::Error::StatusCode(416) => Verdict::Stale,
            ureq::Error::StatusCode(status @ (401 | 403)) => Verdict::Refused(format!(
                "HTTP {status}: it is gated, or there is no such repository\n  accept its terms on its page, then set HF_TOKEN"
            )),
            ureq::Error::StatusCode(status @ 400..=499) if status != 408 && status != 429 => {
                Verdict::Refused(format!("HTTP {status}"))
            }
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => Verdict::Refused(format!(
                "{inner}; is there a network? give a local copy: --source NAME=PATH"
            )),
            _ => Verdict::Again,
        },
        ApiError::MissingHeader(_) | ApiError::InvalidHeader(_) => {
            Verdict::Refused(format!("{error}: the endpoint does not answer as the Hub does"))
        }
        _ => Verdict::Again,
    }
}

/// Takes a partial file away that no download can be continued from.
fn drop_part(api: &Api, hub: &HubOptions, file: &HubFile) {
    if let Ok(metadata) = api.metadata(&api.repo(file.repo()).url(&file.path)) {
        let mut part = Cache::new(hub.cache.clone()).repo(file.repo()).blob_path(metadata.etag());
        part.set_extension("part");
        // If it stays, the next attempt fails as this one did and says so.
        let _ = std::fs::remove_file(part);
    }
}

/// Checks a fresh download against its pin, else against the Hub's own sha256 (the name of a large file's blob).
fn verify(path: &Path, file: &HubFile) -> Result<(), CorpusError> {
    let blob = std::fs::canonicalize(path).map_err(CorpusError::io("open", path))?;
    let own = blob
        .file_name()
        .and_then(|n| n.to_str())
        .filter(|n| n.len() == 64 && n.bytes().all(|b| b.is_ascii_hexdigit()));
    let own = own.map(|sha256| Pin { sha256: sha256.to_owned(), by: "the Hub".to_owned() });
    let Some(pin) = file.pin.clone().or(own) else { return Ok(()) };
    let found = raw_sha256(&blob)?;
    if found == pin.sha256 {
        return Ok(());
    }
    for bad in [path, &blob] {
        std::fs::remove_file(bad).map_err(CorpusError::io("remove", bad))?;
    }
    Err(CorpusError::Sha256 { path: path.to_owned(), expected: pin.sha256, found, pin: pin.by })
}

/// Of the file as it lies there, packed or not.
fn raw_sha256(path: &Path) -> Result<String, CorpusError> {
    let mut file = std::fs::File::open(path).map_err(CorpusError::io("open", path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(CorpusError::io("read", path))?;
    Ok(hex(&hash.finalize()))
}

/// Hands hf-hub's progress on.
struct Bar<'p> {
    progress: &'p mut dyn FnMut(Progress),
    file: String,
    done: u64,
    total: u64,
}

impl HubProgress for Bar<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total = size as u64;
        self.done = 0;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(Progress::Downloading {
            file: self.file.clone(),
            done: self.done,
            total: self.total,
        });
    }

    fn finish(&mut self) {}
}
