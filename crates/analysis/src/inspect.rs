//! Single requests: what was asked, what was answered, and the figures of it.

mod answers;
mod prompts;
mod terminal;

use std::cmp::Reverse;
use std::path::Path;

use serde::Serialize;
use vllm_bench_record::{Level, Timestamp};

use crate::dataset::Dataset;
use crate::error::AnalysisError;
use crate::rows::{RequestRow, RowOutcome};

pub use prompts::{Message, Prompts};
pub use terminal::terminal;

/// Which requests are wanted. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The stage's label, exactly; `None` for all stages, warm-up too.
    pub stage: Option<String>,
    /// How the request ended.
    pub outcome: Option<WantedOutcome>,
    /// The request's id, or its beginning.
    pub id: Option<String>,
    /// The prompt's id, exactly.
    pub prompt_id: Option<String>,
    /// The slowest by E2E latency first, else in the order of sending.
    pub slowest: bool,
    /// At most so many.
    pub limit: Option<usize>,
}

/// How a wanted request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedOutcome {
    /// A whole answer.
    Completed,
    /// It failed.
    Failed,
    /// Stopped by the run's own end.
    Cancelled,
}

impl WantedOutcome {
    fn matches(self, outcome: RowOutcome) -> bool {
        match self {
            Self::Completed => outcome == RowOutcome::Completed,
            Self::Failed => matches!(outcome, RowOutcome::Failed(_)),
            Self::Cancelled => outcome == RowOutcome::Cancelled,
        }
    }
}

/// The requests that were found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The run.
    pub run_id: String,
    /// The server was the simulator.
    pub simulated: bool,
    /// How many requests match; more than are shown when a limit cut them.
    pub matching: usize,
    /// Where the prompts' texts come from.
    pub prompts: Prompts,
    /// The requests, as asked for.
    pub requests: Vec<InspectedRequest>,
}

/// One request with its texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InspectedRequest {
    /// Its id.
    pub request_id: String,
    /// Its stage's label.
    pub stage: String,
    /// How hard its stage asked. In JSON `concurrency` or `rate`.
    #[serde(flatten)]
    pub level: Level,
    /// Its user within the stage.
    pub user: u32,
    /// Its session.
    pub session: u32,
    /// Its turn of the session.
    pub turn: u32,
    /// The prompt's id.
    pub prompt_id: String,
    /// `completed`, `failed`, `cancelled`.
    pub outcome: String,
    /// Why it failed; `None` when it did not.
    pub error_cause: Option<String>,
    /// In the server's own words.
    pub error_message: Option<String>,
    /// HTTP status, when a head arrived.
    pub http_status: Option<u16>,
    /// `finish_reason`.
    pub finish_reason: Option<String>,
    /// When it was sent, run clock.
    pub sent_at_ns: Option<Timestamp>,
    /// Prompt tokens by the answer.
    pub prompt_tokens: Option<u32>,
    /// Of these, from the prefix cache.
    pub cached_tokens: Option<u32>,
    /// Output tokens.
    pub output_tokens: Option<u32>,
    /// Output tokens asked for.
    pub max_tokens: Option<u32>,
    /// Token-bearing chunks.
    pub chunks: usize,
    /// Time to first token, nanoseconds.
    pub ttft_ns: Option<u64>,
    /// Time per output token, nanoseconds.
    pub tpot_ns: Option<u64>,
    /// The longest gap between chunks, nanoseconds.
    pub icl_max_ns: Option<u64>,
    /// End-to-end latency, nanoseconds.
    pub e2e_ns: Option<u64>,
    /// Lateness of sending, nanoseconds.
    pub send_lag_ns: Option<u64>,
    /// The server's own time to first token, milliseconds.
    pub server_ttft_ms: Option<f64>,
    /// The server's queue time, milliseconds.
    pub server_queue_ms: Option<f64>,
    /// The prompt; `None` where the corpus is not to be had.
    pub prompt: Option<Vec<Message>>,
    /// The answer; `None` when not kept or never begun.
    pub answer: Option<String>,
    /// Reasoning, when the model sent any.
    pub reasoning: Option<String>,
    /// The model named in the answer.
    pub model: Option<String>,
}

