//! Every streamed recording, decoded and parsed: whole, in two pieces cut at
//! every byte, and byte by byte.

use crate::common::{
    after_head, datas, dechunked, decode, endpoint, read, read_text, streams, value,
};
use serde_json::Value;
use std::borrow::Cow;
use vllm_bench_protocol::sse::SseDecoder;
use vllm_bench_protocol::{ChoiceDelta, Delta, StreamEvent, Usage, parse_event};

#[test]
fn whole_streams_decode() {
    for name in streams() {
        let body = read(&format!("{name}.body"));
        let (events, end) = decode(SseDecoder::new, [body.as_slice()]);
        let found: Vec<_> = events.iter().map(|event| event.data.clone()).collect();
        assert_eq!(found, datas(&read_text(&format!("{name}.body"))), "{name}");
        assert!(events.iter().all(|event| event.event.is_none()), "{name}");
        assert_eq!(end, Ok(()), "{name}");
    }
}

#[test]
fn streams_cut_at_every_byte_decode_to_the_same() {
    for name in streams() {
        let body = read(&format!("{name}.body"));
        // A decoder between two events is as good as new, so of a long stream
        // each cut needs only the events around it.
        let mut parts = vec![body.as_slice()];
        if body.len() > 8_000 {
            let mut begins: Vec<usize> = vec![0];
            begins.extend(
                body.windows(2).enumerate().filter(|(_, w)| w == b"\n\n").map(|(i, _)| i + 2),
            );
            parts = begins.windows(3).map(|begins| &body[begins[0]..begins[2]]).collect();
        }
        for part in parts {
            let whole = decode(SseDecoder::new, [part]);
            for cut in 0..=part.len() {
                let (head, tail) = part.split_at(cut);
                assert_eq!(decode(SseDecoder::new, [head, tail]), whole, "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn streams_byte_by_byte_decode_to_the_same() {
    for name in streams() {
        let body = read(&format!("{name}.body"));
        let whole = decode(SseDecoder::new, [body.as_slice()]);
        assert_eq!(decode(SseDecoder::new, body.chunks(1)), whole, "{name}");
    }
}

#[test]
fn raw_answers_carry_the_same_kind_of_stream() {
    for (name, tokens) in [("chat-stream-usage", 16), ("completion-stream-usage", 16)] {
        let raw = read(&format!("{name}.raw"));
        let body = dechunked(after_head(&raw));
        let (events, end) = decode(SseDecoder::new, [body.as_slice()]);
        assert_eq!(end, Ok(()));
        assert_eq!(events.last().map(|event| event.data.as_str()), Some("[DONE]"));
        let text = String::from_utf8(body).expect("UTF-8");
        let usage = parse_all(&text).into_iter().rev().find_map(|event| match event {
            StreamEvent::Delta(delta) => delta.whole_usage().cloned(),
            _ => None,
        });
        assert_eq!(usage.map(|usage| usage.completion_tokens), Some(tokens), "{name}");
    }
}

/// All events of a stream, which must be well formed.
fn parse_all(body: &str) -> Vec<StreamEvent<'_>> {
    let endpoint = endpoint(body);
    let parse = |data| parse_event(endpoint, data).unwrap_or_else(|e| panic!("{e}"));
    datas(body).into_iter().map(parse).collect()
}

/// The same event read the slow way, out of a JSON value.
fn expected(json: &Value) -> Delta<'_> {
    fn text(value: &Value) -> Option<Cow<'_, str>> {
        value.as_str().map(Cow::Borrowed)
    }
    let choices = json["choices"].as_array().expect("choices").iter().map(|choice| {
        let delta = &choice["delta"];
        let calls = delta["tool_calls"].as_array().map(|calls| {
            let words = calls
                .iter()
                .flat_map(|call| [&call["function"]["name"], &call["function"]["arguments"]]);
            words.filter_map(Value::as_str).collect::<String>()
        });
        ChoiceDelta {
            index: u32::try_from(choice["index"].as_u64().expect("index")).expect("small"),
            opening: !delta["role"].is_null(),
            text: text(&delta["content"]).or_else(|| text(&choice["text"])),
            reasoning: None,
            tool_call_text: calls.map(Cow::Owned),
            token_ids: choice["token_ids"].as_array().map(|ids| ids.len() as u32),
            finish_reason: text(&choice["finish_reason"]),
        }
    });
    let usage = Some(&json["usage"]).filter(|usage| !usage.is_null());
    let metrics = Some(&json["metrics"]).filter(|metrics| !metrics.is_null());
    Delta {
        model: text(&json["model"]),
        choices: choices.collect(),
        usage: usage.map(|usage| serde_json::from_value(usage.clone()).expect("usage")),
        metrics: metrics.map(|metrics| serde_json::from_value(metrics.clone()).expect("metrics")),
    }
}

#[test]
fn every_event_parses_to_what_its_json_says() {
    for name in streams() {
        let body = read_text(&format!("{name}.body"));
        let events = parse_all(&body);
        for (event, data) in events.iter().zip(datas(&body)) {
            if data == "[DONE]" {
                assert_eq!(*event, StreamEvent::Done, "{name}");
            } else {
                assert_eq!(*event, StreamEvent::Delta(expected(&value(data))), "{name}: {data}");
            }
        }
        let done = events.iter().filter(|event| **event == StreamEvent::Done).count();
        assert_eq!(done, usize::from(name != "abort"), "{name}");
    }
}

#[test]
fn usage_and_metrics_come_through() {
    let last = |name: &str| {
        let body = read_text(&format!("{name}.body"));
        let events = parse_all(&body);
        let StreamEvent::Delta(delta) = &events[events.len() - 2] else {
            panic!("{name}: no chunk before [DONE]");
        };
        (delta.whole_usage().cloned(), delta.metrics.clone())
    };
    let cached = |name: &str| last(name).0.as_ref().and_then(Usage::cached_tokens);
    assert_eq!(cached("cached-1-cold"), Some(0));
    assert_eq!(cached("cached-2-warm"), Some(640));
    assert_eq!(cached("cached-3-nextturn"), Some(640));
    assert_eq!(cached("cached-4-salted"), Some(0));
    assert_eq!(cached("chat-stream-nousage"), None);

    let metrics = last("v2-chat-stream-metrics").1.expect("metrics");
    let near = |found: Option<f64>, expected: f64| {
        let found = found.expect("told");
        assert!((found - expected).abs() <= 1e-12 * expected, "{found} {expected}");
    };
    near(metrics.time_to_first_token_ms, 115.92559699965932);
    near(metrics.queue_time_ms, 0.03824400027951924);
    near(metrics.generation_time_ms, 249.36384099964926);
    near(metrics.mean_itl_ms, 35.62340585709275);
    assert_eq!(last("chat-stream-usage").1, None);
}

#[test]
fn the_texts_add_up() {
    let text = |name: &str, index: u32| -> String {
        let body = read_text(&format!("{name}.body"));
        let deltas = parse_all(&body).into_iter().filter_map(|event| match event {
            StreamEvent::Delta(delta) => Some(delta),
            _ => None,
        });
        let choices = deltas.flat_map(|delta| delta.choices);
        choices.filter(|choice| choice.index == index).filter_map(|choice| choice.text).collect()
    };
    assert_eq!(text("chat-stream-utf8", 0), "Grüße, 世界! 🎉👩‍🚀 naïve — ok");
    assert_eq!(text("completion-stream-echo", 0), "import os\ndef walk(top):13):13):");
    assert_eq!(text("completion-stream-two-prompts", 1), "]\\ers]\\ers");
    assert_eq!(text("chat-stream-n2", 1), "\u{fffd} discardpa%(rec problems");
}
