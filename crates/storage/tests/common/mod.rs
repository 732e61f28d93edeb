//! Records and a run directory for the tests.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;
use std::time::Duration;

use vllm_bench_record::{
    ChunkArrival, ChunkTokenSource, EngineSample, GpuSample, GpuSource, HistogramTotals, Manifest,
    Outcome, RequestRecord, Timestamp, TokenCount, TokenCountSource,
};
use vllm_bench_storage::{RunDir, WriterOptions};

pub(crate) fn manifest() -> Manifest {
    serde_json::from_str(include_str!("../manifest.json")).expect("a whole manifest")
}

pub(crate) fn create(results: &Path) -> RunDir {
    RunDir::create(results, "20261124-172447-smoke", &manifest()).expect("a new run directory")
}

pub(crate) fn options() -> WriterOptions {
    WriterOptions { stages: manifest().stages, ..WriterOptions::default() }
}

pub(crate) fn request(n: u32) -> RequestRecord {
    let start = Timestamp::from_nanos(u64::from(n) * 1_000_000);
    let chunk = |ms, tokens| ChunkArrival {
        at: start + Duration::from_millis(ms),
        tokens,
        coalesced: false,
        client_lag: Some(Duration::from_micros(30)),
    };
    RequestRecord {
        request_id: format!("r-{n}"),
        stage_index: 1,
        server_index: 0,
        user: n % 4,
        session: n,
        turn: 0,
        prompt_id: format!("p-{n}"),
        corpus_prompt_tokens: Some(120),
        max_tokens: Some(32),
        scheduled_at: start,
        sent_at: Some(start + Duration::from_millis(1)),
        written_at: Some(start + Duration::from_millis(1)),
        headers_at: Some(start + Duration::from_millis(20)),
        chunks: vec![chunk(41, 2), chunk(51, 1), chunk(71, 2)],
        finished_at: Some(start + Duration::from_millis(72)),
        connect: None,
        outcome: Outcome::Completed,
        http_status: Some(200),
        prompt_tokens: Some(118),
        output_tokens: Some(TokenCount { count: 5, source: TokenCountSource::Usage }),
        chunk_token_source: ChunkTokenSource::TokenIds,
        cached_tokens: Some(0),
        finish_reason: Some("length".into()),
        server: None,
        model: Some("simulated".into()),
        answer: Some(format!("answer {n}")),
        reasoning: None,
    }
}

pub(crate) fn gpu(n: u64) -> GpuSample {
    GpuSample {
        at: Timestamp::from_nanos(n * 500_000_000),
        gpu_index: 0,
        uuid: Some("GPU-1".into()),
        name: None,
        source: GpuSource::Simulated,
        utilization_pct: Some(97.5),
        memory_utilization_pct: None,
        memory_used_bytes: Some(u64::MAX),
        memory_total_bytes: None,
        temperature_c: Some(61.0),
        power_mw: Some(412_000),
        energy_mj: Some(n),
        sm_clock_mhz: Some(1980),
        memory_clock_mhz: None,
        throttle_reasons: Some(4),
        pcie_tx_kb_s: None,
        pcie_rx_kb_s: Some(0),
        processes: Some(2),
    }
}

pub(crate) fn engine(n: u64) -> EngineSample {
    EngineSample {
        at: Timestamp::from_nanos(n * 1_000_000_000),
        running: Some(4.0),
        kv_cache_usage: Some(0.25),
        generation_tokens: Some(n * 100),
        queue_time: Some(HistogramTotals { sum_s: n as f64 * 0.01, count: n }),
        e2e_latency: n.is_multiple_of(2).then_some(HistogramTotals { sum_s: 1.0, count: n }),
        ..EngineSample::default()
    }
}
