//! What a reader asks of a run later: other objectives, what it cost, and whether a stage was the
//! same all along.

mod support;

use support::{Run, gpu, request, stage};
use vllm_bench_analysis::report::index_html;
use vllm_bench_analysis::table::{Look, terminal};
use vllm_bench_analysis::{
    Asked, Cause, ChangeKind, Dataset, EnergySource, Index, Prices, ReportFiles, Summary, Watched,
    csv, markdown,
};
use vllm_bench_record::{GpuSample, Phase, RequestRecord};

/// Twenty requests a second for twelve seconds, each of eleven tokens 10 ms apart, after a TTFT of
/// `ttft_ms(i)`, with a few percent of spread that is the same in every run.
fn steady_run(ttft_ms: impl Fn(u64) -> u64) -> Run {
    let mut run = Run::new(vec![stage("cc 8", Phase::Measure, 8)]);
    run.requests = (0..240).map(|i| answer(i, ttft_ms(i))).collect();
    run
}

fn answer(i: u64, ttft_ms: u64) -> RequestRecord {
    let sent = 1_000 + i * 50;
    let first = sent + ttft_ms + (i * 7) % 5;
    let chunks: Vec<(u64, u32)> = (0..11).map(|k| (first + k * 10, 1)).collect();
    request(&format!("r{i}"), 0, sent, &chunks)
}

/// Readings every half second from the run's start, at a power of `watts(ms)`.
fn sampled(run: &mut Run, power: impl Fn(u64) -> u64, change: impl Fn(u64, &mut GpuSample)) {
    let mut energy_mj = 5_000_000;
    run.gpu = (0..30)
        .map(|i| {
            let ms = i * 500;
            let mut sample = gpu(ms, 0);
            sample.power_mw = Some(power(ms) * 1000);
            sample.energy_mj = Some(energy_mj);
            energy_mj += power(ms) * 500;
            change(ms, &mut sample);
            sample
        })
        .collect();
}

fn summary(run: &Run, asked: &Asked) -> Summary {
    let dataset = Dataset::open(run.write()).expect("a readable run");
    Summary::asked(&dataset, asked).expect("known objectives")
}

#[test]
fn a_step_is_named_with_what_changed_beside_it() {
    let mut run = steady_run(|i| if i < 140 { 100 } else { 180 });
    sampled(
        &mut run,
        |_| 300,
        |ms, sample| {
            let hot = ms >= 8_000;
            sample.sm_clock_mhz = Some(if hot { 1_400 } else { 1_980 });
            sample.temperature_c = Some(if hot { 86.0 } else { 70.0 });
        },
    );
    let found = summary(&run, &Asked::default()).findings;
    let ttft = found.iter().find(|f| f.metric == Watched::Ttft).expect("TTFT rose");
    assert_eq!((ttft.change, ttft.cause), (ChangeKind::Step, Cause::Throttling));
    // It came with request 140, 8 s into the run; stretches are a quarter of a second long.
    let seconds = ttft.at_ns.as_secs_f64();
    assert!((7.6..8.4).contains(&seconds), "{seconds}");
    assert!(
        ttft.sentence.starts_with("cc 8: TTFT rose from 102 ms to 182 ms at "),
        "{}",
        ttft.sentence
    );
    assert!(
        ttft.sentence.contains("SM clock 1,980 to 1,400 MHz, temperature 70.0 to 86.0 °C"),
        "{}",
        ttft.sentence
    );
}

#[test]
fn a_warm_up_a_drift_and_nothing_are_told_apart() {
    let kind = |run: &Run| {
        let found = summary(run, &Asked::default()).findings;
        found.into_iter().find(|f| f.metric == Watched::Ttft).map(|f| (f.change, f.cause))
    };
    assert_eq!(kind(&steady_run(|_| 100)), None);
    let cold = steady_run(|i| if i < 50 { 300 } else { 100 });
    assert_eq!(kind(&cold), Some((ChangeKind::Step, Cause::WarmUp)));
    let slower = steady_run(|i| 100 + i / 2);
    assert_eq!(kind(&slower), Some((ChangeKind::Drift, Cause::Unknown)));
    // Five percent is no news, however sure it is.
    assert_eq!(kind(&steady_run(|i| if i < 120 { 100 } else { 105 })), None);
}

/// Thirty-two users whose answers take twenty seconds each, eight in turn, begun 40 ms apart.
fn long_answers() -> Run {
    let mut run = Run::new(vec![stage("cc 32", Phase::Measure, 32)]);
    let answer = |user: u64, turn: u64| {
        let sent = 1_000 + user * 40 + turn * 20_000;
        let chunks: Vec<(u64, u32)> = (0..200).map(|k| (sent + 100 + k * 100, 1)).collect();
        request(&format!("u{user}-{turn}"), 0, sent, &chunks)
    };
    run.requests = (0..8).flat_map(|turn| (0..32).map(move |user| answer(user, turn))).collect();
    run
}

#[test]
fn full_load_has_the_same_throughput_whoever_sent_before_the_window() {
    let found = summary(&long_answers(), &Asked::default());
    let window = found.stages[0].steady.as_ref().expect("full load");
    // Requests are longer than any stretch, and most of the first were sent before it began.
    assert!(window.sent < 230 && window.completed >= 40, "{window:?}");
    assert_eq!(found.findings, []);
}

