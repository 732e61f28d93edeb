//! Killed programs, full disks, damaged and newer files.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vllm_bench_storage::{RunDir, StorageError, Table, Writer, WriterOptions, read};

const CHILD_DIR: &str = "VLLM_BENCH_STORAGE_TEST_DIR";
const PER_TICK: u32 = 10;

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn part_count(run: &RunDir, table: Table) -> usize {
    read::parts(run, table).expect("a folder").len()
}

/// Not a test of its own: the program that `a_killed_run_loses_the_open_part_only` kills.
#[test]
#[expect(clippy::print_stdout, reason = "tells its parent how far it came")]
#[ignore = "the child of a_killed_run_loses_the_open_part_only"]
fn child_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let run = common::create(Path::new(&dir));
    let part_interval = Duration::from_millis(50);
    let writer =
        Writer::start(&run, WriterOptions { part_interval, ..common::options() }).expect("thread");
    for tick in 0.. {
        for n in 0..PER_TICK {
            writer.request(common::request(tick * PER_TICK + n));
        }
        println!("{}", (tick + 1) * PER_TICK);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_run_loses_the_open_part_only() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "child_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD_DIR, results.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let run_path = results.path().join("20261124-172447-smoke");
    let (mut parts, mut sent_by_first_part) = (0, 0);
    while parts < 3 {
        let line = lines.next().expect("it writes until killed").expect("text");
        let Ok(sent) = line.parse::<usize>() else { continue };
        parts = RunDir::open(&run_path).map_or(0, |run| part_count(&run, Table::Requests));
        if parts <= 1 {
            sent_by_first_part = sent;
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    // What a part that was being written leaves behind is not read.
    fs::write(run_path.join("requests/part-99999.parquet.open"), b"PAR1").expect("writable");

    let run = RunDir::open(&run_path).expect("the manifest was there from the start");
    let back = read::requests(&run).expect("closed parts are whole");
    let expected: Vec<_> = (0..back.len() as u32).map(common::request).collect();
    assert_eq!(back, expected, "a gapless beginning");
    // What had been sent when the first part was closed is in the first three.
    assert!(sent_by_first_part > 0 && back.len() >= sent_by_first_part, "{}", back.len());
}

#[test]
fn parts_close_by_age_without_further_rows() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let part_interval = Duration::from_millis(20);
    let writer =
        Writer::start(&run, WriterOptions { part_interval, ..common::options() }).expect("thread");
    writer.request(common::request(0));
    writer.gpu(vec![common::gpu(0)]);
    for table in [Table::Requests, Table::Gpu] {
        wait_for("a part", || part_count(&run, table) == 1);
    }
    assert_eq!(read::requests(&run).expect("readable"), [common::request(0)]);
    let report = writer.finish().expect("all written");
    assert_eq!((report.requests.parts, report.gpu.parts, report.engine.parts), (1, 1, 0));
}

#[test]
fn parts_close_by_memory() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let options = WriterOptions { part_bytes: 1 << 20, ..common::options() };
    let writer = Writer::start(&run, options).expect("thread");
    for n in 0..10 {
        let mut record = common::request(n);
        record.answer = Some("x".repeat(600_000));
        writer.request(record);
    }
    assert_eq!(writer.finish().expect("all written").requests.parts, 5);
}

/// `/dev/full` says "no space left on device" to every write, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_the_rows_are_kept_for_the_next_try() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let part_interval = Duration::from_millis(20);
    let writer =
        Writer::start(&run, WriterOptions { part_interval, ..common::options() }).expect("thread");
    let open = run.table(Table::Requests).join("part-00000.parquet.open");
    std::os::unix::fs::symlink("/dev/full", open).expect("links work on Linux");
    writer.request(common::request(0));
    wait_for("the problem", || writer.problem().is_some());
    let problem = writer.problem().expect("just seen");
    assert!(problem.contains("part-00000.parquet.open"), "{problem}");
    assert!(problem.contains("No space left on device"), "{problem}");

    wait_for("the second try", || part_count(&run, Table::Requests) == 1);
    writer.request(common::request(1));
    let report = writer.finish().expect("all written in the end");
    assert_eq!((report.requests.rows, report.requests.lost), (2, 0));
    assert_eq!(report.requests.failed_writes, 1);
    assert_eq!(read::requests(&run).expect("readable"), [common::request(0), common::request(1)]);
}

