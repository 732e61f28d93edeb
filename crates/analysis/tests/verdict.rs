//! Each check of the verdict, passing and not.

mod support;

use support::{Run, at, counters, gpu, refused, request, stage, two_users};
use vllm_bench_analysis::{Dataset, Summary};
use vllm_bench_record::{
    Calibration, CaptureInfo, Check, CheckKind, CheckStatus, ChunkTokenSource, ClientCpu,
    ClockSource, ErrorQuantiles, GpuSample, GpuSource, OpenLoad, Phase, RequestRecord, StageLoad,
    TokenCount, TokenCountSource,
};

/// One user, 700 requests of 100 ms each, all as it should be.
fn clean() -> Run {
    let mut measured = stage("cc 1", Phase::Measure, 1);
    measured.engine_before = vec![counters(0, 0, 0, 0, 0)];
    measured.engine_after = vec![counters(7_000, 2_800, 700, 0, 0)];
    measured.finished_at_ns = Some(at(70_000));
    let mut run = Run::new(vec![measured]);
    run.requests = (0..700_u64)
        .map(|i| {
            let sent = i * 100;
            let mut r = request(
                &format!("r{i}"),
                0,
                sent,
                &[(sent + 70, 1), (sent + 80, 1), (sent + 90, 1), (sent + 100, 1)],
            );
            r.cached_tokens = Some(0);
            r.chunks
                .iter_mut()
                .for_each(|c| c.client_lag = Some(std::time::Duration::from_micros(50)));
            r
        })
        .collect();
    run.gpu = vec![gpu(1_000, 0x1)];
    run.manifest.clock = ClockSource::Kernel;
    run.manifest.stages[0].client_cpu =
        Some(ClientCpu { total_ns: 7e9 as u64, busiest_share: 0.1 });
    run.manifest.calibration = Some(calibration());
    run
}

fn calibration() -> Calibration {
    let error = ErrorQuantiles { count: 1_000, p50_ns: 10e3, p99_ns: 50e3 };
    Calibration {
        streams: 1,
        tokens_per_second: 100.0,
        events: 1_000,
        coalesced: 0,
        arrival_error: error,
        ttft_error: error,
        itl_error: error,
        max_tokens_per_second: 100e3,
        cpu_ns_per_token: 3e3,
        seconds: 2.0,
    }
}

fn check(run: &Run, kind: CheckKind) -> Check {
    let summary = Summary::of(&Dataset::open(run.write()).expect("readable")).expect("a summary");
    summary.verdict.checks.into_iter().find(|c| c.kind == kind).expect("every kind is checked")
}

#[track_caller]
fn expect(kind: CheckKind, status: CheckStatus, figure: &str, change: impl FnOnce(&mut Run)) {
    let mut run = clean();
    change(&mut run);
    let check = check(&run, kind);
    assert_eq!(check.status, status, "{check:?}");
    assert!(check.figure.contains(figure), "{check:?}");
    assert_eq!(check.advice.is_none(), status == CheckStatus::Pass, "{check:?}");
}

#[test]
fn a_clean_run_passes_every_check() {
    let summary =
        Summary::of(&Dataset::open(clean().write()).expect("readable")).expect("a summary");
    let doubts: Vec<_> =
        summary.verdict.checks.iter().filter(|c| c.status != CheckStatus::Pass).collect();
    assert!(doubts.is_empty(), "{doubts:#?}");
    assert_eq!(summary.verdict.checks.len(), CheckKind::ALL.len());
    assert!(summary.verdict.checks.iter().map(|c| c.kind).eq(CheckKind::ALL));
}

#[test]
fn failures_warn_and_many_fail() {
    let refuse = |n: usize| {
        move |run: &mut Run| {
            for r in &mut run.requests[..n] {
                *r = refused(
                    &r.request_id.clone(),
                    0,
                    r.scheduled_at.as_nanos() / 1_000_000,
                    0,
                    503,
                    "busy",
                );
            }
        }
    };
    expect(CheckKind::Errors, CheckStatus::Warn, "7 of 700 failed (1.00 %)", refuse(7));
    expect(CheckKind::Errors, CheckStatus::Fail, "8 of 700", refuse(8));
    expect(CheckKind::Errors, CheckStatus::Fail, "no request ended", |run| run.requests.clear());
}

