//! From the parts of a run directory to rows.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vllm_bench_record::columns::{engine as e, gpu as g, requests as r};
use vllm_bench_record::{
    ChunkTokenSource, EngineSample, FailureCause, GpuSample, GpuSource, ServerTimings,
    TokenCountSource, layout,
};

use crate::error::AnalysisError;
use crate::frame::{Frame, instant};
use crate::rows::{ChunkColumns, RequestRow, RowOutcome};

/// Every column but the texts of answers, which stay on disk.
const REQUEST_COLUMNS: &[&str] = &[
    r::REQUEST_ID,
    r::STAGE_INDEX,
    r::USER,
    r::SESSION,
    r::TURN,
    r::SERVER_INDEX,
    r::PROMPT_ID,
    r::CORPUS_PROMPT_TOKENS,
    r::MAX_TOKENS,
    r::SCHEDULED_AT_NS,
    r::SENT_AT_NS,
    r::WRITTEN_AT_NS,
    r::HEADERS_AT_NS,
    r::FIRST_TOKEN_AT_NS,
    r::LAST_TOKEN_AT_NS,
    r::FINISHED_AT_NS,
    r::CONNECT_NS,
    r::OUTCOME,
    r::ERROR_CAUSE,
    r::ERROR_MESSAGE,
    r::RETRY_AFTER_S,
    r::HTTP_STATUS,
    r::PROMPT_TOKENS,
    r::OUTPUT_TOKENS,
    r::OUTPUT_TOKENS_SOURCE,
    r::CACHED_TOKENS,
    r::FINISH_REASON,
    r::TTFT_NS,
    r::TTFT_FROM_SCHEDULE_NS,
    r::E2E_NS,
    r::E2E_FROM_SCHEDULE_NS,
    r::TPOT_NS,
    r::SEND_LAG_NS,
    r::CHUNK_AT_NS,
    r::CHUNK_TOKENS,
    r::CHUNK_COALESCED,
    r::CHUNK_CLIENT_LAG_NS,
    r::CHUNK_TOKEN_SOURCE,
    r::SERVER_TTFT_MS,
    r::SERVER_QUEUE_MS,
    r::SERVER_GENERATION_MS,
    r::SERVER_MEAN_ITL_MS,
];

const GPU_COLUMNS: &[&str] = &[
    g::AT_NS,
    g::GPU_INDEX,
    g::UUID,
    g::NAME,
    g::SOURCE,
    g::UTILIZATION_PCT,
    g::MEMORY_UTILIZATION_PCT,
    g::MEMORY_USED_BYTES,
    g::MEMORY_TOTAL_BYTES,
    g::TEMPERATURE_C,
    g::POWER_MW,
    g::ENERGY_MJ,
    g::SM_CLOCK_MHZ,
    g::MEMORY_CLOCK_MHZ,
    g::THROTTLE_REASONS,
    g::PCIE_TX_KB_S,
    g::PCIE_RX_KB_S,
];

const ENGINE_COLUMNS: &[&str] = &[
    e::AT_NS,
    e::SERVER_INDEX,
    e::RUNNING,
    e::WAITING,
    e::KV_CACHE_USAGE,
    e::PREFIX_CACHE_QUERIES,
    e::PREFIX_CACHE_HITS,
    e::PREEMPTIONS,
    e::PROMPT_TOKENS,
    e::GENERATION_TOKENS,
    e::REQUESTS_STOP,
    e::REQUESTS_LENGTH,
    e::REQUESTS_ABORT,
    e::REQUESTS_ERROR,
    e::PROCESS_START_UNIX_S,
];

/// All requests by scheduled instant, and their chunks.
pub(crate) fn requests(
    run_dir: &Path,
    stages: usize,
    warnings: &mut Vec<String>,
) -> Result<(Vec<RequestRow>, ChunkColumns), AnalysisError> {
    let (mut rows, mut chunks) = (Vec::new(), ChunkColumns::default());
    for frame in frames(run_dir, layout::REQUESTS, REQUEST_COLUMNS, warnings)? {
        request_rows(&frame?, stages, &mut rows, &mut chunks)?;
    }
    if rows.is_empty() {
        warnings.push("no request was recorded: there are no latencies and no rates".into());
    }
    rows.sort_by(|a, b| (a.scheduled_at, &a.request_id).cmp(&(b.scheduled_at, &b.request_id)));
    Ok((rows, chunks))
}

