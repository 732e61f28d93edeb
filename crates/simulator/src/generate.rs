//! From a generating request to its answer: checks, faults, submission, and the wait for tokens.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use vllm_bench_protocol::{AnswerHead, Endpoint, ServerMetrics, Usage};

use crate::choice::{Choice, Piece};
use crate::driver::{Command, EngineHandle, Submission};
use crate::engine::{FinishReason, Kind, NewSequence, SequenceId, Times, TokenOutput};
use crate::faults::{Fault, FaultSet};
use crate::job::Job;
use crate::refusal::Refusal;
use crate::state::{Arrival, State};
use crate::wire::{APART, AnswerBody, Cut, stall};
use crate::{collect, stream};

/// Header in which a client asks for faults.
const FAULT_HEADER: &str = "x-vllm-bench-fault";

/// A good answer: its content type and body.
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) body: AnswerBody,
}

/// Answers a generating request.
pub(crate) async fn generate(
    state: &Arc<State>,
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Answer, Refusal> {
    let arrival = Arrival::now();
    let in_flight = state.enter();
    let number = state.next_generating();
    let faults = faults_of(state, headers, number)?;
    let refusal = |fault| match fault {
        Fault::Refuse { status, retry_after } => Some(Refusal::fault(status, retry_after)),
        _ => None,
    };
    if let Some(refusal) = faults.find(refusal) {
        return Err(refusal);
    }
    let fresh = state.config.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number);
    let (job, prefix) = match endpoint {
        Endpoint::Chat => (Job::chat(body, &state.config, fresh)?, "chatcmpl"),
        Endpoint::Completions => (Job::completions(body, &state.config, fresh)?, "cmpl"),
    };
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let id = format!("{prefix}-{}", id.unwrap_or_else(|| state.new_id()));
    let head = AnswerHead { id, created: arrival.unix, model: state.config.model.clone() };
    let streams = job.stream;
    let generation = Generation::submit(state, job, head, arrival);
    if streams {
        let body =
            AnswerBody::stream(|frames| stream::run(generation, frames, faults)).guarded(in_flight);
        return Ok(Answer { content_type: "text/event-stream; charset=utf-8", body });
    }
    let text = collect::run(generation).await?;
    let body = whole_body(text, &faults).await.guarded(in_flight);
    Ok(Answer { content_type: "application/json", body })
}

/// A whole answer as its faults leave it.
async fn whole_body(text: String, faults: &FaultSet) -> AnswerBody {
    let mut bytes = text.into_bytes();
    for fault in faults.iter() {
        match fault {
            Fault::Stall { time, .. } => stall(time).await,
            Fault::InvalidUtf8 { .. } => bytes.splice(1..1, *b"\"x\":\"\xc3\x28\",").for_each(drop),
            Fault::Garbage { .. } => bytes.truncate(bytes.len() / 2),
            Fault::Cut { .. } => {
                bytes.truncate(bytes.len() / 2);
                return AnswerBody::stream(|frames| async move {
                    // A client that left needs no cut.
                    let _left = frames.send(Ok(bytes.into())).await;
                    tokio::time::sleep(APART).await;
                    let _left = frames.send(Err(Cut)).await;
                });
            }
            _ => {}
        }
    }
    AnswerBody::whole(bytes)
}

fn faults_of(state: &State, headers: &HeaderMap, number: u64) -> Result<FaultSet, Refusal> {
    if let Some(asked) = headers.get(FAULT_HEADER) {
        let text = String::from_utf8_lossy(asked.as_bytes());
        return text.parse::<FaultSet>().map_err(|problem| Refusal::bad(problem.to_string()));
    }
    let rule = state.config.faults.iter().find(|rule| rule.fits(number));
    Ok(rule.map(|rule| rule.fault.clone()).unwrap_or_default())
}

/// A request in the engine, seen from the side that answers it.
pub(crate) struct Generation {
    pub(crate) state: Arc<State>,
    pub(crate) job: Job,
    pub(crate) head: AnswerHead,
    choices: Vec<Choice>,
    first_id: SequenceId,
    tokens: UnboundedReceiver<TokenOutput>,
    running: Running,
    cached_tokens: Option<(u32, u32)>,
    times: Times,
}

impl Generation {
    fn submit(state: &Arc<State>, job: Job, head: AnswerHead, arrival: Arrival) -> Self {
        let first_id = state.sequence_ids(job.choices());
        let (sender, tokens) = unbounded_channel();
        let mut sequences = Vec::with_capacity(job.choices() as usize);
        for prompt in &job.prompts {
            for _ in 0..job.n {
                let index = sequences.len() as u64;
                let seed = job.seed.wrapping_add(index);
                let length = state.config.answer;
                sequences.push(NewSequence {
                    id: first_id + index,
                    prompt: Arc::clone(&prompt.tokens),
                    cache_salt: job.cache_salt.clone(),
                    max_tokens: prompt.max_tokens,
                    ignore_eos: job.ignore_eos,
                    answer: job.answer.tokens(seed, length, job.min_tokens, job.ignore_eos),
                });
            }
        }
        let ids = sequences.iter().map(|sequence| sequence.id).collect();
        let running = Running { ids, engine: state.engine.clone() };
        state.engine.send(Command::Submit(Submission {
            sequences,
            arrived_at: arrival.at,
            tokens: sender,
        }));
        Generation {
            state: Arc::clone(state),
            choices: (0..job.choices()).map(|_| Choice::new()).collect(),
            job,
            head,
            first_id,
            tokens,
            running,
            cached_tokens: None,
            times: Times::default(),
        }
    }

