//! Each check at its limits.

use super::*;

fn check(status: CheckStatus) -> Check {
    Check { kind: CheckKind::Errors, status, figure: "0".into(), meaning: "m".into(), advice: None }
}

#[test]
fn the_worst_check_decides() {
    assert_eq!(Verdict::default().status(), CheckStatus::Pass);
    let verdict = Verdict { checks: vec![check(CheckStatus::Warn), check(CheckStatus::Pass)] };
    assert_eq!(verdict.status(), CheckStatus::Warn);
    assert_eq!(verdict.with(CheckStatus::Pass).count(), 1);
}

#[test]
fn words_round_trip_and_titles_differ() {
    let statuses = [CheckStatus::Pass, CheckStatus::Unknown, CheckStatus::Warn, CheckStatus::Fail];
    for status in statuses {
        assert_eq!(serde_json::to_value(status).expect("plain enum"), status.as_str());
    }
    let titles: std::collections::BTreeSet<_> = CheckKind::ALL.iter().map(|k| k.title()).collect();
    assert_eq!(titles.len(), CheckKind::ALL.len());
}

use crate::calibration::{Calibration, ErrorQuantiles};
use crate::capture::CaptureInfo;
use crate::engine::EngineSample;
use crate::engine_delta::EngineDelta;
use crate::gpu::{GpuSample, GpuSource};
use crate::load::{OpenLoad, StageLoad};
use crate::manifest::{ClockSource, Phase, RunStatus, StageEnd, StageInfo};
use crate::request::{ChunkTokenSource, TokenCountSource};
use crate::time::Timestamp;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn facts() -> RequestFacts {
    RequestFacts {
        scheduled_at: at(0),
        sent_at: Some(at(0)),
        ended: Ended::Completed,
        max_tokens: Some(4),
        output_tokens: Some(4),
        output_source: Some(TokenCountSource::Usage),
        ended_by_length: true,
        prompt_tokens: Some(10),
        cached_tokens: Some(0),
        chunk_source: ChunkTokenSource::TokenIds,
        chunks: 4,
        coalesced: 0,
        unstamped: 0,
    }
}

/// 1,000 requests of one stage, all as it should be.
fn clean_stage() -> StageEvidence {
    let info = StageInfo::planned("cc 8", Phase::Measure, StageLoad::Concurrency(8));
    let mut stage = StageEvidence {
        ended: Some(StageEnd::Requests),
        planned: Some(1_000),
        busiest_thread: Some(0.2),
        server: Some(EngineDelta {
            restarted: false,
            requests: Some(1_000),
            prompt_tokens: Some(10_000),
            generation_tokens: Some(4_000),
            prefix_cache_queries: Some(10_000),
            prefix_cache_hits: Some(0),
            preemptions: Some(0),
        }),
        send_lag_p99_ns: Some(50e3),
        ttft_p50_ns: Some(100e6),
        client_lag_p99_ns: Some(100e3),
        itl_p50_ns: Some(10e6),
        itl_mean_ns: Some(11e6),
        output_tokens_per_s: Some(800.0),
        steady: Some(SteadyEvidence { seconds: 3.0, e2e_p50_ns: Some(1e9) }),
        steady_stands: true,
        ttft_samples: Some(1_000),
        ..StageEvidence::of(&info)
    };
    for i in 0..1_000 {
        let facts = RequestFacts { scheduled_at: at(i), sent_at: Some(at(i)), ..facts() };
        stage.counts.add(&facts, 0);
        stage.arrivals.add(&facts);
    }
    stage
}

fn gpu_sample(throttle_reasons: u64, processes: u32) -> GpuSample {
    GpuSample {
        throttle_reasons: Some(throttle_reasons),
        processes: Some(processes),
        ..GpuSample::untold(at(1), 0, GpuSource::Nvml)
    }
}

fn error(p99_ns: f64) -> ErrorQuantiles {
    ErrorQuantiles { count: 1_000, p50_ns: p99_ns / 2.0, p99_ns }
}