/// All GPU readings by time. `expected`: the run meant to take some.
pub(crate) fn gpu(
    run_dir: &Path,
    expected: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<GpuSample>, AnalysisError> {
    let mut samples = Vec::new();
    for frame in frames(run_dir, layout::GPU, GPU_COLUMNS, warnings)? {
        gpu_rows(&frame?, &mut samples)?;
    }
    if expected && samples.is_empty() {
        warnings.push("the run meant to sample GPUs, but no sample was recorded".into());
    }
    samples.sort_by_key(|s| (s.at, s.gpu_index));
    Ok(samples)
}

/// All readings of the servers' `/metrics` by time. `expected`: the run meant to take some.
pub(crate) fn engine(
    run_dir: &Path,
    expected: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<EngineSample>, AnalysisError> {
    let mut samples = Vec::new();
    for frame in frames(run_dir, layout::ENGINE, ENGINE_COLUMNS, warnings)? {
        engine_rows(&frame?, &mut samples)?;
    }
    if expected && samples.is_empty() {
        warnings.push(
            "the run meant to sample the server's /metrics, but no sample was recorded".into(),
        );
    }
    samples.sort_by_key(|s| (s.at, s.server_index));
    Ok(samples)
}

/// The closed parts of a table, in order; none where its folder is missing.
pub(crate) fn parts(run_dir: &Path, table: &str) -> Result<Vec<PathBuf>, AnalysisError> {
    let folder = run_dir.join(table);
    let failed = |source| AnalysisError::Read { path: folder.clone(), source };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // An open part ends in `.open` and has no footer yet.
        if path.extension() == Some(OsStr::new("parquet")) {
            parts.push(path);
        }
    }
    parts.sort();
    Ok(parts)
}

/// The readable parts of a table, one after the other; each other one is a warning.
fn frames(
    run_dir: &Path,
    table: &str,
    columns: &'static [&'static str],
    warnings: &mut Vec<String>,
) -> Result<impl Iterator<Item = Result<Frame, AnalysisError>>, AnalysisError> {
    let mut frames = Vec::new();
    for path in parts(run_dir, table)? {
        match Frame::read(&path, columns, None) {
            Ok(frame) => frames.push(Ok(frame)),
            Err(error) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let why = error.to_string().lines().next().unwrap_or_default().to_owned();
                warnings
                    .push(format!("{table}/{name} cannot be read, its rows are missing ({why})"));
            }
        }
    }
    Ok(frames.into_iter())
}

