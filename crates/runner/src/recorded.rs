//! A run of ours as a trace: when its requests were due and how long they were.

use std::fmt::Write as _;
use std::io::{self, Cursor};

use vllm_bench_loadgen::{ScheduleError, TraceReplay, TraceSpec};
use vllm_bench_record::{Phase, RequestRecord};
use vllm_bench_storage::{RunDir, StorageError, read};

/// Replays the run in the folder that `spec` names: its measured requests in the order of their
/// schedule, with the lengths that the server told, or else those that were asked for.
pub(crate) fn replay(spec: &TraceSpec) -> Result<TraceReplay, ScheduleError> {
    let name = spec.file.display().to_string();
    let rows = rows(spec)
        .map_err(|e| ScheduleError::Read { name: name.clone(), source: io::Error::other(e) })?;
    spec.replay(Cursor::new(rows), &name)
}

fn rows(spec: &TraceSpec) -> Result<String, StorageError> {
    let run_dir = RunDir::open(&spec.file)?;
    let stages = run_dir.manifest()?.stages;
    let measured = |record: &RequestRecord| {
        stages.get(record.stage_index as usize).is_some_and(|s| s.phase == Phase::Measure)
    };
    let mut records = read::requests(&run_dir)?;
    records.retain(measured);
    records.sort_by_key(|record| record.scheduled_at);
    let mut text = String::from("at_ns,prompt_tokens,output_tokens\n");
    for record in &records {
        let prompt = record.prompt_tokens.or(record.corpus_prompt_tokens).unwrap_or(0);
        let output = record.output_tokens.map(|tokens| tokens.count).or(record.max_tokens);
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "{},{prompt},{}", record.scheduled_at.as_nanos(), output.unwrap_or(0));
    }
    Ok(text)
}