fn clean() -> Evidence {
    let mut servers = ServerStarts::default();
    servers.add(&EngineSample { process_start_unix_s: Some(1e9), ..EngineSample::default() });
    let mut gpu = GpuEvidence::default();
    gpu.add(&gpu_sample(0x1, 1), true);
    Evidence {
        status: RunStatus::Complete,
        clock: ClockSource::Kernel,
        capture: None,
        calibration: Some(Calibration {
            streams: 8,
            tokens_per_second: 1_000.0,
            events: 10_000,
            coalesced: 0,
            arrival_error: error(20e3),
            ttft_error: error(50e3),
            itl_error: error(40e3),
            max_tokens_per_second: 500_000.0,
            cpu_ns_per_token: 3e3,
            seconds: 3.0,
        }),
        ignore_eos: false,
        shared_leading_blocks: Some(0),
        cached_head_tokens: 0,
        prompts_sent: 1_000,
        prompts_repeated: 0,
        lost_rows: 0,
        stages: vec![clean_stage()],
        servers,
        gpu,
    }
}

/// The check of `kind` after `change` to a run that is as it should be.
#[track_caller]
fn expect(kind: CheckKind, status: CheckStatus, figure: &str, change: impl FnOnce(&mut Evidence)) {
    let mut evidence = clean();
    change(&mut evidence);
    let verdict = Verdict::of(&evidence);
    let check = verdict.checks.iter().find(|c| c.kind == kind).expect("every kind is judged");
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.figure.contains(figure), "{check:?}");
    assert_eq!(check.advice.is_none(), status == CheckStatus::Pass, "{check:?}");
}

const PASS: CheckStatus = CheckStatus::Pass;
const WARN: CheckStatus = CheckStatus::Warn;
const FAIL: CheckStatus = CheckStatus::Fail;
const UNKNOWN: CheckStatus = CheckStatus::Unknown;

#[test]
fn a_clean_run_passes_every_check_in_their_order() {
    let verdict = Verdict::of(&clean());
    let doubts: Vec<_> = verdict.checks.iter().filter(|c| c.status != PASS).collect();
    assert!(doubts.is_empty(), "{doubts:#?}");
    assert!(verdict.checks.iter().map(|c| c.kind).eq(CheckKind::ALL));
}

#[test]
fn nothing_at_all_is_judged_too() {
    let mut evidence = clean();
    evidence.stages.clear();
    assert_eq!(Verdict::of(&evidence).status(), FAIL, "no request ended");
    evidence.stages.push(StageEvidence::of(&StageInfo::planned(
        "cc 8",
        Phase::Measure,
        StageLoad::Concurrency(8),
    )));
    let verdict = Verdict::of(&evidence);
    let status = |kind| verdict.checks.iter().find(|c| c.kind == kind).map(|c| c.status);
    assert_eq!(status(CheckKind::RunComplete), Some(FAIL));
    for kind in [CheckKind::ClientLag, CheckKind::ClientCpu, CheckKind::Calibrated] {
        assert_eq!(status(kind), Some(UNKNOWN), "{kind:?}");
    }
}

#[test]
fn the_run_is_whole() {
    let kind = CheckKind::RunComplete;
    expect(kind, PASS, "1 of 1 stage", |_| {});
    expect(kind, FAIL, "3 requests are not recorded", |e| e.lost_rows = 3);
    expect(kind, FAIL, "1 request is not recorded", |e| e.stages[0].planned = Some(1_001));
    expect(kind, PASS, "1 of 1", |e| {
        (e.stages[0].planned, e.stages[0].ended) = (Some(1_001), Some(StageEnd::Precise));
    });
    expect(kind, WARN, "interrupted", |e| e.status = RunStatus::Interrupted);
    expect(kind, WARN, "no end recorded", |e| e.status = RunStatus::Running);
    expect(kind, FAIL, "failed", |e| e.status = RunStatus::Failed);
}

#[test]
fn one_in_a_hundred_may_fail() {
    let fail = |n: u64| {
        move |e: &mut Evidence| {
            e.stages[0].counts.completed = 1_000 - n;
            e.stages[0].counts.failed = n;
        }
    };
    expect(CheckKind::Errors, WARN, "10 of 1,000 failed (1.00 %)", fail(10));
    expect(CheckKind::Errors, FAIL, "11 of 1,000", fail(11));
    expect(CheckKind::SentOnce, FAIL, "2 prompts were", |e| e.prompts_repeated = 2);
}

