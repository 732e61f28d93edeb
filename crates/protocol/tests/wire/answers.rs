//! What a server writes: recorded answers and chunks come back byte for byte.

use crate::common::{datas, endpoint, near, read_text, streams, value};
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use vllm_bench_protocol::sse::{DONE, encode_data};
use vllm_bench_protocol::{
    AnswerHead, ChatChoice, ChatChunk, ChatCompletion, Completion, CompletionChoice,
    CompletionChunk, DetokenizeResponse, Endpoint, ModelCard, ModelList, ParseError,
    PromptTokensDetails, ServerLoad, TokenizeResponse, Usage, Version, parse_answer,
};

/// Whether the text itself can come back. Log-probabilities are kept as values, whose
/// keys are sorted, and the server's times may lose a unit in the last place.
fn is_exact(text: &str) -> bool {
    !text.contains("\"logprobs\":{") && !text.contains("\"metrics\":{")
}

/// Reads and writes: the same text, so the same keys, order, nulls and numbers.
fn check<T: DeserializeOwned + Serialize>(name: &str, text: &str) -> T {
    let read: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = serde_json::to_string(&read).expect("serialises");
    assert_eq!(near(value(&written)), near(value(text)), "{name}");
    if is_exact(text) {
        assert_eq!(written, text, "{name}");
    }
    read
}

#[test]
fn whole_answers() {
    let text = |name: &str| read_text(&format!("{name}.body"));
    for name in
        ["chat-nostream", "chat-nostream-tokenids", "ok-unknown-field", "v2-chat-nostream-metrics"]
    {
        check::<ChatCompletion>(name, &text(name));
    }
    check::<Completion>("completion-nostream", &text("completion-nostream"));
    check::<ModelList>("models", &text("models"));
    check::<Version>("version", &text("version"));
    check::<ServerLoad>("load", &text("load"));
    check::<TokenizeResponse>("tokenize-chat", &text("tokenize-chat"));
    check::<TokenizeResponse>("tokenize-prompt", &text("tokenize-prompt"));
    check::<TokenizeResponse>("strs", &text("tokenize-prompt-nospecial-strs"));
    check::<DetokenizeResponse>("detokenize", &text("detokenize"));
}

#[test]
fn whole_streams_are_built_by_the_constructors() {
    let mut exact = 0;
    for name in streams() {
        let body = read_text(&format!("{name}.body"));
        let mut built = Vec::new();
        for data in datas(&body) {
            if data == "[DONE]" {
                built.extend_from_slice(DONE);
                continue;
            }
            let again = match endpoint(&body) {
                Endpoint::Chat => {
                    let chunk = check::<ChatChunk>(&name, data);
                    let again = rebuilt_chat(&chunk);
                    assert_eq!(again, chunk, "{name}");
                    serde_json::to_string(&again)
                }
                Endpoint::Completions => {
                    let chunk = check::<CompletionChunk>(&name, data);
                    let again = rebuilt_completion(&chunk);
                    assert_eq!(again, chunk, "{name}");
                    serde_json::to_string(&again)
                }
            };
            built.extend_from_slice(&encode_data(&again.expect("serialises")));
        }
        if is_exact(&body) {
            exact += 1;
            assert_eq!(built, body.as_bytes(), "{name}");
        }
    }
    assert_eq!(exact, 23, "streams that came back byte for byte");
}

/// The same chunk out of the constructors, as a server makes it.
fn rebuilt_chat(chunk: &ChatChunk) -> ChatChunk {
    let head =
        AnswerHead { id: chunk.id.clone(), created: chunk.created, model: chunk.model.clone() };
    let Some(choice) = chunk.choices.first() else {
        let usage = chunk.usage.clone().expect("the usage chunk");
        let fingerprint = chunk.system_fingerprint.clone().flatten().expect("fingerprint");
        return ChatChunk::usage(&head, usage, chunk.metrics.clone()).with_fingerprint(fingerprint);
    };
    let ids = choice.token_ids.clone().flatten();
    let mut again = if choice.delta.role.is_some() {
        ChatChunk::opening(&head, choice.index, chunk.prompt_token_ids.clone().flatten())
    } else if choice.delta.tool_calls.is_none() && choice.delta.content.is_some() {
        let text = choice.delta.content.clone().flatten().expect("text");
        ChatChunk::content(&head, choice.index, text, ids)
    } else {
        ChatChunk::delta(&head, choice.index, choice.delta.clone(), ids)
    };
    again.choices[0].logprobs = choice.logprobs.clone();
    if let Some(reason) = choice.finish_reason.clone().flatten() {
        again = again.finished(reason, choice.stop_reason.clone().flatten());
    }
    if let Some(usage) = &chunk.usage {
        again = again.with_running_usage(usage.prompt_tokens, usage.completion_tokens);
    }
    if let Some(fingerprint) = chunk.system_fingerprint.clone().flatten() {
        again = again.with_fingerprint(fingerprint);
    }
    again
}

