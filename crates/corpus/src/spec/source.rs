//! One `[[source]]` of a spec.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One source of text. Either `manifest`, or `kind` with a `path` (the encyclopedia needs none).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Name in the header and in `--source NAME=PATH`. Default: the manifest's file name, else the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A manifest (location, revision, sha256, licence), relative to the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<PathBuf>,
    /// What it is. Default: as the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
    /// A file or folder, relative to the spec. `.gz` is unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What it is used for. Default: everything it has.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Wikipedia's footnote marks such as `[3]`.
    #[serde(default)]
    pub footnotes: Footnotes,
    /// Read no more than this many records (rows, documents, articles). Default: 20,000 of a Parquet file, else all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take: Option<u64>,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SourceKind {
    /// databricks-dolly-15k: JSON Lines of `instruction`, `context`, `response`.
    Dolly,
    /// Articles or passages with `title` and `text`: Parquet or JSON Lines.
    Wikipedia,
    /// SQuAD-form JSON, or Parquet with `title`, `context`, `question`, `answers`.
    Squad,
    /// HotpotQA: questions that need several passages, each with distractors beside it. Parquet of the Hub (config
    /// `distractor`), its JSON Lines, or lines of `question`, `answers`, `document`.
    #[serde(rename = "hotpotqa")]
    Hotpot,
    /// A folder (or one file) of `.txt`, `.md`, `.jsonl`, `.parquet`.
    Documents,
    /// JSON Lines of ready-made prompts.
    Prompts,
    /// The built-in generator.
    Encyclopedia,
}

impl SourceKind {
    /// The word in a spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dolly => "dolly",
            Self::Wikipedia => "wikipedia",
            Self::Squad => "squad",
            Self::Hotpot => "hotpotqa",
            Self::Documents => "documents",
            Self::Prompts => "prompts",
            Self::Encyclopedia => "encyclopedia",
        }
    }

    /// What such a source can be used for.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Dolly | Self::Squad | Self::Hotpot | Self::Encyclopedia => {
                &[Role::Passages, Role::Questions, Role::History]
            }
            Self::Wikipedia | Self::Documents => &[Role::Passages],
            Self::Prompts => &[Role::Prompts],
        }
    }
}

/// What a source is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// Passages of the context.
    Passages,
    /// The question at the end, with the passage it was asked about.
    Questions,
    /// Question and answer pairs of earlier turns.
    History,
    /// Whole prompts.
    Prompts,
}

/// What becomes of footnote marks such as `[3]` or `[note 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Footnotes {
    /// Take them out.
    #[default]
    Strip,
    /// Leave them in.
    Keep,
}

impl SourceSpec {
    /// A source of this kind with nothing else said.
    pub fn of_kind(kind: SourceKind) -> Self {
        Self {
            name: None,
            manifest: None,
            kind: Some(kind),
            path: None,
            roles: None,
            footnotes: Footnotes::default(),
            take: None,
        }
    }

    /// The name in the header and in overrides.
    pub fn name(&self) -> String {
        let stem = self
            .manifest
            .as_deref()
            .and_then(|m| m.file_stem())
            .map(|s| s.to_string_lossy().into_owned());
        self.name
            .clone()
            .or(stem)
            .unwrap_or_else(|| self.kind.map_or("source", SourceKind::as_str).to_owned())
    }
}
