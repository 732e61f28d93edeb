//! The tokens of every streamed recording, chunk by chunk.

use crate::common::{after_head, datas, dechunked, endpoint, read_text, streams, value};
use vllm_bench_protocol::{Delta, StreamEvent, TokenFold, TokenSource, parse_event};

fn deltas(body: &str) -> Vec<Delta<'_>> {
    let endpoint = endpoint(body);
    let events = datas(body).into_iter().map(|data| parse_event(endpoint, data).expect("good"));
    let deltas = events.filter_map(|event| match event {
        StreamEvent::Delta(delta) => Some(delta),
        _ => None,
    });
    deltas.collect()
}

/// What [`TokenFold`] says of a stream: tokens a chunk, and itself.
fn folded(body: &str) -> (Vec<u32>, TokenFold) {
    let mut fold = TokenFold::new();
    let mut chunks = Vec::new();
    for delta in deltas(body) {
        let tokens = fold.fold(&delta);
        assert_eq!(tokens > 0, delta.bears_tokens(), "the two agree on recordings: {delta:?}");
        chunks.push(tokens);
    }
    assert_eq!(chunks.iter().sum::<u32>(), fold.counted());
    (chunks, fold)
}

/// One recording: token-bearing chunks, tokens counted in them, how, and the
/// server's own total (`None`: it sent none).
struct Case(&'static str, usize, u32, TokenSource, Option<u32>);

use TokenSource::{Assumed, RunningUsage, TokenIds};

const CASES: [Case; 34] = [
    // Cut by the client: no total. The first content chunk carries six
    // tokens and nothing in the stream tells so.
    Case("abort", 140, 140, Assumed, None),
    Case("cached-1-cold", 4, 4, Assumed, Some(4)),
    Case("cached-2-warm", 4, 4, Assumed, Some(4)),
    Case("cached-3-nextturn", 4, 4, Assumed, Some(4)),
    Case("cached-4-salted", 4, 4, Assumed, Some(4)),
    Case("chat-request-id", 2, 2, Assumed, Some(2)),
    Case("chat-stream-continuous", 16, 16, RunningUsage, Some(16)),
    Case("chat-stream-eos-at-once", 1, 1, Assumed, Some(1)),
    Case("chat-stream-json", 200, 200, Assumed, Some(200)),
    // Two tokens in the second content chunk: only the log-probabilities tell, which are not decoded.
    Case("chat-stream-logprobs", 5, 5, Assumed, Some(6)),
    Case("chat-stream-min-tokens", 5, 5, Assumed, Some(5)),
    Case("chat-stream-n2", 12, 12, Assumed, Some(12)),
    Case("chat-stream-nousage", 16, 16, Assumed, None),
    Case("chat-stream-stop-string", 2, 2, Assumed, Some(2)),
    Case("chat-stream-tokenids", 16, 16, TokenIds, Some(16)),
    Case("chat-stream-usage", 16, 16, Assumed, Some(16)),
    Case("chat-stream-utf8", 44, 44, TokenIds, Some(44)),
    Case("completion-stream-continuous", 16, 16, RunningUsage, Some(16)),
    Case("completion-stream-echo", 4, 4, Assumed, Some(4)),
    Case("completion-stream-logprobs", 6, 6, Assumed, Some(6)),
    // The server lagged: sixteen tokens in seven chunks, and no total.
    Case("completion-stream-nousage", 7, 7, Assumed, None),
    Case("completion-stream-tokenid-prompt", 6, 6, Assumed, Some(6)),
    Case("completion-stream-tokenids", 16, 16, TokenIds, Some(16)),
    Case("completion-stream-two-prompts", 8, 8, Assumed, Some(8)),
    Case("completion-stream-usage", 16, 16, Assumed, Some(16)),
    Case("v2-chat-stream-metrics", 8, 8, Assumed, Some(8)),
    Case("v2-chat-stream-tool-auto", 8, 8, Assumed, Some(8)),
    // The tool parser holds tokens back: name, arguments, bare end.
    Case("v2-chat-stream-tool-named", 2, 2, Assumed, Some(42)),
    Case("v2-chat-stream-tool-required", 2, 2, Assumed, Some(60)),
    Case("v2-completion-stream-metrics", 8, 8, Assumed, Some(8)),
    Case("v2-preempt", 200, 200, Assumed, Some(200)),
    // The same streams with less told: `utf8` without its ids, without its
    // running usage, and without either.
    Case("chat-stream-utf8 - ids", 44, 44, RunningUsage, Some(44)),
    Case("chat-stream-utf8 - usage", 44, 44, TokenIds, Some(44)),
    Case("chat-stream-utf8 - both", 44, 44, Assumed, Some(44)),
];

/// A recording, or one with less told.
fn body(case: &str) -> String {
    let (name, without) = case.split_once(" - ").unwrap_or((case, ""));
    let body = read_text(&format!("{name}.body"));
    if without.is_empty() {
        return body;
    }
    let events = datas(&body).into_iter().map(|data| {
        if data == "[DONE]" {
            return format!("data: {data}\n\n");
        }
        let mut chunk = value(data);
        let has_choice = chunk["choices"].get(0).is_some();
        if matches!(without, "usage" | "both") && has_choice {
            chunk.as_object_mut().expect("an object").remove("usage").expect("was told");
        }
        if matches!(without, "ids" | "both") && has_choice {
            chunk["choices"][0]["token_ids"] = serde_json::Value::Null;
        }
        format!("data: {chunk}\n\n")
    });
    events.collect()
}

#[test]
fn every_stream_is_counted() {
    for name in streams() {
        assert!(CASES.iter().any(|case| case.0 == name), "{name} is not in the table");
    }
    for Case(name, bearing, counted, source, total) in CASES {
        let (chunks, fold) = folded(&body(name));
        assert_eq!(chunks.iter().filter(|tokens| **tokens > 0).count(), bearing, "{name}");
        assert_eq!(fold.counted(), counted, "{name}");
        assert_eq!(fold.source(), source, "{name}");
        assert_eq!(fold.usage().map(|usage| usage.completion_tokens), total, "{name}");
        assert_eq!(fold.total(), Some(total.unwrap_or(counted)), "{name}");
        if source != Assumed {
            assert_eq!(Some(counted), total, "{name}: exact sources add up");
        }
    }
}

#[test]
fn the_opening_chunk_and_the_usage_chunk_bear_nothing() {
    let cases = [("chat-stream-utf8", 1), ("chat-stream-n2", 2), ("completion-stream-echo", 0)];
    for (name, opening) in cases {
        let (chunks, _) = folded(&body(name));
        let first = chunks.iter().position(|tokens| *tokens > 0);
        assert_eq!(first, Some(opening), "{name}");
        assert_eq!(chunks.last(), Some(&0), "{name}");
    }
}

#[test]
fn a_stream_recorded_read_by_read_is_counted() {
    let reads: Vec<u8> = read_text("v2-timed.jsonl")
        .lines()
        .flat_map(|line| value(line)["data"].as_str().expect("data").chars().collect::<Vec<_>>())
        .map(|character| u8::try_from(character).expect("latin-1"))
        .collect();
    let body = String::from_utf8(dechunked(after_head(&reads))).expect("UTF-8");
    let (_, fold) = folded(&body);
    // One of its chunks carries two tokens.
    assert_eq!((fold.counted(), fold.total()), (63, Some(64)));
}
