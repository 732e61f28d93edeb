//! `EventParser` against `parse_event`: over all recordings, and over streams
//! made up at random. Both read with serde_json; only the first remembers.

use crate::common::{datas, endpoint, read_text, streams, value};
use proptest::prelude::*;
use serde_json::{Value, json};
use vllm_bench_protocol::{Endpoint, EventParser, parse_event};

/// Decodes a stream both ways: the same events, or the same words at an error.
fn check<'a>(endpoint: Endpoint, datas: impl IntoIterator<Item = &'a str>) {
    let mut parser = EventParser::new(endpoint);
    for data in datas {
        match (parser.parse(data), parse_event(endpoint, data)) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{data}"),
            (Err(found), Err(expected)) => {
                assert_eq!(found.to_string(), expected.to_string(), "{data}");
            }
            (found, expected) => panic!("{data}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn recordings_decode_to_the_same() {
    for name in streams() {
        let body = read_text(&format!("{name}.body"));
        check(endpoint(&body), datas(&body));
        // As other servers write it: with spaces, and with sorted keys.
        let spaced = body.replace("\":", "\": ").replace(",\"", ", \"");
        check(endpoint(&body), spaced.split("\n\n").filter_map(|line| line.strip_prefix("data: ")));
        let sorted: Vec<String> = datas(&body)
            .into_iter()
            .filter(|data| *data != "[DONE]")
            .map(|data| value(data).to_string())
            .collect();
        check(endpoint(&body), sorted.iter().map(String::as_str));
    }
}

#[test]
fn recordings_damaged_anywhere_decode_to_the_same() {
    for name in ["chat-stream-utf8", "completion-stream-continuous", "chat-stream-tokenids"] {
        let body = read_text(&format!("{name}.body"));
        let datas = datas(&body);
        let usual = datas[3];
        for at in (0..usual.len()).filter(|at| usual.is_char_boundary(*at)) {
            for damage in ["", "\"", "\\", "0", "9", ",", "}", "[", " ", "\u{1}", "é"] {
                let rest = usual[at..].chars().next().map_or(at, |first| at + first.len_utf8());
                let inserted = format!("{}{damage}{}", &usual[..at], &usual[at..]);
                let replaced = format!("{}{damage}{}", &usual[..at], &usual[rest..]);
                check(endpoint(&body), [datas[1], datas[2], &inserted, &replaced, usual]);
            }
        }
    }
}

/// Chunks that are alike, in the way of vLLM and otherwise.
fn chunk() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        4 => "[ a-z]{0,4}".prop_map(Value::from),
        1 => ".{0,4}".prop_map(Value::from),
        1 => Just(Value::from("\"total_tokens\":7,\"token_ids\":[1]")),
        1 => Just(Value::Null),
    ];
    let ids = prop_oneof![
        3 => Just(Value::Null),
        2 => prop::collection::vec(any::<u32>(), 0..3).prop_map(Value::from),
    ];
    let key =
        prop_oneof![6 => Just("content"), 2 => Just("reasoning"), 1 => Just("reasoning_content")];
    let usage = prop::option::of((any::<u32>(), any::<u32>()));
    (text, ids, key, usage, 0..3_u32, 0..16_u32, any::<bool>()).prop_map(
        |(text, ids, key, usage, index, odd, extra)| {
            let mut chunk = json!({
                "id": "c", "model": "m",
                "choices": [{"index": index % 2, "delta": {key: text}, "finish_reason": null, "token_ids": ids}],
            });
            if let Some((total, completion)) = usage {
                chunk["usage"] = json!({
                    "prompt_tokens": 5, "total_tokens": total, "completion_tokens": completion,
                    "completion_tokens_details": null,
                });
            }
            match odd {
                0 => chunk["choices"][0]["finish_reason"] = "stop".into(),
                1 => chunk["choices"][0]["delta"]["role"] = "assistant".into(),
                2 => chunk["model"] = Value::Null,
                3 => chunk["error"] = json!({"message": "no"}),
                4 => chunk["choices"][0]["delta"]["tool_calls"] =
                    json!([{"function": {"name": "f", "arguments": "{\"total_tokens\":1}"}}]),
                5 => chunk["choices"][0]["logprobs"] =
                    json!({"total_tokens": 3, "completion_tokens": 4, "token_ids": [5]}),
                6 => chunk["usage"] = json!({"prompt_tokens": 5}),
                _ => {}
            }
            if extra {
                chunk["a"] = json!({"usage": {"total_tokens": 3, "completion_tokens": 4}});
            }
            chunk.to_string()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_of_all_kinds_decode_to_the_same(chunks in prop::collection::vec(chunk(), 1..24)) {
        check(Endpoint::Chat, chunks.iter().map(String::as_str));
        let completions: Vec<String> = chunks
            .iter()
            .map(|chunk| chunk.replace(r#""delta":{"content":"#, r#""text":"#).replacen("},\"fin", ",\"fin", 1))
            .collect();
        check(Endpoint::Completions, completions.iter().map(String::as_str));
    }
}