fn request_rows(
    frame: &Frame,
    stages: usize,
    rows: &mut Vec<RequestRow>,
    chunks: &mut ChunkColumns,
) -> Result<(), AnalysisError> {
    let text = |name| frame.text(name).map(Vec::into_iter);
    let must_text = |name| frame.required(name, frame.text(name)?).map(Vec::into_iter);
    let must_u32 = |name| frame.required(name, frame.u32(name)?);
    let duration = |v: Option<u64>| v.map(Duration::from_nanos);

    let mut first = chunks.at.len();
    let lengths = frame.nanos_lists(r::CHUNK_AT_NS, &mut chunks.at, instant)?;
    let same = [
        frame.u32_lists(r::CHUNK_TOKENS, &mut chunks.tokens)?,
        frame.bool_lists(r::CHUNK_COALESCED, &mut chunks.coalesced)?,
        frame.nanos_lists(r::CHUNK_CLIENT_LAG_NS, &mut chunks.client_lag, |v| Some(duration(v)))?,
    ];
    if same.iter().any(|other| *other != lengths) {
        return Err(frame.bad(r::CHUNK_AT_NS, "the chunk lists of a row differ in length"));
    }

    let (mut request_id, mut prompt_id) = (must_text(r::REQUEST_ID)?, must_text(r::PROMPT_ID)?);
    let (mut outcome, mut chunk_source) =
        (must_text(r::OUTCOME)?, must_text(r::CHUNK_TOKEN_SOURCE)?);
    let (mut cause, mut message) = (text(r::ERROR_CAUSE)?, text(r::ERROR_MESSAGE)?);
    let (mut count_source, mut finish) = (text(r::OUTPUT_TOKENS_SOURCE)?, text(r::FINISH_REASON)?);
    let stage_index = must_u32(r::STAGE_INDEX)?;
    let (user, session) = (must_u32(r::USER)?, must_u32(r::SESSION)?);
    let (turn, server_index) = (must_u32(r::TURN)?, must_u32(r::SERVER_INDEX)?);
    let (corpus_tokens, max_tokens) =
        (frame.u32(r::CORPUS_PROMPT_TOKENS)?, frame.u32(r::MAX_TOKENS)?);
    let scheduled = frame.required(r::SCHEDULED_AT_NS, frame.nanos(r::SCHEDULED_AT_NS)?)?;
    let (sent, written) = (frame.nanos(r::SENT_AT_NS)?, frame.nanos(r::WRITTEN_AT_NS)?);
    let (headers, finished) = (frame.nanos(r::HEADERS_AT_NS)?, frame.nanos(r::FINISHED_AT_NS)?);
    let (first_token, last_token) =
        (frame.nanos(r::FIRST_TOKEN_AT_NS)?, frame.nanos(r::LAST_TOKEN_AT_NS)?);
    let (connect, send_lag) = (frame.nanos(r::CONNECT_NS)?, frame.nanos(r::SEND_LAG_NS)?);
    let (retry_after, status) = (frame.u32(r::RETRY_AFTER_S)?, frame.u16(r::HTTP_STATUS)?);
    let (prompt_tokens, output_tokens) =
        (frame.u32(r::PROMPT_TOKENS)?, frame.u32(r::OUTPUT_TOKENS)?);
    let cached = frame.u32(r::CACHED_TOKENS)?;
    let (ttft, ttft_sched) = (frame.nanos(r::TTFT_NS)?, frame.nanos(r::TTFT_FROM_SCHEDULE_NS)?);
    let (e2e, e2e_sched) = (frame.nanos(r::E2E_NS)?, frame.nanos(r::E2E_FROM_SCHEDULE_NS)?);
    let tpot = frame.nanos(r::TPOT_NS)?;
    let (s_ttft, s_queue) = (frame.f64(r::SERVER_TTFT_MS)?, frame.f64(r::SERVER_QUEUE_MS)?);
    let (s_generation, s_itl) =
        (frame.f64(r::SERVER_GENERATION_MS)?, frame.f64(r::SERVER_MEAN_ITL_MS)?);

    rows.reserve(frame.rows());
    for (i, length) in lengths.into_iter().enumerate() {
        if stage_index[i] as usize >= stages {
            return Err(frame.bad(r::STAGE_INDEX, format!("{} of {stages} stages", stage_index[i])));
        }
        let outcome = outcome_of(frame, outcome.next(), cause.next().flatten())?;
        let chunk_token_source =
            word(frame, r::CHUNK_TOKEN_SOURCE, chunk_source.next(), ChunkTokenSource::from_word)?
                .ok_or_else(|| frame.bad(r::CHUNK_TOKEN_SOURCE, "no value"))?;
        rows.push(RequestRow {
            request_id: request_id.next().unwrap_or_default(),
            stage_index: stage_index[i],
            user: user[i],
            session: session[i],
            turn: turn[i],
            server_index: server_index[i],
            prompt_id: prompt_id.next().unwrap_or_default(),
            corpus_prompt_tokens: corpus_tokens[i],
            max_tokens: max_tokens[i],
            scheduled_at: instant(Some(scheduled[i])).unwrap_or_default(),
            sent_at: instant(sent[i]),
            written_at: instant(written[i]),
            headers_at: instant(headers[i]),
            first_token_at: instant(first_token[i]),
            last_token_at: instant(last_token[i]),
            finished_at: instant(finished[i]),
            connect: duration(connect[i]),
            outcome,
            error_message: message.next().flatten(),
            retry_after_s: retry_after[i],
            http_status: status[i],
            prompt_tokens: prompt_tokens[i],
            output_tokens: output_tokens[i],
            output_tokens_source: word(
                frame,
                r::OUTPUT_TOKENS_SOURCE,
                count_source.next().flatten(),
                TokenCountSource::from_word,
            )?,
            cached_tokens: cached[i],
            finish_reason: finish.next().flatten(),
            chunk_token_source,
            server: ServerTimings {
                ttft_ms: s_ttft[i],
                queue_ms: s_queue[i],
                generation_ms: s_generation[i],
                mean_itl_ms: s_itl[i],
            },
            ttft: duration(ttft[i]),
            ttft_from_schedule: duration(ttft_sched[i]),
            e2e: duration(e2e[i]),
            e2e_from_schedule: duration(e2e_sched[i]),
            tpot: duration(tpot[i]),
            send_lag: duration(send_lag[i]),
            chunks: first..first + length,
        });
        first += length;
    }
    Ok(())
}

fn outcome_of(
    frame: &Frame,
    outcome: Option<String>,
    cause: Option<String>,
) -> Result<RowOutcome, AnalysisError> {
    match outcome.as_deref().unwrap_or_default() {
        "completed" => Ok(RowOutcome::Completed),
        "cancelled" => Ok(RowOutcome::Cancelled),
        "failed" => word(frame, r::ERROR_CAUSE, cause, FailureCause::from_word)?
            .map(RowOutcome::Failed)
            .ok_or_else(|| frame.bad(r::ERROR_CAUSE, "a failed request without a cause")),
        other => Err(frame.bad(r::OUTCOME, format!("unknown word `{other}`"))),
    }
}