    /// The next pieces of the answers, one a choice that moved on, with the choice's index. All tokens
    /// that have come by now make a piece together, as with vLLM when it is late; or exactly so many,
    /// where `exactly` says. None when the engine is gone.
    pub(crate) async fn pieces(&mut self, exactly: Option<usize>) -> Option<Vec<(u32, Piece)>> {
        let mut outputs = vec![self.tokens.recv().await?];
        match exactly {
            None => {
                while let Ok(output) = self.tokens.try_recv() {
                    outputs.push(output);
                }
            }
            Some(count) => {
                let ended = |outputs: &[TokenOutput]| {
                    outputs.last().is_some_and(|last| last.finish.is_some())
                };
                while outputs.len() < count && !ended(&outputs) {
                    outputs.push(self.tokens.recv().await?);
                }
            }
        }
        for output in &outputs {
            if let Kind::First { cached_tokens, created_cache_tokens, .. } = output.kind {
                self.cached_tokens.get_or_insert((cached_tokens, created_cache_tokens));
            }
            self.times = output.times;
            if output.finish.is_some() {
                self.running.ids.retain(|&id| id != output.id);
            }
        }
        let mut pieces = Vec::new();
        for index in 0..self.choices.len() as u32 {
            let id = self.first_id + u64::from(index);
            let mine: Vec<_> = outputs.iter().filter(|output| output.id == id).cloned().collect();
            let choice = &mut self.choices[index as usize];
            if mine.is_empty() || choice.finished {
                continue;
            }
            let piece = choice.push(&mine, &self.job);
            if piece.finish.as_ref().is_some_and(|end| end.stop.is_some()) {
                self.running.end(id);
            }
            pieces.push((index, piece));
        }
        Some(pieces)
    }

    /// Whether every answer is whole.
    pub(crate) fn is_finished(&self) -> bool {
        self.choices.iter().all(|choice| choice.finished)
    }

    /// Tokens of this answer's prompt, and of the answer so far.
    pub(crate) fn tokens_of(&self, index: u32) -> (u32, u32) {
        let prompt = &self.job.prompts[(index / self.job.n) as usize];
        (prompt.tokens.len() as u32, self.choices[index as usize].tokens)
    }

    /// The token counts of the whole request.
    pub(crate) fn usage(&self) -> Usage {
        let prompt = self.job.prompts.iter().map(|prompt| prompt.tokens.len() as u32).sum();
        let completion = self.choices.iter().map(|choice| choice.tokens).sum();
        let mut usage = Usage::new(prompt, completion);
        if let (true, Some((cached, created))) =
            (self.state.config.prompt_tokens_details, self.cached_tokens)
        {
            let created = (self.job.endpoint == Endpoint::Chat).then_some(Some(created));
            let details = vllm_bench_protocol::PromptTokensDetails {
                cached_tokens: Some(cached),
                created_cache_tokens: created,
                multimodal_tokens: None,
            };
            usage.prompt_tokens_details = Some(Some(details));
        }
        usage
    }

    /// The server's own times, which only a single answer has.
    pub(crate) fn metrics(&self) -> Option<ServerMetrics> {
        if !self.state.config.per_request_metrics || self.choices.len() != 1 {
            return None;
        }
        let tokens = self.choices[0].tokens;
        let between = |from: Option<_>, to: Option<_>| {
            let (from, to): (Duration, Duration) = (from?, to?);
            Some(to.saturating_sub(from).as_secs_f64() * 1000.0)
        };
        let Times { arrived_at, scheduled_at, first_token_at, last_token_at } = self.times;
        let generation = between(first_token_at, last_token_at);
        let inference = between(scheduled_at, last_token_at).filter(|&time| time > 0.0);
        Some(ServerMetrics {
            time_to_first_token_ms: between(scheduled_at, first_token_at),
            generation_time_ms: generation,
            queue_time_ms: between(Some(arrived_at), scheduled_at),
            mean_itl_ms: generation.filter(|_| tokens > 1).map(|time| time / f64::from(tokens - 1)),
            tokens_per_second: inference.map(|time| f64::from(tokens) / time * 1000.0),
            speculative_decoding: None,
        })
    }
}

/// The sequences of a request that the engine still works on; dropping it ends them.
struct Running {
    ids: Vec<SequenceId>,
    engine: EngineHandle,
}

impl Running {
    /// Ends a sequence whose answer met a stop string, if the engine has not ended it itself.
    fn end(&mut self, id: SequenceId) {
        if let Some(at) = self.ids.iter().position(|&other| other == id) {
            self.ids.swap_remove(at);
            self.engine.send(Command::End { ids: vec![id], reason: FinishReason::Stop });
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ids.is_empty() {
            let ids = std::mem::take(&mut self.ids);
            self.engine.send(Command::End { ids, reason: FinishReason::Abort });
        }
    }
}
