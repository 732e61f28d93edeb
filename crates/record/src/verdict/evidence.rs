//! What a verdict rests on: plain numbers, whoever counted them.

use crate::calibration::Calibration;
use crate::capture::CaptureInfo;
use crate::engine_delta::EngineDelta;
use crate::load::StageLoad;
use crate::manifest::{ClockSource, Manifest, Phase, RunStatus, StageEnd, StageInfo};
use crate::request::{ChunkTokenSource, TokenCountSource};
use crate::verdict::arrivals::Arrivals;
use crate::verdict::facts::{Ended, RequestFacts};
use crate::verdict::gpu_evidence::GpuEvidence;
use crate::verdict::server_starts::ServerStarts;

/// vLLM's cache block where the server does not tell, tokens.
const BLOCK: u64 = 16;

/// All that a [`Verdict`](crate::Verdict) rests on. [`Evidence::of_manifest`] fills in what the
/// manifest tells; whoever saw the requests and the samples adds the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// How far the run came.
    pub status: RunStatus,
    /// How arrivals were stamped.
    pub clock: ClockSource,
    /// What the packet capture saw.
    pub capture: Option<CaptureInfo>,
    /// The client's own error, where it was measured.
    pub calibration: Option<Calibration>,
    /// End-of-sequence was ignored: every answer should have the length that was asked for.
    pub ignore_eos: bool,
    /// Pairs of the corpus' prompts that share their first block; `None` when not told.
    pub shared_leading_blocks: Option<u64>,
    /// How much of what all prompts begin with fills whole cache blocks, tokens.
    pub cached_head_tokens: u64,
    /// Different prompts (and turns) sent, warm-up included.
    pub prompts_sent: u64,
    /// Of these, sent more than once.
    pub prompts_repeated: u64,
    /// Rows that could not be stored.
    pub lost_rows: u64,
    /// The measured stages, in order.
    pub stages: Vec<StageEvidence>,
    /// The server processes seen.
    pub servers: ServerStarts,
    /// The GPU samples seen.
    pub gpu: GpuEvidence,
}

impl Evidence {
    /// What `manifest` tells: the run, the corpus, the clock, and of each measured stage the plan,
    /// its end, the client's CPU and the servers' counters.
    pub fn of_manifest(manifest: &Manifest) -> Self {
        let mut servers = ServerStarts::default();
        for stage in &manifest.stages {
            stage.engine_before.iter().chain(&stage.engine_after).for_each(|s| servers.add(s));
        }
        let measured = manifest.stages.iter().filter(|stage| stage.phase == Phase::Measure);
        Self {
            status: manifest.status,
            clock: manifest.clock,
            capture: manifest.capture,
            calibration: manifest.calibration.clone(),
            ignore_eos: manifest.scenario.ignore_eos,
            shared_leading_blocks: manifest.corpus.shared_leading_blocks,
            cached_head_tokens: cached_head(manifest),
            prompts_sent: 0,
            prompts_repeated: 0,
            lost_rows: 0,
            stages: measured.map(StageEvidence::of).collect(),
            servers,
            gpu: GpuEvidence::default(),
        }
    }

    /// The sum over the stages of what `of` finds; `None` when no stage knows.
    pub(crate) fn sum(&self, of: impl Fn(&StageEvidence) -> Option<u64>) -> Option<u64> {
        self.stages.iter().filter_map(of).reduce(|a, b| a + b)
    }

    /// The sum of a count over the stages.
    pub(crate) fn total(&self, of: impl Fn(&StageEvidence) -> u64) -> u64 {
        self.stages.iter().map(of).sum()
    }
}

/// How much of the head that all prompts share fills whole cache blocks, tokens.
fn cached_head(manifest: &Manifest) -> u64 {
    let told = manifest
        .servers
        .first()
        .and_then(|s| s.cache_config.get("block_size")?.parse::<u64>().ok());
    let block = told.filter(|n| *n > 0).unwrap_or(BLOCK);
    manifest.corpus.shared_head_tokens.map_or(0, |head| u64::from(head) / block * block)
}

/// The evidence of one measured stage. Latencies are of its completed requests, the whole stage
/// unless a field says otherwise; `None` where there was nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct StageEvidence {
    /// Its name.
    pub label: String,
    /// How hard it asked.
    pub load: StageLoad,
    /// Why it ended.
    pub ended: Option<StageEnd>,
    /// Requests planned.
    pub planned: Option<u64>,
    /// Busiest load thread's share of the stage on a CPU, 0 to 1.
    pub busiest_thread: Option<f64>,
    /// The servers' counters.
    pub server: Option<EngineDelta>,
    /// What its requests say, counted.
    pub counts: Counts,
    /// How its arrivals came due and left.
    pub arrivals: Arrivals,
    /// 99th percentile of send lag, ns.
    pub send_lag_p99_ns: Option<f64>,
    /// Median TTFT, ns.
    pub ttft_p50_ns: Option<f64>,
    /// 99th percentile of client lag, once a chunk, ns.
    pub client_lag_p99_ns: Option<f64>,
    /// Median ITL, ns.
    pub itl_p50_ns: Option<f64>,
    /// Mean ITL, ns.
    pub itl_mean_ns: Option<f64>,
    /// Output tokens a second that arrived, of all requests.
    pub output_tokens_per_s: Option<f64>,
    /// The steady window, when there was one.
    pub steady: Option<SteadyEvidence>,
    /// The steady window is what the stage's figures are of.
    pub steady_stands: bool,
    /// TTFTs that the stage's percentiles rest on; `None` of none.
    pub ttft_samples: Option<u64>,
}