#[test]
fn answers_have_the_length_asked_for() {
    let kind = CheckKind::EarlyStops;
    let short = |by_limit: u64| {
        move |e: &mut Evidence| {
            e.stages[0].counts.early_stops = 5;
            e.stages[0].counts.cut_by_limit = by_limit;
        }
    };
    expect(kind, WARN, "5 of 1,000 answers shorter", short(0));
    expect(kind, FAIL, "1 by the server's length limit", short(1));
    expect(kind, FAIL, "5 of 1,000", |e| {
        short(0)(e);
        e.ignore_eos = true;
    });
    expect(kind, PASS, "no length", |e| e.stages[0].counts.lengths_asked = 0);
}

#[test]
fn the_cache_may_hold_the_head_and_nothing_beyond() {
    let kind = CheckKind::CacheFree;
    let cached =
        |beyond: u64| move |e: &mut Evidence| e.stages[0].counts.cached_beyond_head = beyond;
    expect(kind, WARN, "100 beyond the shared head, 1.00 %", cached(100));
    expect(kind, FAIL, "101 beyond", cached(101));
    expect(kind, FAIL, "server's hits 1,600", |e| hits(e, 1_600));
    expect(kind, PASS, "server's hits 16,000", |e| {
        e.cached_head_tokens = 16;
        hits(e, 16_000);
    });
    expect(kind, WARN, "shared leading blocks 3", |e| e.shared_leading_blocks = Some(3));
    expect(kind, UNKNOWN, "unknown", |e| {
        e.stages[0].server = None;
        e.stages[0].counts.cached_told = 0;
    });
}

fn hits(evidence: &mut Evidence, hits: u64) {
    if let Some(server) = &mut evidence.stages[0].server {
        server.prefix_cache_hits = Some(hits);
    }
}

