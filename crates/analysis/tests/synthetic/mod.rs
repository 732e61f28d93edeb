//! A made-up run, written through the storage crate: four stages, failures, samples, and texts
//! that try to break out of the page. For tests and for looking at the report; nothing in it was
//! measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use vllm_bench_record::{
    Calibration, Capacity, ChunkArrival, ChunkTokenSource, ClockSource, CorpusInfo, EngineSample,
    ErrorQuantiles, Failure, FailureCause, GpuSample, GpuSource, HostInfo, Level, Manifest,
    OpenLoad, Outcome, Phase, Probe, ProbeObjective, ProbeOutcome, RequestRecord, RunStatus,
    SCHEMA_VERSION, ScenarioInfo, SearchAxis, SearchInfo, ServerInfo, ServerTimings, StageEnd,
    StageInfo, StageLoad, TelemetryInfo, Timestamp, TokenCount, TokenCountSource,
};
use vllm_bench_storage::{RunDir, Writer, WriterOptions};

/// Texts as a hostile model, server or scenario might send them.
pub(crate) const HOSTILE: [&str; 5] = [
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=\"window.pwned=2\">",
    "<!--<script>window.pwned=3//",
    "#*#*#*#window.pwned=4#*#*#*#",
    "{{ 7*7 }}{% raw %}\u{2028}'\"&amp;<svg/onload=window.pwned=5>\u{202e}gpj.exe",
];

/// What kind of run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The run's name.
    pub(crate) name: &'static str,
    /// Requests of each user in a measured stage.
    pub(crate) requests_per_user: u32,
    /// Measured stages, closed loops.
    pub(crate) concurrency: Vec<u32>,
    /// Measured stages, open loops, requests a second.
    pub(crate) rates: Vec<f64>,
    /// Most requests in flight in an open loop.
    pub(crate) max_in_flight: Option<u32>,
    /// Its open loops are the probes of a capacity search; those up to so many a second hold.
    pub(crate) search_holds: Option<f64>,
    /// The client's own error was measured before it.
    pub(crate) calibrated: bool,
    /// Objectives.
    pub(crate) slo: BTreeMap<String, String>,
    /// Share of failing requests, per thousand.
    pub(crate) failing: u64,
    /// How fast the made-up server is; 1.0 is usual.
    pub(crate) speed: f64,
    /// The server was the simulator.
    pub(crate) simulated: bool,
    /// GPU and engine samples.
    pub(crate) samples: bool,
}

impl Run {
    /// An open loop in bursts, more than its limit lets in at the highest rate.
    pub(crate) fn open() -> Self {
        Self {
            name: "20261125-080000-open",
            concurrency: Vec::new(),
            rates: vec![1.0, 2.0, 4.0],
            max_in_flight: Some(20),
            calibrated: true,
            ..Self::default()
        }
    }

