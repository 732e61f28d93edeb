//! What people read: the table, Markdown, CSV, comparisons, single requests.

mod support;

use std::fs;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use support::{Run, request, stage, timings, two_users};
use vllm_bench_analysis::compare::{Better, compare};
use vllm_bench_analysis::inspect::{Filter, Prompts, WantedOutcome, select};
use vllm_bench_analysis::table::{Look, terminal};
use vllm_bench_analysis::{
    AnalysisError, Dataset, Percentile, Stat, Summary, TimePart, TimeSplit, TimeSplitSource, csv,
    inspect, markdown,
};
use vllm_bench_record::{Level, Outcome, Phase, StageInfo};

fn summary(run: &Run) -> Summary {
    let mut summary = Summary::of(&Dataset::open(run.write()).expect("a readable run"))
        .expect("known objectives");
    summary.run.run_dir = "results/test".into();
    summary
}

/// Three stages, the last with 200 requests of which some fail.
fn sweep() -> Run {
    let stages: Vec<StageInfo> = vec![
        stage("warm-up", Phase::Warmup, 1),
        stage("cc 1", Phase::Measure, 1),
        stage("cc 4", Phase::Measure, 4),
        stage("cc 8", Phase::Measure, 8),
    ];
    let mut run = Run::new(stages);
    run.manifest.scenario.slo = [("ttft_p95".to_owned(), "200ms".to_owned())].into();
    for (stage, users, each) in [(1_u32, 1_u64, 10_u64), (2, 4, 20), (3, 8, 25)] {
        for user in 0..users {
            for turn in 0..each {
                let sent = u64::from(stage) * 100_000 + turn * 700 + user;
                let ttft = 80 + 10 * users + (turn * 7 + user * 3) % 40;
                let chunks: Vec<(u64, u32)> =
                    (0..50).map(|i| (sent + ttft + i * (8 + users / 4), 1)).collect();
                let mut r = request(&format!("s{stage}-u{user}-t{turn}"), stage, sent, &chunks);
                r.max_tokens = Some(50);
                r.cached_tokens = Some(0);
                let decode = 49 * (8 + users / 4);
                r.server = timings(10.0 * (users - 1) as f64, 75.0, decode as f64 - 0.5);
                if stage == 3 && turn == 24 && user < 3 {
                    r.outcome = Outcome::Failed(vllm_bench_record::Failure {
                        cause: vllm_bench_record::FailureCause::TotalTimeout,
                        message: "no end within 600 s".into(),
                        retry_after_s: None,
                    });
                }
                run.requests.push(r);
            }
        }
    }
    run
}

#[test]
fn the_terminal_table() {
    insta::assert_snapshot!(terminal(&summary(&sweep()), &Look::PLAIN));
}

#[test]
fn the_terminal_table_of_a_short_and_refused_run() {
    let mut run = two_users();
    run.manifest.servers[0].simulated = true;
    run.manifest.warnings = vec!["GPU sampling is off: no NVML library was found".into()];
    insta::assert_snapshot!(terminal(&summary(&run), &Look::PLAIN));
}

#[test]
fn the_markdown() {
    insta::assert_snapshot!(markdown::document(&summary(&two_users())));
}

#[test]
fn without_the_servers_timings_no_table_says_where_the_time_went() {
    let mut run = two_users();
    let heading = "here the time went";
    let both = |run: &Run| {
        let summary = summary(run);
        [terminal(&summary, &Look::PLAIN), markdown::document(&summary)]
    };
    assert!(both(&run).iter().all(|text| text.contains(heading)));
    run.requests.iter_mut().for_each(|r| r.server = None);
    assert!(!both(&run).iter().any(|text| text.contains(heading)));
}

