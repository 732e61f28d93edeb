//! The columns of `requests/*.parquet` and the way back to a [`RequestRecord`].

use std::time::Duration;

use arrow::array::{
    Array, BooleanArray, Float64Array, Int64Array, StringArray, UInt16Array, UInt32Array,
};
use vllm_bench_record::columns::requests as c;
use vllm_bench_record::{
    ChunkArrival, ChunkTokenSource, Failure, FailureCause, Level, Outcome, Phase, RequestRecord,
    ServerTimings, Timestamp, TokenCount, TokenCountSource,
};

use crate::error::StorageError;
use crate::rows::{Cells, Row, duration_ns, instant_ns};
use crate::schema::{Column, Context, Get, Layout};
use crate::table::Table;

impl Row for RequestRecord {
    const TABLE: Table = Table::Requests;

    fn columns() -> Vec<Column<Self>> {
        use Layout::{Delta, Dictionary, Plain};
        vec![
            Column::required(c::REQUEST_ID, Plain, Get::Text(|r, _| Some(&r.request_id))),
            Column::required(c::STAGE_INDEX, Delta, Get::U32(|r, _| Some(r.stage_index))),
            Column::nullable(c::STAGE, Dictionary, Get::Text(|r, x| Some(&stage(r, x)?.label))),
            Column::nullable(
                c::PHASE,
                Dictionary,
                Get::Text(|r, x| {
                    Some(match stage(r, x)?.phase {
                        Phase::Warmup => "warmup",
                        Phase::Measure => "measure",
                    })
                }),
            ),
            Column::nullable(
                c::CONCURRENCY,
                Delta,
                Get::U32(|r, x| match stage(r, x)?.load.level() {
                    Level::Concurrency(users) => Some(users),
                    _ => None,
                }),
            ),
            Column::nullable(
                c::RATE,
                Dictionary,
                Get::F64(|r, x| match stage(r, x)?.load.level() {
                    Level::Rate(rate) => Some(rate),
                    _ => None,
                }),
            ),
            Column::required(c::SERVER_INDEX, Delta, Get::U32(|r, _| Some(r.server_index))),
            Column::required(c::USER, Delta, Get::U32(|r, _| Some(r.user))),
            Column::required(c::SESSION, Delta, Get::U32(|r, _| Some(r.session))),
            Column::required(c::TURN, Delta, Get::U32(|r, _| Some(r.turn))),
            Column::required(c::PROMPT_ID, Plain, Get::Text(|r, _| Some(&r.prompt_id))),
            Column::nullable(
                c::CORPUS_PROMPT_TOKENS,
                Delta,
                Get::U32(|r, _| r.corpus_prompt_tokens),
            ),
            Column::nullable(c::MAX_TOKENS, Delta, Get::U32(|r, _| r.max_tokens)),
            Column::required(
                c::SCHEDULED_AT_NS,
                Delta,
                Get::I64(|r| Some(instant_ns(r.scheduled_at))),
            ),
            instant(c::SENT_AT_NS, |r| r.sent_at.map(instant_ns)),
            instant(c::WRITTEN_AT_NS, |r| r.written_at.map(instant_ns)),
            instant(c::HEADERS_AT_NS, |r| r.headers_at.map(instant_ns)),
            instant(c::FIRST_TOKEN_AT_NS, |r| r.first_token_at().map(instant_ns)),
            instant(c::LAST_TOKEN_AT_NS, |r| r.last_token_at().map(instant_ns)),
            instant(c::FINISHED_AT_NS, |r| r.finished_at.map(instant_ns)),
            instant(c::CONNECT_NS, |r| r.connect.map(duration_ns)),
            Column::required(c::OUTCOME, Dictionary, Get::Text(|r, _| Some(r.outcome.as_str()))),
            Column::nullable(
                c::ERROR_CAUSE,
                Dictionary,
                Get::Text(|r, _| Some(failure(r)?.cause.as_str())),
            ),
            Column::nullable(
                c::ERROR_MESSAGE,
                Dictionary,
                Get::Text(|r, _| Some(&failure(r)?.message)),
            ),
            Column::nullable(c::RETRY_AFTER_S, Delta, Get::U32(|r, _| failure(r)?.retry_after_s)),
            Column::nullable(c::HTTP_STATUS, Delta, Get::U16(|r| r.http_status)),
            Column::nullable(c::PROMPT_TOKENS, Delta, Get::U32(|r, _| r.prompt_tokens)),
            Column::nullable(
                c::OUTPUT_TOKENS,
                Delta,
                Get::U32(|r, _| r.output_tokens.map(|t| t.count)),
            ),
            Column::nullable(
                c::OUTPUT_TOKENS_SOURCE,
                Dictionary,
                Get::Text(|r, _| r.output_tokens.map(|t| t.source.as_str())),
            ),
            Column::nullable(c::CACHED_TOKENS, Delta, Get::U32(|r, _| r.cached_tokens)),
            Column::nullable(
                c::FINISH_REASON,
                Dictionary,
                Get::Text(|r, _| r.finish_reason.as_deref()),
            ),
            instant(c::TTFT_NS, |r| r.ttft().map(duration_ns)),
            instant(c::TTFT_FROM_SCHEDULE_NS, |r| r.ttft_from_schedule().map(duration_ns)),
            instant(c::E2E_NS, |r| r.e2e().map(duration_ns)),
            instant(c::E2E_FROM_SCHEDULE_NS, |r| r.e2e_from_schedule().map(duration_ns)),
            instant(c::TPOT_NS, |r| r.tpot().map(duration_ns)),
            instant(c::SEND_LAG_NS, |r| r.send_lag().map(duration_ns)),
            Column::required(
                c::CHUNK_AT_NS,
                Delta,
                Get::I64List(|r| r.chunks.iter().map(|k| Some(instant_ns(k.at))).collect()),
            ),
            Column::required(
                c::CHUNK_TOKENS,
                Delta,
                Get::U32List(|r| r.chunks.iter().map(|k| Some(k.tokens)).collect()),
            ),
            Column::required(
                c::CHUNK_COALESCED,
                Plain,
                Get::BoolList(|r| r.chunks.iter().map(|k| k.coalesced).collect()),
            ),
            Column::required(
                c::CHUNK_CLIENT_LAG_NS,
                Delta,
                Get::I64List(|r| r.chunks.iter().map(|k| k.client_lag.map(duration_ns)).collect()),
            ),
            Column::required(
                c::CHUNK_TOKEN_SOURCE,
                Dictionary,
                Get::Text(|r, _| Some(r.chunk_token_source.as_str())),
            ),
            Column::nullable(c::SERVER_TTFT_MS, Plain, Get::F64(|r, _| r.server?.ttft_ms)),
            Column::nullable(c::SERVER_QUEUE_MS, Plain, Get::F64(|r, _| r.server?.queue_ms)),
            Column::nullable(
                c::SERVER_GENERATION_MS,
                Plain,
                Get::F64(|r, _| r.server?.generation_ms),
            ),
            Column::nullable(c::SERVER_MEAN_ITL_MS, Plain, Get::F64(|r, _| r.server?.mean_itl_ms)),
            Column::nullable(c::MODEL, Dictionary, Get::Text(|r, _| r.model.as_deref())),
            Column::nullable(c::ANSWER, Plain, Get::Text(|r, x| kept(&r.answer, x))),
            Column::nullable(c::REASONING, Plain, Get::Text(|r, x| kept(&r.reasoning, x))),
        ]
    }

