//! Every figure of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vllm_bench_record::{
    Calibration, CaptureInfo, ClockSource, CorpusInfo, RunStatus, SearchInfo, ServerInfo, Slo,
    Verdict,
};

use crate::dataset::{Dataset, devices};
use crate::economy::Prices;
use crate::error::AnalysisError;
use crate::over_time::{self, Finding};
use crate::slo::{self, Objective};
use crate::stage::{ErrorCount, StageSummary};
use crate::{measure, text, verdict};

/// Every figure of a run: what `summary.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What the run was.
    pub run: RunFacts,
    /// All measured stages together.
    pub totals: RunTotals,
    /// One a measured stage, in order. Warm-up stages are not among them.
    pub stages: Vec<StageSummary>,
    /// What speaks for and against believing the figures.
    pub verdict: Verdict,
    /// What was not the same all along in a stage at constant load.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Things a reader must know: the run's own warnings, then those met while reading it.
    pub warnings: Vec<String>,
    /// How percentiles and intervals were found.
    pub methods: Methods,
}

/// What a run was, for heads and comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The run directory's name.
    pub run_id: String,
    /// Where it is.
    pub run_dir: String,
    /// Version of vllm-bench that ran.
    pub tool_version: String,
    /// How far it came.
    pub status: RunStatus,
    /// Wall time at run start, RFC 3339, UTC.
    pub started_at: String,
    /// From run start to its end, or to the last thing recorded, seconds.
    pub seconds: Option<f64>,
    /// The scenario's name.
    pub scenario: String,
    /// The question it answers.
    pub question: Option<String>,
    /// Seed of the requests.
    pub seed: u64,
    /// Objectives as written.
    pub slo: BTreeMap<String, String>,
    /// They are the reader's, not the scenario's.
    #[serde(default)]
    pub slo_asked: bool,
    /// What costs and readers are reckoned with.
    #[serde(default)]
    pub prices: Prices,
    /// `chat` or `completions`.
    pub endpoint: String,
    /// Whether answers were streamed.
    pub stream: bool,
    /// `max_tokens` of the requests.
    pub max_tokens: Option<u32>,
    /// Whether end-of-sequence was ignored.
    pub ignore_eos: bool,
    /// The model of the first server; `None` when no server is named.
    pub model: Option<String>,
    /// Who answered.
    pub servers: Vec<ServerInfo>,
    /// A server was the simulator: no figure speaks of real hardware.
    pub simulated: bool,
    /// Names of the GPUs sampled, one a device, in order.
    pub gpus: Vec<String>,
    /// Where GPU samples come from (`nvml`, `dcgm`, `simulated`); `None` when there are none.
    pub gpu_source: Option<String>,
    /// CPU of the machine that made the load.
    pub client_cpu: Option<String>,
    /// Its operating system.
    pub client_os: String,
    /// How arrivals were stamped.
    pub clock: ClockSource,
    /// What the packet capture saw; `None` without one.
    #[serde(default)]
    pub capture: Option<CaptureInfo>,
    /// How far off this client's times were, measured just before the run; `None` when not.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// The capacity search; its probes are stages.
    #[serde(default)]
    pub search: Option<SearchInfo>,
    /// What was sent.
    pub corpus: CorpusInfo,
}

impl RunFacts {
    /// Whether the server or the GPU was not real.
    pub(crate) fn any_simulated(&self) -> bool {
        self.simulated || self.gpu_source.as_deref() == Some("simulated")
    }

    /// The objectives that the reader asked for instead of the scenario's, in words; `None` where
    /// they are the scenario's.
    pub(crate) fn asked_slo_words(&self) -> Option<String> {
        let limits = self.slo.iter().map(|(name, limit)| slo::limit_words(name, limit));
        let limits: Vec<String> = self.slo_asked.then(|| limits.collect())?;
        Some(format!("{} (asked of this report, not by the scenario)", limits.join(", ")))
    }

    /// The clock of arrivals, in words: `capture (1,200 of 1,200 chunks by their own segment)`.
    pub(crate) fn clock_words(&self) -> String {
        let Some(capture) = self.capture else { return self.clock.as_str().to_owned() };
        let chunks = capture.resolved_chunks + capture.unresolved_chunks;
        let mut words = format!(
            "{} ({} of {} by their own segment",
            self.clock.as_str(),
            text::count(capture.resolved_chunks),
            text::of(chunks, "chunk", "chunks")
        );
        if capture.lost > 0 {
            words += &format!(", {} lost", text::of(capture.lost, "segment", "segments"));
        }
        words + ")"
    }
}

/// All measured stages together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunTotals {
    /// Requests recorded.
    pub requests: u64,
    /// Whole answers.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled by the run's end.
    pub cancelled: u64,
    /// Completed among completed and failed, 0 to 1; `None` when there are neither.
    pub success_rate: Option<f64>,
    /// Failures by cause, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// Prompt tokens of all answers that tell.
    pub prompt_tokens: u64,
    /// Output tokens, of failed requests too as far as they came.
    pub output_tokens: u64,
    /// Requests of warm-up stages, which are in no other figure.
    pub warmup_requests: u64,
}

