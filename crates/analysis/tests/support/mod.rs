//! Small run directories with known figures.

#![allow(dead_code, reason = "every test file uses its part")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use vllm_bench_record::{
    ChunkArrival, ChunkTokenSource, ClockSource, CorpusInfo, EngineSample, Failure, FailureCause,
    GpuSample, GpuSource, HostInfo, Manifest, Outcome, Phase, RequestRecord, RunStatus,
    SCHEMA_VERSION, ScenarioInfo, ServerInfo, ServerTimings, StageEnd, StageInfo, StageLoad,
    Timestamp, TokenCount, TokenCountSource,
};
use vllm_bench_storage::{RunDir, Writer, WriterOptions};

/// The instant `ms` milliseconds after run start.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

/// A run as it is about to be written.
pub(crate) struct Run {
    pub(crate) manifest: Manifest,
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) gpu: Vec<GpuSample>,
    pub(crate) engine: Vec<EngineSample>,
    folder: tempfile::TempDir,
}

impl Run {
    pub(crate) fn new(stages: Vec<StageInfo>) -> Self {
        Self {
            manifest: manifest(stages),
            requests: Vec::new(),
            gpu: Vec::new(),
            engine: Vec::new(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Writes it as vllm-bench-run does, and gives its folder, which lives as long as this value.
    pub(crate) fn write(&self) -> PathBuf {
        let run_dir = RunDir::create(self.folder.path(), &self.manifest.run_id, &self.manifest)
            .expect("a run folder");
        let options =
            WriterOptions { stages: self.manifest.stages.clone(), ..WriterOptions::default() };
        let writer = Writer::start(&run_dir, options).expect("a writer");
        for request in &self.requests {
            assert!(writer.request(request.clone()));
        }
        assert!(writer.gpu(self.gpu.clone()) && writer.engine(self.engine.clone()));
        writer.finish().expect("all parts closed");
        run_dir.path().to_owned()
    }

    /// The folder that runs are in.
    pub(crate) fn results(&self) -> &std::path::Path {
        self.folder.path()
    }
}

fn manifest(stages: Vec<StageInfo>) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: "20261124-120000-test".into(),
        tool_version: "0.1.0".into(),
        status: RunStatus::Complete,
        started_at: "2026-11-24T12:00:00Z".into(),
        wall_start_unix_ns: 1_795_521_600_000_000_000,
        finished_at_ns: Some(at(2_000)),
        scenario: ScenarioInfo {
            name: "test".into(),
            question: Some("How fast?".into()),
            text: String::new(),
            overrides: Vec::new(),
            seed: 1,
            slo: BTreeMap::new(),
            endpoint: "chat".into(),
            stream: true,
            max_tokens: Some(4),
            ignore_eos: false,
        },
        corpus: CorpusInfo {
            file: "corpora/none.jsonl".into(),
            sha256: "00".into(),
            prompts: 100,
            mean_tokens: Some(20.0),
            tokenizer: None,
            shared_leading_blocks: Some(0),
            ..CorpusInfo::default()
        },
        servers: vec![ServerInfo {
            url: "http://localhost:8000".into(),
            version: Some("0.32.0".into()),
            model: "mistralai/Mistral-7B-Instruct-v0.3".into(),
            max_model_len: Some(8192),
            ..ServerInfo::default()
        }],
        host: HostInfo { os: "Linux".into(), cpus: 2, workers: 1, ..HostInfo::default() },
        clock: ClockSource::Userland,
        capture: None,
        stages,
        gpu: None,
        engine: None,
        calibration: None,
        search: None,
        warnings: Vec::new(),
    }
}

/// A stage whose servers were not read.
pub(crate) fn stage(label: &str, phase: Phase, concurrency: u32) -> StageInfo {
    StageInfo {
        ended: Some(StageEnd::Requests),
        started_at_ns: Some(at(0)),
        finished_at_ns: Some(at(2_000)),
        ..StageInfo::planned(label, phase, StageLoad::Concurrency(concurrency))
    }
}

/// A completed request: sent when it was scheduled, chunks as (ms, tokens), finished with the last.
pub(crate) fn request(
    id: &str,
    stage_index: u32,
    sent_ms: u64,
    chunks: &[(u64, u32)],
) -> RequestRecord {
    let arrival = |&(ms, tokens): &(u64, u32)| ChunkArrival {
        at: at(ms),
        tokens,
        coalesced: false,
        client_lag: None,
    };
    RequestRecord {
        request_id: id.into(),
        stage_index,
        server_index: 0,
        user: 0,
        session: 0,
        turn: 0,
        prompt_id: format!("prompt-of-{id}"),
        corpus_prompt_tokens: None,
        max_tokens: Some(4),
        scheduled_at: at(sent_ms),
        sent_at: Some(at(sent_ms)),
        written_at: Some(at(sent_ms)),
        headers_at: chunks.first().map(|c| at(c.0)),
        chunks: chunks.iter().map(arrival).collect(),
        finished_at: chunks.last().map(|c| at(c.0)),
        connect: None,
        outcome: Outcome::Completed,
        http_status: Some(200),
        prompt_tokens: Some(10),
        output_tokens: Some(TokenCount {
            count: chunks.iter().map(|c| c.1).sum(),
            source: TokenCountSource::Usage,
        }),
        chunk_token_source: ChunkTokenSource::TokenIds,
        cached_tokens: None,
        finish_reason: Some("length".into()),
        server: None,
        model: Some("mistralai/Mistral-7B-Instruct-v0.3".into()),
        answer: Some(format!("answer of {id}")),
        reasoning: None,
    }
}

/// The same, failed at `end_ms` with an HTTP status.
pub(crate) fn refused(
    id: &str,
    stage_index: u32,
    sent_ms: u64,
    end_ms: u64,
    status: u16,
    message: &str,
) -> RequestRecord {
    RequestRecord {
        finished_at: Some(at(end_ms)),
        outcome: Outcome::Failed(Failure {
            cause: FailureCause::HttpStatus,
            message: message.into(),
            retry_after_s: None,
        }),
        http_status: Some(status),
        prompt_tokens: None,
        output_tokens: None,
        answer: None,
        finish_reason: None,
        ..request(id, stage_index, sent_ms, &[])
    }
}

/// The server's own timings, as vLLM's answers carry them: prefill is its `time_to_first_token_ms`.
pub(crate) fn timings(queue_ms: f64, prefill_ms: f64, decode_ms: f64) -> Option<ServerTimings> {
    Some(ServerTimings {
        ttft_ms: Some(prefill_ms),
        queue_ms: Some(queue_ms),
        generation_ms: Some(decode_ms),
        mean_itl_ms: None,
    })
}

/// Counters of one server.
pub(crate) fn counters(
    prompt: u64,
    generation: u64,
    ended: u64,
    hits: u64,
    preemptions: u64,
) -> EngineSample {
    EngineSample {
        prompt_tokens: Some(prompt),
        generation_tokens: Some(generation),
        requests_length: Some(ended),
        requests_stop: Some(0),
        prefix_cache_queries: Some(prompt),
        prefix_cache_hits: Some(hits),
        preemptions: Some(preemptions),
        process_start_unix_s: Some(1e9),
        ..EngineSample::default()
    }
}

/// A reading of an NVIDIA GPU with one process on it.
pub(crate) fn gpu(ms: u64, throttle: u64) -> GpuSample {
    GpuSample {
        name: Some("NVIDIA H100".into()),
        utilization_pct: Some(90.0),
        throttle_reasons: Some(throttle),
        processes: Some(1),
        ..GpuSample::untold(at(ms), 0, GpuSource::Nvml)
    }
}

/// Two users, four requests, one of them refused, after one of warm-up. All figures of it are
/// worked out by hand in `figures.rs`.
///
/// ```text
/// ms      1000   1050   1100  1150  1200  1260  1300  1400  1500
/// user A  r1 ──────────────────▶ r3 ───────────────────▶
/// user B         r2 ────────────────────▶ r4 ─────────────────▶ refused
/// ```
pub(crate) fn two_users() -> Run {
    let mut measured = stage("cc 2", Phase::Measure, 2);
    measured.engine_before = vec![counters(1_000, 500, 7, 0, 3)];
    measured.engine_after = vec![counters(1_060, 510, 11, 16, 3)];
    let mut run = Run::new(vec![stage("warm-up", Phase::Warmup, 1), measured]);
    run.manifest.scenario.slo = [("ttft_p95", "120ms"), ("error_rate", "10%"), ("itl_p99", "1s")]
        .map(|(k, v)| (k.into(), v.into()))
        .into();
    let mut r1 = request("r1", 1, 1_000, &[(1_100, 1), (1_120, 1), (1_140, 2)]);
    r1.finished_at = Some(at(1_150));
    r1.cached_tokens = Some(0);
    let mut r2 = request("r2", 1, 1_050, &[(1_200, 1), (1_260, 3)]);
    r2.scheduled_at = at(1_040);
    r2.prompt_tokens = Some(20);
    r2.cached_tokens = Some(16);
    r2.chunks[0].coalesced = true;
    r2.chunks[0].client_lag = Some(Duration::from_micros(200));
    let mut r3 = request("r3", 1, 1_150, &[(1_300, 1), (1_310, 1)]);
    r3.finished_at = Some(at(1_400));
    r3.prompt_tokens = Some(30);
    r3.finish_reason = Some("stop".into());
    r3.server = timings(1.5, 148.0, 12.0);
    let r4 = refused("r4", 1, 1_260, 1_500, 503, "Service Unavailable");
    let warm = request("w1", 0, 10, &[(900, 1), (990, 3)]);
    run.requests = vec![r4, r2, r1, r3, warm];
    run
}
