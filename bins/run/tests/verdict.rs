//! The verdict at the end of a run: what is shown, in JSON, and as an exit code.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

mod world;

use serde_json::Value;
use vllm_bench_record::{CheckKind, CheckStatus};
use world::{World, text};

/// No request gets its answer in time: errors fail, whatever the machine is like.
const TOO_SHORT: [&str; 2] = ["--set", "timeouts.total=1ms"];

#[test]
fn a_line_that_fails_is_shown_and_strict_makes_it_the_exit_code() {
    let world = World::new();
    let url = world.simulator.url();
    let out = world.run(&[&["s.toml", "--url", &url], &TOO_SHORT[..]].concat());
    assert_eq!(out.status.code(), Some(0), "a verdict alone is no failure: {}", text(&out.stderr));
    let stdout = text(&out.stdout);
    assert!(stdout.contains("  FAIL errors: 9 of 9 failed (100 %)"), "{stdout}");
    assert!(stdout.contains("→ Look at the causes"), "advice beside it: {stdout}");
    assert!(!stdout.contains("sent once"), "what passed is not shown: {stdout}");
    assert!(stdout.lines().all(|l| l.chars().count() <= 80 || l.contains("results")), "{stdout}");

    let world = World::new();
    let url = world.simulator.url();
    let out = world.run(&[&["s.toml", "--url", &url, "--strict"], &TOO_SHORT[..]].concat());
    assert_eq!(out.status.code(), Some(4), "{}", text(&out.stderr));
}

#[test]
fn the_event_holds_every_check_and_decides_the_strict_exit() {
    let world = World::new();
    let url = world.simulator.url();
    let out = world.run(&["s.toml", "--url", &url, "--json", "--quiet", "--strict"]);
    let stdout = text(&out.stdout);
    let events: Vec<Value> = stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(names[names.len() - 2..], ["verdict", "run_finished"]);
    let verdict = &events[names.len() - 2];
    let checks = verdict["checks"].as_array().unwrap();
    let kinds: Vec<CheckKind> =
        checks.iter().map(|c| serde_json::from_value(c["kind"].clone()).unwrap()).collect();
    assert_eq!(kinds, CheckKind::ALL);
    let status = |kind: CheckKind| {
        let at = kinds.iter().position(|k| *k == kind).unwrap();
        serde_json::from_value::<CheckStatus>(checks[at]["status"].clone()).unwrap()
    };
    // What does not depend on the machine.
    for kind in [
        CheckKind::RunComplete,
        CheckKind::Errors,
        CheckKind::SentOnce,
        CheckKind::CacheFree,
        CheckKind::TokenCounts,
        CheckKind::SameServer,
        CheckKind::OtherTraffic,
        CheckKind::ChunkTokens,
    ] {
        assert_eq!(status(kind), CheckStatus::Pass, "{kind:?}: {verdict}");
    }
    assert_eq!(status(CheckKind::Samples), CheckStatus::Warn, "{verdict}");
    assert_eq!(status(CheckKind::GpuClocks), CheckStatus::Unknown, "a simulated GPU: {verdict}");
    let code = if verdict["status"] == "fail" { 4 } else { 0 };
    assert_eq!(out.status.code(), Some(code), "{verdict}");
}
