//! The run's own verdict, given while it measures, is the report's, given from the files: check by check.
//!
//! It is here because this is the program that links both.

use std::path::Path;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use vllm_bench_analysis::{Dataset, Summary};
use vllm_bench_corpus::{BuildOptions, CorpusSpec, ServerOptions, build_with};
use vllm_bench_runner::{RunOptions, RunOutcome, Scenario, StopHandle, execute, preflight};
use vllm_bench_simulator::{FaultRule, Simulator, SimulatorConfig};

/// Runs `load` against a simulator of this `config`.
fn run(config: SimulatorConfig, prompts: u32, load: &str) -> (TempDir, RunOutcome) {
    let runtime = Runtime::new().expect("a runtime");
    let start = Simulator::start(config, ([127, 0, 0, 1], 0).into());
    let simulator = runtime.block_on(start).expect("a free port");
    let dir = TempDir::new().expect("a folder");
    let corpus = dir.path().join("corpus.jsonl");
    let text = format!(
        "name = \"t\"\nprompts = {prompts}\nlength = {{ mean_tokens = 400 }}\n[tokens]\ncounter = \"server\"\n"
    );
    let spec = CorpusSpec::parse(&text, "t.toml").expect("a spec");
    let server = ServerOptions { url: simulator.url(), ..ServerOptions::default() };
    let options = BuildOptions { server: Some(server), ..BuildOptions::default() };
    build_with(&spec, &options, &corpus, &mut |_| {}).expect("a corpus");
    let text = format!(
        "name = \"t\"\n[server]\nurl = \"{}\"\n[corpus]\nfile = {corpus:?}\n\
         [request]\nmax_tokens = 12\n[load]\ncalibrate = false\n{load}\n\
         [telemetry]\ngpu_interval = \"50ms\"\nengine_interval = \"50ms\"\n",
        simulator.url()
    );
    let scenario = Scenario::parse(&text, Path::new("t.toml"), &[]).expect("a scenario");
    let options =
        RunOptions { results_dir: dir.path().join("results"), api_key: None, truth: None };
    let ready = preflight(scenario, options).expect("ready");
    let outcome = execute(ready, &StopHandle::new(), |_| {}).expect("a whole run");
    runtime.block_on(simulator.shutdown());
    (dir, outcome)
}

/// Compares both verdicts; gives the statuses by the checks' names.
fn agree(outcome: &RunOutcome) -> Vec<(&'static str, String)> {
    let dataset = Dataset::open(outcome.run_dir.path()).expect("readable");
    let summary = Summary::of(&dataset).expect("a summary");
    let (ours, theirs) = (&outcome.verdict.checks, &summary.verdict.checks);
    assert_eq!(ours.len(), theirs.len());
    for (while_running, from_files) in ours.iter().zip(theirs) {
        assert_eq!(while_running.kind, from_files.kind);
        assert_eq!(while_running.status, from_files.status, "{while_running:?} {from_files:?}");
        // Times are within 0.1 % here and exact there: the last digit may differ. Counts may not.
        if !["schedule kept", "client lag"].contains(&while_running.kind.title()) {
            assert_eq!(while_running, from_files);
        }
    }
    ours.iter().map(|c| (c.kind.title(), c.status.as_str().to_owned())).collect()
}

#[track_caller]
fn is(statuses: &[(&str, String)], title: &str, status: &str) {
    let found = statuses.iter().find(|(name, _)| *name == title);
    assert_eq!(found.map(|(_, s)| s.as_str()), Some(status), "{title}: {statuses:?}");
}

#[test]
fn of_a_sweep_with_warm_up_as_it_should_be() {
    let load =
        "warmup = { requests = 4 }\nclosed = { concurrency = [1, 4, 8], requests_per_user = 6 }";
    let (_dir, outcome) = run(SimulatorConfig::default(), 90, load);
    let statuses = agree(&outcome);
    for title in ["run complete", "errors", "sent once", "cache-free", "other traffic"] {
        is(&statuses, title, "pass");
    }
    is(&statuses, "steady window", "pass");
    is(&statuses, "samples", "warn");
    is(&statuses, "GPU clocks", "unknown");
}

#[test]
fn of_a_run_that_went_wrong() {
    let fault = |nth: u64, fault: &str| FaultRule {
        every: None,
        nth: vec![nth],
        fault: fault.to_owned().try_into().expect("a fault"),
    };
    let faults = vec![
        fault(2, "refuse=503"),
        fault(5, "cut=3"),
        fault(7, "no-done"),
        fault(9, "events-per-write=4"),
        fault(10, "events-per-write=4"),
    ];
    let config = SimulatorConfig { faults, ..SimulatorConfig::default() };
    let (_dir, outcome) = run(config, 40, "closed = { concurrency = [2, 3], requests = [12, 14] }");
    let statuses = agree(&outcome);
    is(&statuses, "errors", "fail");
    is(&statuses, "samples", "warn");
    assert_ne!(statuses.iter().find(|(t, _)| *t == "chunks apart").expect("judged").1, "pass");
}

#[test]
fn of_open_loops_with_and_without_a_limit() {
    let load = "open = { rate = [20], arrivals = \"poisson\", duration = \"2s\" }\n\
                warmup = { duration = \"500ms\" }";
    let (_dir, outcome) = run(SimulatorConfig::default(), 90, load);
    is(&agree(&outcome), "run complete", "pass");
    let (_dir, outcome) = run(
        SimulatorConfig::default(),
        200,
        &format!("{}\nmax_in_flight = 1", load.replace("20", "40")),
    );
    let statuses = agree(&outcome);
    assert_ne!(statuses.iter().find(|(t, _)| *t == "schedule kept").expect("judged").1, "pass");
}
