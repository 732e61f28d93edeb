//! From `[[source]]` entries to material: find each file, fetch it if need be, read it, note its sha256.

use std::path::{Path, PathBuf};

use rayon::ThreadPool;

use super::hub::{HubFile, HubKind, fetch};
use super::material::Material;
use super::{dolly, folder, hotpot, invent, passages, prompts, squad};
use crate::lengths::Lengths;
use crate::spec::{Footnotes, Form, Pin, SourceKind, SourceManifest, SourceRole, SourceSpec};
use crate::{BuildOptions, CorpusError, CorpusSpec, Progress, SourceRecord};

/// Rows of a Parquet file that are read when nothing else is said: enough for thousands of prompts.
const PARQUET_ROWS: u64 = 20_000;

/// What reading one file gave.
pub(super) struct Reading {
    pub(super) records: u64,
    /// Of the unpacked content.
    pub(super) sha256: Option<String>,
}

/// What is wanted of one file.
pub(super) struct Request<'a> {
    source: &'a SourceSpec,
    roles: &'a [SourceRole],
    /// Records that may still be read.
    left: Option<u64>,
    /// Documents as they are, for a retrieval plan that cuts them into chunks itself.
    whole: bool,
}

impl Request<'_> {
    pub(super) fn take(&self) -> u64 {
        self.left.unwrap_or(u64::MAX)
    }

    pub(super) fn parquet_rows(&self) -> u64 {
        self.left.unwrap_or(PARQUET_ROWS)
    }

    /// The same after `records` more were read.
    pub(super) fn after(&self, records: u64) -> Self {
        Self { left: self.left.map(|left| left.saturating_sub(records)), ..*self }
    }

    pub(super) fn whole(&self) -> bool {
        self.whole
    }

    pub(super) fn footnotes(&self) -> Footnotes {
        self.source.footnotes
    }

    pub(super) fn passages(&self) -> bool {
        self.roles.contains(&SourceRole::Passages)
    }

    pub(super) fn questions(&self) -> bool {
        self.roles.contains(&SourceRole::Questions)
    }

    pub(super) fn history(&self) -> bool {
        self.roles.contains(&SourceRole::History)
    }
}

/// A file to read: where it lies, what the header calls it, what it must be.
struct Place {
    path: PathBuf,
    label: String,
    /// From a manifest. A file of the Hub must have it; a local copy is used as it is.
    pin: Option<Pin>,
    from_hub: bool,
}

/// Reads all sources of a spec.
pub(crate) fn load(
    spec: &CorpusSpec,
    lengths: &Lengths,
    options: &BuildOptions,
    pool: &ThreadPool,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Material, Vec<SourceRecord>), CorpusError> {
    check_overrides(spec, options)?;
    let whole = spec.form == Form::Rag && spec.rag.is_plan();
    let mut material = Material::default();
    let mut records = Vec::new();
    for source in &spec.sources {
        let manifest = source
            .manifest
            .as_ref()
            .map(|m| SourceManifest::from_file(&options.base_dir.join(m)))
            .transpose()?;
        let kind = kind_of(source, manifest.as_ref(), spec)?;
        let roles = source.roles.as_deref().unwrap_or(kind.roles());
        let before = (material.passages.len(), material.exchanges.len(), material.ready.len());
        if kind == SourceKind::Encyclopedia {
            let request = Request { source, roles, left: None, whole };
            let mean = lengths.mean();
            records.push(invent::read(spec, source, mean, &request, pool, &mut material));
        } else {
            let mut left = source.take;
            for place in places(source, manifest.as_ref(), options, progress)? {
                progress(Progress::Reading { source: source.name(), file: place.label.clone() });
                material.left_out = 0;
                let request = Request { source, roles, left, whole };
                let reading = read(kind, &place.path, &request, &mut material)?;
                left = left.map(|left| left.saturating_sub(reading.records));
                records.push(record(
                    source,
                    manifest.as_ref(),
                    &place,
                    reading,
                    material.left_out,
                )?);
                if left == Some(0) {
                    break;
                }
            }
        }
        progress(Progress::Loaded {
            source: source.name(),
            passages: material.passages.len() - before.0,
            questions: material.exchanges.len() - before.1,
            prompts: material.ready.len() - before.2,
        });
    }
    Ok((material, records))
}

fn check_overrides(spec: &CorpusSpec, options: &BuildOptions) -> Result<(), CorpusError> {
    let names: Vec<String> = spec.sources.iter().map(SourceSpec::name).collect();
    match options.source_paths.keys().find(|key| !names.contains(key)) {
        None => Ok(()),
        Some(key) => Err(CorpusError::Option {
            what: format!("--source {key}"),
            message: format!("the spec has no source of this name; it has: {}", names.join(", ")),
        }),
    }
}