#[test]
fn where_the_time_went_says_who_tells_it_and_marks_what_is_of_others() {
    let texts = |server_requests| {
        let mut told = summary(&two_users());
        let told_by_answers = told.stages[0].time_split.take().expect("r3 carries timings");
        let part = TimePart { mean: 2e6, p50: None };
        told.stages[0].time_split = Some(TimeSplit {
            client_wait_ns: part,
            network_ns: part,
            queue_ns: part,
            prefill_ns: part,
            decode_ns: part,
            rest_ns: part,
            e2e_from_schedule_ns: part,
            client_decode_ns: part,
            completed: 3,
            ..TimeSplit { server_requests: Some(server_requests), ..split(0.0, 3) }
        });
        assert_eq!(told_by_answers.source, TimeSplitSource::Answers);
        [terminal(&told, &Look::PLAIN), markdown::document(&told)]
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    for text in texts(3) {
        assert!(text.contains("By the server's histograms"), "{text}");
        assert!(!text.contains('≠') && !text.contains("p50 histograms"), "{text}");
    }
    let [terminal, markdown] = texts(5);
    assert!(terminal.contains("mean 3≠ 2.00 2.00"), "{terminal}");
    assert!(markdown.contains("| histograms | 3≠ |"), "{markdown}");
    let says = "≠ cc 2: the server's histograms hold 2 requests more than the 3 completed here";
    assert!(terminal.contains(says) && markdown.contains(says), "{terminal}\n{markdown}");
    assert!(texts(1)[0].contains("hold 2 requests fewer than the 3 completed here"));
}

#[test]
fn csv_has_one_line_a_stage_and_every_column_filled_or_empty() {
    let text = csv::document(&summary(&sweep()));
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 4);
    let names: Vec<&str> = lines[0].split(',').collect();
    let row: Vec<&str> = lines[1].split(',').collect();
    assert_eq!(names.len(), row.len());
    let field = |name: &str| row[names.iter().position(|n| *n == name).expect(name)];
    assert_eq!((field("stage"), field("concurrency"), field("window")), ("cc 1", "1", "steady"));
    assert_eq!(
        (field("requests"), field("failed"), field("slo_ttft_p95_met")),
        ("10", "0", "true")
    );
    // TTFT 90 + 7·turn mod 40: 90 97 104 111 118 125 92 99 106 113, mean 105.5
    assert_eq!(
        (field("ttft_count"), field("ttft_mean_ms"), field("ttft_p50_ms")),
        ("10", "105.5", "105")
    );
    assert_eq!((field("ttft_p50_low_ms"), field("ttft_p50_high_ms")), ("92", "118"));
    assert_eq!((field("cached_tokens"), field("ttft_p99_high_ms")), ("0", ""));
}

/// `summary.json` is what it is read back from.
#[test]
fn json_round_trips() {
    let summary = summary(&two_users());
    let text = vllm_bench_analysis::json(&summary).expect("plain values");
    let back: Summary = serde_json::from_str(&text).expect("its own output");
    assert_eq!(back.verdict, summary.verdict);
    assert_eq!(back.stages[0].server, summary.stages[0].server);
    // JSON's decimal fractions come back within the last digit.
    let ttft =
        |s: &Summary| s.stages[0].figures().and_then(|f| f.ttft_ns).expect("samples").p95.value;
    assert!((ttft(&back) - ttft(&summary)).abs() < 1e-3);
    let again = vllm_bench_analysis::json(&back).expect("plain values");
    assert_eq!(again.lines().count(), text.lines().count());
}

#[test]
fn a_comparison_counts_from_the_first_run() {
    let first = summary(&two_users());
    let mut second = first.clone();
    second.run.run_id = "second".into();
    second.run.model = Some("other".into());
    let steady = second.stages[0].steady.as_mut().expect("a window");
    steady.output_tokens_per_s = steady.output_tokens_per_s.map(|v| v * 1.5);
    let mut third = second.clone();
    third.stages.clear();
    let comparison = compare(&[first.clone(), second, third]).expect("three runs");
    let metric =
        comparison.metrics.iter().find(|m| m.key == "output_tokens_per_s").expect("listed");
    assert_eq!((metric.better, metric.rows.len()), (Better::Higher, 1));
    let cells = &metric.rows[0].cells;
    assert_eq!((cells[0].expect("first").change, cells[2]), (None, None));
    let change = cells[1].expect("second").change.expect("against the first");
    assert!((change - 0.5).abs() < 1e-12, "{change}");
    let model = comparison.differences.iter().find(|d| d.what == "model").expect("differs");
    assert_eq!(model.line(), "model: mistralai/Mistral-7B-Instruct-v0.3 / other / other");
    assert_eq!(comparison.differences.len(), 1, "{:?}", comparison.differences);
    insta::assert_snapshot!(vllm_bench_analysis::compare::terminal(&comparison, &Look::PLAIN));
    assert!(matches!(compare(&[first]), Err(AnalysisError::TooFewRuns { given: 1 })));
}

#[test]
fn stages_of_one_load_meet_in_order_and_lone_ones_stand_alone() {
    let one = summary(&sweep());
    let mut two = one.clone();
    two.stages[2].level = Level::Concurrency(16);
    let comparison = compare(&[one, two]).expect("two runs");
    let loads: Vec<f64> = comparison.metrics[0].rows.iter().map(|r| r.level.value()).collect();
    assert_eq!(loads, [1.0, 4.0, 8.0, 16.0]);
    let there: Vec<Vec<bool>> = comparison.metrics[0]
        .rows
        .iter()
        .map(|r| r.cells.iter().map(Option::is_some).collect())
        .collect();
    assert_eq!(there, [[true, true], [true, true], [true, false], [false, true]]);
}