#[test]
fn memory_that_grows_is_a_leak() {
    let mut run = steady_run(|_| 100);
    sampled(
        &mut run,
        |_| 300,
        |ms, sample| {
            sample.memory_used_bytes = Some(40_000_000_000 + ms * 1_000_000);
        },
    );
    let found = summary(&run, &Asked::default()).findings;
    let [leak] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((leak.metric, leak.cause), (Watched::GpuMemory, Cause::Leak));
    assert!(
        leak.sentence.contains("GPU memory in use rose little by little from 3"),
        "{}",
        leak.sentence
    );
}

#[test]
fn energy_comes_from_the_counter_and_costs_from_the_hour() {
    let mut run = steady_run(|_| 100);
    // At rest 100 W, under load 400 W.
    sampled(&mut run, |ms| if (1_000..13_500).contains(&ms) { 400 } else { 100 }, |_, _| {});
    let prices = Prices { gpu_hour: Some(3.6), gpus: None, ..Prices::default() };
    let summary = summary(&run, &Asked { prices, ..Asked::default() });
    let stage = &summary.stages[0];
    let (economy, window) = (stage.economy.expect("figures"), stage.figures().expect("figures"));
    let energy = economy.energy.expect("samples reach over the window");
    assert_eq!((energy.source, economy.gpus), (EnergySource::Counter, Some(1)));
    assert!((energy.mean_w - 400.0).abs() < 1.0, "{energy:?}");
    assert_eq!(energy.idle_w, None, "two readings at rest say nothing");
    let rate = window.output_tokens_per_s.expect("tokens came");
    assert!((energy.per_output_token_j.expect("tokens") - energy.mean_w / rate).abs() < 1e-6);
    // 3.6 an hour is 0.001 a second.
    let cost = economy.per_million_output_tokens.expect("a price");
    assert!((cost - 1e6 * 0.001 / rate).abs() < 1e-6, "{cost}");
    let readers = economy.readers.expect("a pace");
    assert_eq!((readers.kept_up, readers.fed), (1.0, Some(rate / readers.tokens_per_s)));
    let text = terminal(&summary, &Look::PLAIN);
    assert!(text.contains("Costs: 1 GPU at 3.60 an hour each (those sampled)"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(markdown::document(&summary).contains("## Energy, costs and readers"));
    assert!(csv::document(&summary).contains("cost_per_million_output_tokens"));
}

#[test]
fn objectives_can_be_the_readers() {
    let run = steady_run(|i| if i % 10 == 0 { 500 } else { 100 });
    let asked = |limit: &str| {
        let slo = [("ttft_p50".to_owned(), limit.to_owned())].into();
        summary(&run, &Asked { slo, ..Asked::default() })
    };
    let (met, missed) = (asked("200ms"), asked("50ms"));
    assert_eq!((met.stages[0].slo_met(), missed.stages[0].slo_met()), (Some(true), Some(false)));
    assert!(met.run.slo_asked && met.run.slo["ttft_p50"] == "200ms");
    let goodput = |s: &Summary| s.stages[0].figures().and_then(|f| f.goodput?.share).expect("told");
    assert_eq!((goodput(&met), goodput(&missed)), (0.9, 0.0));
    let wrong = Asked { slo: [("tft".into(), "1s".into())].into(), ..Asked::default() };
    let dataset = Dataset::open(run.write()).expect("a readable run");
    assert!(Summary::asked(&dataset, &wrong).is_err_and(|e| e.is_bad_input()));
}

#[test]
fn an_index_groups_runs_and_draws_their_trends() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str, started: &str, ttft_ms: u64| {
        let mut run = steady_run(|_| ttft_ms);
        run.manifest.run_id = name.into();
        run.manifest.started_at = started.into();
        run.manifest.servers[0].model = "<script>x".into();
        let dir = folder.path().join(name);
        std::fs::rename(run.write(), &dir).expect("moved");
        dir
    };
    place("b-second", "2026-11-25T02:00:00Z", 150);
    let first = place("a-first", "2026-11-25T01:00:00Z", 100);
    let dataset = Dataset::open(&first).expect("a run");
    ReportFiles::write(&dataset, &Summary::of(&dataset).expect("figures")).expect("written");
    std::fs::create_dir(folder.path().join("broken")).expect("a folder");
    std::fs::write(folder.path().join("broken/manifest.json"), "{").expect("a file");

    let mut read = 0;
    let index = Index::of(folder.path(), |_, _, _| read += 1).expect("runs");
    assert_eq!((read, index.groups.len()), (3, 1));
    let group = &index.groups[0];
    let ids: Vec<_> = group.runs.iter().map(|run| run.run_id.as_str()).collect();
    assert_eq!(ids, ["a-first", "b-second"], "oldest first");
    let p95 = |i: usize| group.runs[i].stages[0].ttft_p95_ns.expect("told").value;
    assert!(p95(1) - p95(0) > 49e6, "{} {}", p95(0), p95(1));
    assert!(group.runs[0].has_report && !group.runs[1].has_report);
    assert_eq!(index.left_out.len(), 1);
    assert_eq!(index.left_out[0].0, "broken");

    let html = index_html(&index).expect("a page");
    assert!(html.contains("id=\"trend-ttft-1\""), "the trend is drawn");
    assert!(html.contains("href=\".&#x2f;a-first&#x2f;report.html\""), "linked");
    assert!(!html.contains("<script>x"), "names are text");
    let nothing = tempfile::tempdir().expect("a folder");
    assert!(Index::of(nothing.path(), |_, _, _| {}).is_err_and(|e| e.is_bad_input()));
}
