//! Answers in one piece.

use serde_json::{Value, json};
use vllm_bench_protocol::{
    AssistantMessage, ChatChoice, ChatCompletion, Completion, CompletionChoice, Endpoint,
    FunctionCall, ServerMetrics, ToolCall,
};

use crate::choice::{End, Piece};
use crate::engine::FinishReason;
use crate::generate::Generation;
use crate::refusal::Refusal;
use crate::stream::{finish_word, json};

/// Waits for all answers of a request; the body that carries them.
pub(crate) async fn run(mut generation: Generation) -> Result<String, Refusal> {
    let mut wholes: Vec<Piece> = (0..generation.job.choices()).map(|_| Piece::default()).collect();
    while !generation.is_finished() {
        let pieces = generation.pieces(None).await.ok_or_else(Refusal::engine_dead)?;
        for (index, piece) in pieces {
            let whole = &mut wholes[index as usize];
            whole.text.push_str(&piece.text);
            whole.token_ids.extend(piece.token_ids);
            whole.finish = piece.finish;
            join(&mut whole.logprobs, piece.logprobs);
        }
    }
    Ok(match generation.job.endpoint {
        Endpoint::Chat => chat(&generation, wholes),
        Endpoint::Completions => completion(&generation, wholes),
    })
}

/// Appends every list in `next` to the list of the same name in `all`.
fn join(all: &mut Option<Value>, next: Option<Value>) {
    let Some(Value::Object(all)) = all else {
        *all = next;
        return;
    };
    let Some(Value::Object(next)) = next else { return };
    for (name, values) in next {
        if let (Some(Value::Array(all)), Value::Array(values)) = (all.get_mut(&name), values) {
            all.extend(values);
        }
    }
}

fn chat(generation: &Generation, wholes: Vec<Piece>) -> String {
    let Generation { job, state, head, .. } = generation;
    let choices = (0..).zip(wholes).map(|(index, whole)| {
        let end = end_of(&whole);
        let mut choice =
            ChatChoice::new(index, String::new(), finish_word(&end, job.tool.as_ref()));
        match &job.tool {
            None => choice.message.content = Some(whole.text),
            Some(tool) => {
                let function =
                    FunctionCall { name: Some(tool.name.clone()), arguments: Some(whole.text) };
                let id = Some(format!("chatcmpl-tool-{}", state.new_id()));
                let call = ToolCall { id, kind: Some("function".into()), index: None, function };
                choice.message = AssistantMessage {
                    content: Some(String::new()),
                    tool_calls: Some(vec![call]),
                    ..choice.message
                };
            }
        }
        choice.logprobs = Some(whole.logprobs);
        choice.stop_reason = Some(end.stop.map(|stop| json!(stop)));
        choice.token_ids = Some(job.return_token_ids.then_some(whole.token_ids));
        choice
    });
    let mut answer = ChatCompletion::new(head, choices.collect(), generation.usage());
    answer.system_fingerprint = Some(Some(state.fingerprint.clone()));
    let prompt = &job.prompts[0].tokens;
    answer.prompt_token_ids = Some(job.return_token_ids.then(|| prompt.to_vec()));
    answer.metrics = Some(metrics(generation));
    json(&answer)
}

fn completion(generation: &Generation, wholes: Vec<Piece>) -> String {
    let Generation { job, state, head, .. } = generation;
    let choices = (0..).zip(wholes).map(|(index, whole)| {
        let end = end_of(&whole);
        let prompt = &job.prompts[(index / job.n) as usize];
        let echoed = if job.echo && !job.return_token_ids { prompt.text.as_str() } else { "" };
        let text = format!("{echoed}{}", whole.text);
        let mut choice = CompletionChoice::new(index, text, end.reason.word());
        choice.logprobs = Some(whole.logprobs);
        choice.stop_reason = Some(end.stop.map(|stop| json!(stop)));
        choice.token_ids = Some(job.return_token_ids.then_some(whole.token_ids));
        choice.prompt_token_ids = Some(job.return_token_ids.then(|| prompt.tokens.to_vec()));
        choice
    });
    let mut answer = Completion::new(head, choices.collect(), generation.usage());
    answer.system_fingerprint = Some(Some(state.fingerprint.clone()));
    answer.metrics = Some(metrics(generation));
    json(&answer)
}

/// Whole answers carry a null where streams carry nothing.
fn metrics(generation: &Generation) -> Option<ServerMetrics> {
    let metrics = generation.metrics()?;
    Some(ServerMetrics { speculative_decoding: Some(None), ..metrics })
}

fn end_of(whole: &Piece) -> End {
    whole.finish.clone().unwrap_or(End { reason: FinishReason::Stop, stop: None })
}