fn rebuilt_completion(chunk: &CompletionChunk) -> CompletionChunk {
    let head =
        AnswerHead { id: chunk.id.clone(), created: chunk.created, model: chunk.model.clone() };
    let Some(choice) = chunk.choices.first() else {
        let usage = chunk.usage.clone().expect("the usage chunk");
        let fingerprint = chunk.system_fingerprint.clone().flatten().expect("fingerprint");
        return CompletionChunk::usage(&head, usage, chunk.metrics.clone())
            .with_fingerprint(fingerprint);
    };
    let ids = choice.token_ids.clone().flatten();
    let mut again = CompletionChunk::content(&head, choice.index, choice.text.clone(), ids);
    again.choices[0].logprobs = choice.logprobs.clone();
    if let Some(ids) = choice.prompt_token_ids.clone().flatten() {
        again = again.with_prompt_token_ids(ids);
    }
    if let Some(reason) = choice.finish_reason.clone().flatten() {
        again = again.finished(reason, choice.stop_reason.clone().flatten());
    }
    if let Some(usage) = &chunk.usage {
        again = again.with_running_usage(usage.prompt_tokens, usage.completion_tokens);
    }
    if let Some(fingerprint) = chunk.system_fingerprint.clone().flatten() {
        again = again.with_fingerprint(fingerprint);
    }
    again
}

#[test]
fn whole_answers_are_built_by_the_constructors() {
    let text = read_text("chat-nostream.body");
    let recorded: ChatCompletion = serde_json::from_str(&text).expect("an answer");
    let head =
        AnswerHead { id: recorded.id.clone(), created: recorded.created, model: "tiny".to_owned() };
    let content = recorded.choices[0].message.content.clone().expect("text");
    let details = PromptTokensDetails {
        cached_tokens: Some(0),
        created_cache_tokens: Some(Some(0)),
        ..Default::default()
    };
    let usage = Usage { prompt_tokens_details: Some(Some(details)), ..Usage::new(25, 16) };
    let mut built = ChatCompletion::new(&head, vec![ChatChoice::new(0, content, "length")], usage);
    built.system_fingerprint = recorded.system_fingerprint.clone();
    assert_eq!(serde_json::to_string(&built).expect("serialises"), text);

    let text = read_text("completion-nostream.body");
    let recorded: Completion = serde_json::from_str(&text).expect("an answer");
    let head =
        AnswerHead { id: recorded.id.clone(), created: recorded.created, model: "tiny".to_owned() };
    let details = PromptTokensDetails { cached_tokens: Some(0), ..Default::default() };
    let usage = Usage { prompt_tokens_details: Some(Some(details)), ..Usage::new(9, 16) };
    let choice = CompletionChoice::new(0, recorded.choices[0].text.clone(), "length");
    let mut built = Completion::new(&head, vec![choice], usage);
    built.system_fingerprint = recorded.system_fingerprint.clone();
    assert_eq!(serde_json::to_string(&built).expect("serialises"), text);
}

#[test]
fn a_model_card_has_the_recorded_keys() {
    let text = read_text("models.body");
    let recorded = serde_json::from_str::<ModelList>(&text).expect("a list").data[0].clone();
    let mut built = ModelCard::new("tiny", recorded.created, 8192);
    built.root = recorded.root.clone();
    built.permission[0].id = recorded.permission[0].id.clone();
    assert_eq!(built, recorded);
}

#[test]
fn answers_are_parsed() {
    let body = |name: &str| read_text(&format!("{name}.body"));
    let bodies: BTreeMap<&str, String> = [
        "chat-nostream",
        "chat-nostream-tokenids",
        "completion-nostream",
        "err-unknown-model",
        "v2-chat-nostream-metrics",
        "version",
    ]
    .map(|name| (name, body(name)))
    .into();
    let parse = |endpoint, name| parse_answer(endpoint, bodies[name].as_bytes());
    let answer = parse(Endpoint::Chat, "chat-nostream-tokenids").expect("an answer");
    assert_eq!(answer.choices[0].token_ids, Some(8));
    assert_eq!(answer.choices[0].finish_reason.as_deref(), Some("length"));
    assert!(answer.choices[0].text.as_deref().is_some_and(|text| text.starts_with("=\"\"compile")));
    assert_eq!((answer.tokens(), answer.model.as_deref()), (Some(8), Some("tiny")));
    assert_eq!(answer.metrics, None);

    let answer = parse(Endpoint::Chat, "v2-chat-nostream-metrics").expect("an answer");
    assert_eq!(
        answer.metrics.and_then(|metrics| metrics.tokens_per_second),
        Some(20.643761989571953)
    );
    assert_eq!(answer.usage.as_ref().and_then(Usage::cached_tokens), Some(0));

    let answer = parse(Endpoint::Completions, "completion-nostream").expect("an answer");
    assert_eq!(answer.choices[0].text.as_deref(), Some("13):13):13):13):13):13):13):13):"));
    assert_eq!((answer.choices[0].token_ids, answer.tokens()), (None, Some(16)));

    // The other endpoint's answer, an error, and what is neither.
    let error = parse(Endpoint::Completions, "chat-nostream").expect_err("a chat answer");
    assert!(error.to_string().contains("missing field `text`"), "{error}");
    let error = parse(Endpoint::Chat, "completion-nostream").expect_err("a completion");
    assert!(error.to_string().contains("missing field `delta`"), "{error}");
    let error = parse(Endpoint::Chat, "err-unknown-model").expect_err("an error");
    let ParseError::Server(error) = error else { panic!("{error}") };
    assert_eq!(error.message, "The model `nope` does not exist. Valid aliases: tiny.");
    let error = parse(Endpoint::Chat, "version").expect_err("something else");
    assert!(matches!(error, ParseError::NotAnAnswer { .. }), "{error}");
    let error = parse_answer(Endpoint::Chat, b"{\"a\":\"\xff\"}").expect_err("not UTF-8");
    assert!(matches!(error, ParseError::NotUtf8 { valid_up_to: 6 }), "{error}");
}
