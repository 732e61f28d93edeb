//! Figures worked out by hand against those of a written run directory.

mod support;

use support::{Run, at, refused, request, stage, timings, two_users};
use vllm_bench_analysis::{AnalysisError, Dataset, FiguresFrom, Stat, Summary, TimeSplitSource};
use vllm_bench_record::{
    EngineSample, FailureCause, HistogramTotals, Level, Outcome, Phase, ServerTimings,
};

fn summary(run: &Run) -> Summary {
    Summary::of(&Dataset::open(run.write()).expect("a readable run")).expect("known objectives")
}

#[track_caller]
fn close(found: impl Into<Option<f64>>, expected: f64) {
    let found = found.into().expect("a figure");
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{found}, by hand {expected}"
    );
}

fn ms(stat: Option<Stat>) -> Stat {
    stat.expect("samples")
}

#[test]
fn the_whole_stage() {
    let summary = summary(&two_users());
    assert_eq!(summary.stages.len(), 1, "warm-up is no stage of the summary");
    let stage = &summary.stages[0];
    assert_eq!((stage.index, stage.label.as_str()), (1, "cc 2"));
    assert_eq!((stage.level, &stage.open), (Level::Concurrency(2), &None));
    assert_eq!((stage.requests, stage.completed, stage.failed, stage.cancelled), (4, 3, 1, 0));
    close(stage.success_rate, 0.75);
    assert_eq!(stage.early_stops, Some(1), "r3 has 2 of 4 tokens");
    assert_eq!(summary.totals.warmup_requests, 1);

    let whole = stage.whole.as_ref().expect("requests");
    assert_eq!((whole.from_ns, whole.to_ns), (at(1_000), at(1_500)));
    close(whole.sent_per_s, 8.0);
    close(whole.completed_per_s, 6.0);
    close(whole.output_tokens_per_s, 20.0); // 4 + 4 + 2 in 0.5 s
    close(whole.total_tokens_per_s, 140.0); // and 10 + 20 + 30
    close(whole.in_flight_mean, 1.7); // 50 ms of 1, 350 of 2, 100 of 1
    assert_eq!(whole.in_flight_max, 2);

    let ttft = ms(whole.ttft_ns); // 100, 150, 150
    assert_eq!(ttft.count, 3, "the refused request has no latency");
    close(ttft.mean, 400e6 / 3.0);
    close(ttft.p50.value, 150e6);
    close(ttft.min, 100e6);
    assert!(ttft.p50.low_samples && ttft.p99.low_samples);
    close(ms(whole.ttft_from_schedule_ns).mean, 410e6 / 3.0); // r2 was 10 ms late
    let tpot = ms(whole.tpot_ns); // 40/3, 60/3, 10/1
    close(tpot.p50.value, 13_333_333.0);
    close(tpot.max, 20e6);
    let itl = ms(whole.itl_ns); // 20 10 10 · 20 20 20 · 10
    assert_eq!(itl.count, 7);
    close(itl.mean, 110e6 / 7.0);
    close(itl.p50.value, 20e6);
    let icl = ms(whole.icl_ns); // 20 20 · 60 · 10
    assert_eq!(icl.count, 4);
    close(icl.mean, 27.5e6);
    close(icl.p90.value, 48e6); // between 20 and 60 at rank 2.7
    let e2e = ms(whole.e2e_ns); // 140, 210, 160
    close(e2e.p50.value, 160e6);
    close(e2e.mean, 170e6);
    close(ms(whole.normalised_latency_ns).max, 80e6); // 160 / 2
    close(ms(whole.send_lag_ns).max, 10e6);
    close(ms(whole.client_lag_ns).mean, 200e3);
    close(ms(whole.request_tokens_per_s).max, 4.0 / 0.14);
    close(ms(whole.server.path_ns).mean, 2e6); // r3: 150 here, 148 there

    assert_eq!((whole.cached_tokens, whole.chunks.count), (Some(16), 7));
    close(whole.cached_share, 16.0 / 30.0); // r3 does not tell
    close(whole.chunks.multi_token, 2.0 / 7.0);
    close(whole.chunks.coalesced, 1.0 / 7.0);
    close(whole.chunks.assumed, 0.0);
    let goodput = whole.goodput.expect("objectives");
    assert_eq!(goodput.requests, 1, "only r1 is within 120 ms");
    close(goodput.share, 0.25);
    close(goodput.per_s, 2.0);
}

