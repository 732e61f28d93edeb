//! A source's manifest: where it is published, which revision, its sha256, whose it is.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{SourceKind, parse_toml};
use crate::CorpusError;

/// Where a source is published and under which licence. One file of `datasets/sources/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceManifest {
    /// The source's own name.
    pub title: String,
    /// What it is.
    pub kind: SourceKind,
    /// Its licence; it goes into the corpus header.
    pub licence: String,
    /// Whose text it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// A page about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Its place on the Hugging Face Hub.
    pub hub: HubLocation,
    /// The files to read, in this order.
    #[serde(rename = "file")]
    pub files: Vec<ManifestFile>,
}

/// A dataset repository of the Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubLocation {
    /// `owner/name`.
    pub repo: String,
    /// A commit, so that everyone gets the same bytes.
    pub revision: String,
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Path in the repository.
    pub path: String,
    /// Expected sha256, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Size, for people who wonder about their line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// An expected sha256 and who expects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) sha256: String,
    pub(crate) by: String,
}

impl SourceManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The file cannot be read, or [`CorpusError::Spec`] with line and column.
    pub fn from_file(path: &Path) -> Result<Self, CorpusError> {
        let text = std::fs::read_to_string(path).map_err(CorpusError::io("read", path))?;
        parse_toml(&text, &path.display().to_string())
    }
}
