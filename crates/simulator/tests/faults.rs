//! Every fault, as a client sees it.

mod common;

use std::time::{Duration, Instant};

use common::{Answer, chat, eventually, fast, faulty, metric, open, post, start};
use serde_json::{Value, json};
use vllm_bench_protocol::sse::{SseDecoder, SseError};
use vllm_bench_simulator::{FaultRule, SimulatorConfig};

const CHAT: &str = "/v1/chat/completions";

/// The answer of role, six tokens of one event each, usage and `[DONE]`, as the fault leaves it.
fn chat_with(fault: &str) -> Answer {
    let fault = &format!("tokens-per-chunk=1, {fault}");
    faulty(&start(fast()), fault, CHAT, &chat(6))
}

#[test]
fn refusals_have_their_status_and_header() {
    let answer = chat_with("refuse=429 retry-after=2");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("2")));
    assert_eq!(answer.json()["error"]["code"], 429);
    for status in [500, 503] {
        let answer = chat_with(&format!("refuse={status}"));
        assert_eq!((answer.status, answer.header("retry-after")), (status, None));
    }
}

#[test]
fn a_cut_comes_after_so_many_events_without_an_end() {
    let answer = chat_with("cut=3");
    assert!(answer.cut && answer.status == 200);
    assert_eq!(answer.events().len(), 3);
    let answer = chat_with("cut=0");
    assert!(answer.cut && answer.body.is_empty());
}

#[test]
fn an_end_can_be_missing() {
    let answer = chat_with("no-done");
    assert!(!answer.cut);
    // Role, six tokens, usage.
    assert_eq!(answer.events().len(), 8);
    assert!(!answer.text().contains("[DONE]"));
}

#[test]
fn an_error_can_come_inside_a_good_stream() {
    let events = chat_with("error-event=2").events();
    assert_eq!((events.len(), events[3].as_str()), (4, "[DONE]"));
    let error: Value = serde_json::from_str(&events[2]).expect("JSON");
    assert_eq!(error["error"]["type"], "InternalServerError");
}

#[test]
fn an_event_can_be_no_utf8_or_no_json() {
    let answer = chat_with("invalid-utf8=2");
    let mut decoder = SseDecoder::new();
    decoder.push(&answer.body);
    let problem = std::iter::from_fn(|| decoder.next_event()).find_map(Result::err);
    assert!(matches!(problem, Some(SseError::NotUtf8 { .. })), "{problem:?}");
    let events = chat_with("garbage=2").events();
    assert!(serde_json::from_str::<Value>(&events[2]).is_err());
    assert_eq!(events.len(), 10, "the rest comes all the same");
}

#[test]
fn the_last_event_can_lack_its_end() {
    for (fault, end) in [("unterminated", "data: [DONE]"), ("unterminated, no-done", "}")] {
        let answer = chat_with(fault);
        assert!(!answer.cut && answer.text().ends_with(end), "{}", answer.text());
    }
}

#[test]
fn stalls_are_where_and_as_long_as_asked() {
    for (fault, before) in [("stall=200ms@0", 0), ("stall=200ms@4", 4)] {
        let answer = chat_with(fault);
        assert_eq!(answer.events().len(), 9);
        let mut events = 0;
        let mut last = answer.reads[0].0;
        let longest = answer.reads.iter().map(|(at, bytes)| {
            let gap = (*at - std::mem::replace(&mut last, *at), events);
            events += String::from_utf8_lossy(bytes).matches("data: ").count();
            gap
        });
        let (gap, at) = longest.max().expect("reads");
        assert!(gap >= Duration::from_millis(190), "{gap:?}");
        assert_eq!(at, before);
    }
}

#[test]
fn a_stall_for_ever_ends_with_the_client() {
    let server = start(fast());
    let headers = "x-vllm-bench-fault: stall=forever@2\r\n";
    let stream = open(&server, "POST", CHAT, headers, &chat(8000).to_string());
    eventually("running", || metric(&server, "vllm:num_requests_running") == 1.0);
    drop(stream);
    eventually("freed", || metric(&server, "vllm:num_requests_running") == 0.0);
}

#[test]
fn tokens_can_share_an_event() {
    let server = start(fast());
    let mut body = chat(10);
    body["return_token_ids"] = json!(true);
    let events = faulty(&server, "tokens-per-chunk=4", CHAT, &body).events();
    let counts: Vec<_> = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| Some(event.pointer("/choices/0/token_ids")?.as_array()?.len()))
        .collect();
    assert_eq!(counts, [4, 4, 2]);
}

#[test]
fn events_can_share_a_write_and_writes_an_event() {
    let answer = chat_with("events-per-write=3");
    let reads: Vec<_> = answer
        .reads
        .iter()
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).matches("data: ").count())
        .collect();
    assert_eq!(answer.events().len(), 9);
    assert!(reads.iter().all(|count| count % 3 == 0), "{reads:?}");
    let answer = chat_with("writes-per-event=3");
    assert_eq!(answer.events().len(), 9);
    assert!(answer.reads.len() >= 20, "{} reads", answer.reads.len());
}

#[test]
fn whole_answers_can_be_broken_too() {
    let server = start(fast());
    let body = json!({"prompt": "x", "max_tokens": 4, "ignore_eos": true});
    let ask = |fault: &str| faulty(&server, fault, "/v1/completions", &body);
    assert!(ask("cut=1").cut);
    assert!(serde_json::from_slice::<Value>(&ask("garbage=0").body).is_err());
    assert!(std::str::from_utf8(&ask("invalid-utf8=0").body).is_err());
    let began = Instant::now();
    assert_eq!(ask("stall=100ms@0").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[test]
fn rules_pick_requests_by_number() {
    let fault = "refuse=503".parse().expect("a fault");
    let rule = FaultRule { every: Some(3), nth: vec![1], fault };
    let server = start(SimulatorConfig { faults: vec![rule], ..fast() });
    let statuses: Vec<_> = (0..6).map(|_| post(&server, CHAT, &chat(1)).status).collect();
    assert_eq!(statuses, [503, 200, 503, 200, 200, 503]);
}

#[test]
fn an_unknown_fault_is_refused_with_the_known_ones() {
    let answer = chat_with("explode");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("known are refuse=STATUS"), "{}", answer.text());
}
