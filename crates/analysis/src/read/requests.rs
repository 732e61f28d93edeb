//! Rows of `requests/*.parquet`.

use std::path::Path;
use std::time::Duration;

use vllm_bench_record::columns::requests as r;
use vllm_bench_record::{ChunkTokenSource, FailureCause, ServerTimings, TokenCountSource, layout};

use super::{parts, readable, word};
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

/// All requests by scheduled instant, and their chunks.
pub(crate) fn requests(
    run_dir: &Path,
    stages: usize,
    warnings: &mut Vec<String>,
) -> Result<(Vec<RequestRow>, ChunkColumns), AnalysisError> {
    let (mut rows, mut chunks) = (Vec::new(), ChunkColumns::default());
    for path in parts(run_dir, layout::REQUESTS)? {
        if let Some(frame) = readable(&path, layout::REQUESTS, REQUEST_COLUMNS, &[], warnings) {
            request_rows(&frame, stages, &mut rows, &mut chunks)?;
        }
    }
    if rows.is_empty() {
        warnings.push("no request was recorded: there are no latencies and no rates".into());
    }
    rows.sort_by(|a, b| (a.scheduled_at, &a.request_id).cmp(&(b.scheduled_at, &b.request_id)));
    Ok((rows, chunks))
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