    fn bytes(&self) -> usize {
        let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
        size_of::<Self>()
            + self.request_id.len()
            + self.prompt_id.len()
            + failure(self).map_or(0, |f| f.message.len())
            + text(&self.finish_reason)
            + text(&self.model)
            + text(&self.answer)
            + text(&self.reasoning)
            + size_of_val(self.chunks.as_slice())
    }

    fn unknown_stage(&self, context: &Context) -> Option<u32> {
        stage(self, context).is_none().then_some(self.stage_index)
    }

    fn read(cells: &Cells<'_>, out: &mut Vec<Self>) -> Result<(), StorageError> {
        let text = |name| cells.column::<StringArray>(name);
        let int = |name| cells.column::<Int64Array>(name);
        let count = |name| cells.column::<UInt32Array>(name);
        let float = |name| cells.column::<Float64Array>(name);

        let (id, prompt_id) = (text(c::REQUEST_ID)?, text(c::PROMPT_ID)?);
        let (stage, server) = (count(c::STAGE_INDEX)?, count(c::SERVER_INDEX)?);
        let (user, session, turn) = (count(c::USER)?, count(c::SESSION)?, count(c::TURN)?);
        let (corpus_tokens, max_tokens) = (count(c::CORPUS_PROMPT_TOKENS)?, count(c::MAX_TOKENS)?);
        let (scheduled, sent) = (int(c::SCHEDULED_AT_NS)?, int(c::SENT_AT_NS)?);
        let (written, headers) = (int(c::WRITTEN_AT_NS)?, int(c::HEADERS_AT_NS)?);
        let (finished, connect) = (int(c::FINISHED_AT_NS)?, int(c::CONNECT_NS)?);
        let (outcome, cause) = (text(c::OUTCOME)?, text(c::ERROR_CAUSE)?);
        let (message, retry) = (text(c::ERROR_MESSAGE)?, count(c::RETRY_AFTER_S)?);
        let status = cells.column::<UInt16Array>(c::HTTP_STATUS)?;
        let (prompt_tokens, cached) = (count(c::PROMPT_TOKENS)?, count(c::CACHED_TOKENS)?);
        let (tokens, tokens_source) = (count(c::OUTPUT_TOKENS)?, text(c::OUTPUT_TOKENS_SOURCE)?);
        let (finish, model) = (text(c::FINISH_REASON)?, text(c::MODEL)?);
        let chunk_source = text(c::CHUNK_TOKEN_SOURCE)?;
        let (ttft, queue) = (float(c::SERVER_TTFT_MS)?, float(c::SERVER_QUEUE_MS)?);
        let (generation, itl) = (float(c::SERVER_GENERATION_MS)?, float(c::SERVER_MEAN_ITL_MS)?);
        let (answer, reasoning) = (text(c::ANSWER)?, text(c::REASONING)?);
        let chunks = Chunks::of(cells)?;

        for i in 0..cells.len() {
            let instant = |name, array: &Int64Array| {
                Ok::<_, StorageError>(cells.nanos(name, array, i)?.map(Timestamp::from_nanos))
            };
            let server_timings = ServerTimings {
                ttft_ms: cells.value(ttft, i),
                queue_ms: cells.value(queue, i),
                generation_ms: cells.value(generation, i),
                mean_itl_ms: cells.value(itl, i),
            };
            out.push(Self {
                request_id: cells.text(c::REQUEST_ID, id, i)?,
                stage_index: cells.required(c::STAGE_INDEX, stage, i)?,
                server_index: cells.required(c::SERVER_INDEX, server, i)?,
                user: cells.required(c::USER, user, i)?,
                session: cells.required(c::SESSION, session, i)?,
                turn: cells.required(c::TURN, turn, i)?,
                prompt_id: cells.text(c::PROMPT_ID, prompt_id, i)?,
                corpus_prompt_tokens: cells.value(corpus_tokens, i),
                max_tokens: cells.value(max_tokens, i),
                scheduled_at: instant(c::SCHEDULED_AT_NS, scheduled)?
                    .ok_or_else(|| cells.bad(c::SCHEDULED_AT_NS, i, "is null"))?,
                sent_at: instant(c::SENT_AT_NS, sent)?,
                written_at: instant(c::WRITTEN_AT_NS, written)?,
                headers_at: instant(c::HEADERS_AT_NS, headers)?,
                chunks: chunks.row(cells, i)?,
                finished_at: instant(c::FINISHED_AT_NS, finished)?,
                connect: cells.nanos(c::CONNECT_NS, connect, i)?.map(Duration::from_nanos),
                outcome: match cells.text(c::OUTCOME, outcome, i)?.as_str() {
                    "completed" => Outcome::Completed,
                    "cancelled" => Outcome::Cancelled,
                    "failed" => Outcome::Failed(Failure {
                        cause: cells.word(c::ERROR_CAUSE, cause, i, FailureCause::from_word)?,
                        message: cells.text(c::ERROR_MESSAGE, message, i)?,
                        retry_after_s: cells.value(retry, i),
                    }),
                    other => {
                        return Err(cells.bad(c::OUTCOME, i, format!("unknown word {other:?}")));
                    }
                },
                http_status: cells.value(status, i),
                prompt_tokens: cells.value(prompt_tokens, i),
                output_tokens: match cells.value(tokens, i) {
                    None => None,
                    Some(count) => Some(TokenCount {
                        count,
                        source: cells.word(
                            c::OUTPUT_TOKENS_SOURCE,
                            tokens_source,
                            i,
                            TokenCountSource::from_word,
                        )?,
                    }),
                },
                chunk_token_source: cells.word(
                    c::CHUNK_TOKEN_SOURCE,
                    chunk_source,
                    i,
                    ChunkTokenSource::from_word,
                )?,
                cached_tokens: cells.value(cached, i),
                finish_reason: cells.optional_text(finish, i),
                server: (server_timings != ServerTimings::default()).then_some(server_timings),
                model: cells.optional_text(model, i),
                answer: cells.optional_text(answer, i),
                reasoning: cells.optional_text(reasoning, i),
            });
        }
        Ok(())
    }
}