const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}evil\rhidden\u{9b}31m";

fn with_hostile_texts() -> Run {
    let mut run = two_users();
    for r in &mut run.requests {
        r.answer = Some(HOSTILE.into());
        if let Outcome::Failed(failure) = &mut r.outcome {
            failure.message = HOSTILE.into();
        }
    }
    run.manifest.scenario.name = HOSTILE.into();
    run.manifest.servers[0].model = HOSTILE.into();
    run.manifest.stages[1].label = HOSTILE.into();
    run.manifest.warnings = vec![HOSTILE.into()];
    run
}

fn harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

#[test]
fn nothing_foreign_steers_the_terminal() {
    let run = with_hostile_texts();
    let dataset = Dataset::open(run.write()).expect("readable");
    let summary = Summary::of(&dataset).expect("a summary");
    let table = terminal(&summary, &Look::PLAIN);
    assert!(harmless(&table) && table.contains("\\u{1b}"), "{table:?}");
    assert!(harmless(&markdown::document(&summary)));
    let comparison = compare(&[summary.clone(), summary]).expect("two runs");
    assert!(harmless(&vllm_bench_analysis::compare::terminal(&comparison, &Look::PLAIN)));
    let found = select(&dataset, &Filter::default(), None).expect("all");
    let text = inspect::terminal(&found, true, &Look::PLAIN);
    assert!(harmless(&text) && text.contains("evil"), "{text:?}");
}

#[test]
fn requests_are_found_by_every_filter() {
    let run = two_users();
    let dataset = Dataset::open(run.write()).expect("readable");
    let ids = |filter: Filter| -> Vec<String> {
        select(&dataset, &filter, None)
            .expect("found")
            .requests
            .into_iter()
            .map(|r| r.request_id)
            .collect()
    };
    let all = Filter::default();
    assert_eq!(ids(all.clone()), ["w1", "r1", "r2", "r3", "r4"], "in the order of the schedule");
    assert_eq!(ids(Filter { stage: Some("warm-up".into()), ..all.clone() }), ["w1"]);
    assert_eq!(ids(Filter { outcome: Some(WantedOutcome::Failed), ..all.clone() }), ["r4"]);
    assert_eq!(ids(Filter { id: Some("r".into()), limit: Some(2), ..all.clone() }), ["r1", "r2"]);
    assert_eq!(ids(Filter { prompt_id: Some("prompt-of-r3".into()), ..all.clone() }), ["r3"]);
    // w1 980 ms, r4 240 until it was refused, r2 210
    assert_eq!(ids(Filter { slowest: true, limit: Some(3), ..all.clone() }), ["w1", "r4", "r2"]);
    let cut = select(&dataset, &Filter { limit: Some(1), ..all }, None).expect("found");
    assert_eq!((cut.matching, cut.requests.len()), (5, 1));
    assert_eq!(cut.requests[0].answer.as_deref(), Some("answer of w1"));
    let unknown = Filter { stage: Some("cc 3".into()), ..Filter::default() };
    let error = select(&dataset, &unknown, None).expect_err("no such stage").to_string();
    assert!(error.contains("warm-up, cc 2"), "{error}");
}

#[test]
fn prompts_come_from_the_corpus_that_was_sent_and_no_other() {
    let mut run = two_users();
    let corpus = run.results().join("corpus.jsonl");
    let lines = "{\"vllm_bench_corpus\":1}\n\
        {\"id\":\"prompt-of-r1\",\"tokens\":10,\"messages\":[{\"role\":\"system\",\"content\":\"Be short.\"},{\"role\":\"user\",\"content\":\"Why?\"}]}\n\
        {\"id\":\"another\",\"tokens\":10,\"messages\":[]}\n{\"end\":true,\"prompts\":2,\"sha256\":\"…\"}\n";
    fs::write(&corpus, lines).expect("written");
    run.manifest.corpus.file = corpus.display().to_string();
    run.manifest.corpus.sha256 = Sha256::digest(lines).iter().map(|b| format!("{b:02x}")).collect();
    let dataset = Dataset::open(run.write()).expect("readable");
    let first = Filter { id: Some("r1".into()), ..Filter::default() };
    let found = select(&dataset, &first, None).expect("found");
    assert_eq!(found.prompts, Prompts::Corpus { file: corpus.clone() });
    let prompt = found.requests[0].prompt.as_ref().expect("in the corpus");
    assert_eq!((prompt[0].role.as_str(), prompt[1].content.as_str()), ("system", "Why?"));
    insta::assert_snapshot!(inspect::terminal(&found, false, &Look::PLAIN));

    fs::write(&corpus, lines.replace("Why?", "What?")).expect("written");
    let found = select(&dataset, &first, None).expect("found");
    assert!(
        matches!(&found.prompts, Prompts::Missing { why } if why.contains("changed")),
        "{:?}",
        found.prompts
    );
    assert_eq!(found.requests[0].prompt, None);
    fs::remove_file(&corpus).expect("removed");
    let found = select(&dataset, &first, None).expect("found");
    assert!(
        matches!(&found.prompts, Prompts::Missing { why } if why.contains("--corpus")),
        "{:?}",
        found.prompts
    );
}

