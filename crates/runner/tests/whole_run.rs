//! Scenarios run whole against the real simulator on a free port.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]
#![expect(clippy::print_stdout, reason = "a test that cannot run here says so")]

mod world;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use vllm_bench_loadgen::LoadError;
use vllm_bench_record::{ClockSource, FailureCause, Outcome, Phase, RunStatus, StageEnd};
use vllm_bench_runner::{
    Problem, RunError, RunEvent, RunOptions, StopHandle, TruthCommand, execute, preflight,
};
use vllm_bench_simulator::{FaultRule, SimulatorConfig};
use vllm_bench_storage::read;

use world::{KEY, World};

#[test]
fn every_prompt_once_every_token_counted() {
    let world = World::new(SimulatorConfig::default(), 60);
    let load =
        "warmup = { requests = 3 }\nclosed = { concurrency = [1, 4, 8], requests_per_user = 4 }";
    let (outcome, records, events) = world.run(load, &[]);

    assert_eq!(records.len(), 3 + 4 + 16 + 32);
    let ids: HashSet<_> = records.iter().map(|r| r.prompt_id.as_str()).collect();
    assert_eq!(ids.len(), records.len(), "each prompt is sent once");
    for r in &records {
        assert_eq!(r.outcome, Outcome::Completed);
        assert_eq!(r.output_tokens.unwrap().count, 8);
        assert_eq!(r.prompt_tokens, r.corpus_prompt_tokens, "counted by the same server");
        assert!(r.server.is_some() && r.cached_tokens.is_some());
    }

    let manifest = outcome.run_dir.manifest().unwrap();
    assert_eq!(manifest.status, RunStatus::Complete);
    assert!(manifest.servers[0].simulated, "the simulator is known as one");
    assert_eq!(manifest.gpu.unwrap().source, "simulated");
    for (index, stage) in manifest.stages.iter().enumerate() {
        let own: Vec<_> = records.iter().filter(|r| r.stage_index == index as u32).collect();
        assert_eq!(stage.ended, Some(StageEnd::Requests));
        let (before, after) = (&stage.engine_before[0], &stage.engine_after[0]);
        let prompt: u64 = own.iter().map(|r| u64::from(r.prompt_tokens.unwrap())).sum();
        assert_eq!(after.prompt_tokens.unwrap() - before.prompt_tokens.unwrap(), prompt);
        assert_eq!(
            after.generation_tokens.unwrap() - before.generation_tokens.unwrap(),
            8 * own.len() as u64
        );
        for pair in own.windows(2).filter(|p| p[0].user == p[1].user) {
            assert!(pair[0].finished_at <= pair[1].sent_at);
        }
    }
    assert_eq!(manifest.stages[0].phase, Phase::Warmup);
    assert!(!read::gpu(&outcome.run_dir).unwrap().is_empty());
    assert!(!read::engine(&outcome.run_dir).unwrap().is_empty());
    assert!(matches!(events.first(), Some(RunEvent::RunStarted { simulated: true, .. })));
    assert!(matches!(events.last(), Some(RunEvent::RunFinished { interrupted: false, .. })));
    let latest = world.dir.path().join("results/latest");
    assert_eq!(latest.canonicalize().unwrap(), outcome.run_dir.path().canonicalize().unwrap());
}

#[test]
fn both_endpoints_streamed_and_not() {
    let world = World::new(SimulatorConfig::default(), 20);
    for set in [
        vec!["server.endpoint=completions"],
        vec!["server.stream=false"],
        vec!["server.endpoint=completions", "server.stream=false"],
        vec!["request.token_counts=token_ids"],
        vec!["request.token_counts=assumed"],
    ] {
        let (_, records, _) = world.run("closed = { concurrency = 2, requests = 4 }", &set);
        assert_eq!(records.len(), 4, "{set:?}");
        for r in &records {
            assert_eq!(r.outcome, Outcome::Completed, "{set:?}");
            assert_eq!(r.output_tokens.unwrap().count, 8, "{set:?}");
            let in_chunks: u32 = r.chunks.iter().map(|c| c.tokens).sum();
            assert_eq!(in_chunks, 8, "{set:?}");
            assert!(!r.answer.as_deref().unwrap().is_empty(), "{set:?}");
        }
    }
}

