//! A run directory, read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vllm_bench_record::{
    EngineSample, GpuSample, Manifest, Phase, RunStatus, SCHEMA_VERSION, StageInfo, Timestamp,
    layout,
};

use crate::error::AnalysisError;
use crate::read;
use crate::rows::{ChunkColumns, Chunks, RequestRow};

/// A run directory, read: the manifest, one row a request (texts stay on disk), and the samples.
///
/// It works on what is there: a run that was killed, a table without parts or a part that cannot
/// be read costs a line in [`warnings`](Self::warnings), not the rest.
#[derive(Debug, Clone)]
pub struct Dataset {
    run_dir: PathBuf,
    manifest: Manifest,
    requests: Vec<RequestRow>,
    chunks: ChunkColumns,
    gpu: Vec<GpuSample>,
    engine: Vec<EngineSample>,
    warnings: Vec<String>,
}

impl Dataset {
    /// Reads the run in `run_dir`.
    ///
    /// # Errors
    /// No manifest, one that is damaged or newer than this program, or a part with values that no
    /// known version writes.
    pub fn open(run_dir: impl AsRef<Path>) -> Result<Self, AnalysisError> {
        let run_dir = run_dir.as_ref().to_owned();
        let manifest = read_manifest(&run_dir)?;
        let mut warnings = Vec::new();
        if manifest.status == RunStatus::Running {
            warnings.push(
                "the run did not come to its end (still under way, or killed): figures are of what it had written".into(),
            );
        }
        let (requests, chunks) = read::requests(&run_dir, manifest.stages.len(), &mut warnings)?;
        let gpu = read::gpu(&run_dir, manifest.gpu.is_some(), &mut warnings)?;
        let engine = read::engine(&run_dir, manifest.engine.is_some(), &mut warnings)?;
        Ok(Self { run_dir, manifest, requests, chunks, gpu, engine, warnings })
    }

    /// Where it was read from.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// The file that says what the run was.
    pub fn manifest_path(&self) -> PathBuf {
        layout::manifest_path(&self.run_dir)
    }

    /// What the run was.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Every request, warm-up included, by [`scheduled_at`](RequestRow::scheduled_at).
    pub fn requests(&self) -> &[RequestRow] {
        &self.requests
    }

    /// Requests of measured stages, in the same order.
    pub fn measured(&self) -> impl Iterator<Item = &RequestRow> {
        self.requests.iter().filter(|row| self.is_measured(row))
    }

    /// Requests of the stage at `index` of the manifest's `stages`.
    pub fn of_stage(&self, index: u32) -> impl Iterator<Item = &RequestRow> {
        self.requests.iter().filter(move |row| row.stage_index == index)
    }

    /// The chunks of `row`, which is one of [`requests`](Self::requests).
    pub fn chunks(&self, row: &RequestRow) -> Chunks<'_> {
        self.chunks.slice(&row.chunks)
    }

    /// GPU readings, in order of time.
    pub fn gpu(&self) -> &[GpuSample] {
        &self.gpu
    }

    /// Readings of the servers' `/metrics`, in order of time.
    pub fn engine(&self) -> &[EngineSample] {
        &self.engine
    }

    /// What a reader must know about how the run was read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Measured stages with their index into the manifest's `stages`.
    pub fn measured_stages(&self) -> impl Iterator<Item = (u32, &StageInfo)> {
        (0u32..).zip(&self.manifest.stages).filter(|(_, stage)| stage.phase == Phase::Measure)
    }

    /// The latest instant of any row; `None` when there are no rows.
    pub fn last_instant(&self) -> Option<Timestamp> {
        let requests =
            self.requests.iter().filter_map(|r| r.finished_at.or(r.last_token_at).or(r.sent_at));
        let samples = self.gpu.iter().map(|s| s.at).chain(self.engine.iter().map(|s| s.at));
        requests.chain(samples).max()
    }

    fn is_measured(&self, row: &RequestRow) -> bool {
        let stage = self.manifest.stages.get(row.stage_index as usize);
        stage.is_some_and(|stage| stage.phase == Phase::Measure)
    }
}

/// The readings of each GPU by its index and UUID, in their order.
pub(crate) fn devices(samples: &[GpuSample]) -> BTreeMap<(u32, Option<&str>), Vec<&GpuSample>> {
    let mut devices: BTreeMap<_, Vec<&GpuSample>> = BTreeMap::new();
    for sample in samples {
        devices.entry((sample.gpu_index, sample.uuid.as_deref())).or_default().push(sample);
    }
    devices
}

/// Reads the manifest of the run in `run_dir`.
fn read_manifest(run_dir: &Path) -> Result<Manifest, AnalysisError> {
    let path = layout::manifest_path(run_dir);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            return Err(AnalysisError::NoRun { dir: run_dir.to_owned(), newest: None });
        }
        Err(source) => return Err(AnalysisError::Read { path, source }),
    };
    // The version first: a newer manifest may not have the fields known here.
    let version: Version = match serde_json::from_slice(&bytes) {
        Ok(version) => version,
        Err(source) => return Err(AnalysisError::Manifest { path, source }),
    };
    if version.schema_version > SCHEMA_VERSION {
        return Err(AnalysisError::NewerSchema {
            path,
            found: version.schema_version,
            known: SCHEMA_VERSION,
        });
    }
    serde_json::from_slice(&bytes).map_err(|source| AnalysisError::Manifest { path, source })
}

#[derive(serde::Deserialize)]
struct Version {
    schema_version: u32,
}
