//! Runs that were killed, cut or damaged: what is there is read, what is not is said.

mod support;

use std::fs::{self, File};
use std::path::Path;

use polars::prelude::{ParquetReader, ParquetWriter, SerReader};
use support::{counters, gpu, two_users};
use vllm_bench_analysis::{AnalysisError, Dataset, Summary};
use vllm_bench_record::{
    CheckKind, CheckStatus, EngineSample, GpuSample, HistogramTotals, RunStatus, layout,
};

#[test]
fn a_killed_run_works_on_its_closed_parts() {
    let mut run = two_users();
    run.manifest.status = RunStatus::Running;
    run.manifest.finished_at_ns = None;
    run.manifest.stages[1].finished_at_ns = None;
    run.manifest.stages[1].ended = None;
    run.manifest.stages[1].engine_after.clear();
    let dir = run.write();
    fs::write(dir.join(layout::REQUESTS).join("part-00001.parquet.open"), b"PAR1 half a part")
        .expect("a file");
    let summary = Summary::of(&Dataset::open(&dir).expect("readable")).expect("a summary");
    assert_eq!(summary.stages[0].completed, 3);
    assert_eq!(summary.stages[0].server, None);
    assert_eq!(summary.run.seconds, Some(1.5), "the last thing recorded");
    assert_eq!(summary.warnings.len(), 1, "{:?}", summary.warnings);
    assert!(summary.warnings[0].contains("did not come to its end"));
    let check =
        summary.verdict.checks.iter().find(|c| c.kind == CheckKind::RunComplete).expect("a check");
    assert_eq!(check.status, CheckStatus::Warn);
}

#[test]
fn an_unreadable_part_is_a_warning_that_names_it() {
    let run = two_users();
    let dir = run.write();
    let parts = dir.join(layout::REQUESTS);
    let whole = fs::read(parts.join(layout::part_name(0))).expect("the one part");
    fs::write(parts.join(layout::part_name(1)), &whole[..whole.len() / 2]).expect("a file");
    fs::write(parts.join(layout::part_name(2)), b"").expect("a file");
    let dataset = Dataset::open(&dir).expect("readable");
    assert_eq!(dataset.requests().len(), 5);
    let warnings = dataset.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("part-00001.parquet") && warnings[1].contains("part-00002.parquet")
    );
}

#[test]
fn a_missing_folder_is_an_empty_table() {
    let run = two_users();
    let dir = run.write();
    for table in [layout::REQUESTS, layout::GPU, layout::ENGINE] {
        let folder = dir.join(table);
        if folder.exists() {
            fs::remove_dir_all(folder).expect("removed");
        }
    }
    let dataset = Dataset::open(&dir).expect("readable");
    assert!(dataset.requests().is_empty() && dataset.gpu().is_empty());
    let summary = Summary::of(&dataset).expect("a summary");
    assert_eq!(summary.stages[0].figures(), None);
}

/// Rewrites a part without the columns that a later version of the same schema added.
fn as_older(part: &Path, added: &[&str]) {
    let frame = ParquetReader::new(File::open(part).expect("it is there")).finish();
    let mut frame = frame.expect("readable").drop_many(added.iter().copied());
    ParquetWriter::new(File::create(part).expect("writable")).finish(&mut frame).expect("written");
}

#[test]
fn parts_of_before_a_column_was_added_are_read_without_it() {
    let mut run = two_users();
    run.gpu = vec![gpu(1_000, 0)];
    let sample = counters(1, 2, 3, 4, 5);
    let histogram = Some(HistogramTotals { sum_s: 0.5, count: 3 });
    run.engine = vec![EngineSample { queue_time: histogram, ttft: histogram, ..sample.clone() }];
    let dir = run.write();
    let now = Dataset::open(&dir).expect("readable");
    assert_eq!((now.gpu(), now.engine()), (&run.gpu[..], &run.engine[..]));

    let part = |table| dir.join(table).join(layout::part_name(0));
    as_older(&part(layout::GPU), &["processes"]);
    let names =
        ["queue_time", "prefill_time", "decode_time", "inference_time", "ttft", "e2e_latency"];
    let columns: Vec<_> =
        names.iter().flat_map(|n| [format!("{n}_sum_s"), format!("{n}_count")]).collect();
    as_older(&part(layout::ENGINE), &columns.iter().map(String::as_str).collect::<Vec<_>>());
    let older = Dataset::open(&dir).expect("readable");
    assert!(older.warnings().is_empty(), "{:?}", older.warnings());
    assert_eq!(older.gpu(), [GpuSample { processes: None, ..gpu(1_000, 0) }]);
    assert_eq!(older.engine(), [sample]);
}

#[test]
fn a_damaged_or_newer_manifest_is_refused() {
    let run = two_users();
    let dir = run.write();
    let path = layout::manifest_path(&dir);
    let text = fs::read_to_string(&path).expect("the manifest");
    fs::write(&path, text.replace("\"schema_version\": 1", "\"schema_version\": 99"))
        .expect("written");
    let error = Dataset::open(&dir).expect_err("newer");
    assert!(matches!(error, AnalysisError::NewerSchema { found: 99, .. }), "{error}");
    fs::write(&path, &text[..text.len() / 2]).expect("written");
    let error = Dataset::open(&dir).expect_err("cut");
    assert!(matches!(error, AnalysisError::Manifest { .. }) && error.is_bad_input(), "{error}");
}
