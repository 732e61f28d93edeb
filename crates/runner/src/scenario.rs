//! The scenario file: what to ask, of whom, how hard, and what would be good enough.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use vllm_bench_loadgen::ScheduleError;
use vllm_bench_protocol::Endpoint;
use vllm_bench_record::Slo;

use crate::load_spec::{self, LoadSpec};
use crate::scenario_error::{Place, ScenarioError};
use crate::units::HumanDuration;

/// A scenario as it will be run: the file with its overrides applied.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Where it was read from, as given.
    pub path: PathBuf,
    /// The resolved TOML text.
    pub text: String,
    /// The overrides, as given.
    pub overrides: Vec<String>,
    /// Its content.
    pub spec: ScenarioSpec,
    /// Its objectives, parsed.
    pub slos: Vec<Slo>,
}

/// The keys of a scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// Short name; part of the run directory's name.
    pub name: String,
    /// What the run is to answer, a sentence.
    pub question: Option<String>,
    /// Who is asked.
    #[serde(default)]
    pub server: ServerSpec,
    /// What is sent; where absent, prompts of a trace's lengths are made.
    pub corpus: Option<CorpusSpec>,
    /// How each request asks.
    #[serde(default)]
    pub request: RequestSpec,
    /// How hard.
    pub load: Spanned<LoadSpec>,
    /// What is good enough: `ttft_p95 = "2s"`.
    #[serde(default)]
    pub slo: BTreeMap<String, Spanned<String>>,
    /// Limits of one request.
    #[serde(default)]
    pub timeouts: TimeoutSpec,
    /// What is sampled beside the load.
    #[serde(default)]
    pub telemetry: TelemetrySpec,
    /// What is kept.
    #[serde(default)]
    pub output: OutputSpec,
}

/// `[server]`: who is asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSpec {
    /// Base URL, or several for replicas: user `i` asks replica `i mod n`.
    pub url: OneOrMany,
    /// A model name, or `auto` for the only one that the server has.
    pub model: String,
    /// `chat` or `completions`.
    pub endpoint: Endpoint,
    /// Whether answers are streamed. Without, TTFT is the whole latency.
    pub stream: bool,
    /// Further headers. Not for secrets: they are kept in the manifest.
    pub headers: BTreeMap<String, String>,
    /// Environment variable that holds the bearer key, if the server wants one.
    pub api_key_env: String,
    /// PEM file of a certificate authority to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Default for ServerSpec {
    fn default() -> Self {
        Self {
            url: OneOrMany::One("http://localhost:8000".into()),
            model: "auto".into(),
            endpoint: Endpoint::Chat,
            stream: true,
            headers: BTreeMap::new(),
            api_key_env: "VLLM_API_KEY".into(),
            ca_file: None,
        }
    }
}

/// One string or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a string, or a list of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// `[corpus]`: what is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSpec {
    /// A corpus made by `vllm-bench-prepare`; relative to the working directory.
    pub file: Spanned<PathBuf>,
}

/// `[request]`: how each request asks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestSpec {
    /// Longest answer, tokens.
    pub max_tokens: NonZeroU32,
    /// Sampling temperature.
    pub temperature: f64,
    /// Nucleus sampling; the server's default where absent.
    pub top_p: Option<f64>,
    /// Ignore end of sequence, so that every answer has `max_tokens` tokens (vLLM).
    pub ignore_eos: bool,
    /// Shortest answer, tokens (vLLM).
    pub min_tokens: Option<u32>,
    /// Seed of the sampling, sent with every request.
    pub seed: u64,
    /// How the tokens of each chunk are counted.
    pub token_counts: TokenCounts,
    /// Further body fields, sent as they stand.
    pub extra: toml::Table,
}

impl Default for RequestSpec {
    fn default() -> Self {
        Self {
            max_tokens: NonZeroU32::MIN.saturating_add(255),
            temperature: 0.0,
            top_p: None,
            ignore_eos: false,
            min_tokens: None,
            seed: 1,
            token_counts: TokenCounts::Auto,
            extra: toml::Table::new(),
        }
    }
}

/// How the tokens of each streamed chunk are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenCounts {
    /// The first of the following that the server takes.
    Auto,
    /// `stream_options.continuous_usage_stats`: exact, 100 bytes a chunk more.
    RunningUsage,
    /// `return_token_ids`: exact, the first chunk carries the prompt's ids too.
    TokenIds,
    /// One token a chunk, assumed; totals still come from the usage chunk.
    Assumed,
}

/// How arrivals are stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockChoice {
    /// By the kernel where it offers receive stamps, else by this program.
    #[default]
    Auto,
    /// By this program, right after each read.
    Userland,
    /// By the kernel, each event's own segment, through a packet capture: exact even where
    /// several events came in one read. Plain HTTP, and the capability `NET_RAW`.
    Capture,
}

/// `[timeouts]`: limits of one request.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutSpec {
    /// Opening a connection.
    pub connect: HumanDuration,
    /// From sending to the first token.
    pub first_token: HumanDuration,
    /// From one token to the next.
    pub between_tokens: HumanDuration,
    /// From sending to the end of the answer.
    pub total: HumanDuration,
}

impl Default for TimeoutSpec {
    fn default() -> Self {
        let t = vllm_bench_loadgen::Timeouts::default();
        Self {
            connect: HumanDuration(t.connect),
            first_token: HumanDuration(t.first_token),
            between_tokens: HumanDuration(t.between_tokens),
            total: HumanDuration(t.total),
        }
    }
}