#[test]
fn a_prompt_sent_twice_fails_though_once_in_warm_up() {
    expect(CheckKind::SentOnce, CheckStatus::Fail, "1 prompt was", |run| {
        run.manifest.stages.push(stage("warm-up", Phase::Warmup, 1));
        let again =
            RequestRecord { request_id: "again".into(), stage_index: 1, ..run.requests[0].clone() };
        run.requests.push(again);
    });
    // Turns of one conversation share the prompt's id.
    expect(CheckKind::SentOnce, CheckStatus::Pass, "none twice", |run| {
        run.requests[1].prompt_id = run.requests[0].prompt_id.clone();
        run.requests[1].turn = 1;
    });
}

#[test]
fn the_cache_is_seen_in_answers_or_counters() {
    let kind = CheckKind::CacheFree;
    expect(kind, CheckStatus::Warn, "cached tokens 16", |run| {
        run.requests[0].cached_tokens = Some(16)
    });
    expect(kind, CheckStatus::Fail, "server's hits 1,600", |run| {
        run.manifest.stages[0].engine_after = vec![counters(7_000, 2_800, 700, 1_600, 0)];
    });
    expect(kind, CheckStatus::Warn, "shared leading blocks 3", |run| {
        run.manifest.corpus.shared_leading_blocks = Some(3);
    });
    expect(kind, CheckStatus::Unknown, "cached tokens unknown, server's hits unknown", |run| {
        run.requests.iter_mut().for_each(|r| r.cached_tokens = None);
        run.manifest.stages[0].engine_after.clear();
    });
}

/// The head that all prompts share is cached in production too: its whole blocks are allowed.
#[test]
fn the_shared_head_may_be_cached_and_nothing_beyond_it() {
    let head = |cached: u32| {
        move |run: &mut Run| {
            run.manifest.corpus.shared_head_tokens = Some(40);
            run.requests.iter_mut().for_each(|r| r.cached_tokens = Some(cached));
            let hits = 700 * u64::from(cached);
            run.manifest.stages[0].engine_after = vec![counters(7_000, 2_800, 700, hits, 0)];
        }
    };
    expect(CheckKind::CacheFree, CheckStatus::Pass, "cached tokens 22,400", head(32));
    expect(CheckKind::CacheFree, CheckStatus::Fail, "11,200 beyond the shared head", head(48));
    // A server with larger blocks can cache less of the head.
    expect(CheckKind::CacheFree, CheckStatus::Fail, "22,400 beyond", |run| {
        head(32)(run);
        run.manifest.servers[0].cache_config = [("block_size".to_owned(), "64".to_owned())].into();
    });
}

#[test]
fn token_counts_must_agree() {
    let kind = CheckKind::TokenCounts;
    let after = |sample| move |run: &mut Run| run.manifest.stages[0].engine_after = vec![sample];
    expect(
        kind,
        CheckStatus::Fail,
        "7,016 by the server, 7,000",
        after(counters(7_016, 2_800, 700, 0, 0)),
    );
    expect(kind, CheckStatus::Warn, "output 2,799, 2,796", |run| {
        run.manifest.stages[0].engine_after = vec![counters(7_000, 2_799, 700, 0, 0)];
        run.requests[0] = refused("r0", 0, 0, 100, 500, "died");
    });
    expect(kind, CheckStatus::Unknown, "not read", |run| {
        run.manifest.stages[0].engine_after.clear()
    });
    expect(
        CheckKind::OtherTraffic,
        CheckStatus::Fail,
        "2 requests beside our 700",
        after(counters(7_000, 2_800, 702, 0, 0)),
    );
    expect(
        CheckKind::Preemptions,
        CheckStatus::Warn,
        "5",
        after(counters(7_000, 2_800, 700, 0, 5)),
    );
    expect(CheckKind::SameServer, CheckStatus::Fail, "restarted", |run| {
        run.manifest.stages[0].engine_after[0].process_start_unix_s = Some(1e9 + 60.0);
    });
}

#[test]
fn early_stops_are_worse_where_eos_was_ignored() {
    let short = |reason: &'static str| {
        move |run: &mut Run| {
            run.requests[0].output_tokens =
                Some(TokenCount { count: 3, source: TokenCountSource::Usage });
            run.requests[0].finish_reason = Some(reason.into());
        }
    };
    expect(CheckKind::EarlyStops, CheckStatus::Warn, "1 of 700 answers", short("stop"));
    expect(
        CheckKind::EarlyStops,
        CheckStatus::Fail,
        "1 by the server's length limit",
        short("length"),
    );
    expect(CheckKind::EarlyStops, CheckStatus::Fail, "0 by the server's length limit", |run| {
        short("stop")(run);
        run.manifest.scenario.ignore_eos = true;
    });
    expect(CheckKind::EarlyStops, CheckStatus::Pass, "no length", |run| {
        run.requests.iter_mut().for_each(|r| r.max_tokens = None);
    });
}

