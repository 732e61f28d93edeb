//! `manifest.json`: what a run was, in one file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::capture::CaptureInfo;
use crate::engine::EngineSample;
use crate::load::StageLoad;
use crate::search::SearchInfo;
use crate::time::Timestamp;

/// The version of the run directory's layout, columns and manifest.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything about a run that is not a row. Secrets never enter it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// The run directory's name, unique among runs.
    pub run_id: String,
    /// Version of vllm-bench that ran.
    pub tool_version: String,
    /// How far it came.
    pub status: RunStatus,
    /// Wall time at run start, RFC 3339, UTC.
    pub started_at: String,
    /// The same, nanoseconds since the Unix epoch: `wall = this + at_ns`.
    pub wall_start_unix_ns: u64,
    /// Run-clock end; `None` while running or when killed.
    pub finished_at_ns: Option<Timestamp>,
    /// What was asked.
    pub scenario: ScenarioInfo,
    /// What was sent.
    pub corpus: CorpusInfo,
    /// Who answered.
    pub servers: Vec<ServerInfo>,
    /// Where the load came from.
    pub host: HostInfo,
    /// How arrivals were stamped.
    pub clock: ClockSource,
    /// What the packet capture saw; `None` unless `clock` is [`ClockSource::Capture`].
    #[serde(default)]
    pub capture: Option<CaptureInfo>,
    /// Every stage of the plan, warm-up included, in order.
    pub stages: Vec<StageInfo>,
    /// Where GPU samples come from; `None` when there are none.
    pub gpu: Option<TelemetryInfo>,
    /// Sampling of the servers' `/metrics`; `None` when there is none.
    pub engine: Option<TelemetryInfo>,
    /// How far off this client's times were when it was measured just before the run;
    /// `None` when it was not (`--no-calibrate`), or could not be, which a warning tells.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// The capacity search, where the scenario asked for one; its probes are `stages`.
    #[serde(default)]
    pub search: Option<SearchInfo>,
    /// Things a reader must know, in the order they were noticed.
    pub warnings: Vec<String>,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Under way, or killed before it could say otherwise.
    Running,
    /// Every stage ran.
    Complete,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Could not go on; the last warning says why.
    Failed,
}

/// The scenario as it was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// `name` of the scenario.
    pub name: String,
    /// `question` it answers.
    pub question: Option<String>,
    /// The resolved scenario, TOML, overrides applied.
    pub text: String,
    /// `--set` overrides, as given.
    pub overrides: Vec<String>,
    /// `seed` of the requests.
    pub seed: u64,
    /// Service-level objectives as written, by name (`ttft_p95 = "2s"`).
    pub slo: BTreeMap<String, String>,
    /// The endpoint: `chat` or `completions`.
    pub endpoint: String,
    /// Whether answers were streamed.
    pub stream: bool,
    /// `max_tokens` of the requests.
    pub max_tokens: Option<u32>,
    /// Whether end-of-sequence was ignored, so that every answer has `max_tokens`.
    pub ignore_eos: bool,
}

/// The corpus as its header tells.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CorpusInfo {
    /// File name as given.
    pub file: String,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Prompts in it.
    pub prompts: u64,
    /// Mean prompt length, tokens; `None` when unknown.
    pub mean_tokens: Option<f64>,
    /// What counted them.
    pub tokenizer: Option<String>,
    /// Pairs of prompts that share their first 16-token block beyond template and system line.
    pub shared_leading_blocks: Option<u64>,
    /// Tokens that every prompt begins with (template and system line): what of
    /// it fills whole cache blocks comes from the prefix cache, in production too.
    #[serde(default)]
    pub shared_head_tokens: Option<u32>,
}

/// One server under test.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Base URL, without user info.
    pub url: String,
    /// `/version`.
    pub version: Option<String>,
    /// The model requested.
    pub model: String,
    /// `max_model_len` of `/v1/models`, tokens.
    pub max_model_len: Option<u32>,
    /// It is the simulator: no number of this run speaks of real hardware.
    pub simulated: bool,
    /// Labels of `vllm:cache_config_info` (block size, blocks, prefix caching, …).
    pub cache_config: BTreeMap<String, String>,
}

/// The machine that made the load.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostInfo {
    /// Operating system and kernel.
    pub os: String,
    /// CPU model.
    pub cpu: Option<String>,
    /// Logical CPUs this process may use.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Load-generator threads.
    pub workers: u32,
}

/// How arrivals were stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClockSource {
    /// The clock right after each read returned.
    Userland,
    /// The kernel's receive stamp of each read.
    Kernel,
    /// The kernel's receive stamp of each event's own segment, by a packet capture.
    Capture,
}

impl ClockSource {
    /// The word on disk.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Userland => "userland",
            Self::Kernel => "kernel",
            Self::Capture => "capture",
        }
    }
}

/// One stage of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageInfo {
    /// Name in tables and legends: `warm-up`, `cc 8`.
    pub label: String,
    /// Warm-up or measured.
    pub phase: Phase,
    /// How hard: users at once, or arrivals.
    #[serde(flatten)]
    pub load: StageLoad,
    /// Requests planned; `None` when only a duration bounds it.
    pub planned_requests: Option<u64>,
    /// When its first request was due; `None` when it never began.
    pub started_at_ns: Option<Timestamp>,
    /// When its last request had ended.
    pub finished_at_ns: Option<Timestamp>,
    /// Why it ended.
    pub ended: Option<StageEnd>,
    /// The servers' counters just before it, one a server, when they export any.
    pub engine_before: Vec<EngineSample>,
    /// The servers' counters after it.
    pub engine_after: Vec<EngineSample>,
    /// What the load generator's CPU had to do; `None` when it never began or was not told.
    #[serde(default)]
    pub client_cpu: Option<ClientCpu>,
}

impl StageInfo {
    /// A stage that has not begun.
    pub fn planned(label: impl Into<String>, phase: Phase, load: StageLoad) -> Self {
        Self {
            label: label.into(),
            phase,
            load,
            planned_requests: None,
            started_at_ns: None,
            finished_at_ns: None,
            ended: None,
            engine_before: Vec::new(),
            engine_after: Vec::new(),
            client_cpu: None,
        }
    }
}

/// CPU time of the load generator during one stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClientCpu {
    /// CPU time of all load-generator threads, nanoseconds.
    pub total_ns: u64,
    /// Share of the stage that the busiest of them was on a CPU, from 0 to 1.
    pub busiest_share: f64,
}

/// Whether a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Prompts are spent, figures are not used.
    Warmup,
    /// Measured.
    Measure,
}

/// Why a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StageEnd {
    /// All planned requests were sent.
    Requests,
    /// Its duration was over.
    Duration,
    /// The corpus had no unsent prompt left.
    Prompts,
    /// The asked-for interval was narrow enough (`load.until`).
    Precise,
    /// A probe of a search whose objectives could not hold any more.
    Decided,
    /// The run was stopped.
    Interrupted,
}

/// How samples were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelemetryInfo {
    /// `nvml`, `dcgm`, `simulated`, or `/metrics`.
    pub source: String,
    /// Sampling period, milliseconds.
    pub interval_ms: u64,
}