/// The requests of `dataset` that match `filter`, with prompts from the corpus that the manifest
/// names, or from `corpus` where it is given.
///
/// # Errors
/// A stage that the run has not (the known ones are listed), or a part that cannot be read.
pub fn select(
    dataset: &Dataset,
    filter: &Filter,
    corpus: Option<&Path>,
) -> Result<Inspection, AnalysisError> {
    let stages = &dataset.manifest().stages;
    if let Some(label) = &filter.stage
        && !stages.iter().any(|s| s.label == *label)
    {
        let known = stages.iter().map(|s| s.label.clone()).collect();
        return Err(AnalysisError::UnknownStage { label: label.clone(), known });
    }
    let wanted = |row: &&RequestRow| {
        let stage = stages.get(row.stage_index as usize).map(|s| &s.label);
        filter.stage.as_ref().is_none_or(|label| stage == Some(label))
            && filter.outcome.is_none_or(|outcome| outcome.matches(row.outcome))
            && filter.id.as_ref().is_none_or(|id| row.request_id.starts_with(id.as_str()))
            && filter.prompt_id.as_ref().is_none_or(|id| row.prompt_id == *id)
    };
    let mut rows: Vec<&RequestRow> = dataset.requests().iter().filter(wanted).collect();
    if filter.slowest {
        rows.sort_by_key(|row| Reverse(duration(row)));
    }
    let matching = rows.len();
    rows.truncate(filter.limit.unwrap_or(usize::MAX));

    let mut answers = answers::of(dataset, &rows)?;
    let (prompts, mut texts) = prompts::of(dataset, &rows, corpus);
    let inspected = rows.iter().map(|row| {
        let mut request = inspected(dataset, row);
        if let Some(kept) = answers.remove(&row.request_id) {
            (request.answer, request.reasoning, request.model) =
                (kept.answer, kept.reasoning, kept.model);
        }
        request.prompt = texts.remove(&row.prompt_id);
        request
    });
    let run = dataset.manifest();
    Ok(Inspection {
        run_id: run.run_id.clone(),
        simulated: run.servers.iter().any(|s| s.simulated),
        matching,
        prompts,
        requests: inspected.collect(),
    })
}

/// E2E latency, or how long it was under way when it has none.
fn duration(row: &RequestRow) -> u64 {
    let under_way = row.in_flight().map(|(from, to)| to.since(from));
    row.e2e.or(under_way).map_or(0, |d| d.as_nanos() as u64)
}

fn inspected(dataset: &Dataset, row: &RequestRow) -> InspectedRequest {
    let stage = &dataset.manifest().stages[row.stage_index as usize];
    let nanos = |d: Option<std::time::Duration>| d.map(|d| d.as_nanos() as u64);
    let chunks = dataset.chunks(row);
    InspectedRequest {
        request_id: row.request_id.clone(),
        stage: stage.label.clone(),
        level: stage.load.level(),
        user: row.user,
        session: row.session,
        turn: row.turn,
        prompt_id: row.prompt_id.clone(),
        outcome: row.outcome.as_str().to_owned(),
        error_cause: match row.outcome {
            RowOutcome::Failed(cause) => Some(cause.as_str().to_owned()),
            _ => None,
        },
        error_message: row.error_message.clone(),
        http_status: row.http_status,
        finish_reason: row.finish_reason.clone(),
        sent_at_ns: row.sent_at,
        prompt_tokens: row.prompt_tokens,
        cached_tokens: row.cached_tokens,
        output_tokens: row.output_tokens,
        max_tokens: row.max_tokens,
        chunks: chunks.at.len(),
        ttft_ns: nanos(row.ttft),
        tpot_ns: nanos(row.tpot),
        icl_max_ns: nanos(chunks.icl().max()),
        e2e_ns: nanos(row.e2e),
        send_lag_ns: nanos(row.send_lag),
        server_ttft_ms: row.server.ttft_ms,
        server_queue_ms: row.server.queue_ms,
        prompt: None,
        answer: None,
        reasoning: None,
        model: None,
    }
}
