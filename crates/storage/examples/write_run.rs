//! Writes a small run directory with made-up figures: something to try the
//! queries of `docs/data.md` on without running anything.
//!
//! ```sh
//! cargo run -p vllm-bench-storage --example write_run -- /tmp/results
//! ```

use std::path::PathBuf;
use std::time::Duration;

use vllm_bench_record::{
    ChunkArrival, ChunkTokenSource, EngineSample, Failure, FailureCause, GpuSample, GpuSource,
    Manifest, Outcome, Phase, RequestRecord, StageEnd, StageInfo, StageLoad, Timestamp, TokenCount,
    TokenCountSource,
};
use vllm_bench_storage::{RunDir, Writer, WriterOptions, run_name};

const STAGE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let results = std::env::args_os().nth(1).map(PathBuf::from);
    let results = results.ok_or("usage: write_run RESULTS_DIR")?;
    let mut manifest: Manifest = serde_json::from_str(include_str!("../tests/manifest.json"))?;
    manifest.stages = stages();
    manifest.finished_at_ns = Some(Timestamp::ZERO + STAGE * manifest.stages.len() as u32);
    manifest.warnings = vec!["the figures of this run are made up".into()];

    let name = run_name(manifest.wall_start_unix_ns, &manifest.scenario.name);
    let run = RunDir::create(&results, &name, &manifest)?;
    let stages = manifest.stages.clone();
    let writer = Writer::start(&run, WriterOptions { stages, ..WriterOptions::default() })?;
    let (mut tokens, mut energy_mj) = (0, 0);
    for (index, stage) in manifest.stages.iter().enumerate() {
        for user in 0..users(stage) {
            for turn in 0..8 {
                let record = request(index as u32, user, turn, stage);
                tokens += u64::from(record.output_tokens.map_or(0, |t| t.count));
                writer.request(record);
            }
        }
        for second in 0..STAGE.as_secs() {
            let at = Timestamp::ZERO + STAGE * index as u32 + Duration::from_secs(second);
            let sample = gpu(at, stage, energy_mj);
            energy_mj += sample.power_mw.unwrap_or_default();
            writer.gpu(vec![sample]);
            writer.engine(vec![engine(at, stage, tokens)]);
        }
    }
    writer.finish()?;
    run.link_latest()?;
    #[expect(clippy::print_stdout, reason = "what an example is for")]
    {
        println!("{}", run.path().display());
    }
    Ok(())
}

fn stages() -> Vec<StageInfo> {
    let labels = [("warm-up", Phase::Warmup, 1), ("cc 1", Phase::Measure, 1)];
    let labels =
        labels.into_iter().chain([("cc 4", Phase::Measure, 4), ("cc 16", Phase::Measure, 16)]);
    let stage = |(index, (label, phase, concurrency)): (u32, (&str, Phase, u32))| StageInfo {
        planned_requests: Some(u64::from(concurrency) * 8),
        started_at_ns: Some(Timestamp::ZERO + STAGE * index),
        finished_at_ns: Some(Timestamp::ZERO + STAGE * (index + 1)),
        ended: Some(StageEnd::Requests),
        ..StageInfo::planned(label, phase, StageLoad::Concurrency(concurrency))
    };
    (0..).zip(labels).map(stage).collect()
}

fn users(stage: &StageInfo) -> u32 {
    stage.load.level().value() as u32
}

/// Slower with more users, and every thirteenth one fails.
fn request(stage_index: u32, user: u32, turn: u32, stage: &StageInfo) -> RequestRecord {
    let number = stage_index * 1000 + user * 8 + turn;
    let tokens = 16 + number % 17;
    let at = Timestamp::ZERO + STAGE * stage_index + Duration::from_millis(u64::from(turn) * 2400);
    let sent = at + Duration::from_micros(40);
    let users = u64::from(users(stage));
    let step = Duration::from_micros(12_000 + users * 700);
    let first = sent + Duration::from_millis(60 + users * 9 + u64::from(number % 23));
    let failed = number % 13 == 12;
    let chunk =
        |n| ChunkArrival { at: first + step * n, tokens: 1, coalesced: false, client_lag: None };
    let chunks: Vec<_> = (0..if failed { 3 } else { tokens }).map(chunk).collect();
    let end = chunks.last().map(|chunk| chunk.at + Duration::from_millis(1));
    RequestRecord {
        request_id: format!("{stage_index}-{user}-{turn}"),
        stage_index,
        server_index: 0,
        user,
        session: number,
        turn: 0,
        prompt_id: format!("p{number}"),
        corpus_prompt_tokens: Some(1371),
        max_tokens: Some(32),
        scheduled_at: at,
        sent_at: Some(sent),
        written_at: Some(sent + Duration::from_micros(15)),
        headers_at: Some(sent + Duration::from_millis(3)),
        finished_at: end,
        connect: None,
        outcome: match failed {
            true => Outcome::Failed(Failure {
                cause: FailureCause::Cut,
                message: "connection reset by peer".into(),
                retry_after_s: None,
            }),
            false => Outcome::Completed,
        },
        http_status: Some(200),
        prompt_tokens: Some(1371),
        output_tokens: Some(TokenCount {
            count: chunks.len() as u32,
            source: if failed { TokenCountSource::TokenIds } else { TokenCountSource::Usage },
        }),
        chunk_token_source: ChunkTokenSource::TokenIds,
        cached_tokens: Some(0),
        finish_reason: (!failed).then(|| "stop".into()),
        server: None,
        model: Some("simulated".into()),
        answer: Some(format!("Answer {number}.")),
        reasoning: None,
        chunks,
    }
}

fn gpu(at: Timestamp, stage: &StageInfo, energy_mj: u64) -> GpuSample {
    let power_mw = 200_000 + 10_000 * u64::from(users(stage));
    GpuSample {
        at,
        gpu_index: 0,
        uuid: None,
        name: Some("Simulated GPU".into()),
        source: GpuSource::Simulated,
        utilization_pct: Some(95.0),
        memory_utilization_pct: Some(40.0),
        memory_used_bytes: Some(68 << 30),
        memory_total_bytes: Some(80 << 30),
        temperature_c: Some(60.0),
        power_mw: Some(power_mw),
        energy_mj: Some(energy_mj),
        sm_clock_mhz: Some(1980),
        memory_clock_mhz: Some(2619),
        throttle_reasons: Some(0),
        pcie_tx_kb_s: None,
        pcie_rx_kb_s: None,
        processes: Some(1),
    }
}

fn engine(at: Timestamp, stage: &StageInfo, tokens: u64) -> EngineSample {
    EngineSample {
        at,
        running: Some(stage.load.level().value()),
        waiting: Some(0.0),
        kv_cache_usage: Some(stage.load.level().value() * 0.02),
        prefix_cache_queries: Some(tokens * 50),
        prefix_cache_hits: Some(0),
        preemptions: Some(0),
        generation_tokens: Some(tokens),
        ..EngineSample::default()
    }
}