fn kind_of(
    source: &SourceSpec,
    manifest: Option<&SourceManifest>,
    spec: &CorpusSpec,
) -> Result<SourceKind, CorpusError> {
    let fault = |message: String| {
        Err(CorpusError::Option { what: format!("source {}", source.name()), message })
    };
    let Some(kind) = source.kind.or(manifest.map(|m| m.kind)) else {
        return fault("needs `kind` or `manifest`".to_owned());
    };
    if (kind == SourceKind::Prompts) != (spec.form != Form::Rag) {
        return fault("ready-made prompts go with form = \"ready-made\" or \"conversations\", all other sources with form = \"rag\"".to_owned());
    }
    match source.roles.iter().flatten().find(|role| !kind.roles().contains(role)) {
        Some(role) => {
            fault(format!("a source of kind {} cannot be used for {role:?}", kind.as_str()))
        }
        None => Ok(kind),
    }
}

fn places(
    source: &SourceSpec,
    manifest: Option<&SourceManifest>,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Place>, CorpusError> {
    let local = match options.source_paths.get(&source.name()) {
        Some(path) => Some(path.clone()),
        None => source.path.as_ref().map(|path| options.base_dir.join(path)),
    };
    if let Some(path) = local {
        // With several files there is no telling which one the copy is of.
        let only = manifest
            .map(|m| m.files.as_slice())
            .and_then(|files| if let [one] = files { Some(one) } else { None });
        let sha256 = only.and_then(|file| file.sha256.clone());
        let pin = sha256.map(|sha256| Pin { sha256, by: manifest_name(source) });
        let label = path
            .file_name()
            .map_or_else(|| "documents".to_owned(), |n| n.to_string_lossy().into_owned());
        return Ok(vec![Place { path, label, pin, from_hub: false }]);
    }
    let Some(manifest) = manifest else {
        return Err(CorpusError::Option {
            what: format!("source {}", source.name()),
            message: "needs `path` or `manifest`".into(),
        });
    };
    let mut places = Vec::with_capacity(manifest.files.len());
    for file in &manifest.files {
        let pin = file.sha256.clone().map(|sha256| Pin { sha256, by: manifest_name(source) });
        let wanted = HubFile {
            kind: HubKind::Dataset,
            repo: manifest.hub.repo.clone(),
            revision: manifest.hub.revision.clone(),
            path: file.path.clone(),
            pin: pin.clone(),
        };
        let path = fetch(options.hub.as_ref(), &wanted, progress)?;
        places.push(Place { path, label: wanted.label(), pin, from_hub: true });
    }
    Ok(places)
}

fn manifest_name(source: &SourceSpec) -> String {
    source.manifest.as_ref().map_or_else(|| source.name(), |m| m.display().to_string())
}

fn read(
    kind: SourceKind,
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    if path.is_dir() && kind != SourceKind::Documents {
        return Err(CorpusError::source(
            path,
            format!("a source of kind {} is a file, this is a folder", kind.as_str()),
        ));
    }
    match kind {
        SourceKind::Dolly => dolly::read(path, request, material),
        SourceKind::Wikipedia => passages::read(path, request, material),
        SourceKind::Squad => squad::read(path, request, material),
        SourceKind::Hotpot => hotpot::read(path, request, material),
        SourceKind::Documents => folder::read(path, request, material),
        SourceKind::Prompts => prompts::read(path, request, material),
        SourceKind::Encyclopedia => Ok(Reading { records: 0, sha256: None }),
    }
}

fn record(
    source: &SourceSpec,
    manifest: Option<&SourceManifest>,
    place: &Place,
    reading: Reading,
    left_out: u64,
) -> Result<SourceRecord, CorpusError> {
    // What is pinned is the file itself, what was read is its content.
    let packed = place.path.extension().is_some_and(|e| e == "gz") && place.from_hub;
    let as_pinned = match (&place.pin, &reading.sha256) {
        (Some(pin), Some(found)) if !packed => Some(pin.sha256 == *found),
        _ => None,
    };
    if let (Some(false), true, Some(pin)) = (as_pinned, place.from_hub, &place.pin) {
        return Err(CorpusError::Sha256 {
            path: place.path.clone(),
            expected: pin.sha256.clone(),
            found: reading.sha256.unwrap_or_default(),
            pin: pin.by.clone(),
        });
    }
    Ok(SourceRecord {
        name: source.name(),
        file: place.label.clone(),
        sha256: reading.sha256,
        as_pinned,
        licence: manifest.map(|m| m.licence.clone()),
        attribution: manifest.and_then(|m| m.attribution.clone()),
        records: reading.records,
        left_out,
    })
}
