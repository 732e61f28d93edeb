//! Ready-made prompts: JSON Lines in the forms that are about.

use std::path::Path;

use serde_json::{Map, Value};
use vllm_bench_protocol::{ChatMessage, Role};

use super::jsonl;
use super::load::{Reading, Request};
use super::material::{Material, Ready};
use crate::CorpusError;

const PROMPT_KEYS: [&str; 8] =
    ["prompt", "text", "question", "instruction", "input", "query", "content", "body"];
const REFERENCE_KEYS: [&str; 6] =
    ["reference", "response", "answer", "output", "completion", "expected"];

/// Reads one prompt a line: `messages`, `conversations` (ShareGPT), `turns`, or a text under one of the usual keys.
pub(super) fn read(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    let (records, sha256) = jsonl::for_each(path, request.take(), |line, row| {
        let ready = prompt(&row).map_err(|message| CorpusError::line(path, line, message))?;
        material.ready(ready);
        Ok(())
    })?;
    Ok(Reading { records, sha256: Some(sha256) })
}

fn prompt(row: &Map<String, Value>) -> Result<Ready, String> {
    // The body of a recorded request, or of an OpenAI batch line.
    if let Some(Value::Object(body)) = row.get("body") {
        return prompt(body);
    }
    let mut messages = if let Some(list) = row.get("messages").or_else(|| row.get("conversation")) {
        conversation(list)?
    } else if let Some(list) = row.get("conversations") {
        conversation(list)?
    } else if let Some(turns) = row.get("turns") {
        turns_of(turns)?
    } else {
        let text = jsonl::text(row, &PROMPT_KEYS).ok_or_else(|| {
            format!(
                "no prompt: none of messages, conversations, turns, {}; found {}",
                PROMPT_KEYS.join(", "),
                jsonl::keys(row)
            )
        })?;
        match jsonl::text(row, &["context"]).filter(|c| !c.is_empty()) {
            Some(context) => vec![ChatMessage::user(format!("{text}\n\n{context}"))],
            None => vec![ChatMessage::user(text)],
        }
    };
    if let Some(system) = jsonl::text(row, &["system", "system_prompt"]).filter(|s| !s.is_empty())
        && messages.first().is_none_or(|m| m.role != Role::System)
    {
        messages.insert(0, ChatMessage::system(system));
    }
    let mut reference = jsonl::text(row, &REFERENCE_KEYS).map(str::to_owned);
    // A prompt ends with the person's turn; what the model said after it is the reference.
    while let Some(last) = messages.pop_if(|m| m.role == Role::Assistant) {
        reference = Some(last.content);
    }
    if messages.iter().all(|m| m.role == Role::System) {
        return Err("the conversation has no user turn".to_owned());
    }
    Ok(Ready { messages, reference })
}

fn conversation(list: &Value) -> Result<Vec<ChatMessage>, String> {
    let Value::Array(list) = list else {
        return Err(format!("expected a list of messages, found {}", jsonl::kind(list)));
    };
    let mut messages = Vec::with_capacity(list.len());
    for (at, message) in list.iter().enumerate() {
        messages.push(one_message(message).map_err(|e| format!("message {}: {e}", at + 1))?);
    }
    Ok(messages)
}

fn one_message(message: &Value) -> Result<ChatMessage, String> {
    let from = message.get("from").or_else(|| message.get("role")).and_then(Value::as_str);
    let text = message.get("value").and_then(Value::as_str);
    let (Some(from), Some(text)) = (from, text) else {
        return serde_json::from_value(message.clone()).map_err(|e| e.to_string());
    };
    let role = match from {
        "human" | "user" => Role::User,
        "gpt" | "assistant" | "model" | "chatgpt" | "bing" | "bard" => Role::Assistant,
        "system" => Role::System,
        "tool" | "function" => Role::Tool,
        other => {
            return Err(format!(
                "unknown speaker `{other}`; known are: human, user, gpt, assistant, system, tool"
            ));
        }
    };
    Ok(ChatMessage::new(role, text))
}

/// A list of the person's turns: the first one is the prompt.
fn turns_of(turns: &Value) -> Result<Vec<ChatMessage>, String> {
    let first = turns.as_array().and_then(|t| t.first()).and_then(Value::as_str);
    first
        .map(|text| vec![ChatMessage::user(text)])
        .ok_or_else(|| "`turns` is not a list of texts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, expected: &[ChatMessage], reference: Option<&str>) {
        let row: Map<String, Value> = serde_json::from_str(row).expect(row);
        let ready = prompt(&row).unwrap_or_else(|e| panic!("{e}: {row:?}"));
        assert_eq!((ready.messages.as_slice(), ready.reference.as_deref()), (expected, reference));
    }

    #[test]
    fn the_usual_forms() {
        let user = || ChatMessage::user("Q");
        check(r#"{"prompt": "Q"}"#, &[user()], None);
        check(r#"{"text": "Q", "id": 7}"#, &[user()], None);
        check(
            r#"{"instruction": "Q", "context": "C", "response": "A"}"#,
            &[ChatMessage::user("Q\n\nC")],
            Some("A"),
        );
        check(
            r#"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}"#,
            &[ChatMessage::system("S"), user()],
            Some("A"),
        );
        check(
            r#"{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}"#,
            &[user()],
            Some("A"),
        );
        check(r#"{"turns": ["Q", "R"]}"#, &[user()], None);
        check(r#"{"system": "S", "prompt": "Q"}"#, &[ChatMessage::system("S"), user()], None);
        check(
            r#"{"custom_id": "1", "body": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}]}}"#,
            &[user()],
            None,
        );
    }

    #[test]
    fn what_is_no_prompt_says_so() {
        let fault = |row: &str| prompt(&serde_json::from_str(row).expect(row)).expect_err(row);
        assert!(fault(r#"{"promt": "Q"}"#).contains("found `promt`"));
        assert!(fault(r#"{"messages": "Q"}"#).contains("expected a list"));
        assert!(
            fault(r#"{"messages": [{"role": "robot", "content": "x"}]}"#)
                .starts_with("message 1: ")
        );
        assert!(
            fault(r#"{"messages": [{"role": "assistant", "content": "x"}]}"#)
                .contains("no user turn")
        );
        assert!(
            fault(r#"{"conversations": [{"from": "robot", "value": "x"}]}"#)
                .contains("unknown speaker")
        );
    }
}