fn stat(value: f64, count: u64) -> Stat {
    let p =
        Percentile { value, low: Some(value), high: None, low_samples: count.is_multiple_of(2) };
    Stat {
        count,
        mean: value,
        mean_low: None,
        mean_high: None,
        std_dev: None,
        min: value,
        max: value,
        p50: p,
        p90: p,
        p95: p,
        p99: p,
    }
}

fn split(ns: f64, count: u64) -> TimeSplit {
    let part = TimePart { mean: ns, p50: Some(-ns) };
    TimeSplit {
        source: TimeSplitSource::Histograms,
        server_requests: Some(count / 2),
        front_end_ns: Some(part),
        outside_ns: Some(part),
        requests: count,
        completed: count,
        client_wait_ns: part,
        network_ns: part,
        queue_ns: part,
        prefill_ns: part,
        decode_ns: part,
        rest_ns: part,
        e2e_from_schedule_ns: part,
        client_decode_ns: part,
    }
}

fn width(line: &str) -> usize {
    use unicode_width::UnicodeWidthStr as _;
    line.width()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// No line passes 80 columns, whatever the figures and names.
    #[test]
    fn lines_never_pass_eighty_columns(
        label in any::<String>(),
        name in "\\PC{0,200}",
        value in prop_oneof![0.0..1e3_f64, 0.0..1e15_f64, 0.0..1e300_f64],
        count in any::<u64>(),
        rate in prop_oneof![0.0..1e3_f64, 0.0..1e12_f64, 0.0..1e300_f64],
    ) {
        let mut summary = BASE.with(Clone::clone);
        summary.run.scenario = name.clone();
        summary.run.model = Some(name.clone());
        summary.run.corpus.mean_tokens = Some(rate);
        summary.warnings = vec![name.clone(), label.clone()];
        summary.totals.requests = count;
        summary.totals.errors[0].example = Some(name);
        let stage = &mut summary.stages[0];
        stage.label = label;
        stage.time_split = Some(split(value, count));
        (stage.requests, stage.failed, stage.cancelled) = (count, count / 2, count);
        for slo in &mut stage.slo {
            (slo.figure, slo.high) = (Some(value), Some(value));
        }
        let figures = stage.steady.as_mut().expect("a window");
        figures.completed_per_s = Some(rate);
        figures.output_tokens_per_s = Some(rate);
        figures.total_tokens_per_s = Some(rate);
        figures.in_flight_mean = Some(rate);
        figures.seconds = rate;
        figures.cached_tokens = Some(count);
        for latency in [&mut figures.ttft_ns, &mut figures.tpot_ns, &mut figures.itl_ns, &mut figures.icl_ns, &mut figures.e2e_ns] {
            *latency = Some(stat(value, count));
        }
        for line in terminal(&summary, &Look::PLAIN).lines() {
            prop_assert!(width(line) <= 80, "{} columns: {line:?}", width(line));
        }
        let comparison = compare(&[BASE.with(Clone::clone), summary.clone(), summary]).expect("three runs");
        for line in vllm_bench_analysis::compare::terminal(&comparison, &Look::PLAIN).lines() {
            prop_assert!(width(line) <= 80, "{} columns: {line:?}", width(line));
        }
    }

    /// Answers of any kind stay within the width and keep their words.
    #[test]
    fn any_answer_is_shown_within_eighty_columns(answer in any::<String>()) {
        let mut found = FOUND.with(Clone::clone);
        found.requests[0].answer = Some(answer);
        for line in inspect::terminal(&found, true, &Look::PLAIN).lines() {
            prop_assert!(width(line) <= 80, "{} columns: {line:?}", width(line));
            prop_assert!(harmless(line), "{line:?}");
        }
    }
}

thread_local! {
    static BASE: Summary = summary(&two_users());
    static FOUND: inspect::Inspection = {
        let run = two_users();
        let dataset = Dataset::open(run.write()).expect("readable");
        select(&dataset, &Filter::default(), None).expect("all")
    };
}