#[test]
fn the_steady_window() {
    let summary = summary(&two_users());
    let stage = &summary.stages[0];
    let steady = stage.steady.as_ref().expect("both users were busy");
    assert_eq!((steady.from_ns, steady.to_ns), (at(1_050), at(1_400)));
    close(steady.seconds, 0.35);
    // Sent in it: r2, r3, r4. Arrived or ended in it: also what r1 got.
    assert_eq!((steady.sent, steady.completed, steady.failed), (3, 2, 1));
    close(steady.completed_per_s, 3.0 / 0.35);
    close(steady.output_tokens_per_s, 10.0 / 0.35);
    close(steady.total_tokens_per_s, 70.0 / 0.35);
    close(steady.in_flight_mean, 2.0);
    let ttft = ms(steady.ttft_ns);
    assert_eq!(ttft.count, 2);
    close(ttft.p95.value, 150e6);
    assert_eq!(ms(steady.itl_ns).count, 7);
    assert_eq!(stage.figures_from, FiguresFrom::Steady);
    assert_eq!(stage.figures(), Some(steady));
}

/// Gaps and tokens count where they arrive: with user B gone from 1200 ms on, the window ends there.
#[test]
fn the_window_cuts_within_a_request() {
    let mut run = Run::new(vec![stage("cc 2", Phase::Measure, 2)]);
    run.requests = vec![
        request("a", 0, 1_000, &[(1_100, 1), (1_150, 1), (1_210, 1), (1_300, 1)]),
        request("b", 0, 1_050, &[(1_060, 1), (1_200, 1)]),
    ];
    let summary = summary(&run);
    let steady = summary.stages[0].steady.as_ref().expect("150 ms of two");
    assert_eq!((steady.from_ns, steady.to_ns), (at(1_050), at(1_200)));
    close(steady.output_tokens_per_s, 4.0 / 0.15); // a: 1100, 1150; b: 1060, 1200
    let icl = ms(steady.icl_ns); // a: 50; b: 140
    assert_eq!(icl.count, 2);
    close(icl.max, 140e6);
    assert_eq!(steady.sent, 1, "a was sent before the window");
}

#[test]
fn objectives_are_held_against_the_figures() {
    let summary = summary(&two_users());
    let stage = &summary.stages[0];
    let slo = |name: &str| stage.slo.iter().find(|s| s.name == name).expect("asked for");
    assert_eq!(stage.slo.len(), 3);
    assert_eq!((slo("ttft_p95").figure, slo("ttft_p95").met), (Some(150e6), Some(false)));
    assert_eq!((slo("error_rate").figure, slo("error_rate").met), (Some(0.25), Some(false)));
    assert_eq!((slo("itl_p99").met, slo("itl_p99").certain), (Some(true), false));
    assert_eq!(stage.slo_met(), Some(false));
}

#[test]
fn an_unknown_objective_lists_the_known_ones() {
    let mut run = two_users();
    run.manifest.scenario.slo = [("latency_p95".to_owned(), "2s".to_owned())].into();
    let error =
        Summary::of(&Dataset::open(run.write()).expect("readable")).expect_err("no such objective");
    assert!(error.is_bad_input());
    let text = error.to_string();
    assert!(
        text.contains("manifest.json") && text.contains("latency_p95") && text.contains("ttft"),
        "{text}"
    );
}

#[test]
fn counters_stand_beside_our_counts() {
    let counts = summary(&two_users()).stages[0].server.expect("read before and after");
    assert_eq!((counts.prompt_tokens, counts.client_prompt_tokens), (Some(60), 60));
    assert_eq!((counts.generation_tokens, counts.client_output_tokens), (Some(10), 10));
    assert_eq!((counts.requests, counts.client_requests, counts.client_unknown), (Some(4), 4, 1));
    assert_eq!(
        (counts.prefix_cache_hits, counts.preemptions, counts.restarted),
        (Some(16), Some(0), false)
    );
}