#[test]
fn facts_of_requests_are_counted() {
    let mut counts = Counts::default();
    counts.add(&RequestFacts { cached_tokens: Some(48), ..facts() }, 32);
    counts.add(&RequestFacts { output_tokens: Some(3), ..facts() }, 32);
    let failed = RequestFacts {
        ended: Ended::Failed,
        prompt_tokens: None,
        cached_tokens: None,
        chunks: 1,
        ..facts()
    };
    counts.add(&failed, 32);
    counts.add(&RequestFacts { ended: Ended::Cancelled, sent_at: None, ..failed }, 32);
    let expected = Counts {
        requests: 4,
        completed: 2,
        failed: 1,
        cancelled: 1,
        sent: 3,
        prompt_tokens: 20,
        sent_prompt_tokens: 20,
        sent_output_tokens: 11,
        sent_uncounted: 1,
        cached_told: 2,
        cached_tokens: 48,
        cached_beyond_head: 16,
        lengths_asked: 2,
        early_stops: 1,
        cut_by_limit: 1,
        chunks: 8,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
}

#[test]
fn a_schedule_is_kept_within_a_hundredth_of_the_ttft() {
    let kind = CheckKind::ScheduleKept;
    let lag = |ns: f64| move |e: &mut Evidence| e.stages[0].send_lag_p99_ns = Some(ns);
    expect(kind, PASS, "send lag p99 1.00 ms at TTFT p50 100 ms", lag(1e6));
    expect(kind, WARN, "send lag p99 1.10 ms", lag(1.1e6));
    expect(kind, WARN, "10.0 ms", lag(10e6));
    expect(kind, FAIL, "10.1 ms", lag(10.1e6));
    expect(kind, UNKNOWN, "nothing", |e| e.stages[0].ttft_p50_ns = None);
}

#[test]
fn an_open_loop_sends_at_the_rate_asked() {
    let kind = CheckKind::ScheduleKept;
    // 101 requests due over 10 s, sent over `stretch` times that.
    let open = |stretch: f64, capped: u64| {
        move |e: &mut Evidence| {
            let stage = &mut e.stages[0];
            stage.load = StageLoad::Open(OpenLoad {
                rate: 10.0,
                arrivals: "constant".into(),
                profile: None,
                warmup: std::time::Duration::ZERO,
                max_in_flight: Some(8),
                last_arrival: None,
                capped,
                left_out: Vec::new(),
            });
            stage.arrivals = Arrivals::default();
            for i in 0..=100_u64 {
                let sent = (i as f64 * 100.0 * stretch) as u64;
                stage.arrivals.add(&RequestFacts {
                    scheduled_at: at(i * 100),
                    sent_at: Some(at(sent)),
                    ..facts()
                });
            }
        }
    };
    expect(kind, PASS, "10.0 of 10.0 req/s sent (100 %)", open(1.0, 0));
    expect(kind, PASS, "99.0", open(1.0 / 0.9901, 0));
    expect(kind, WARN, "98.9", open(1.0 / 0.989, 0));
    expect(kind, WARN, "95.0", open(1.0 / 0.9502, 0));
    expect(kind, FAIL, "94.9", open(1.0 / 0.949, 0));
    // Waiting for the limit is said, and is no lateness; a load that fell short of it is.
    expect(kind, WARN, "7 requests waited for max_in_flight", |e| {
        open(1.0, 7)(e);
        e.stages[0].send_lag_p99_ns = Some(50e6);
    });
    expect(kind, FAIL, "1 request waited", open(2.0, 1));
}

#[test]
fn what_the_runs_end_kept_from_being_sent_was_not_asked_for() {
    let mut arrivals = Arrivals::default();
    let sent = |ms: u64| RequestFacts { scheduled_at: at(ms), sent_at: Some(at(ms)), ..facts() };
    assert_eq!(arrivals.rates(), None);
    for ms in [0, 500, 1_000] {
        arrivals.add(&sent(ms));
    }
    arrivals.add(&RequestFacts { sent_at: None, ended: Ended::Cancelled, ..sent(9_000) });
    assert_eq!(arrivals.rates(), Some((2.0, 2.0)));
    arrivals.add(&RequestFacts { sent_at: None, ended: Ended::Failed, ..sent(1_500) });
    assert_eq!(arrivals.rates(), Some((2.0, 2.0)), "3 of 4 in the time of 3");
}

#[test]
fn client_lag_is_held_against_the_median_itl() {
    let kind = CheckKind::ClientLag;
    let lag = |ns: f64| move |e: &mut Evidence| e.stages[0].client_lag_p99_ns = Some(ns);
    expect(kind, PASS, "p99 499 µs at ITL 10.0 ms p50 (4.99 %)", lag(499e3));
    expect(kind, WARN, "(5.00 %)", lag(500e3));
    expect(kind, WARN, "(10.0 %)", lag(1e6));
    expect(kind, FAIL, "(10.1 %)", lag(1.01e6));
    expect(kind, PASS, "p99 5.00 ms", |e| {
        lag(5e6)(e);
        e.clock = ClockSource::Capture;
    });
    // With chunks that came together the median is no gap: the mean, and it says so.
    expect(kind, WARN, "ITL 11.0 ms mean (its median", |e| {
        e.stages[0].itl_p50_ns = Some(0.0);
        e.stages[0].client_lag_p99_ns = Some(1.1e6);
    });
    expect(kind, UNKNOWN, "no kernel stamps", |e| e.stages[0].client_lag_p99_ns = None);
}

#[test]
fn the_worst_stage_is_named() {
    expect(CheckKind::ClientLag, FAIL, "(20.0 %) in cc 64", |e| {
        let mut late = clean_stage();
        late.label = "cc 64".into();
        late.client_lag_p99_ns = Some(2e6);
        e.stages.insert(0, late);
    });
}

#[test]
fn threads_have_cpu_to_spare() {
    let kind = CheckKind::ClientCpu;
    let busy = |share: f64| move |e: &mut Evidence| e.stages[0].busiest_thread = Some(share);
    expect(kind, PASS, "69.9 %", busy(0.699));
    expect(kind, WARN, "70.0 %", busy(0.7));
    expect(kind, WARN, "89.9 %", busy(0.899));
    expect(kind, FAIL, "90.0 %", busy(0.9));
    expect(kind, UNKNOWN, "not told", |e| e.stages[0].busiest_thread = None);
}

#[test]
fn the_clients_error_is_small_against_what_it_measured() {
    let kind = CheckKind::Calibrated;
    let set = |change: fn(&mut Calibration, f64), value: f64| {
        move |e: &mut Evidence| {
            if let Some(calibration) = &mut e.calibration {
                change(calibration, value);
            }
        }
    };
    let ttft = |ns| set(|c, v| c.ttft_error = error(v), ns);
    expect(kind, PASS, "TTFT error p99 1.00 ms at TTFT p50 100 ms", ttft(1e6));
    expect(kind, WARN, "TTFT error p99 1.10 ms", ttft(1.1e6));
    expect(kind, WARN, "5.00 ms", ttft(5e6));
    expect(kind, FAIL, "5.10 ms", ttft(5.1e6));
    // 100 µs are fine however short the TTFT is.
    expect(kind, PASS, "TTFT p50 2.00 ms", |e| {
        ttft(100e3)(e);
        e.stages[0].ttft_p50_ns = Some(2e6);
    });
    let itl = |ns| set(|c, v| c.itl_error = error(v), ns);
    expect(kind, PASS, "ITL error p99 1.00 ms at ITL p50 10.0 ms", itl(1e6));
    expect(kind, WARN, "ITL error p99 1.01 ms", itl(1.01e6));
    expect(kind, FAIL, "ITL error p99 2.51 ms", itl(2.51e6));
    let most = |rate| set(|c, v| c.max_tokens_per_second = v, rate);
    expect(kind, PASS, "800 tok/s of 801", most(801.0));
    expect(kind, FAIL, "800 tok/s of 799", most(799.0));
    expect(kind, WARN, "calibrated at 400", |e| {
        most(1_500.0)(e);
        set(|c, v| c.tokens_per_second = v, 400.0)(e);
    });
    expect(kind, UNKNOWN, "not calibrated", |e| e.calibration = None);
}

#[test]
fn the_clock_is_the_kernels() {
    let kind = CheckKind::Clock;
    expect(kind, PASS, "kernel", |e| e.stages[0].counts.unstamped = 40);
    expect(kind, WARN, "41 of 4,000 chunks had no stamp", |e| e.stages[0].counts.unstamped = 41);
    expect(kind, WARN, "userland", |e| e.clock = ClockSource::Userland);
    let capture = |lost: u64, unresolved_chunks: u64| {
        move |e: &mut Evidence| {
            e.clock = ClockSource::Capture;
            e.capture = Some(CaptureInfo {
                segments: 9_000,
                lost,
                resolved_chunks: 4_000,
                unresolved_chunks,
            });
        }
    };
    expect(kind, PASS, "4,000 chunks", capture(0, 0));
    expect(kind, WARN, "1 segment lost", capture(1, 0));
    expect(kind, WARN, "2 of 4,002 chunks not", capture(0, 2));
}

#[test]
fn chunks_have_tokens_and_arrivals_of_their_own() {
    let counts = |change: fn(&mut Counts)| move |e: &mut Evidence| change(&mut e.stages[0].counts);
    let kind = CheckKind::ChunkTokens;
    expect(kind, WARN, "assumed in 7 of 1,000", counts(|c| c.chunks_assumed = 7));
    expect(kind, FAIL, "no usage in 1 of 1,000", counts(|c| c.tokens_untold = 1));
    expect(kind, UNKNOWN, "nothing was answered", counts(|c| c.completed = 0));
    let kind = CheckKind::ChunksApart;
    expect(kind, PASS, "1.00 % of 4,000 chunks", counts(|c| c.coalesced = 40));
    expect(kind, WARN, "10.0 %", counts(|c| c.coalesced = 400));
    expect(kind, FAIL, "10.0 %", counts(|c| c.coalesced = 401));
}

#[test]
fn full_load_and_samples_suffice() {
    let kind = CheckKind::SteadyWindow;
    expect(kind, PASS, "3.00 s or more", |_| {});
    expect(kind, WARN, "too short in 1 stage: cc 8", |e| {
        e.stages[0].steady = Some(SteadyEvidence { seconds: 2.9, e2e_p50_ns: Some(1e9) });
    });
    expect(kind, WARN, "cc 8", |e| e.stages[0].steady_stands = false);
    expect(kind, WARN, "cc 8", |e| e.stages[0].steady = None);
    let kind = CheckKind::Samples;
    let samples = |n: u64| move |e: &mut Evidence| e.stages[0].ttft_samples = Some(n);
    expect(kind, PASS, "662 requests", samples(662));
    expect(kind, WARN, "p99 of 1 and p95 of 0 of 1 stage", samples(661));
    expect(kind, WARN, "p99 of 1 and p95 of 1", samples(129));
    expect(kind, UNKNOWN, "no answer", |e| e.stages[0].ttft_samples = None);
}

#[test]
fn the_server_is_ours_alone_and_counts_alike() {
    let server = |change: fn(&mut EngineDelta)| {
        move |e: &mut Evidence| {
            if let Some(delta) = &mut e.stages[0].server {
                change(delta);
            }
        }
    };
    let unread = |e: &mut Evidence| e.stages[0].server = None;
    let kind = CheckKind::TokenCounts;
    expect(kind, FAIL, "10,016 by the server", server(|d| d.prompt_tokens = Some(10_016)));
    expect(kind, WARN, "output 4,001, 4,000", |e| {
        server(|d| d.generation_tokens = Some(4_001))(e);
        e.stages[0].counts.sent_uncounted = 1;
    });
    expect(kind, UNKNOWN, "not read", unread);
    let kind = CheckKind::OtherTraffic;
    expect(kind, FAIL, "2 requests beside our 1,000", server(|d| d.requests = Some(1_002)));
    expect(kind, PASS, "0 beside", server(|d| d.requests = Some(998)));
    expect(kind, UNKNOWN, "not exported", unread);
    let kind = CheckKind::Preemptions;
    expect(kind, WARN, "5", server(|d| d.preemptions = Some(5)));
    expect(kind, UNKNOWN, "not exported", unread);
    let kind = CheckKind::SameServer;
    expect(kind, FAIL, "restarted", server(|d| d.restarted = true));
    expect(kind, FAIL, "1 server was restarted", |e| {
        e.servers.add(&EngineSample {
            process_start_unix_s: Some(1e9 + 60.0),
            ..EngineSample::default()
        });
    });
    expect(kind, UNKNOWN, "no start time", |e| e.servers = ServerStarts::default());
}

#[test]
fn the_gpu_runs_at_full_clocks_for_the_server_alone() {
    let seen = |samples: &[(u64, u32, bool)]| {
        let mut gpu = GpuEvidence::default();
        samples.iter().for_each(|(mask, n, measured)| gpu.add(&gpu_sample(*mask, *n), *measured));
        move |e: &mut Evidence| e.gpu = gpu
    };
    let kind = CheckKind::GpuClocks;
    expect(
        kind,
        WARN,
        "1 of 2 samples throttled: power cap, heat (hardware)",
        seen(&[(1, 1, true), (0x44, 1, true)]),
    );
    expect(kind, PASS, "0 of 1 sample", seen(&[(1, 1, true), (0x40, 1, false)]));
    expect(kind, UNKNOWN, "the device does not tell", seen(&[(0x40, 1, false)]));
    expect(kind, UNKNOWN, "no GPU", seen(&[]));
    let kind = CheckKind::GpuShared;
    expect(kind, WARN, "up to 2 processes on GPU 0", seen(&[(1, 1, true), (1, 2, true)]));
    expect(kind, WARN, "0 to 1 on GPU 0", seen(&[(1, 0, true), (1, 1, true)]));
    expect(kind, UNKNOWN, "no process", seen(&[(1, 0, true)]));
    expect(kind, UNKNOWN, "no GPU", seen(&[]));
}
