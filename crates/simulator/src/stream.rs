//! Answers as event streams.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use vllm_bench_protocol::{
    ApiError, ChatChunk, ChatDelta, CompletionChunk, Endpoint, FunctionCall, ToolCall,
};

use crate::choice::{End, Piece};
use crate::faults::{Fault, FaultSet};
use crate::generate::Generation;
use crate::job::ToolPlan;
use crate::wire::{Cut, Over, Wire};

/// Writes a request's answers as they come.
pub(crate) async fn run(
    mut generation: Generation,
    frames: mpsc::Sender<Result<Bytes, Cut>>,
    faults: FaultSet,
) {
    let exactly = faults.find(|fault| match fault {
        Fault::TokensPerChunk(count) => Some(count as usize),
        _ => None,
    });
    let mut wire = Wire::new(frames, faults);
    if write(&mut generation, &mut wire, exactly).await.is_ok() {
        // A client that left does not miss the end; a fault that ends early is meant.
        let _early = wire.done().await;
    }
}

async fn write(
    generation: &mut Generation,
    wire: &mut Wire,
    exactly: Option<usize>,
) -> Result<(), Over> {
    let mut begun = vec![Begun::default(); generation.job.choices() as usize];
    let mut opened = false;
    while !generation.is_finished() {
        let Some(pieces) = generation.pieces(exactly).await else {
            let error = ApiError::vllm(
                "EngineCore encountered an issue.",
                "InternalServerError",
                None,
                500,
            );
            return wire.event(&error.to_body()).await;
        };
        if !opened && generation.job.endpoint == Endpoint::Chat {
            open(generation, wire).await?;
        }
        opened = true;
        for (index, piece) in pieces {
            let begun = &mut begun[index as usize];
            match generation.job.endpoint {
                Endpoint::Chat => chat_piece(generation, wire, index, piece, begun).await?,
                Endpoint::Completions => {
                    completion_piece(generation, wire, index, piece, begun).await?
                }
            }
        }
    }
    if !generation.job.include_usage {
        return Ok(());
    }
    let (usage, metrics) = (generation.usage(), generation.metrics());
    let fingerprint = generation.state.fingerprint.clone();
    match generation.job.endpoint {
        Endpoint::Chat => {
            let chunk =
                ChatChunk::usage(&generation.head, usage, metrics).with_fingerprint(fingerprint);
            wire.event(&json(&chunk)).await
        }
        Endpoint::Completions => {
            let chunk = CompletionChunk::usage(&generation.head, usage, metrics)
                .with_fingerprint(fingerprint);
            wire.event(&json(&chunk)).await
        }
    }
}

/// What a choice has written already.
#[derive(Clone, Default)]
struct Begun {
    /// Its first event is out.
    first: bool,
    /// The beginning of a tool call's arguments, which came with the token that the name was sent for.
    arguments: String,
}

/// The chunks that carry the role alone, one a choice.
async fn open(generation: &Generation, wire: &mut Wire) -> Result<(), Over> {
    for index in 0..generation.job.choices() {
        let prompt = &generation.job.prompts[0].tokens;
        let ids = generation.job.return_token_ids.then(|| prompt.to_vec());
        let mut chunk = ChatChunk::opening(&generation.head, index, ids);
        if generation.job.continuous_usage {
            chunk = chunk.with_running_usage(prompt.len() as u32, 0);
        }
        wire.event(&json(&chunk)).await?;
    }
    Ok(())
}

async fn chat_piece(
    generation: &Generation,
    wire: &mut Wire,
    index: u32,
    piece: Piece,
    begun: &mut Begun,
) -> Result<(), Over> {
    let Generation { job, head, state, .. } = generation;
    let ids = job.return_token_ids.then_some(piece.token_ids);
    let mut chunk = match &job.tool {
        None => ChatChunk::content(head, index, piece.text, ids),
        Some(tool) => {
            let delta =
                tool_delta(tool, piece.text, begun, &state.new_id(), piece.finish.is_some());
            ChatChunk::delta(head, index, delta, ids)
        }
    };
    if let (Some(logprobs), Some(choice)) = (piece.logprobs, chunk.choices.first_mut()) {
        choice.logprobs = Some(Some(logprobs));
    }
    if let Some(end) = piece.finish {
        chunk = chunk.finished(finish_word(&end, job.tool.as_ref()), end.stop.map(Into::into));
        if !job.include_usage {
            chunk = chunk.with_fingerprint(state.fingerprint.clone());
        }
    }
    if job.continuous_usage {
        let (prompt, completion) = generation.tokens_of(index);
        chunk = chunk.with_running_usage(prompt, completion);
    }
    wire.event(&json(&chunk)).await
}

/// The delta of a forced tool call: first its name alone, then its arguments bit by bit.
fn tool_delta(tool: &ToolPlan, text: String, begun: &mut Begun, id: &str, ends: bool) -> ChatDelta {
    let call = if std::mem::replace(&mut begun.first, true) || ends {
        let arguments = std::mem::take(&mut begun.arguments) + &text;
        if arguments.is_empty() {
            return ChatDelta::default();
        }
        let function = FunctionCall { name: None, arguments: Some(arguments) };
        ToolCall { id: None, kind: None, index: Some(0), function }
    } else {
        begun.arguments = text;
        let function = FunctionCall { name: Some(tool.name.clone()), arguments: None };
        let id = Some(format!("chatcmpl-tool-{id}"));
        ToolCall { id, kind: Some("function".into()), index: Some(0), function }
    };
    ChatDelta { content: Some(None), tool_calls: Some(vec![call]), ..ChatDelta::default() }
}

/// The finish reason; a call that the model was free to make in another way has its own.
pub(crate) fn finish_word(end: &End, tool: Option<&ToolPlan>) -> &'static str {
    match (end.reason.word(), tool) {
        ("stop", Some(ToolPlan { named: false, .. })) => "tool_calls",
        (word, _) => word,
    }
}

async fn completion_piece(
    generation: &Generation,
    wire: &mut Wire,
    index: u32,
    piece: Piece,
    begun: &mut Begun,
) -> Result<(), Over> {
    let Generation { job, head, state, .. } = generation;
    let first = !std::mem::replace(&mut begun.first, true);
    let prompt = &job.prompts[(index / job.n) as usize];
    // With token ids the echo is in them, and not in the text.
    let echoed = if first && job.echo && !job.return_token_ids { prompt.text.as_str() } else { "" };
    let text = format!("{echoed}{}", piece.text);
    let ids = job.return_token_ids.then_some(piece.token_ids);
    let mut chunk = CompletionChunk::content(head, index, text, ids);
    if first && (job.echo || job.return_token_ids) {
        chunk = chunk.with_prompt_token_ids(prompt.tokens.to_vec());
    }
    if let (Some(logprobs), Some(choice)) = (piece.logprobs, chunk.choices.first_mut()) {
        choice.logprobs = Some(Some(logprobs));
    }
    if let Some(end) = piece.finish {
        chunk = chunk.finished(end.reason.word(), end.stop.map(Into::into));
        if !job.include_usage {
            chunk = chunk.with_fingerprint(state.fingerprint.clone());
        }
    }
    if job.continuous_usage {
        let (prompt, completion) = generation.tokens_of(index);
        chunk = chunk.with_running_usage(prompt, completion);
    }
    wire.event(&json(&chunk)).await
}

/// JSON of one of our own answers.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the protocol's answers have text keys and finite numbers")
}
