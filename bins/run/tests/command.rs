//! The command as a script meets it: exit codes, streams, JSON.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

mod world;

use std::path::Path;
use std::process::Command;

use world::{World, text};

#[test]
fn a_run_shows_its_table_and_what_comes_next() {
    let world = World::new();
    let out = world.run(&["s.toml", "--url", &world.simulator.url()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert!(stdout.contains("cc 2") && stdout.contains("next: vllm-bench-report"), "{stdout}");
    assert!(stdout.lines().all(|l| l.chars().count() <= 80 || l.contains("results")), "{stdout}");
    assert!(stderr.contains("SIMULATED"), "{stderr}");
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "no colours in a pipe");
    assert!(world.latest().join("manifest.json").is_file());
}

#[test]
fn json_is_one_event_a_line() {
    let world = World::new();
    let out = world.run(&["s.toml", "--url", &world.simulator.url(), "--json", "--quiet"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let events: Vec<serde_json::Value> =
        text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"run_started"));
    assert_eq!(names.last(), Some(&"run_finished"));
    let finished: Vec<_> = events.iter().filter(|e| e["event"] == "stage_finished").collect();
    assert_eq!(finished.len(), 2);
    assert_eq!(finished[1]["figures"]["completed"], 6);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let world = World::new();
    let url = world.simulator.url();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["missing.toml"], 2, "missing.toml"),
        (&["s.toml", "--url", "http://127.0.0.1:9"], 3, "no server"),
        (&["s.toml", "--url", &url, "--model", "nope"], 3, "nope"),
        (&["s.toml", "--url", &url, "--set", "load.closed.requests=[30, 60]"], 2, "12 prompts"),
        (
            &["s.toml", "--url", &url, "--set", "request.max_tokns=3"],
            2,
            "did you mean `max_tokens`",
        ),
        (&["s.toml", "--url", &url, "--corpus", "nowhere.jsonl"], 2, "nowhere.jsonl"),
        (&["s.toml", "--modell", "x"], 2, "--model"),
    ];
    for (args, code, words) in cases {
        let out = world.run(args);
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    assert!(!world.latest().exists(), "nothing was run");
}

#[test]
fn dot_env_names_port_and_model_and_its_secrets_stay_there() {
    let world = World::new();
    let port = world.simulator.addr().port();
    let env = format!("PORT={port}\nMODEL=simulated\nVLLM_API_KEY=sk-secret\nHF_TOKEN=hf_secret\n");
    std::fs::write(world.dir.path().join(".env"), env).unwrap();
    let out = world.run(&["s.toml"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let manifest = std::fs::read_to_string(world.latest().join("manifest.json")).unwrap();
    assert!(manifest.contains(&port.to_string()) && !manifest.contains("secret"), "{manifest}");

    std::fs::write(world.dir.path().join(".env"), "HF_TOKEN=hf secret here\n").unwrap();
    let out = world.run(&["s.toml"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(!text(&out.stderr).contains("secret"), "{}", text(&out.stderr));
}

#[test]
#[cfg(unix)]
fn ctrl_c_closes_the_run_in_order() {
    let world = World::new();
    let url = world.simulator.url();
    let set = "request.max_tokens=4000";
    let child = Command::new(env!("CARGO_BIN_EXE_vllm-bench-run"))
        .current_dir(world.dir.path())
        .args(["s.toml", "--url", &url, "--set", set, "--set", "request.ignore_eos=true"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The first request is on its way once the second manifest is written and
    // the server counts it as running.
    let running = || {
        let metrics = ureq::get(format!("{url}/metrics"))
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        let line = metrics
            .lines()
            .find(|l| l.starts_with("vllm:num_requests_running"))
            .unwrap()
            .to_owned();
        !line.ends_with(" 0.0") && !line.ends_with(" 0")
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !(has_manifest(&world.latest()) && running()) {
        assert!(std::time::Instant::now() < deadline, "the run did not start");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130));
    let manifest = std::fs::read_to_string(world.latest().join("manifest.json")).unwrap();
    assert!(manifest.contains("\"interrupted\""), "{manifest}");
}

#[cfg(unix)]
fn has_manifest(run: &Path) -> bool {
    run.join("manifest.json").is_file()
}

#[test]
fn help_completions_and_man_need_no_scenario() {
    let world = World::new();
    for (args, words) in [
        (&["--help"][..], "Exit codes"),
        (&["--completions", "bash"], "vllm-bench-run"),
        (&["--man"], ".TH"),
    ] {
        let out = world.run(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}");
        assert!(text(&out.stdout).contains(words), "{args:?}");
    }
}

#[test]
fn a_search_ends_with_its_answer_or_with_code_1() {
    let world = World::new();
    let scenario = |limit: &str| {
        let text = format!(
            "name = \"search\"\ncorpus = {{ file = \"c.jsonl\" }}\nrequest = {{ max_tokens = 8 }}\n[load]\ncalibrate = false\n\
             search = {{ over = \"concurrency\", from = 1, to = 2, requests = 2, confirm = 0 }}\n[slo]\ntpot_mean = \"{limit}\"\n"
        );
        std::fs::write(world.dir.path().join("search.toml"), text).unwrap();
        world.run(&["search.toml", "--url", &world.simulator.url()])
    };
    let out = scenario("10s");
    let (stdout, stderr) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("holds 2 streams"), "{stdout}");
    assert!(stderr.contains("search: 1 to 2 streams with tpot_mean <= 10s"), "{stderr}");
    let out = scenario("1us");
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let stderr = text(&out.stderr);
    assert!(stderr.contains("the lower bound 1 stream already fails: tpot_mean "), "{stderr}");
    assert!(stderr.contains("lower `from`"), "{stderr}");
}