/// ```text
///     due sent first last   queue prefill decode   wait network rest   E2E
/// a     0    2   102  202      10      85     99      2       5    1   202
/// b   300  300   500  600     100      99    103      0       1   -3   300
/// c   700  701   801  821      40      63     20      1      -3    0   121
/// ```
#[test]
fn where_the_time_went() {
    let mut run = Run::new(vec![stage("cc 1", Phase::Measure, 1)]);
    let mut a = request("a", 0, 2, &[(102, 1), (202, 1)]);
    (a.scheduled_at, a.server) = (at(0), timings(10.0, 85.0, 99.0));
    let mut b = request("b", 0, 300, &[(500, 1), (600, 1)]);
    b.server = timings(100.0, 99.0, 103.0);
    let mut c = request("c", 0, 701, &[(801, 1), (821, 1)]);
    (c.scheduled_at, c.server) = (at(700), timings(40.0, 63.0, 20.0));
    let silent = request("silent", 0, 900, &[(950, 1), (960, 1)]);
    let mut half = request("half", 0, 1_000, &[(1_050, 1), (1_060, 1)]);
    half.server = Some(ServerTimings { ttft_ms: Some(49.0), ..ServerTimings::default() });
    let mut failed = refused("failed", 0, 1_100, 1_200, 500, "no");
    failed.server = timings(1.0, 1.0, 1.0);
    run.requests = vec![a, b, c, silent, half, failed];
    let split = summary(&run).stages[0].time_split.expect("three carry timings");
    assert_eq!((split.requests, split.completed), (3, 5));
    let parts = [
        (split.client_wait_ns, 1.0, 1.0),
        (split.network_ns, 1.0, 1.0),
        (split.queue_ns, 50.0, 40.0),
        (split.prefill_ns, 247.0 / 3.0, 85.0),
        (split.decode_ns, 74.0, 99.0),
        (split.rest_ns, -2.0 / 3.0, 0.0),
    ];
    for (part, mean, p50) in parts {
        close(part.mean, mean * 1e6);
        close(part.p50, p50 * 1e6);
    }
    close(split.e2e_from_schedule_ns.mean, 623e6 / 3.0);
    close(parts.iter().map(|(part, ..)| part.mean).sum::<f64>(), 623e6 / 3.0);
    close(split.client_decode_ns.mean, 220e6 / 3.0);
    close(split.client_decode_ns.p50, 100e6);
}

#[test]
fn where_the_time_went_is_of_the_figures_window_and_of_streams() {
    let mut run = two_users();
    for r in run.requests.iter_mut().filter(|r| r.request_id != "r3") {
        // r1 is sent before the window, w1 in the warm-up, r4 failed; r2 does not tell.
        r.server = if r.request_id == "r2" { None } else { timings(7.0, 7.0, 7.0) };
    }
    let split = summary(&run).stages[0].time_split.expect("r3 carries timings");
    assert_eq!((split.requests, split.completed), (1, 2));
    close(split.network_ns.mean, 0.5e6); // 150 - 148 - 1.5
    close(split.rest_ns.mean, -2e6); // 10 seen, 12 made

    run.manifest.scenario.stream = false;
    assert_eq!(summary(&run).stages[0].time_split, None, "no first token to count from");
    run.manifest.scenario.stream = true;
    run.requests.iter_mut().for_each(|r| r.server = None);
    assert_eq!(summary(&run).stages[0].time_split, None, "nobody tells");
}

/// Totals of vLLM's histograms: milliseconds of queue, prefill, decode and TTFT of `count` requests.
fn histograms(sample: &mut EngineSample, count: u64, [queue, prefill, decode, ttft]: [f64; 4]) {
    let totals = |ms: f64| Some(HistogramTotals { sum_s: ms / 1e3, count });
    (sample.queue_time, sample.prefill_time) = (totals(queue), totals(prefill));
    (sample.decode_time, sample.ttft) = (totals(decode), totals(ttft));
    sample.e2e_latency = totals(queue + prefill + decode);
}

