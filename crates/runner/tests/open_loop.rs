//! Arrivals, traces and stages that end when they are precise, run whole against the simulator.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

mod world;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use vllm_bench_record::{Outcome, StageEnd};
use vllm_bench_runner::{Problem, Scenario, StopHandle, execute, preflight};
use vllm_bench_simulator::SimulatorConfig;
use vllm_bench_storage::read;

use world::World;

#[test]
fn arrivals_keep_their_schedule_and_every_one_is_a_row() {
    let world = World::new(SimulatorConfig::default(), 90);
    let load = "warmup = { requests = 2, duration = \"200ms\" }\nmax_in_flight = 2\n\
                open = { rate = [20, 60], arrivals = \"constant\", duration = \"1s\" }";
    let (outcome, records, _) = world.run(load, &["load.calibrate=false"]);
    let manifest = outcome.run_dir.manifest().unwrap();
    let labels: Vec<_> = manifest.stages.iter().map(|s| s.label.as_str()).collect();
    assert_eq!(labels, ["warm-up", "20 req/s", "60 req/s"]);
    for (index, rate) in [(1_u32, 20_u64), (2, 60)] {
        let stage = &manifest.stages[index as usize];
        assert_eq!(stage.ended, Some(StageEnd::Requests), "{stage:?}");
        let start = stage.started_at_ns.unwrap();
        let mut due: Vec<_> = records
            .iter()
            .filter(|r| r.stage_index == index)
            .inspect(|r| {
                assert_eq!(r.outcome, Outcome::Completed);
                assert!(r.sent_at.unwrap() >= r.scheduled_at, "never early");
            })
            .map(|r| r.scheduled_at.since(start).as_nanos() as u64)
            .collect();
        due.sort_unstable();
        // Constant arrivals: the schedule is known to the nanosecond.
        let planned: Vec<u64> = (0..rate).map(|n| n * 1_000_000_000 / rate).collect();
        assert!(due.iter().zip(&planned).all(|(a, b)| a.abs_diff(*b) <= 1), "{due:?}");
        assert_eq!(due.len() as u64, rate);
        let open = stage.load.open().unwrap();
        assert_eq!((open.warmup, open.max_in_flight), (Duration::from_millis(200), Some(2)));
    }
    // An answer takes longer than two gaps of the faster stage.
    assert!(manifest.stages[2].load.open().unwrap().capped > 0, "the cap was met");
    let ids: HashSet<_> = records.iter().map(|r| r.prompt_id.as_str()).collect();
    assert_eq!(ids.len(), records.len(), "each prompt is sent once");
}

#[test]
fn a_trace_without_a_corpus_sends_its_own_lengths_and_shared_beginnings() {
    let config = SimulatorConfig { block_size: 16, ..SimulatorConfig::default() };
    let world = World::new(config, 4);
    let file = world.dir.path().join("trace.jsonl");
    // The second and the third prompt begin with the block of the first, the last does not.
    let rows = [
        (0, 700, 3, "[1, 2]"),
        (400, 900, 5, "[1, 3]"),
        (800, 512, 2, "[1]"),
        (801, 600, 4, "[7, 8]"),
    ];
    let lines: Vec<String> = rows
        .iter()
        .map(|(at, input, output, ids)| {
            format!("{{\"timestamp\": {at}, \"input_length\": {input}, \"output_length\": {output}, \"hash_ids\": {ids}}}")
        })
        .collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let text = |speed: f64| {
        format!(
            "name = \"t\"\n[server]\nurl = \"{}\"\n[request]\nignore_eos = true\n[load]\ncalibrate = false\ntrace = {{ file = {file:?}, format = \"mooncake\", speed = {speed} }}\n",
            world.url()
        )
    };
    let scenario = Scenario::parse(&text(2.0), Path::new("t.toml"), &[]).unwrap();
    let ready = preflight(scenario, world.options()).unwrap();
    assert_eq!(ready.corpus_info.mean_tokens, Some(678.0));
    let outcome = execute(ready, &StopHandle::new(), |_| {}).unwrap();
    let mut records = read::requests(&outcome.run_dir).unwrap();
    records.sort_by_key(|r| r.scheduled_at);
    let start = outcome.manifest.stages[0].started_at_ns.unwrap();
    for (record, (at, input, output, _)) in records.iter().zip(rows) {
        assert_eq!(record.scheduled_at.since(start), Duration::from_millis(at) / 2);
        assert_eq!(record.prompt_tokens, Some(input), "counted by the server");
        assert_eq!(record.output_tokens.unwrap().count, output);
    }
    let cached: Vec<u32> = records.iter().map(|r| r.cached_tokens.unwrap()).collect();
    // 512 words and the template's tokens before them, in whole blocks of 16 tokens.
    assert_eq!((cached[0], cached[3]), (0, 0), "{cached:?}");
    assert!((480..=528).contains(&cached[1]), "{cached:?}");
    assert!((480..=512).contains(&cached[2]), "{cached:?}");
}

