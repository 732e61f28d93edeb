//! Open loops, searches and the client's own error: figures worked out by hand, and every text.

mod support;

use std::fs;
use std::time::Duration;

use serde_json::Value;
use support::{Run, at, refused, request, stage, two_users};
use vllm_bench_analysis::compare::{compare, terminal as compared};
use vllm_bench_analysis::table::{Look, terminal};
use vllm_bench_analysis::{Dataset, FiguresFrom, StageSummary, Summary, csv, markdown};
use vllm_bench_record::{
    Calibration, Capacity, CaptureInfo, ClockSource, ErrorQuantiles, Level, OpenLoad, Phase, Probe,
    ProbeObjective, ProbeOutcome, RequestRecord, SearchAxis, SearchInfo, StageEnd, StageInfo,
    StageLoad, layout,
};

fn summary(run: &Run) -> Summary {
    let mut summary = Summary::of(&Dataset::open(run.write()).expect("a readable run"))
        .expect("known objectives");
    summary.run.run_dir = "results/test".into();
    summary
}

fn open(rate: f64, warmup_ms: u64) -> OpenLoad {
    OpenLoad {
        rate,
        arrivals: "poisson".into(),
        profile: None,
        warmup: Duration::from_millis(warmup_ms),
        max_in_flight: Some(2),
        last_arrival: None,
        capped: 0,
        left_out: Vec::new(),
    }
}

/// A stage from 1,000 ms to 4,000 ms after run start.
fn open_stage(label: &str, load: OpenLoad) -> StageInfo {
    StageInfo {
        started_at_ns: Some(at(1_000)),
        finished_at_ns: Some(at(4_000)),
        ..StageInfo {
            load: StageLoad::Open(load),
            ended: Some(StageEnd::Precise),
            ..stage(label, Phase::Measure, 1)
        }
    }
}

/// Due at `due_ms`, sent at `sent_ms`, first token 100 ms later, ended 400 ms later.
fn arrival(id: &str, stage: u32, due_ms: u64, sent_ms: u64) -> RequestRecord {
    let mut record = request(id, stage, sent_ms, &[(sent_ms + 100, 1), (sent_ms + 400, 3)]);
    record.scheduled_at = at(due_ms);
    record
}

/// Five arrivals, at most two in flight.
///
/// ```text
/// ms    1000     1400  1600  1700        2000         2500
/// a     ─────────▶ (1400)
/// b              ──────────────▶ (1800)
/// c                    ──────────────────▶ (2000)
/// d     due at 1700, waits for b ─ sent 1800 ───────▶ (2200)
/// e     due at 2500, refused at 2510
/// ```
fn five_arrivals(load: OpenLoad) -> Run {
    let mut run = Run::new(vec![stage("warm-up", Phase::Warmup, 1), open_stage("4 req/s", load)]);
    let mut refused = refused("e", 1, 2_500, 2_510, 503, "Service Unavailable");
    refused.scheduled_at = at(2_500);
    run.requests = vec![
        arrival("a", 1, 1_000, 1_000),
        arrival("b", 1, 1_400, 1_400),
        arrival("c", 1, 1_600, 1_600),
        arrival("d", 1, 1_700, 1_800),
        refused,
    ];
    run
}

#[track_caller]
fn close(found: Option<f64>, expected: f64) {
    let found = found.expect("a figure");
    assert!((found - expected).abs() < 1e-9, "{found}, by hand {expected}");
}

fn only(summary: &Summary) -> &StageSummary {
    assert_eq!(summary.stages.len(), 1);
    &summary.stages[0]
}

#[test]
fn the_steady_window_begins_after_the_warm_up_and_ends_at_the_last_arrival() {
    let mut load = open(4.0, 500);
    load.capped = 1;
    let summary = summary(&five_arrivals(load.clone()));
    let stage = only(&summary);
    assert_eq!((stage.level, stage.open.as_ref()), (Level::Rate(4.0), Some(&load)));
    assert_eq!(stage.ended, Some(StageEnd::Precise));
    assert_eq!(stage.figures_from, FiguresFrom::Steady);
    let steady = stage.figures().expect("figures");
    assert_eq!((steady.from_ns, steady.to_ns), (at(1_500), at(2_500)));
    // c and d were due in it; e at its end is due after it and was sent at its end.
    close(steady.due_per_s, 2.0);
    close(steady.sent_per_s, 3.0);
    // b at 1800, c at 2000, d at 2200 ended in it.
    close(steady.completed_per_s, 3.0);
    assert_eq!((steady.sent, steady.completed, steady.failed), (3, 2, 1));
    // b until 1800, c 1600 to 2000, d 1800 to 2200, e from 2500 on.
    close(steady.in_flight_mean, 0.3 + 0.4 + 0.4);
    assert_eq!(steady.in_flight_max, 2);
    let ttft = steady.ttft_ns.expect("two answers");
    let from_schedule = steady.ttft_from_schedule_ns.expect("two answers");
    assert_eq!((ttft.min, ttft.max), (100e6, 100e6));
    assert_eq!((from_schedule.min, from_schedule.max), (100e6, 200e6));
    assert!(steady.waits_to_send(), "one request waited 100 ms");
    assert_eq!(steady.send_lag_ns.expect("three sent").max, 100e6);
}