#[test]
fn faults_are_rows_and_the_run_goes_on() {
    let cases = [
        ("refuse=503", FailureCause::HttpStatus),
        ("cut=2", FailureCause::Cut),
        ("no-done", FailureCause::NoDone),
        ("error-event=2", FailureCause::ErrorInStream),
        ("invalid-utf8=2", FailureCause::NotUtf8),
        ("garbage=2", FailureCause::Malformed),
        ("unterminated", FailureCause::Malformed),
        ("stall=30s@3", FailureCause::BetweenTokensTimeout),
    ];
    // The first request is preflight's own; then every case once.
    let faults = cases
        .iter()
        .enumerate()
        .map(|(n, (fault, _))| FaultRule {
            every: None,
            nth: vec![n as u64 + 2],
            fault: (*fault).to_owned().try_into().unwrap(),
        })
        .collect();
    let world = World::new(SimulatorConfig { faults, ..SimulatorConfig::default() }, 20);
    let load = "closed = { concurrency = 1, requests = 10 }";
    let (outcome, mut records, _) = world.run(load, &["timeouts.between_tokens=400ms"]);
    records.sort_by_key(|r| r.scheduled_at);
    assert_eq!(records.len(), 10);
    for (record, (fault, cause)) in records.iter().zip(&cases) {
        assert!(
            matches!(&record.outcome, Outcome::Failed(f) if f.cause == *cause),
            "{fault}: {:?}",
            record.outcome
        );
    }
    assert!(records[cases.len()..].iter().all(|r| r.outcome == Outcome::Completed));
    assert_eq!(outcome.figures[0].1.failed, cases.len() as u64);
}

#[test]
fn arrivals_can_be_captured() {
    let world = World::new(SimulatorConfig::default(), 20);
    let load = "clock = \"capture\"\nclosed = { concurrency = [1, 4], requests = 8 }";
    let ready = match preflight(world.scenario(load, &[]), world.options()) {
        Ok(ready) => ready,
        Err(RunError::Load(LoadError::CapturePermission(_))) => {
            println!("not run: packets may not be captured here (NET_RAW)");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(ready.headline().ends_with("clock: capture"), "{}", ready.headline());
    let outcome = execute(ready, &StopHandle::new(), |_| {}).unwrap();
    let manifest = outcome.run_dir.manifest().unwrap();
    let capture = manifest.capture.expect("it was asked for");
    let records = read::requests(&outcome.run_dir).unwrap();
    let chunks: usize = records.iter().map(|r| r.chunks.len()).sum();
    assert_eq!((records.len(), manifest.clock), (16, ClockSource::Capture));
    assert_eq!((capture.resolved_chunks, capture.unresolved_chunks), (chunks as u64, 0));
    assert!(records.iter().all(|r| r.chunks.iter().all(|c| !c.coalesced)));
    assert!(capture.segments > 0 && capture.lost == 0, "{capture:?}");

    // https: said before anything is sent.
    let error = world.refused(load, &["server.url=\"https://127.0.0.1:9\""]);
    assert_eq!(error.problem(), Problem::Input);
    assert!(error.to_string().contains("not of https"), "{error}");
}

#[test]
fn what_is_impossible_is_refused_before_the_first_prompt() {
    let world = World::new(SimulatorConfig::default(), 20);
    let load = "closed = { concurrency = [8, 16], requests_per_user = 20 }";
    let error = world.refused(load, &[]);
    assert_eq!(error.problem(), Problem::Input);
    let text = error.to_string();
    assert!(text.contains("20 prompts") && text.contains("480 (8·20 + 16·20)"), "{text}");
    assert!(text.contains("t.toml:10:10"), "{text}");

    let load = "closed = { concurrency = 1, requests = 4 }";
    let error = world.refused(load, &["server.model=other"]);
    assert_eq!(error.problem(), Problem::Server);
    assert!(error.to_string().contains("it has: simulated"), "{error}");

    let error = world.refused(load, &["server.url=http://127.0.0.1:9"]);
    assert_eq!(error.problem(), Problem::Server);
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");

    let error = world.refused(load, &["request.max_tokens=9000"]);
    assert_eq!(error.problem(), Problem::Server);
    assert!(error.to_string().contains("9000"), "the server's own words: {error}");

    let text = std::fs::read_to_string(world.corpus()).unwrap();
    std::fs::write(world.corpus(), &text[..text.len() / 2]).unwrap();
    let error = world.refused(load, &[]);
    assert_eq!(error.problem(), Problem::Input);
    assert!(error.to_string().contains("t.toml:5:8"), "{error}");
    assert!(!world.dir.path().join("results").exists(), "no run directory was made");
}

#[test]
fn keys_are_wanted_and_never_written() {
    let config = SimulatorConfig { api_key: Some(KEY.into()), ..SimulatorConfig::default() };
    let mut world = World::new(config, 10);
    let load = "closed = { concurrency = 2, requests = 4 }";
    let (outcome, records, _) = world.run(load, &[]);
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed));
    for entry in walk(outcome.run_dir.path()) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|w| w == KEY.as_bytes()), "{}", entry.display());
    }
    world.key = Some("wrong");
    let error = world.refused(load, &[]);
    assert_eq!(error.problem(), Problem::Server);
    assert!(
        error.to_string().contains("401") && error.to_string().contains("Unauthorized"),
        "{error}"
    );
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn an_interrupt_keeps_what_was_measured() {
    let world = World::new(SimulatorConfig::default(), 40);
    let load = "closed = { concurrency = [2, 4], requests = [8, 20] }";
    let ready =
        preflight(world.scenario(load, &["request.max_tokens=4000"]), world.options()).unwrap();
    let stop = StopHandle::new();
    let stopper = stop.clone();
    let outcome = execute(ready, &stop, move |event| {
        if matches!(event, RunEvent::Progress { elapsed_s, .. } if elapsed_s > 0.5) {
            stopper.stop();
        }
    })
    .unwrap();
    assert_eq!(outcome.manifest.status, RunStatus::Interrupted);
    let records = read::requests(&outcome.run_dir).unwrap();
    assert_eq!(records.len(), 2, "what was in flight, and nothing after");
    assert!(records.iter().all(|r| r.outcome == Outcome::Cancelled && !r.chunks.is_empty()));
    assert_eq!(outcome.manifest.stages[1].started_at_ns, None);
}