#[test]
fn a_run_can_be_replayed() {
    let world = World::new(SimulatorConfig::default(), 60);
    let load =
        "warmup = { requests = 2 }\nopen = { rate = 30, arrivals = \"constant\", requests = 20 }";
    let (first, before, _) = world.run(load, &["load.calibrate=false"]);
    let load = format!("trace = {{ file = {:?}, format = \"run\" }}", first.run_dir.path());
    let (again, after, _) = world.run(&load, &["load.calibrate=false"]);
    let measured = |records: &[vllm_bench_record::RequestRecord], stage: u32| {
        let mut rows: Vec<_> = records
            .iter()
            .filter(|r| r.stage_index == stage)
            .map(|r| (r.scheduled_at, r.output_tokens.unwrap().count))
            .collect();
        rows.sort_unstable();
        let start = rows[0].0;
        rows.into_iter().map(|(at, tokens)| (at.since(start), tokens)).collect::<Vec<_>>()
    };
    assert_eq!(measured(&before, 1), measured(&after, 0));
    assert_eq!(again.manifest.stages[0].planned_requests, Some(20));
}

#[test]
fn a_trace_that_does_not_fit_is_refused_before_anything_is_sent() {
    let world = World::new(SimulatorConfig::default(), 4);
    let file = world.dir.path().join("trace.csv");
    let row = "2023-11-16 18:17:03.9799600";
    let write =
        |columns: &str, rows: &str| std::fs::write(&file, format!("{columns}\n{rows}")).unwrap();
    let error = |format: &str| {
        let text = format!(
            "name = \"t\"\n[server]\nurl = \"{}\"\n[load]\ntrace = {{ file = {file:?}, format = {format} }}\n",
            world.url()
        );
        let scenario = Scenario::parse(&text, Path::new("t.toml"), &[]).unwrap();
        let error = preflight(scenario, world.options()).expect_err("must be refused");
        assert_eq!(error.problem(), Problem::Input);
        error.to_string()
    };
    write("TIMESTAMP,ContextTokens,GeneratedTokens", &format!("{row},50000,10\n{row},20,10\n"));
    let words = error("\"azure\"");
    assert!(words.contains("1 of 2 requests of the trace are longer"), "{words}");
    assert!(words.contains("t.toml:5:9") && words.contains("max_prompt_tokens"), "{words}");

    write("timestamp", "1\n2\n");
    let words = error("{ csv = {} }");
    assert!(words.contains("nothing of prompt lengths"), "{words}");
}

#[test]
fn a_stage_ends_when_it_is_precise_enough() {
    let world = World::new(SimulatorConfig::default(), 400);
    let load = "until = { metric = \"e2e_mean\", ci_width = \"90%\" }\n\
                closed = { concurrency = 4, requests = 390 }";
    let (outcome, records, _) = world.run(load, &["load.calibrate=false"]);
    let stage = &outcome.manifest.stages[0];
    assert_eq!(stage.ended, Some(StageEnd::Precise));
    // Thirty values are needed, and the wide interval is soon reached.
    assert!((30..390).contains(&records.len()), "{}", records.len());
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed), "none is cut off");
}