#[test]
fn without_timings_histograms_tell_where_the_time_of_the_whole_stage_went() {
    let mut run = two_users();
    run.requests.iter_mut().for_each(|r| r.server = None);
    let measured = &mut run.manifest.stages[1];
    histograms(&mut measured.engine_before[0], 7, [70.0, 700.0, 7.0, 800.0]);
    histograms(&mut measured.engine_after[0], 10, [100.0, 1_030.0, 127.0, 1_175.0]);
    let split = summary(&run).stages[0].time_split.expect("histograms were read");
    assert_eq!(split.source, TimeSplitSource::Histograms);
    // r1, r2 and r3 were completed, r1 of them before the window; r4 failed.
    assert_eq!((split.requests, split.completed, split.server_requests), (3, 3, Some(3)));
    assert_eq!(split.difference(), None);
    let parts = [
        (split.client_wait_ns, 10.0 / 3.0),
        (split.network_ns, 400.0 / 3.0 - 120.0),
        (split.queue_ns, 10.0),
        (split.prefill_ns, 110.0),
        (split.decode_ns, 40.0),
        (split.rest_ns, 110.0 / 3.0 - 40.0),
    ];
    for (part, mean) in parts {
        assert!((part.mean - mean * 1e6).abs() < 1.0, "{} is not {mean} ms", part.mean);
        assert_eq!(part.p50, None);
    }
    close(split.e2e_from_schedule_ns.mean, 520e6 / 3.0);
    assert!((parts.iter().map(|(part, _)| part.mean).sum::<f64>() - 520e6 / 3.0).abs() < 1.0);
    close(split.client_decode_ns.mean, 110e6 / 3.0);
    let front_end = split.front_end_ns.expect("of the same requests").mean;
    assert!((front_end - 5e6).abs() < 1.0, "{front_end}");
    let outside = split.outside_ns.expect("of the same requests").mean;
    assert!((outside - 10e6).abs() < 1.0, "170 from sending, 160 by the server: {outside}");

    // One request more on the server, one that was aborted after its first token.
    histograms(&mut run.manifest.stages[1].engine_after[0], 11, [100.0, 1_030.0, 127.0, 1_175.0]);
    run.manifest.stages[1].engine_after[0].ttft = Some(HistogramTotals { sum_s: 1.2, count: 12 });
    let split = summary(&run).stages[0].time_split.expect("shown all the same");
    assert_eq!((split.server_requests, split.difference()), (Some(4), Some(1)));
    assert_eq!(split.front_end_ns, None);

    let ours = run.requests.iter_mut().find(|r| r.request_id == "r3").expect("it is there");
    ours.server = timings(1.5, 148.0, 12.0);
    let split = summary(&run).stages[0].time_split.expect("r3 carries timings");
    assert_eq!(split.source, TimeSplitSource::Answers, "an answer's own timings come first");
    run.manifest.scenario.stream = false;
    assert_eq!(summary(&run).stages[0].time_split, None, "no first token to count from");
}

#[test]
fn errors_are_grouped_most_frequent_first() {
    let mut run = Run::new(vec![stage("cc 1", Phase::Measure, 1)]);
    run.requests = vec![
        refused("a", 0, 0, 10, 503, "busy"),
        refused("b", 0, 10, 20, 429, "slow down"),
        refused("c", 0, 20, 30, 429, "slow down"),
        refused("d", 0, 30, 40, 429, "wait"),
    ];
    if let Outcome::Failed(failure) = &mut run.requests[0].outcome {
        failure.cause = FailureCause::Cut;
    }
    let summary = summary(&run);
    let stage = &summary.stages[0];
    let shown: Vec<_> = stage
        .errors
        .iter()
        .map(|e| (e.cause, e.http_status, e.count, e.example.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            (FailureCause::HttpStatus, Some(429), 3, Some("slow down")),
            (FailureCause::Cut, None, 1, Some("busy"))
        ]
    );
    let whole = stage.whole.as_ref().expect("requests");
    assert_eq!((whole.ttft_ns, whole.itl_ns, whole.cached_tokens), (None, None, None));
    close(whole.output_tokens_per_s, 0.0);
    assert_eq!((stage.early_stops, stage.success_rate), (None, Some(0.0)));
}

#[test]
fn cancelled_requests_are_neither_answered_nor_refused() {
    let mut run = two_users();
    for request in &mut run.requests {
        if request.request_id == "r3" {
            request.outcome = Outcome::Cancelled;
        }
    }
    let stage = &summary(&run).stages[0];
    assert_eq!((stage.completed, stage.failed, stage.cancelled), (2, 1, 1));
    close(stage.success_rate, 2.0 / 3.0);
    let whole = stage.whole.as_ref().expect("requests");
    assert_eq!(ms(whole.ttft_ns).count, 2);
    close(whole.output_tokens_per_s, 20.0); // its tokens arrived all the same
    close(whole.goodput.expect("objectives").share, 1.0 / 3.0);
}

#[test]
fn a_run_without_a_request_has_no_figures() {
    let summary = summary(&Run::new(vec![
        stage("cc 1", Phase::Measure, 1),
        stage("cc 2", Phase::Measure, 2),
    ]));
    assert_eq!(summary.stages.len(), 2);
    let stage = &summary.stages[0];
    assert_eq!((stage.figures(), stage.success_rate, stage.slo_met()), (None, None, None));
    assert!(summary.warnings.iter().any(|w| w.contains("no request")), "{:?}", summary.warnings);
    assert_eq!(summary.totals.success_rate, None);
}

#[test]
fn what_is_no_run_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Dataset::open(folder.path()).expect_err("no manifest");
    assert!(matches!(error, AnalysisError::NoRun { .. }), "{error}");
}