/// A word of a column as its value; an unknown one is an error.
fn word<T>(
    frame: &Frame,
    column: &str,
    word: Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, AnalysisError> {
    let read = |w: String| read(&w).ok_or_else(|| frame.bad(column, format!("unknown word `{w}`")));
    word.map(read).transpose()
}

fn gpu_rows(frame: &Frame, out: &mut Vec<GpuSample>) -> Result<(), AnalysisError> {
    let at = frame.required(g::AT_NS, frame.nanos(g::AT_NS)?)?;
    let gpu_index = frame.required(g::GPU_INDEX, frame.u32(g::GPU_INDEX)?)?;
    let (mut uuid, mut name) = (frame.text(g::UUID)?.into_iter(), frame.text(g::NAME)?.into_iter());
    let source = frame.required(g::SOURCE, frame.text(g::SOURCE)?)?;
    let (utilization, memory_utilization) =
        (frame.f32(g::UTILIZATION_PCT)?, frame.f32(g::MEMORY_UTILIZATION_PCT)?);
    let (used, total) = (frame.u64(g::MEMORY_USED_BYTES)?, frame.u64(g::MEMORY_TOTAL_BYTES)?);
    let (temperature, power) = (frame.f32(g::TEMPERATURE_C)?, frame.u64(g::POWER_MW)?);
    let (energy, throttle) = (frame.u64(g::ENERGY_MJ)?, frame.u64(g::THROTTLE_REASONS)?);
    let (sm, memory) = (frame.u32(g::SM_CLOCK_MHZ)?, frame.u32(g::MEMORY_CLOCK_MHZ)?);
    let (tx, rx) = (frame.u32(g::PCIE_TX_KB_S)?, frame.u32(g::PCIE_RX_KB_S)?);
    for (i, source) in source.into_iter().enumerate() {
        let source = word(frame, g::SOURCE, Some(source), GpuSource::from_word)?
            .ok_or_else(|| frame.bad(g::SOURCE, "no value"))?;
        out.push(GpuSample {
            at: instant(Some(at[i])).unwrap_or_default(),
            gpu_index: gpu_index[i],
            uuid: uuid.next().flatten(),
            name: name.next().flatten(),
            source,
            utilization_pct: utilization[i],
            memory_utilization_pct: memory_utilization[i],
            memory_used_bytes: used[i],
            memory_total_bytes: total[i],
            temperature_c: temperature[i],
            power_mw: power[i],
            energy_mj: energy[i],
            sm_clock_mhz: sm[i],
            memory_clock_mhz: memory[i],
            throttle_reasons: throttle[i],
            pcie_tx_kb_s: tx[i],
            pcie_rx_kb_s: rx[i],
        });
    }
    Ok(())
}

fn engine_rows(frame: &Frame, out: &mut Vec<EngineSample>) -> Result<(), AnalysisError> {
    let at = frame.required(e::AT_NS, frame.nanos(e::AT_NS)?)?;
    let server_index = frame.required(e::SERVER_INDEX, frame.u32(e::SERVER_INDEX)?)?;
    let (running, waiting) = (frame.f64(e::RUNNING)?, frame.f64(e::WAITING)?);
    let (kv, start) = (frame.f64(e::KV_CACHE_USAGE)?, frame.f64(e::PROCESS_START_UNIX_S)?);
    let (queries, hits) = (frame.u64(e::PREFIX_CACHE_QUERIES)?, frame.u64(e::PREFIX_CACHE_HITS)?);
    let (preemptions, prompt) = (frame.u64(e::PREEMPTIONS)?, frame.u64(e::PROMPT_TOKENS)?);
    let (generation, stop) = (frame.u64(e::GENERATION_TOKENS)?, frame.u64(e::REQUESTS_STOP)?);
    let (length, abort) = (frame.u64(e::REQUESTS_LENGTH)?, frame.u64(e::REQUESTS_ABORT)?);
    let error = frame.u64(e::REQUESTS_ERROR)?;
    for i in 0..frame.rows() {
        out.push(EngineSample {
            at: instant(Some(at[i])).unwrap_or_default(),
            server_index: server_index[i],
            running: running[i],
            waiting: waiting[i],
            kv_cache_usage: kv[i],
            prefix_cache_queries: queries[i],
            prefix_cache_hits: hits[i],
            preemptions: preemptions[i],
            prompt_tokens: prompt[i],
            generation_tokens: generation[i],
            requests_stop: stop[i],
            requests_length: length[i],
            requests_abort: abort[i],
            requests_error: error[i],
            process_start_unix_s: start[i],
        });
    }
    Ok(())
}
