//! What a server tells about itself: `/v1/models`, `/version`, `/load`.

use serde::{Deserialize, Serialize};

use crate::nullable::{Nullable, present};

/// The answer of `/v1/models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// `list`.
    #[serde(default = "list")]
    pub object: String,
    /// The models served.
    pub data: Vec<ModelCard>,
}

impl ModelList {
    /// A list of these.
    pub fn new(data: Vec<ModelCard>) -> Self {
        Self { object: list(), data }
    }
}

fn list() -> String {
    "list".to_owned()
}

/// One served model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelCard {
    /// The name that requests use.
    pub id: String,
    /// `model`.
    #[serde(default)]
    pub object: String,
    /// Seconds since the Unix epoch.
    #[serde(default)]
    pub created: u64,
    /// `vllm`.
    #[serde(default)]
    pub owned_by: String,
    /// Where the weights came from.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub root: Nullable<String>,
    /// The base model of an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub parent: Nullable<String>,
    /// Longest prompt and answer together, tokens; absent on other servers than vLLM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u32>,
    /// What callers may do; always everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permission: Vec<ModelPermission>,
}

impl ModelCard {
    /// A model as vLLM lists it.
    pub fn new(id: impl Into<String>, created: u64, max_model_len: u32) -> Self {
        let id = id.into();
        Self {
            object: "model".to_owned(),
            created,
            owned_by: "vllm".to_owned(),
            root: Some(Some(id.clone())),
            parent: Some(None),
            max_model_len: Some(max_model_len),
            permission: vec![ModelPermission::all(format!("modelperm-{id}"), created)],
            id,
        }
    }
}

/// One entry of [`ModelCard::permission`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelPermission {
    /// Unique.
    pub id: String,
    /// `model_permission`.
    pub object: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// Always false in vLLM.
    pub allow_create_engine: bool,
    /// Always true in vLLM.
    pub allow_sampling: bool,
    /// Always true in vLLM.
    pub allow_logprobs: bool,
    /// Always false in vLLM.
    pub allow_search_indices: bool,
    /// Always true in vLLM.
    pub allow_view: bool,
    /// Always false in vLLM.
    pub allow_fine_tuning: bool,
    /// `*`.
    pub organization: String,
    /// Always null in vLLM.
    pub group: Option<String>,
    /// Always false in vLLM.
    pub is_blocking: bool,
}

impl ModelPermission {
    /// What vLLM grants everyone.
    pub fn all(id: String, created: u64) -> Self {
        Self {
            id,
            object: "model_permission".to_owned(),
            created,
            allow_sampling: true,
            allow_logprobs: true,
            allow_view: true,
            organization: "*".to_owned(),
            ..Self::default()
        }
    }
}

/// The answer of `/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// For example `0.32.0`.
    pub version: String,
}

/// The answer of `/load`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLoad {
    /// Requests in the server (with `--enable-server-load-tracking`, else 0).
    pub server_load: u64,
}