#[test]
fn the_window_ends_with_the_plan_or_with_what_came_of_it() {
    let window = |load: OpenLoad, finished: u64| {
        let mut run = five_arrivals(load);
        run.manifest.stages[1].finished_at_ns = Some(at(finished));
        let summary = summary(&run);
        let stage = only(&summary);
        (stage.figures_from, stage.steady.as_ref().map(|w| (w.from_ns, w.to_ns)))
    };
    let steady = |from, to| (FiguresFrom::Steady, Some((at(from), at(to))));
    let planned = |ms| OpenLoad { last_arrival: Some(Duration::from_millis(ms)), ..open(4.0, 500) };
    assert_eq!(window(planned(700), 4_000), steady(1_500, 1_700));
    // Stopped at 2,300: what was due later is no arrival.
    assert_eq!(window(planned(1_500), 2_300), steady(1_500, 1_700));
    // One answer of four is enough: the warm-up was declared.
    assert_eq!(window(open(4.0, 750), 4_000), steady(1_750, 2_500));
    assert_eq!(window(open(4.0, 5_000), 4_000), (FiguresFrom::Whole, None));
}

#[test]
fn a_load_is_one_key_of_summary_and_manifest_and_older_ones_are_read() {
    let stage_of = |run: &Run| {
        let text = serde_json::to_string(&summary(run)).expect("plain data");
        let back: Summary = serde_json::from_str(&text).expect("its own text");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(serde_json::to_value(back.stages[0].level).expect("plain"), {
            let key = if value["stages"][0]["rate"].is_null() { "concurrency" } else { "rate" };
            serde_json::json!({ key: value["stages"][0][key] })
        });
        assert_eq!(back.stages[0].open, summary(run).stages[0].open);
        value["stages"][0].clone()
    };
    let open_loop = stage_of(&five_arrivals(open(4.0, 500)));
    assert_eq!((&open_loop["rate"], &open_loop["concurrency"]), (&4.0.into(), &Value::Null));
    let closed = stage_of(&two_users());
    assert_eq!((&closed["concurrency"], &closed["rate"]), (&2.into(), &Value::Null));

    // A manifest of before open loops: `concurrency` alone, none of the keys that came with them.
    let run = two_users();
    let run_dir = run.write();
    let path = layout::manifest_path(&run_dir);
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    for key in ["calibration", "search", "capture"] {
        manifest.as_object_mut().expect("an object").remove(key);
    }
    for stage in manifest["stages"].as_array_mut().expect("stages") {
        stage.as_object_mut().expect("an object").remove("client_cpu");
    }
    let text = serde_json::to_string_pretty(&manifest).expect("plain data");
    assert!(text.contains("\"concurrency\": 2,"), "{text}");
    fs::write(&path, text).expect("written");
    let old = Summary::of(&Dataset::open(&run_dir).expect("still readable")).expect("figures");
    assert_eq!(old.stages[0].level, Level::Concurrency(2));
    let fresh = two_users();
    assert_eq!(old.stages, summary(&fresh).stages);
}

fn error(p99_ns: f64) -> ErrorQuantiles {
    ErrorQuantiles { count: 1_000, p50_ns: p99_ns / 3.0, p99_ns }
}

fn calibration() -> Calibration {
    Calibration {
        streams: 64,
        tokens_per_second: 6_400.0,
        events: 12_800,
        coalesced: 0,
        arrival_error: error(5_000.0),
        ttft_error: error(9_000.0),
        itl_error: error(2_000.0),
        max_tokens_per_second: 190_000.0,
        cpu_ns_per_token: 4_000.0,
        seconds: 2.0,
    }
}

