//! Every recorded request goes through the typed request without loss.

use crate::common::{names, read_text, value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vllm_bench_protocol::{
    ChatMessage, ChatRequest, CompletionRequest, DetokenizeRequest, PromptInput, Stop,
    StreamOptions, TokenizeRequest,
};

fn round_trip<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_str::<T>(text)?)
}

/// Requests that no typed request can hold: cut JSON, and no messages.
const REFUSED: [&str; 2] = ["err-bad-json", "err-missing-messages"];

#[test]
fn recorded_requests_round_trip() {
    let mut seen = 0;
    for name in names(".req.json") {
        let text = read_text(&format!("{name}.req.json"));
        let result = if name.starts_with("tokenize") {
            round_trip::<TokenizeRequest>(&text)
        } else if name.starts_with("detokenize") {
            round_trip::<DetokenizeRequest>(&text)
        } else if text.contains("\"prompt\":") {
            round_trip::<CompletionRequest>(&text)
        } else {
            round_trip::<ChatRequest>(&text)
        };
        if REFUSED.contains(&name.as_str()) {
            result.expect_err(&name);
        } else {
            assert_eq!(result.unwrap_or_else(|e| panic!("{name}: {e}")), value(&text), "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 53, "requests that were read");
}

#[test]
fn unknown_keys_are_kept_apart() {
    let text = read_text("ok-unknown-field.req.json");
    let request: ChatRequest = serde_json::from_str(&text).expect("a request");
    assert_eq!(Value::Object(request.extra), json!({ "no_such_field": 1 }));
    assert_eq!(request.max_tokens, Some(2));
}

#[test]
fn what_is_not_set_is_not_written() {
    let request = ChatRequest {
        model: Some("m".to_owned()),
        messages: vec![ChatMessage::user("hi")],
        max_completion_tokens: Some(7),
        max_tokens: Some(9),
        temperature: Some(0.0),
        top_p: Some(0.95),
        stop: Some(Stop::One("x".to_owned())),
        stream: Some(true),
        stream_options: Some(StreamOptions { include_usage: Some(true), ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(request.token_limit(), Some(7));
    assert_eq!(
        serde_json::to_string(&request).expect("serialises"),
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":9,"max_completion_tokens":7,"temperature":0,"top_p":0.95,"stop":"x","stream":true,"stream_options":{"include_usage":true}}"#
    );
}

#[test]
fn prompts_of_all_four_forms() {
    let cases = [
        (json!("a"), PromptInput::Text("a".to_owned())),
        (json!(["a", "b"]), PromptInput::Texts(vec!["a".to_owned(), "b".to_owned()])),
        (json!([1, 2]), PromptInput::TokenIds(vec![1, 2])),
        (json!([[1], [2, 3]]), PromptInput::TokenIdLists(vec![vec![1], vec![2, 3]])),
    ];
    for (prompt, expected) in cases {
        let request: CompletionRequest =
            serde_json::from_value(json!({ "prompt": prompt })).expect("a request");
        assert_eq!(request.prompt, expected);
        assert_eq!(serde_json::to_value(&request).expect("serialises")["prompt"], prompt);
    }
    serde_json::from_value::<CompletionRequest>(json!({ "prompt": 7 })).expect_err("a number");
    serde_json::from_value::<CompletionRequest>(json!({ "prompt": [-1] })).expect_err("negative");
}

#[test]
fn null_is_not_set() {
    let request: ChatRequest = serde_json::from_value(
        json!({ "messages": [], "seed": null, "stop": null, "model": null }),
    )
    .expect("a request");
    assert_eq!(request, ChatRequest::default());
}