#[test]
fn lost_rows_are_an_error_and_the_other_tables_are_written() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let options =
        WriterOptions { part_rows: 1, part_bytes: 1, hold_bytes: 3000, ..common::options() };
    let writer = Writer::start(&run, options).expect("thread");
    let folder = run.table(Table::Requests);
    fs::remove_dir(&folder).expect("empty");
    fs::write(&folder, "no folder").expect("writable");
    (0..100).for_each(|n| assert!(writer.request(common::request(n))));
    writer.engine(vec![common::engine(0)]);
    match writer.finish() {
        Err(StorageError::RowsLost { table: Table::Requests, lost: 100, report, source }) => {
            assert_eq!((report.requests.rows, report.engine.rows), (0, 1));
            assert!(source.to_string().contains("part-00000.parquet"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(read::engine(&run).expect("readable"), [common::engine(0)]);
}

#[test]
fn a_dropped_writer_still_closes_its_parts() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let writer = Writer::start(&run, common::options()).expect("thread");
    let handle = writer.handle();
    writer.request(common::request(0));
    drop(writer);
    assert!(!handle.request(common::request(1)));
    assert_eq!(read::requests(&run).expect("readable"), [common::request(0)]);
}

#[test]
fn an_unknown_stage_is_an_error_but_the_row_is_there() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let writer = Writer::start(&run, common::options()).expect("thread");
    let mut record = common::request(0);
    record.stage_index = 2;
    writer.request(record.clone());
    let error = writer.finish().expect_err("stage 2 of 2");
    assert!(matches!(error, StorageError::UnknownStage { rows: 1, stage_index: 2 }), "{error}");
    assert_eq!(read::requests(&run).expect("readable"), [record]);
}

/// A run with one closed part of requests, and the part's path.
fn one_part(results: &Path) -> (RunDir, std::path::PathBuf) {
    let run = common::create(results);
    let writer = Writer::start(&run, common::options()).expect("thread");
    (0..500).for_each(|n| assert!(writer.request(common::request(n))));
    writer.finish().expect("all written");
    let part = read::parts(&run, Table::Requests).expect("a folder").remove(0);
    (run, part)
}

#[test]
fn a_part_cut_short_anywhere_is_named() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let (run, part) = one_part(results.path());
    let bytes = fs::read(&part).expect("it is there");
    for keep in [0, 3, 8, 100, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
        fs::write(&part, &bytes[..keep]).expect("writable");
        let error = read::requests(&run).expect_err("a cut file");
        assert!(matches!(&error, StorageError::Part { path, .. } if *path == part), "{error}");
        assert!(error.to_string().contains("part-00000.parquet"), "{error}");
    }
}

#[test]
fn damaged_bytes_are_an_error_or_read_but_never_a_panic() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let (run, part) = one_part(results.path());
    let bytes = fs::read(&part).expect("it is there");
    let step = (bytes.len() / 300).max(1);
    let mut errors = 0;
    for at in (0..bytes.len()).step_by(step) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        fs::write(&part, &damaged).expect("writable");
        errors += u32::from(read::requests(&run).is_err());
    }
    assert!(errors > 0, "damage is noticed somewhere");
}

#[test]
fn newer_and_foreign_files_are_refused() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let (run, part) = one_part(results.path());

    // A part of a newer version: the version's byte in the footer's metadata.
    let bytes = fs::read(&part).expect("it is there");
    let key = b"vllm_bench.schema_version";
    let at = bytes.windows(key.len()).rposition(|w| w == key).expect("the key") + key.len();
    let digit = at + bytes[at..].iter().position(|b| *b == b'1').expect("version 1");
    let mut newer = bytes.clone();
    newer[digit] = b'7';
    fs::write(&part, newer).expect("writable");
    let error = read::requests(&run).expect_err("version 7");
    assert!(matches!(error, StorageError::NewerSchema { found: 7, supported: 1, .. }), "{error}");

    // A table of another kind under this name.
    let writer = Writer::start(&run, common::options()).expect("thread");
    writer.gpu(vec![common::gpu(0)]);
    writer.finish().expect("all written");
    fs::copy(run.path().join("gpu/part-00000.parquet"), &part).expect("writable");
    let error = read::requests(&run).expect_err("a gpu part").to_string();
    assert!(error.contains("column request_id should be") && error.contains("nothing"), "{error}");

    // A manifest of a newer version, whatever else it holds.
    fs::write(run.path().join("manifest.json"), r#"{"schema_version": 2, "new": []}"#).expect("ok");
    let error = RunDir::open(run.path()).expect_err("version 2");
    assert!(matches!(error, StorageError::NewerSchema { found: 2, .. }), "{error}");
    assert!(error.to_string().contains("use a newer vllm-bench"), "{error}");
}