/// Two probes and one that confirms.
fn searched() -> Run {
    let probe = |stage, rate, confirms, outcome, ms: f64| Probe {
        stage,
        level: Level::Rate(rate),
        confirms,
        outcome,
        objectives: vec![ProbeObjective {
            slo: "ttft_from_schedule_p99 <= 500ms".into(),
            value: Some(ms * 1e6),
            interval: Some((ms * 0.9e6, ms * 1.1e6)),
            holds: outcome == ProbeOutcome::Holds,
        }],
    };
    let stages = vec![
        stage("warm-up", Phase::Warmup, 1),
        open_stage("probe 1", open(12.34, 0)),
        open_stage("probe 2", open(12.9, 0)),
        open_stage("probe 3", open(12.34, 0)),
    ];
    let mut run = Run::new(stages);
    run.requests = (1..4)
        .flat_map(|stage| {
            (0..6).map(move |i| {
                let due = 1_000 + i * 80;
                arrival(&format!("s{stage}r{i}"), stage, due, due + u64::from(stage == 2) * 150)
            })
        })
        .collect();
    run.manifest.search = Some(SearchInfo {
        over: SearchAxis::Rate,
        from: 1.0,
        to: 64.0,
        precision: 0.05,
        probes: vec![
            probe(1, 12.34, false, ProbeOutcome::Holds, 412.0),
            probe(2, 12.9, false, ProbeOutcome::Fails, 611.0),
            probe(3, 12.34, true, ProbeOutcome::Holds, 415.0),
        ],
        answer: Some(Capacity { holds: 12.34, fails: Some(12.9) }),
        ended: Some("the bracket is narrow enough".into()),
    });
    run.manifest.calibration = Some(calibration());
    run.manifest.clock = ClockSource::Capture;
    run.manifest.capture =
        Some(CaptureInfo { segments: 120, lost: 1, resolved_chunks: 35, unresolved_chunks: 1 });
    run
}

#[test]
fn the_terminal_text_of_an_open_loop() {
    let mut load = open(4.0, 500);
    load.capped = 1;
    load.left_out = vec!["2 requests of the trace ask for no output.".into()];
    let text = terminal(&summary(&five_arrivals(load)), &Look::PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_terminal_text_of_a_search() {
    let text = terminal(&summary(&searched()), &Look::PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let (answer, _) = text.split_once("  stage ").expect("a table of stages");
    insta::assert_snapshot!(answer);
}

#[test]
fn markdown_and_csv_tell_the_same() {
    let summary = summary(&searched());
    let text = markdown::document(&summary);
    for part in [
        "## Capacity\n\n**Holds 12.3 req/s within TTFT from schedule p99 ≤ 500ms (confirmed; 12.9 do not).**",
        "3 probes between 1 and 64 req/s",
        "## Arrivals",
        "- client error: measured before the run at 64 streams × 100 tok/s: TTFT p99 ± 9.00 µs, ITL p99 ± 2.00 µs; up to 190,000 tok/s on this host",
        "- clock: capture (35 of 36 chunks by their own segment, 1 segment lost)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let csv = csv::document(&summary);
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().expect("names").split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let column = |name: &str| {
        let at = names.iter().position(|n| *n == name).expect(name);
        rows.iter().map(|row| row[at]).collect::<Vec<_>>()
    };
    assert_eq!(column("concurrency"), ["", "", ""]);
    assert_eq!(column("rate"), ["12.34", "12.9", "12.34"]);
    assert_eq!(column("probe"), ["1", "2", "3"]);
    assert_eq!(column("probe_outcome"), ["holds", "fails", "holds"]);
    assert_eq!(column("ended"), ["precise", "precise", "precise"]);
    assert_eq!(column("send_lag_p99_ms"), ["0", "150", "0"]);
    assert!(rows.iter().all(|row| row.len() == names.len()));
    assert!(
        markdown::document(&self::summary(&two_users())).contains("client error: not calibrated")
    );
}

#[test]
fn closed_and_open_loops_compare_on_axes_of_their_own() {
    let (closed, open) = (summary(&two_users()), summary(&searched()));
    let comparison = compare(&[closed, open]).expect("two runs");
    let levels: Vec<Level> = comparison.metrics[0].rows.iter().map(|row| row.level).collect();
    let rate = Level::Rate;
    assert_eq!(levels, [Level::Concurrency(2), rate(12.34), rate(12.34), rate(12.9)]);
    let arrivals =
        comparison.differences.iter().find(|d| d.what == "arrivals").expect("they differ");
    assert_eq!(arrivals.values, ["closed loop", "poisson arrivals, at most 2 in flight"]);
    let text = compared(&comparison, &Look::PLAIN);
    assert!(text.contains("Holds 12.3 req/s within TTFT from schedule p99"), "{text}");
    assert!(text.contains("TTFT from schedule p95, ms"), "{text}");
    let json = serde_json::to_value(&comparison).expect("plain data");
    assert_eq!(json["metrics"][0]["rows"][1]["rate"], 12.34);
}
