//! The program as it is called.

#[path = "../../../crates/analysis/tests/support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::two_users;

fn call<I: AsRef<OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vllm-bench-report"));
    command.args(arguments).env_remove("NO_COLOR").output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn arguments<'a>(words: &'a [&'a str], path: &'a Path) -> Vec<&'a OsStr> {
    words.iter().map(OsStr::new).chain([path.as_os_str()]).collect()
}

#[test]
fn a_report_is_printed_and_left_beside_the_run() {
    let run = two_users();
    let dir = run.write();
    let output = call([dir.as_os_str()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (table, notes) = (text(&output.stdout), text(&output.stderr));
    assert!(table.contains("cc 2") && table.contains("miss?") && table.contains("503"), "{table}");
    assert!(!table.contains('\u{1b}'), "a pipe gets no colours");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(notes.contains("report.html"), "{notes}");
    assert!(
        notes.contains("next: vllm-bench-report inspect") && notes.contains("--outcome failed"),
        "{notes}"
    );
    for name in ["report.html", "summary.json", "summary.csv", "summary.md"] {
        assert!(fs::metadata(dir.join(name)).expect(name).len() > 100, "{name}");
    }
    let left: Vec<_> = fs::read_dir(&dir)
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|e| e.file_name())
        .collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn the_newest_run_is_taken_where_none_is_named() {
    let run = two_users();
    run.write();
    let output = call(arguments(&["--json", "--quiet", "--results"], run.results()));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "quiet");
    let summary: Value =
        serde_json::from_slice(&output.stdout).expect("JSON alone on standard output");
    assert_eq!(summary["stages"][0]["completed"], 3);
    assert_eq!(summary["stages"][0]["whole"]["ttft_ns"]["p50"]["value"], 150e6);
}

#[test]
fn what_is_no_run_exits_with_bad_input() {
    let folder = tempfile::tempdir().expect("a folder");
    for words in [vec![], vec!["inspect"], vec!["--results"], vec!["inspect", "--results"]] {
        let output = call(arguments(&words, folder.path()));
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let error = text(&output.stderr);
        assert!(
            error.starts_with("error: ") && error.contains(&*folder.path().to_string_lossy()),
            "{error}"
        );
    }
}

#[test]
fn check_turns_a_failed_verdict_into_an_exit_code() {
    let run = two_users();
    let output = call(arguments(&["--check", "--quiet"], &run.write()));
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
}

#[test]
fn charts_are_files_of_their_own() {
    let run = two_users();
    let dir = run.write();
    let charts = run.results().join("charts");
    let output = call([dir.as_os_str(), OsStr::new("--charts"), charts.as_os_str()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let names: Vec<String> = fs::read_dir(&charts)
        .expect("made")
        .filter_map(Result::ok)
        .map(|e| e.file_name().to_string_lossy().into())
        .collect();
    assert!(names.len() >= 7 && names.iter().all(|name| name.ends_with(".html")), "{names:?}");
    assert!(text(&output.stderr).contains(&format!("{} charts", names.len())));
}

#[test]
fn pictures_without_a_browser_say_what_to_install() {
    let run = two_users();
    let dir = run.write();
    let charts = run.results().join("charts");
    let output = Command::new(env!("CARGO_BIN_EXE_vllm-bench-report"))
        .args([
            dir.as_os_str(),
            OsStr::new("--format"),
            OsStr::new("svg"),
            OsStr::new("--charts"),
            charts.as_os_str(),
        ])
        .env("PATH", run.results())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("install Chromium"), "{}", text(&output.stderr));
}

#[test]
fn single_requests_in_text_json_and_as_a_page() {
    let run = two_users();
    let dir = run.write();
    let output = call(arguments(&["inspect", "--outcome", "failed"], &dir));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("r4")
            && shown.contains("Service Unavailable")
            && !shown.contains("answer of"),
        "{shown}"
    );
    assert!(shown.contains("no prompts: cannot read corpora/none.jsonl"), "{shown}");

    let output = call(arguments(&["inspect", "--json", "--slowest", "1", "--stage", "cc 2"], &dir));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&found["matching"], &found["requests"][0]["request_id"]),
        (&Value::from(4), &Value::from("r4"))
    );

    let page = run.results().join("some requests.html");
    let output =
        call([OsStr::new("inspect"), dir.as_os_str(), OsStr::new("--html"), page.as_os_str()]);
    assert!(
        output.status.success() && text(&output.stderr).contains("some requests.html'"),
        "{}",
        text(&output.stderr)
    );
    assert!(fs::read_to_string(&page).expect("written").contains("answer of r1"));

    let alone = call([OsStr::new("inspect"), dir.as_os_str(), OsStr::new("--html")]);
    assert!(alone.status.success(), "{}", text(&alone.stderr));
    assert!(dir.join("inspect.html").is_file(), "beside the report where no file is named");

    let output = call(arguments(&["inspect", "--stage", "cc 9"], &dir));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("it has: warm-up, cc 2"), "{}", text(&output.stderr));
}

#[test]
fn runs_side_by_side() {
    let (one, mut two) = (two_users(), two_users());
    two.manifest.servers[0].model = "other/model".into();
    let (a, b) = (one.write(), two.write());
    let page = one.results().join("compare.html");
    let words = [
        OsStr::new("compare"),
        a.as_os_str(),
        b.as_os_str(),
        OsStr::new("--html"),
        page.as_os_str(),
    ];
    let output = call(words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("model: mistralai/Mistral-7B-Instruct-v0.3 / other/model"), "{shown}");
    assert!(fs::metadata(&page).expect("written").len() > 1_000);
    let output = call([OsStr::new("compare"), a.as_os_str(), b.as_os_str(), OsStr::new("--json")]);
    let comparison: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(comparison["runs"].as_array().map(Vec::len), Some(2));
    assert_eq!(call([OsStr::new("compare"), a.as_os_str()]).status.code(), Some(2));
}