/// How percentiles and intervals were found, in words for the reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Methods {
    /// The percentile definition.
    pub percentile: String,
    /// The interval of percentiles.
    pub percentile_interval: String,
    /// The interval of means.
    pub mean_interval: String,
    /// What the mark at a percentile says.
    pub low_samples: String,
    /// The steady window.
    pub steady_window: String,
}

impl Default for Methods {
    fn default() -> Self {
        Self {
            percentile: "Hyndman-Fan type 7 (linear), as numpy and polars".into(),
            percentile_interval:
                "order statistics, exact binomial ranks, 95 %; takes samples as independent, \
                which the gaps within one answer (ITL, ICL) are not: theirs are too narrow"
                    .into(),
            mean_interval: "normal approximation, 95 %, from 30 samples on".into(),
            low_samples:
                "fewer samples than MLPerf LoadGen's early-stopping floor at 99 % confidence: \
                p50 11, p90 64, p95 130, p99 662"
                    .into(),
            steady_window:
                "closed loop: from the first to the last instant with at least 95 % of the target in \
                flight; open loop: from the end of its declared warm-up to the last arrival; \
                requests belong to it by sending, tokens and gaps by arrival"
                    .into(),
        }
    }
}

impl Summary {
    /// Every figure of the run in `dataset`.
    ///
    /// # Errors
    /// An objective in the manifest that cannot be read.
    pub fn of(dataset: &Dataset) -> Result<Self, AnalysisError> {
        Self::asked(dataset, &Asked::default())
    }

    /// The same, with objectives and prices that the reader brings.
    ///
    /// # Errors
    /// An objective that cannot be read.
    pub fn asked(dataset: &Dataset, asked: &Asked) -> Result<Self, AnalysisError> {
        let objectives = objectives(dataset, asked)?;
        let stages = measure::stages(dataset, &objectives, asked.prices);
        let findings = over_time::findings(dataset, &stages);
        let totals = measure::totals(dataset);
        let verdict = verdict::judge(dataset, &stages);
        let warnings =
            dataset.manifest().warnings.iter().chain(dataset.warnings()).cloned().collect();
        Ok(Self {
            run: RunFacts {
                slo: objectives.into_iter().map(|o| (o.name, o.limit_text)).collect(),
                prices: asked.prices,
                slo_asked: !asked.slo.is_empty(),
                ..facts(dataset)
            },
            totals,
            stages,
            verdict,
            findings,
            warnings,
            methods: Methods::default(),
        })
    }
}

/// What a reader asks of a run, beside what its scenario asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    /// Objectives by name, `"ttft_p95"` to `"2s"`, instead of the scenario's; the scenario's where
    /// there are none.
    pub slo: BTreeMap<String, String>,
    /// What the GPUs cost and how fast people read.
    pub prices: Prices,
}

/// The objectives in the order of their names: the reader's, else the scenario's.
fn objectives(dataset: &Dataset, asked: &Asked) -> Result<Vec<Objective>, AnalysisError> {
    let read = |name: &String, limit: &String| {
        let objective = |slo| Objective { name: name.clone(), limit_text: limit.clone(), slo };
        Slo::parse(name, limit).map(objective)
    };
    if asked.slo.is_empty() {
        let path = || dataset.manifest_path();
        let own = dataset.manifest().scenario.slo.iter();
        return own
            .map(|(name, limit)| read(name, limit))
            .collect::<Result<_, _>>()
            .map_err(|source| AnalysisError::Slo { path: path(), source });
    }
    asked
        .slo
        .iter()
        .map(|(name, limit)| read(name, limit))
        .collect::<Result<_, _>>()
        .map_err(|source| AnalysisError::AskedSlo { source })
}

fn facts(dataset: &Dataset) -> RunFacts {
    let manifest = dataset.manifest();
    let gpus = devices(dataset.gpu()).into_iter().map(|((index, _), samples)| {
        let name = samples.first().and_then(|sample| sample.name.clone());
        name.unwrap_or_else(|| format!("GPU {index}"))
    });
    RunFacts {
        run_id: manifest.run_id.clone(),
        run_dir: dataset.run_dir().display().to_string(),
        tool_version: manifest.tool_version.clone(),
        status: manifest.status,
        started_at: manifest.started_at.clone(),
        seconds: manifest.finished_at_ns.or(dataset.last_instant()).map(|t| t.as_secs_f64()),
        scenario: manifest.scenario.name.clone(),
        question: manifest.scenario.question.clone(),
        seed: manifest.scenario.seed,
        slo: manifest.scenario.slo.clone(),
        slo_asked: false,
        prices: Prices::default(),
        endpoint: manifest.scenario.endpoint.clone(),
        stream: manifest.scenario.stream,
        max_tokens: manifest.scenario.max_tokens,
        ignore_eos: manifest.scenario.ignore_eos,
        model: manifest.servers.first().map(|s| s.model.clone()),
        simulated: manifest.servers.iter().any(|s| s.simulated),
        servers: manifest.servers.clone(),
        gpus: gpus.collect(),
        gpu_source: dataset.gpu().first().map(|s| s.source.as_str().to_owned()),
        client_cpu: manifest.host.cpu.clone(),
        client_os: manifest.host.os.clone(),
        clock: manifest.clock,
        capture: manifest.capture,
        calibration: manifest.calibration.clone(),
        search: manifest.search.clone(),
        corpus: manifest.corpus.clone(),
    }
}
