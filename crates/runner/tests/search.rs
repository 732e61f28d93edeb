//! Capacity searches run whole against the simulator: short, with loose bounds.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

mod world;

use std::collections::HashSet;
use std::time::Duration;

use vllm_bench_record::{ProbeOutcome, RunStatus, SearchAxis, SearchInfo};
use vllm_bench_runner::{
    RunError, RunEvent, RunOutcome, StopHandle, execute, preflight, search_text,
};
use vllm_bench_simulator::capacity::{Workload, mean_tpot};
use vllm_bench_simulator::{CostModel, SimulatorConfig};
use vllm_bench_storage::read;

use world::World;

/// 4 ms a step and 1 ms for each decoding sequence: TPOT is about 4 ms + 1 ms a user.
fn config() -> SimulatorConfig {
    SimulatorConfig {
        prefix_caching: false,
        cost: CostModel {
            base: Duration::from_millis(4),
            per_prefill_token: Duration::from_micros(1),
            per_decode_sequence: Duration::from_millis(1),
            per_kv_token: Duration::ZERO,
            jitter: 0.0,
        },
        ..SimulatorConfig::default()
    }
}

fn world(prompts: u32) -> World {
    World::new(config(), prompts)
}

fn load(search: &str) -> String {
    format!("calibrate = false\nsearch = {{ {search} }}")
}

/// Runs the search with `slo` as its objective.
fn run(world: &World, search: &str, slo: &str) -> (RunOutcome, SearchInfo, Vec<RunEvent>) {
    let (outcome, _, events) = world.run(&load(search), &[slo]);
    // What is on disk is what counts.
    let manifest = outcome.run_dir.manifest().unwrap();
    assert_eq!(manifest.status, RunStatus::Complete);
    assert_eq!(manifest.search, outcome.manifest.search);
    let search = manifest.search.unwrap();
    (outcome, search, events)
}

#[test]
fn users_are_found_and_every_probe_is_a_stage_with_prompts_of_its_own() {
    let world = world(1_200);
    let (outcome, search, events) = run(
        &world,
        "over = \"concurrency\", from = 1, to = 64, requests = 60, precision = \"20%\"",
        "slo.tpot_p50=\"15ms\"",
    );
    let load = Workload::fixed(400, 8);
    let within = |users: u32| mean_tpot(&config(), &load, users) <= Duration::from_millis(15);
    let computed = (1..64).filter(|n| within(*n)).max().unwrap();
    let answer = search.answer.unwrap_or_else(|| panic!("no answer: {search:?}"));
    let found = answer.holds as u32;
    assert!(found * 2 >= computed && found <= computed * 2, "{found} found, {computed} computed");
    assert!(answer.fails.unwrap() > answer.holds);

    let stages = &outcome.manifest.stages;
    assert_eq!(stages.len(), search.probes.len());
    for (index, (stage, probe)) in stages.iter().zip(&search.probes).enumerate() {
        assert_eq!(probe.stage as usize, index);
        assert_eq!(stage.load.level(), probe.level);
        assert!(stage.label.starts_with(&format!("probe {}: ", index + 1)), "{}", stage.label);
        let idle = stage.engine_before.iter().all(|s| s.running == Some(0.0));
        assert!(
            idle && !stage.engine_before.is_empty(),
            "the server was idle before probe {index}"
        );
    }
    assert_eq!(search.probes[0].outcome, ProbeOutcome::Holds, "{:?}", search.probes[0]);
    assert!(search.probes.iter().any(|probe| probe.confirms), "the answer was repeated");
    let records = read::requests(&outcome.run_dir).unwrap();
    let prompts: HashSet<_> = records.iter().map(|r| &r.prompt_id).collect();
    assert_eq!(prompts.len(), records.len(), "no prompt was sent twice");

    let told = events.iter().filter(|e| matches!(e, RunEvent::ProbeFinished { .. })).count();
    assert_eq!(told, search.probes.len());
    let text = search_text(&search);
    assert!(text.contains(&format!("holds {found} stream")), "{text}");
    assert!(text.lines().take(search.probes.len() + 1).all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn a_lower_bound_that_fails_is_told_with_its_figure() {
    let world = world(200);
    let (outcome, search, _) = run(
        &world,
        "over = \"concurrency\", from = 8, to = 64, requests = 60",
        "slo.tpot_p50=\"5ms\"",
    );
    assert_eq!((search.answer, search.over), (None, SearchAxis::Concurrency));
    let ended = search.ended.unwrap();
    assert!(ended.starts_with("the lower bound 8 streams already fails: tpot_p50 "), "{ended}");
    assert!(ended.ends_with("> 5ms; lower `from`"), "{ended}");
    assert_eq!(outcome.search_problem(), Some(ended));
}

#[test]
fn prompts_that_run_out_end_it_with_the_bracket_so_far() {
    let world = world(150);
    let (_, search, _) = run(
        &world,
        "over = \"concurrency\", from = 1, to = 64, requests = 60",
        "slo.tpot_p50=\"40ms\"",
    );
    assert_eq!(search.answer, None);
    let ended = search.ended.unwrap();
    assert!(ended.starts_with("the corpus ran out of prompts in probe 3; about "), "{ended}");
    assert!(ended.ends_with("2 streams held, more was not tried"), "{ended}");
    assert_eq!(search.probes.len(), 3);
    assert_eq!(search.probes[2].outcome, ProbeOutcome::Unclear, "it was cut short");
}

#[test]
fn a_corpus_too_small_for_two_probes_is_refused() {
    let world = world(100);
    let scenario = world.scenario(
        &load("over = \"concurrency\", from = 1, to = 64, requests = 60"),
        &["slo.tpot_p50=\"40ms\""],
    );
    let error = preflight(scenario, world.options()).expect_err("120 are needed");
    assert!(matches!(error, RunError::TooFewPrompts { needed: 120, .. }), "{error}");
    assert!(error.to_string().contains("first two probes"), "{error}");
}

#[test]
fn interrupted_it_keeps_what_it_has() {
    let world = world(600);
    let stop = StopHandle::new();
    let stopper = stop.clone();
    let scenario = world.scenario(
        &load("over = \"concurrency\", from = 1, to = 64, requests = 60"),
        &["slo.tpot_p50=\"40ms\""],
    );
    let mut probes = 0;
    let ready = preflight(scenario, world.options()).unwrap();
    let outcome = execute(ready, &stop, |event| {
        probes += u32::from(matches!(event, RunEvent::ProbeFinished { .. }));
        if probes == 2 {
            stopper.stop();
        }
    })
    .unwrap();
    let manifest = outcome.run_dir.manifest().unwrap();
    assert_eq!(manifest.status, RunStatus::Interrupted);
    let search = manifest.search.unwrap();
    assert_eq!(search.probes.len(), 2);
    assert!(search.ended.unwrap().starts_with("it was interrupted; 2 streams held"));
}