    /// A capacity search over the rate.
    pub(crate) fn searched() -> Self {
        Self {
            name: "20261125-090000-search",
            rates: vec![1.0, 2.0, 4.0, 8.0, 5.66, 4.76, 4.37, 4.0, 4.0],
            max_in_flight: None,
            search_holds: Some(4.0),
            slo: [("ttft_p95", "500ms"), ("error_rate", "5%")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..Self::open()
        }
    }
}

impl Default for Run {
    fn default() -> Self {
        let slo = [("ttft_p95", "2s"), ("error_rate", "5%")];
        Self {
            name: "20261124-183000-synthetic",
            requests_per_user: 12,
            concurrency: vec![1, 4, 16, 32],
            rates: Vec::new(),
            max_in_flight: None,
            search_holds: None,
            calibrated: false,
            slo: slo.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            failing: 20,
            speed: 1.0,
            simulated: true,
            samples: true,
        }
    }
}

/// Writes `run` below `results` and returns its directory.
pub(crate) fn write(results: &Path, run: &Run) -> RunDir {
    let mut dice = Dice(42 + run.name.len() as u64);
    let mut stages = vec![stage("warm-up", Phase::Warmup, 4)];
    stages.extend(run.concurrency.iter().map(|&n| stage(&format!("cc {n}"), Phase::Measure, n)));
    stages.extend((1..).zip(&run.rates).map(|(n, &rate)| open_stage(run, n, rate)));
    let mut records = Vec::new();
    let mut now = 0.4;
    for (index, stage) in stages.iter_mut().enumerate() {
        let per_user = if index == 0 { 3 } else { run.requests_per_user };
        let started = now;
        let first = records.len();
        match &mut stage.load {
            StageLoad::Concurrency(load) => {
                stage.planned_requests = Some(u64::from(*load * per_user));
                for user in 0..*load {
                    let mut at = started;
                    for _ in 0..per_user {
                        let id = records.len() as u32;
                        let due = Due { at, sent: at + dice.lag(), user, crowd: *load };
                        let record = request(run, &mut dice, id, index as u32, due);
                        at = seconds(record.finished_at.expect("every made-up request ends"));
                        records.push(record);
                    }
                }
            }
            StageLoad::Open(open) => {
                arrive(run, &mut dice, index as u32, started, open, &mut records);
                stage.planned_requests = Some((records.len() - first) as u64);
            }
        }
        now = records[first..]
            .iter()
            .filter_map(|r| r.finished_at)
            .map(seconds)
            .fold(started, f64::max);
        stage.started_at_ns = Some(at_s(started));
        stage.finished_at_ns = Some(at_s(now));
        now += 0.8;
    }
    let manifest = manifest(run, stages.clone(), now);
    let dir = RunDir::create(results, run.name, &manifest).expect("a fresh directory");
    let writer = Writer::start(&dir, WriterOptions { stages, ..WriterOptions::default() })
        .expect("the writer starts");
    if run.samples {
        writer.gpu(gpu(&records, now, &mut dice));
        writer.engine(engine(&records, now));
    }
    for record in records {
        writer.request(record);
    }
    writer.finish().expect("all rows are written");
    dir
}

fn stage(label: &str, phase: Phase, concurrency: u32) -> StageInfo {
    StageInfo {
        ended: Some(StageEnd::Requests),
        ..StageInfo::planned(label, phase, StageLoad::Concurrency(concurrency))
    }
}

fn open_stage(run: &Run, number: usize, rate: f64) -> StageInfo {
    let searched = run.search_holds.is_some();
    let load = OpenLoad {
        rate,
        arrivals: "poisson".into(),
        profile: (!searched).then(|| "bursts of 2.5 s every 10 s at 2.5 times the rate".into()),
        warmup: Duration::from_secs(5),
        max_in_flight: run.max_in_flight,
        last_arrival: None,
        capped: 0,
        left_out: Vec::new(),
    };
    let label = if searched { format!("probe {number}") } else { format!("{rate} req/s") };
    StageInfo {
        ended: Some(if searched { StageEnd::Precise } else { StageEnd::Duration }),
        ..StageInfo::planned(label, Phase::Measure, StageLoad::Open(load))
    }
}

/// The requests of an open loop, in bursts unless it is a search's probe; those that find the
/// limit reached leave when there is room.
fn arrive(
    run: &Run,
    dice: &mut Dice,
    stage_index: u32,
    started: f64,
    open: &mut OpenLoad,
    records: &mut Vec<RequestRecord>,
) {
    let length = if run.search_holds.is_some() { 20.0 } else { 40.0 };
    let mut ends: Vec<f64> = Vec::new();
    let (mut after, mut free) = (0.0, started);
    loop {
        let burst = open.profile.is_some() && after % 10.0 < 2.5;
        let rate = match &open.profile {
            Some(_) => open.rate * if burst { 2.5 } else { 0.5 },
            None => open.rate,
        };
        after += dice.tail() / rate;
        if after > length {
            break;
        }
        let due = started + after;
        let mut sent = due.max(free) + dice.lag();
        ends.retain(|end| *end > sent);
        if let Some(cap) = open.max_in_flight
            && ends.len() >= cap as usize
        {
            ends.sort_by(f64::total_cmp);
            sent = ends[ends.len() - cap as usize] + dice.lag();
            ends.retain(|end| *end > sent);
            open.capped += 1;
        }
        // First come, first served.
        free = sent;
        let id = records.len() as u32;
        let crowd = ends.len() as u32 + 1;
        let record = request(run, dice, id, stage_index, Due { at: due, sent, user: id, crowd });
        ends.push(seconds(record.finished_at.expect("every made-up request ends")));
        open.last_arrival = Some(Duration::from_secs_f64(after));
        records.push(record);
    }
}

/// When a request was due and left, whose it was, and how many were in flight with it.
struct Due {
    at: f64,
    sent: f64,
    user: u32,
    crowd: u32,
}

fn request(run: &Run, dice: &mut Dice, id: u32, stage_index: u32, due: Due) -> RequestRecord {
    let crowd = f64::from(due.crowd);
    let sent = due.sent;
    let prompt_tokens = (1_371.0 + dice.normal() * 90.0).max(200.0) as u32;
    // Prefill queues behind the others; from about 16 on the batch is full.
    let queue = dice.share() * crowd * 0.028 + (crowd - 16.0).max(0.0) * 0.05 * dice.share();
    let ttft = (0.09 + queue + dice.tail() * 0.03) / run.speed;
    let output = if dice.below(3) == 0 { 256 } else { 40 + dice.below(216) as u32 };
    let pace = (0.009 + crowd * 0.000_55) / run.speed;
    let mut at = sent + ttft;
    let mut chunks = Vec::new();
    let mut left = output;
    while left > 0 {
        let tokens = (1 + (dice.below(40) == 0) as u32).min(left);
        chunks.push(ChunkArrival {
            at: at_s(at),
            tokens,
            coalesced: dice.below(60) == 0,
            client_lag: Some(Duration::from_nanos(20_000 + dice.below(60_000))),
        });
        left -= tokens;
        let stall = if dice.below(400) == 0 { 0.12 + dice.share() * 0.2 } else { 0.0 };
        at += pace * f64::from(tokens) * (0.9 + 0.2 * dice.share()) + stall;
    }
    let decode = chunks.last().map_or(0.0, |c| seconds(c.at)) - (sent + ttft);
    let mut outcome = Outcome::Completed;
    let mut http_status = Some(200);
    let mut finished = at + 0.000_3;
    if dice.below(1_000) < run.failing {
        let (cause, status, message) = match dice.below(3) {
            0 => (FailureCause::HttpStatus, Some(503), format!("overloaded {}", HOSTILE[0])),
            1 => (FailureCause::Cut, Some(200), format!("connection reset {}", HOSTILE[1])),
            _ => (FailureCause::ErrorInStream, Some(200), HOSTILE[2].to_owned()),
        };
        chunks.truncate(if cause == FailureCause::HttpStatus { 0 } else { chunks.len() / 3 });
        finished = chunks.last().map_or(sent + 0.05, |c| seconds(c.at)) + 0.01;
        http_status = status;
        outcome = Outcome::Failed(Failure { cause, message, retry_after_s: None });
    }
    let got = chunks.iter().map(|c| c.tokens).sum();
    let hostile = HOSTILE[id as usize % HOSTILE.len()];
    let completed = outcome == Outcome::Completed;
    RequestRecord {
        request_id: format!("{}-{id:05}", run.name),
        stage_index,
        user: due.user,
        session: id,
        turn: 0,
        server_index: 0,
        prompt_id: format!("prompt-{id}"),
        corpus_prompt_tokens: Some(prompt_tokens),
        max_tokens: Some(256),
        scheduled_at: at_s(due.at),
        sent_at: Some(at_s(sent)),
        written_at: Some(at_s(sent + 0.000_05)),
        headers_at: Some(at_s(sent + 0.002)),
        chunks,
        finished_at: Some(at_s(finished)),
        connect: None,
        outcome,
        http_status,
        prompt_tokens: completed.then_some(prompt_tokens),
        output_tokens: (got > 0).then_some(TokenCount {
            count: got,
            source: if completed { TokenCountSource::Usage } else { TokenCountSource::TokenIds },
        }),
        chunk_token_source: ChunkTokenSource::TokenIds,
        cached_tokens: completed.then_some(0),
        finish_reason: completed.then(|| if output == 256 { "length" } else { "stop" }.to_owned()),
        server: completed.then_some(ServerTimings {
            ttft_ms: Some((ttft - queue / run.speed) * 1e3 - 1.2),
            queue_ms: Some(queue / run.speed * 1e3),
            generation_ms: Some(decode * 1e3 - 0.4),
            mean_itl_ms: Some(pace * 1e3),
        }),
        model: Some(hostile.to_owned()),
        answer: Some(format!("Answer {id}: {hostile} and then some words.\nA second line.")),
        reasoning: id.is_multiple_of(7).then(|| format!("Thinking about {hostile}")),
    }
}

fn in_flight(records: &[RequestRecord], at: f64) -> f64 {
    let flying = |r: &&RequestRecord| {
        let from = r.sent_at.map_or(0.0, seconds);
        from <= at && at < r.finished_at.map_or(0.0, seconds)
    };
    records.iter().filter(flying).count() as f64
}

fn gpu(records: &[RequestRecord], end: f64, dice: &mut Dice) -> Vec<GpuSample> {
    let mut energy = 5_000_000.0;
    let steps = (end / 0.5) as u64;
    (0..steps)
        .map(|i| {
            let at = i as f64 * 0.5;
            let busy = in_flight(records, at);
            let power = 82.0 + 24.0 * busy.min(16.0) + dice.normal() * 6.0;
            energy += power * 500.0;
            GpuSample {
                at: at_s(at),
                gpu_index: 0,
                uuid: Some("GPU-00000000-0000-0000-0000-000000000000".into()),
                name: Some("Simulated GPU".into()),
                source: GpuSource::Simulated,
                utilization_pct: Some(if busy > 0.0 {
                    (70.0 + busy * 1.6).min(100.0) as f32
                } else {
                    0.0
                }),
                memory_utilization_pct: Some((busy * 2.0).min(100.0) as f32),
                memory_used_bytes: Some(68 << 30),
                memory_total_bytes: Some(80 << 30),
                temperature_c: Some((38.0 + 26.0 * (1.0 - (-at / 60.0).exp())) as f32),
                power_mw: Some((power.max(60.0) * 1e3) as u64),
                energy_mj: Some(energy as u64),
                sm_clock_mhz: Some(1_980),
                memory_clock_mhz: Some(2_619),
                throttle_reasons: Some(0),
                pcie_tx_kb_s: None,
                pcie_rx_kb_s: None,
                processes: Some(1),
            }
        })
        .collect()
}

fn engine(records: &[RequestRecord], end: f64) -> Vec<EngineSample> {
    (0..end as u64)
        .map(|i| {
            let at = i as f64;
            let busy = in_flight(records, at);
            let done = records.iter().filter(|r| r.finished_at.map_or(0.0, seconds) <= at);
            EngineSample {
                at: at_s(at),
                running: Some(busy.min(24.0)),
                waiting: Some((busy - 24.0).max(0.0)),
                kv_cache_usage: Some((busy * 0.034).min(1.0)),
                prefix_cache_queries: Some(i * 1_000),
                prefix_cache_hits: Some(0),
                preemptions: Some(11 + (at - 80.0).max(0.0) as u64 / 6),
                prompt_tokens: Some(
                    done.clone().map(|r| u64::from(r.prompt_tokens.unwrap_or(0))).sum(),
                ),
                generation_tokens: Some(
                    done.map(|r| r.output_tokens.map_or(0, |t| u64::from(t.count))).sum(),
                ),
                process_start_unix_s: Some(1_795_000_000.0),
                ..EngineSample::default()
            }
        })
        .collect()
}

fn manifest(run: &Run, stages: Vec<StageInfo>, end: f64) -> Manifest {
    let telemetry = |source: &str, interval_ms| {
        run.samples.then(|| TelemetryInfo { source: source.into(), interval_ms })
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: run.name.into(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        status: RunStatus::Complete,
        started_at: "2026-11-24T18:30:00Z".into(),
        wall_start_unix_ns: 1_795_545_000_000_000_000,
        finished_at_ns: Some(at_s(end)),
        scenario: ScenarioInfo {
            name: "rag".into(),
            question: Some(format!(
                "How many RAG users does this server hold before p95 TTFT passes 2 s? {}",
                HOSTILE[1]
            )),
            text: format!(
                "name = \"rag\" # {}\n[load]\nclosed = {{ concurrency = {:?} }}\n# rates {:?}\n",
                HOSTILE[0], run.concurrency, run.rates
            ),
            overrides: vec!["load.concurrency=[1,4,16,32]".into()],
            seed: 1,
            slo: run.slo.clone(),
            endpoint: "chat".into(),
            stream: true,
            max_tokens: Some(256),
            ignore_eos: false,
        },
        corpus: CorpusInfo {
            file: "corpora/rag-1371.jsonl".into(),
            sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
            prompts: 1_500,
            mean_tokens: Some(1_371.0),
            tokenizer: Some("mistralai/Mistral-7B-Instruct-v0.3".into()),
            shared_leading_blocks: Some(0),
            shared_head_tokens: Some(12),
        },
        servers: vec![ServerInfo {
            url: "http://localhost:8000".into(),
            version: Some(if run.simulated { "0.1.0-simulated" } else { "0.32.0" }.into()),
            model: "mistralai/Mistral-7B-Instruct-v0.3".into(),
            max_model_len: Some(8_192),
            simulated: run.simulated,
            cache_config: BTreeMap::from([("block_size".into(), "16".into())]),
        }],
        host: HostInfo {
            os: "Linux 6.8".into(),
            cpu: Some("Synthetic CPU".into()),
            cpus: 2,
            memory_bytes: Some(16 << 30),
            workers: 2,
        },
        clock: ClockSource::Kernel,
        capture: None,
        stages,
        gpu: telemetry("simulated", 500),
        engine: telemetry("/metrics", 1_000),
        calibration: run.calibrated.then(calibration),
        search: run.search_holds.map(|holds| search(&run.rates, holds)),
        warnings: Vec::new(),
    }
}

fn calibration() -> Calibration {
    let error = |p50_ns, p99_ns| ErrorQuantiles { count: 12_000, p50_ns, p99_ns };
    Calibration {
        streams: 64,
        tokens_per_second: 6_400.0,
        events: 12_000,
        coalesced: 14,
        arrival_error: error(1_400.0, 5_200.0),
        ttft_error: error(2_300.0, 9_100.0),
        itl_error: error(400.0, 2_100.0),
        max_tokens_per_second: 190_400.0,
        cpu_ns_per_token: 4_100.0,
        seconds: 2.1,
    }
}

/// The search whose probes tried `rates`, after the one stage of warm-up. A rate tried again
/// confirms.
fn search(rates: &[f64], holds: f64) -> SearchInfo {
    let probe = |(i, &rate): (usize, &f64)| {
        let held = rate <= holds;
        let value = 90e6 * (1.0 + rate * rate / (holds * holds) * 4.0);
        let confirms = rates[..i].contains(&rate);
        Probe {
            stage: i as u32 + 1,
            level: Level::Rate(rate),
            confirms,
            outcome: match (held, confirms) {
                // The first look at the edge says nothing.
                (true, false) if rate == holds => ProbeOutcome::Unclear,
                (true, _) => ProbeOutcome::Holds,
                (false, _) => ProbeOutcome::Fails,
            },
            objectives: vec![
                ProbeObjective {
                    slo: "ttft_p95 <= 500ms".into(),
                    value: Some(value),
                    interval: Some((value * 0.9, value * 1.15)),
                    holds: held,
                },
                ProbeObjective {
                    slo: "error_rate <= 5%".into(),
                    value: Some(0.0),
                    interval: Some((0.0, 0.03)),
                    holds: true,
                },
            ],
        }
    };
    SearchInfo {
        over: SearchAxis::Rate,
        from: 1.0,
        to: 64.0,
        precision: 0.1,
        probes: rates.iter().enumerate().map(probe).collect(),
        answer: Some(Capacity {
            holds,
            fails: rates.iter().copied().filter(|rate| *rate > holds).reduce(f64::min),
        }),
        ended: Some("the bracket is narrow enough and its lower end was confirmed".into()),
    }
}

fn at_s(s: f64) -> Timestamp {
    Timestamp::from_nanos((s * 1e9) as u64)
}

fn seconds(t: Timestamp) -> f64 {
    t.as_secs_f64()
}

/// SplitMix64: the same run on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    /// How late a request leaves, seconds.
    fn lag(&mut self) -> f64 {
        0.000_1 + self.share() * 0.000_2
    }

    fn tail(&mut self) -> f64 {
        -(1.0 - self.share()).ln()
    }
}