/// The four lists of a batch.
struct Chunks<'a> {
    at: crate::rows::List<'a, Int64Array>,
    tokens: crate::rows::List<'a, UInt32Array>,
    coalesced: crate::rows::List<'a, BooleanArray>,
    lag: crate::rows::List<'a, Int64Array>,
}

impl<'a> Chunks<'a> {
    fn of(cells: &Cells<'a>) -> Result<Self, StorageError> {
        Ok(Self {
            at: cells.list(c::CHUNK_AT_NS)?,
            tokens: cells.list(c::CHUNK_TOKENS)?,
            coalesced: cells.list(c::CHUNK_COALESCED)?,
            lag: cells.list(c::CHUNK_CLIENT_LAG_NS)?,
        })
    }

    fn row(&self, cells: &Cells<'_>, row: usize) -> Result<Vec<ChunkArrival>, StorageError> {
        let at = self.at.range(row);
        let (tokens, coalesced, lag) =
            (self.tokens.range(row), self.coalesced.range(row), self.lag.range(row));
        if [&tokens, &coalesced, &lag].into_iter().any(|r| r.len() != at.len()) {
            return Err(cells.bad(c::CHUNK_AT_NS, row, "the chunk lists differ in length"));
        }
        let null = |array: &dyn Array, i| array.is_null(i);
        let arrivals = at.zip(tokens).zip(coalesced.zip(lag));
        arrivals
            .map(|((at, tokens), (coalesced, lag))| {
                if null(self.tokens.values, tokens) || null(self.coalesced.values, coalesced) {
                    return Err(cells.bad(c::CHUNK_TOKENS, row, "a chunk is null"));
                }
                let client_lag =
                    cells.nanos_in(c::CHUNK_CLIENT_LAG_NS, self.lag.values, lag, row)?;
                Ok(ChunkArrival {
                    at: cells
                        .nanos_in(c::CHUNK_AT_NS, self.at.values, at, row)?
                        .map(Timestamp::from_nanos)
                        .ok_or_else(|| cells.bad(c::CHUNK_AT_NS, row, "a chunk is null"))?,
                    tokens: self.tokens.values.value(tokens),
                    coalesced: self.coalesced.values.value(coalesced),
                    client_lag: client_lag.map(Duration::from_nanos),
                })
            })
            .collect()
    }
}

fn instant(name: &'static str, get: fn(&RequestRecord) -> Option<i64>) -> Column<RequestRecord> {
    Column::nullable(name, Layout::Delta, Get::I64(get))
}

fn stage<'a>(
    record: &RequestRecord,
    context: &'a Context,
) -> Option<&'a vllm_bench_record::StageInfo> {
    context.stages.get(record.stage_index as usize)
}

fn failure(record: &RequestRecord) -> Option<&Failure> {
    match &record.outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::Completed | Outcome::Cancelled => None,
    }
}

fn kept<'a>(text: &'a Option<String>, context: &Context) -> Option<&'a str> {
    text.as_deref().filter(|_| context.answers)
}