#[test]
fn lateness_of_the_client_shows() {
    let late = |us: u64| {
        move |run: &mut Run| {
            let lag = std::time::Duration::from_micros(us);
            run.requests
                .iter_mut()
                .flat_map(|r| &mut r.chunks)
                .for_each(|c| c.client_lag = Some(lag));
        }
    };
    expect(CheckKind::ClientLag, CheckStatus::Pass, "p99 400 µs at ITL 10.0 ms p50", late(400));
    expect(CheckKind::ClientLag, CheckStatus::Warn, "p99 1.00 ms", late(1_000));
    expect(CheckKind::ClientLag, CheckStatus::Fail, "p99 1.10 ms", late(1_100));
    expect(CheckKind::ClientLag, CheckStatus::Unknown, "no kernel stamps", |run| {
        run.requests.iter_mut().flat_map(|r| &mut r.chunks).for_each(|c| c.client_lag = None);
    });
    let behind = |ms: u64| {
        move |run: &mut Run| {
            run.requests.iter_mut().for_each(|r| {
                r.scheduled_at = r.scheduled_at - std::time::Duration::from_millis(ms)
            });
        }
    };
    expect(
        CheckKind::ScheduleKept,
        CheckStatus::Warn,
        "send lag p99 7.00 ms at TTFT p50 70.0 ms",
        behind(7),
    );
    expect(CheckKind::ScheduleKept, CheckStatus::Fail, "send lag p99 8.00 ms", behind(8));
}

#[test]
fn assumed_tokens_are_doubted() {
    expect(CheckKind::ChunkTokens, CheckStatus::Warn, "assumed in 700 of 700", |run| {
        run.requests.iter_mut().for_each(|r| r.chunk_token_source = ChunkTokenSource::Assumed);
    });
    expect(CheckKind::ChunkTokens, CheckStatus::Fail, "no usage in 1 of 700", |run| {
        run.requests[0].output_tokens =
            Some(TokenCount { count: 4, source: TokenCountSource::Chunks });
    });
}

#[test]
fn chunks_that_were_read_together_are_doubted() {
    let together = |n: usize| {
        move |run: &mut Run| {
            run.requests.iter_mut().take(n).for_each(|r| r.chunks[0].coalesced = true)
        }
    };
    // Of 2,800 chunks.
    expect(CheckKind::ChunksApart, CheckStatus::Pass, "1.00 % of 2,800 chunks", together(28));
    expect(CheckKind::ChunksApart, CheckStatus::Warn, "10.0 %", together(280));
    expect(CheckKind::ChunksApart, CheckStatus::Fail, "10.0 %", together(281));
}

#[test]
fn throttling_counts_within_measured_stages_only() {
    let kind = CheckKind::GpuClocks;
    expect(
        kind,
        CheckStatus::Warn,
        "1 of 2 samples throttled: power cap, heat (hardware)",
        |run| {
            run.gpu.push(gpu(2_000, 0x44));
        },
    );
    expect(kind, CheckStatus::Pass, "0 of 1 sample", |run| run.gpu.push(gpu(80_000, 0x40)));
    expect(kind, CheckStatus::Unknown, "simulated", |run| run.gpu[0].source = GpuSource::Simulated);
    expect(kind, CheckStatus::Unknown, "no GPU", |run| run.gpu.clear());
}