#[test]
fn a_duration_stage_hands_its_unsent_prompts_on() {
    let world = World::new(SimulatorConfig::default(), 30);
    let load = "closed = { concurrency = [1, 2], duration = \"400ms\" }";
    let (outcome, records, _) = world.run(load, &[]);
    let ids: HashSet<_> = records.iter().map(|r| r.prompt_id.as_str()).collect();
    assert_eq!(ids.len(), records.len());
    let sent: Vec<usize> = {
        let mut n: Vec<usize> =
            ids.iter().map(|id| id.rsplit('-').next().unwrap().parse().unwrap()).collect();
        n.sort_unstable();
        n
    };
    assert_eq!(sent, (0..records.len()).collect::<Vec<_>>(), "none is skipped");
    assert!(outcome.manifest.stages.iter().all(|s| s.ended == Some(StageEnd::Duration)));

    let load = "closed = { concurrency = 4, duration = \"60s\" }";
    let started = std::time::Instant::now();
    let (outcome, records, _) = world.run(load, &[]);
    assert_eq!(records.len(), 30);
    assert_eq!(outcome.manifest.stages[0].ended, Some(StageEnd::Prompts));
    assert!(outcome.manifest.warnings.iter().any(|w| w.contains("no prompt left")));
    assert!(started.elapsed() < Duration::from_secs(50));
}

#[test]
fn a_calibration_that_fails_is_a_warning_and_the_run_goes_on() {
    let world = World::new(SimulatorConfig::default(), 12);
    for (program, words) in [
        ("/nonexistent/truth", "cannot start /nonexistent/truth"),
        // A program that knows nothing of the role.
        ("false", "did not say where it listens"),
    ] {
        let options = RunOptions { truth: Some(TruthCommand::new(program)), ..world.options() };
        let load = "closed = { concurrency = 2, requests = 2 }";
        let ready = preflight(world.scenario(load, &[]), options).unwrap();
        let mut warned = false;
        let outcome = execute(ready, &StopHandle::new(), |event| {
            if let RunEvent::Warning { message } = event {
                warned |= message.contains("client's own error was not measured");
            }
        })
        .unwrap();
        let manifest = outcome.run_dir.manifest().unwrap();
        assert_eq!((manifest.status, manifest.calibration), (RunStatus::Complete, None));
        let kept = manifest.warnings.iter().any(|warning| warning.contains(words));
        let here = cfg!(target_os = "linux");
        assert!(warned && (kept || !here), "{program}: {:?}", manifest.warnings);
    }
}