/// A stage's steady window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteadyEvidence {
    /// Its length, seconds.
    pub seconds: f64,
    /// Median end-to-end latency of the requests sent in it, ns.
    pub e2e_p50_ns: Option<f64>,
}

/// What a stage's requests say, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that ended, however.
    pub requests: u64,
    /// Whole answers.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled by the run's end.
    pub cancelled: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Prompt tokens by the answers' usage.
    pub prompt_tokens: u64,
    /// Prompt tokens of those that were sent.
    pub sent_prompt_tokens: u64,
    /// Output tokens of those that were sent.
    pub sent_output_tokens: u64,
    /// Sent requests of which the server's own counts are not known (failed, cancelled, no usage).
    pub sent_uncounted: u64,
    /// Answers that told their cached tokens.
    pub cached_told: u64,
    /// Cached prompt tokens, of the answers that tell.
    pub cached_tokens: u64,
    /// Of these, tokens beyond what all prompts begin with.
    pub cached_beyond_head: u64,
    /// Answers that a length was asked for, and whose length is known.
    pub lengths_asked: u64,
    /// Of these, shorter ones.
    pub early_stops: u64,
    /// Of these, ended by a length limit that was not `max_tokens`.
    pub cut_by_limit: u64,
    /// Answers whose chunks are taken as one token each.
    pub chunks_assumed: u64,
    /// Answers whose tokens nothing told.
    pub tokens_untold: u64,
    /// Token-bearing chunks of whole answers.
    pub chunks: u64,
    /// Of these, chunks that came in one read with a later one.
    pub coalesced: u64,
    /// Of these, chunks without a kernel stamp.
    pub unstamped: u64,
}

impl StageEvidence {
    /// What the manifest tells of `stage`.
    pub fn of(stage: &StageInfo) -> Self {
        Self {
            label: stage.label.clone(),
            load: stage.load.clone(),
            ended: stage.ended,
            planned: stage.planned_requests,
            busiest_thread: stage.client_cpu.map(|cpu| cpu.busiest_share),
            server: EngineDelta::of(stage),
            counts: Counts::default(),
            arrivals: Arrivals::default(),
            send_lag_p99_ns: None,
            ttft_p50_ns: None,
            client_lag_p99_ns: None,
            itl_p50_ns: None,
            itl_mean_ns: None,
            output_tokens_per_s: None,
            steady: None,
            steady_stands: false,
            ttft_samples: None,
        }
    }
}

impl Counts {
    /// Adds a request. `head`: [`Evidence::cached_head_tokens`].
    pub fn add(&mut self, facts: &RequestFacts, head: u64) {
        let completed = facts.ended == Ended::Completed;
        self.requests += 1;
        match facts.ended {
            Ended::Completed => self.completed += 1,
            Ended::Failed => self.failed += 1,
            Ended::Cancelled => self.cancelled += 1,
        }
        let prompt = facts.prompt_tokens.map_or(0, u64::from);
        self.prompt_tokens += prompt;
        if let Some(cached) = facts.cached_tokens.map(u64::from) {
            self.cached_told += 1;
            self.cached_tokens += cached;
            self.cached_beyond_head += cached.saturating_sub(head);
        }
        if facts.sent_at.is_some() {
            self.sent += 1;
            self.sent_prompt_tokens += prompt;
            self.sent_output_tokens += facts.output_tokens.map_or(0, u64::from);
            let counted = completed
                && facts.prompt_tokens.is_some()
                && facts.output_source == Some(TokenCountSource::Usage);
            self.sent_uncounted += u64::from(!counted);
        }
        if completed {
            self.add_answer(facts);
        }
    }

    fn add_answer(&mut self, facts: &RequestFacts) {
        if let Some((asked, got)) = facts.max_tokens.zip(facts.output_tokens) {
            self.lengths_asked += 1;
            self.early_stops += u64::from(got < asked);
            // `length` says that a limit ended the answer; when not `max_tokens`, the server's.
            self.cut_by_limit += u64::from(got < asked && facts.ended_by_length);
        }
        self.chunks_assumed += u64::from(facts.chunk_source == ChunkTokenSource::Assumed);
        let told = facts.output_source.is_some_and(|source| source != TokenCountSource::Chunks);
        self.tokens_untold += u64::from(!told);
        self.chunks += facts.chunks;
        self.coalesced += facts.coalesced;
        self.unstamped += facts.unstamped;
    }
}