/// `[telemetry]`: what is sampled beside the load.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySpec {
    /// `auto` (this host's NVML if it is there), `nvml`, `dcgm`, `off`.
    pub gpu: GpuChoice,
    /// Period of GPU samples, from 10 ms.
    pub gpu_interval: HumanDuration,
    /// A dcgm-exporter's metrics URL, for GPUs of another host.
    pub dcgm_url: Option<String>,
    /// Sample the servers' `/metrics`.
    pub engine: bool,
    /// Period of `/metrics` samples.
    pub engine_interval: HumanDuration,
}

impl Default for TelemetrySpec {
    fn default() -> Self {
        Self {
            gpu: GpuChoice::Auto,
            gpu_interval: HumanDuration(std::time::Duration::from_millis(500)),
            dcgm_url: None,
            engine: true,
            engine_interval: HumanDuration(std::time::Duration::from_secs(1)),
        }
    }
}

/// Where GPU samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpuChoice {
    /// `dcgm` where a URL is given, else NVML if it is there, else none, with one warning.
    Auto,
    /// This host's NVML.
    Nvml,
    /// The dcgm-exporter at `dcgm_url`.
    Dcgm,
    /// The simulator's invention, labelled as such. Only for simulated servers.
    Simulated,
    /// None.
    Off,
}

/// `[output]`: what is kept.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputSpec {
    /// Keep the answers' text.
    pub answers: bool,
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self { answers: true }
    }
}

impl Scenario {
    /// Reads the scenario at `path` and applies `overrides` (`KEY=VALUE`, the
    /// key dotted, the value TOML; a bare word is a string).
    ///
    /// # Errors
    /// An unreadable file, or anything in it that is not right, with its place.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, overrides)
    }

    /// As [`load`](Self::load), from text; `path` names it in errors.
    ///
    /// # Errors
    /// Anything that is not right, with its place.
    pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Self, ScenarioError> {
        // The file alone first, so that its own mistakes are shown at their own
        // lines; an override may mend what it lacks, so only syntax is final here.
        if overrides.is_empty() {
            parse_spec(text).map_err(|e| Place::new(path, text).toml(&e))?;
        }
        let resolved = crate::overrides::apply(text, path, overrides)?;
        let spec = parse_spec(&resolved).map_err(|e| {
            let error = Place::new(path, &resolved).toml(&e);
            if overrides.is_empty() { error } else { error.with_overrides(overrides) }
        })?;
        let at = Place::new(path, &resolved);
        load_spec::check(&spec.load, &at)?;
        check_corner_cases(&spec, &at)?;
        let mut slos = Vec::new();
        for (name, limit) in &spec.slo {
            let slo = Slo::parse(name, limit.get_ref())
                .map_err(|e| at.at(limit.span(), e.to_string()))?;
            slos.push(slo);
        }
        let load = spec.load.get_ref();
        if let Some(search) = &load.search {
            crate::search::check(search, load, slos.len(), &at)?;
        }
        Ok(Self {
            path: path.to_owned(),
            text: resolved,
            overrides: overrides.to_vec(),
            spec,
            slos,
        })
    }

    /// The place that says how hard, with its line.
    pub(crate) fn load_place(&self) -> String {
        self.place().point(self.spec.load.get_ref().span_of_way(self.spec.load.span()))
    }

    /// Why arrivals make no schedule, with the place that asks for them.
    pub(crate) fn broken_schedule(&self, source: ScheduleError) -> ScenarioError {
        ScenarioError::Schedule { place: self.load_place(), source: Box::new(source) }
    }

    /// A place in the resolved text, for errors found later.
    pub fn place(&self) -> Place<'_> {
        Place::new(&self.path, &self.text)
    }
}

fn parse_spec(text: &str) -> Result<ScenarioSpec, toml::de::Error> {
    toml::from_str(text)
}

fn check_corner_cases(spec: &ScenarioSpec, at: &Place<'_>) -> Result<(), ScenarioError> {
    let fail = |message: &str| Err(at.at(0..0, message.into()));
    if spec.name.is_empty()
        || !spec.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        || spec.name.starts_with('.')
    {
        return fail(
            "name becomes part of a directory's name: letters, digits, '-', '_' and '.' only",
        );
    }
    if spec.corpus.is_none() && spec.load.get_ref().trace.is_none() {
        return fail("missing field `corpus`: corpus.file names what vllm-bench-prepare made");
    }
    if spec.server.url.all().is_empty() {
        return fail("server.url is an empty list; name at least one server");
    }
    if !(0.0..=2.0).contains(&spec.request.temperature) {
        return fail("request.temperature must be from 0 to 2");
    }
    if spec.request.min_tokens.is_some_and(|min| min > spec.request.max_tokens.get()) {
        return fail("request.min_tokens is above request.max_tokens");
    }
    if spec.telemetry.gpu_interval.0 < std::time::Duration::from_millis(10) {
        return fail("telemetry.gpu_interval must be at least \"10ms\"");
    }
    if spec.telemetry.gpu == GpuChoice::Dcgm && spec.telemetry.dcgm_url.is_none() {
        return fail("telemetry.gpu = \"dcgm\" needs telemetry.dcgm_url");
    }
    for key in ["model", "messages", "prompt", "stream", "stream_options", "max_tokens"] {
        if spec.request.extra.contains_key(key) {
            return fail(&format!("request.extra.{key} is set by the run itself"));
        }
    }
    Ok(())
}