#[test]
fn each_gpu_is_one_process_s() {
    let kind = CheckKind::GpuShared;
    let sample = |gpu_index, ms, processes| GpuSample { gpu_index, processes, ..gpu(ms, 0) };
    let with = |samples: &[(u32, u64, Option<u32>)]| {
        let samples: Vec<_> = samples.iter().map(|(i, ms, p)| sample(*i, *ms, *p)).collect();
        move |run: &mut Run| run.gpu = samples
    };
    let one = Some(1);
    expect(kind, CheckStatus::Pass, "one on the GPU", with(&[(0, 10, one), (0, 20, one)]));
    expect(kind, CheckStatus::Pass, "each of 2 GPUs", with(&[(0, 10, one), (1, 10, one)]));
    let idle = [(0, 10, one), (1, 10, Some(0)), (2, 10, Some(0))];
    expect(kind, CheckStatus::Pass, "one on 1 GPU, none on 2 more", with(&idle));
    // After the measured stage nobody looks.
    expect(kind, CheckStatus::Pass, "one on the GPU", with(&[(0, 10, one), (0, 80_000, Some(3))]));
    let guest = [(0, 10, one), (1, 10, one), (1, 20, Some(3)), (1, 30, one)];
    expect(kind, CheckStatus::Warn, "up to 3 processes on GPU 1", with(&guest));
    let both = [(0, 10, Some(2)), (1, 10, Some(2))];
    expect(kind, CheckStatus::Warn, "on GPU 1, more than one on 1 other GPU", with(&both));
    expect(kind, CheckStatus::Warn, "0 to 1 on GPU 0", with(&[(0, 10, one), (0, 20, Some(0))]));
    expect(kind, CheckStatus::Unknown, "shows no process", with(&[(0, 10, Some(0))]));
    expect(kind, CheckStatus::Unknown, "does not tell", with(&[(0, 10, None)]));
    expect(kind, CheckStatus::Unknown, "no GPU was sampled", with(&[]));
    expect(kind, CheckStatus::Unknown, "simulated", |run| {
        run.gpu[0].source = GpuSource::Simulated;
    });
}

#[test]
fn short_windows_and_few_samples_are_doubted() {
    expect(CheckKind::Samples, CheckStatus::Warn, "p99 of 1 and p95 of 0 of 1 stage", |run| {
        run.requests.truncate(661)
    });
    expect(CheckKind::SteadyWindow, CheckStatus::Warn, "cc 1", |run| run.requests.truncate(2));
    let run = two_users();
    assert_eq!(check(&run, CheckKind::SteadyWindow).status, CheckStatus::Warn);
}

#[test]
fn rows_that_are_missing_fail_the_run() {
    expect(CheckKind::RunComplete, CheckStatus::Fail, "1 request is not recorded", |run| {
        run.manifest.stages[0].planned_requests = Some(701);
    });
}

#[test]
fn what_the_manifest_tells_of_the_client_is_judged() {
    let kind = CheckKind::ClientCpu;
    expect(kind, CheckStatus::Pass, "10.0 %", |_| {});
    expect(kind, CheckStatus::Unknown, "not told", |run| run.manifest.stages[0].client_cpu = None);
    let kind = CheckKind::Calibrated;
    expect(kind, CheckStatus::Pass, "ITL error p99 50.0 µs at ITL p50 10.0 ms", |_| {});
    expect(kind, CheckStatus::Pass, "40.0 tok/s of 100,000", |_| {});
    expect(kind, CheckStatus::Unknown, "not calibrated", |run| run.manifest.calibration = None);
    let kind = CheckKind::Clock;
    expect(kind, CheckStatus::Warn, "2,800 of 2,800 chunks had no stamp", |run| {
        run.requests.iter_mut().flat_map(|r| &mut r.chunks).for_each(|c| c.client_lag = None);
    });
    expect(kind, CheckStatus::Warn, "userland", |run| run.manifest.clock = ClockSource::Userland);
    expect(kind, CheckStatus::Warn, "3 segments lost", |run| {
        run.manifest.clock = ClockSource::Capture;
        run.manifest.capture = Some(CaptureInfo { lost: 3, ..CaptureInfo::default() });
    });
}

/// 700 requests due at 10 a second, the last ones sent late enough to stretch 69.9 s.
#[test]
fn an_open_loop_is_held_to_its_rate() {
    let kind = CheckKind::ScheduleKept;
    let open = |last_late_ms: u64, capped: u64| {
        move |run: &mut Run| {
            run.manifest.stages[0].load = StageLoad::Open(OpenLoad {
                rate: 10.0,
                arrivals: "constant".into(),
                profile: None,
                warmup: std::time::Duration::from_secs(1),
                max_in_flight: None,
                last_arrival: None,
                capped,
                left_out: Vec::new(),
            });
            let last = run.requests.last_mut().expect("700 requests");
            last.scheduled_at = last.scheduled_at - std::time::Duration::from_millis(last_late_ms);
        }
    };
    // One late request in 700 is not in the p99 of send lag, but in the rate.
    expect(kind, CheckStatus::Pass, "10.0 of 10.0 req/s sent (100 %)", open(0, 0));
    expect(kind, CheckStatus::Warn, "2 requests waited for max_in_flight", open(0, 2));
    let steady = check(
        &{
            let mut run = clean();
            open(0, 0)(&mut run);
            run
        },
        CheckKind::SteadyWindow,
    );
    assert_eq!(
        (steady.status, steady.figure.as_str()),
        (CheckStatus::Pass, "68.9 s or more in every stage")
    );
}
