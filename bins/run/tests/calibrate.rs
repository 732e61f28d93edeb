//! The client's own error, measured before a run by the program itself in a second process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

mod world;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use world::{World, text};

fn manifest(world: &World) -> Value {
    let text = std::fs::read_to_string(world.latest().join("manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

#[test]
fn the_manifest_carries_what_was_measured() {
    let world = World::new();
    let url = world.simulator.url();
    let out = world.run(&["s.toml", "--url", &url, "--calibrate", "--json"]);
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("client error") && stderr.contains("at 2 streams × "), "{stderr}");

    let manifest = manifest(&world);
    let found = &manifest["calibration"];
    assert_eq!(found["streams"], 2, "the heaviest stage: {found}");
    // The simulator's own pace, and answers of whole tokens for some two seconds.
    let rate = number(&found["tokens_per_second"]);
    assert!((10.0..=2_000.0).contains(&rate), "{found}");
    let events = number(&found["events"]);
    assert!((rate..3.0 * rate).contains(&events), "{found}");
    for error in ["arrival_error", "ttft_error", "itl_error"] {
        let [p50, p99] = ["p50_ns", "p99_ns"].map(|key| number(&found[error][key]));
        // A busy machine may be late; a whole second would be another quantity.
        assert!(0.0 <= p50 && p50 <= p99 && p99 < 1e9, "{error}: {found}");
        assert!(number(&found[error]["count"]) >= 4.0, "{found}");
    }
    assert!(number(&found["max_tokens_per_second"]) > rate, "{found}");
    assert!(number(&found["cpu_ns_per_token"]) > 0.0, "{found}");
    let seconds = number(&found["seconds"]);
    assert!((1.0..60.0).contains(&seconds), "{found}");
    // It is no part of the run, and sends nothing of the corpus.
    assert_eq!(manifest["stages"].as_array().unwrap().len(), 2);

    let events: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let calibrated = events.iter().find(|e| e["event"] == "calibrated").expect("said");
    assert_eq!(&calibrated["calibration"], found);
    let at = |name: &str| events.iter().position(|e| e["event"] == name);
    assert!(at("calibrating") < at("calibrated") && at("calibrated") < at("run_started"));
}

#[test]
fn without_it_there_is_no_calibration_and_no_warning() {
    let world = World::new();
    let url = world.simulator.url();
    let set = "load.calibrate=true";
    let out = world.run(&["s.toml", "--url", &url, "--set", set, "--no-calibrate"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let manifest = manifest(&world);
    assert_eq!(manifest["calibration"], Value::Null);
    let warnings = manifest["warnings"].to_string();
    assert!(!warnings.contains("client's own error"), "{warnings}");
    assert!(!text(&out.stderr).contains("client error"), "{}", text(&out.stderr));
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let parent_of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything but ends the last parenthesis: state, parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| parent_of(pid) == Some(parent)).collect()
}

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start_calibrating(world: &World) -> (std::process::Child, u32) {
    let child = Command::new(env!("CARGO_BIN_EXE_vllm-bench-run"))
        .current_dir(world.dir.path())
        .args(["s.toml", "--url", &world.simulator.url(), "--calibrate"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let truth = wait_for("no truth server was started", || {
        children(child.id()).into_iter().find(|pid| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.contains("truth-server"))
        })
    });
    (child, truth)
}

fn is_gone(pid: u32) -> Option<()> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // One that nobody has waited for has ended too.
    stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
}

#[test]
fn the_truth_server_does_not_outlive_a_killed_run() {
    let world = World::new();
    let (mut child, truth) = start_calibrating(&world);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("the truth server lives on", || is_gone(truth));
}

#[test]
fn ctrl_c_ends_it_in_order() {
    let world = World::new();
    let (mut child, truth) = start_calibrating(&world);
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    wait_for("the truth server lives on", || is_gone(truth));
    assert!(Path::new(&world.latest()).exists());
    let manifest = manifest(&world);
    assert_eq!(
        (&manifest["status"], &manifest["calibration"]),
        (&"interrupted".into(), &Value::Null)
    );
}
