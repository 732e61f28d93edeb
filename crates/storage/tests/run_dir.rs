//! The run directory: names, manifest, the link to the newest.

mod common;

use std::fs;

use vllm_bench_record::{Manifest, RunStatus};
use vllm_bench_storage::{RunDir, StorageError, Table, read};

#[test]
fn a_taken_name_gets_a_suffix_and_the_manifest_the_final_name() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let results = results.path().join("made/on/demand");
    let names: Vec<_> =
        (0..3).map(|_| common::create(&results).manifest().expect("written").run_id).collect();
    let name = "20261124-172447-smoke";
    assert_eq!(names, [name.to_owned(), format!("{name}-2"), format!("{name}-3")]);
}

#[test]
fn a_manifest_is_replaced_whole() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let manifest = Manifest { status: RunStatus::Interrupted, ..common::manifest() };
    run.write_manifest(&manifest).expect("written");
    assert_eq!(RunDir::open(run.path()).expect("a run").manifest().expect("readable"), manifest);
    let names: Vec<_> = fs::read_dir(run.path())
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["manifest.json"], "no temporary file stays");
    let text = fs::read_to_string(run.path().join("manifest.json")).expect("readable");
    assert!(text.contains("\n  \"run_id\": \"20261124-172447-smoke\",\n"), "{text}");
}

#[test]
fn latest_points_at_the_run_that_was_linked_last() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (common::create(results.path()), common::create(results.path()));
    for run in [&second, &first, &second] {
        run.link_latest().expect("linked");
        assert_eq!(RunDir::newest(results.path()).expect("a run").run_id(), run.run_id());
        let latest = RunDir::open(&results.path().join("latest")).expect("a run");
        assert_eq!(latest.run_id(), run.run_id());
    }
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(results.path().join("latest")).expect("a link").to_str(),
        Some("20261124-172447-smoke-2"),
        "relative: the results folder can be moved"
    );
}

#[test]
fn a_text_file_serves_where_there_are_no_links() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let (first, _second) = (common::create(results.path()), common::create(results.path()));
    fs::write(results.path().join("latest"), format!("{}\n", first.run_id())).expect("writable");
    assert_eq!(RunDir::newest(results.path()).expect("a run").run_id(), first.run_id());
    let latest = RunDir::open(&results.path().join("latest")).expect("a run");
    assert_eq!(latest.run_id(), first.run_id());
}

#[test]
fn without_a_link_the_run_that_started_last_is_newest() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let early = Manifest { wall_start_unix_ns: 1, ..common::manifest() };
    RunDir::create(results.path(), "z-early", &early).expect("created");
    RunDir::create(results.path(), "a-late", &common::manifest()).expect("created");
    fs::create_dir(results.path().join("zz-not-a-run")).expect("created");
    assert_eq!(RunDir::newest(results.path()).expect("a run").run_id(), "a-late");
}

#[test]
fn what_is_no_run_is_said() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let none = RunDir::newest(&results.path().join("missing"));
    assert!(matches!(none, Err(StorageError::NoRuns { .. })), "{none:?}");
    let none = RunDir::newest(results.path());
    assert!(matches!(none, Err(StorageError::NoRuns { .. })), "{none:?}");
    let none = RunDir::open(results.path());
    assert!(matches!(none, Err(StorageError::NotARun { .. })), "{none:?}");

    let run = common::create(results.path());
    assert!(read::parts(&run, Table::Gpu).expect("no folder is no parts").is_empty());
    fs::write(run.path().join("manifest.json"), "{\n  \"schema_version\": 1,\n").expect("ok");
    let error = RunDir::open(run.path()).expect_err("cut short");
    let cause = std::error::Error::source(&error).expect("serde's words").to_string();
    assert!(cause.contains("line 3"), "{cause}");
}
