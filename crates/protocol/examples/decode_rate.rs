//! How long one event takes: decoding the stream, and parsing its JSON.
//!
//! `cargo run --release -p vllm-bench-protocol --example decode_rate`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::hint::black_box;
use std::time::Instant;

use serde::de::IgnoredAny;
use vllm_bench_protocol::sse::{SseDecoder, encode_data};
use vllm_bench_protocol::{
    AnswerHead, ChatChunk, Endpoint, EventParser, StreamEvent, TokenFold, parse_event,
};

const EVENTS: usize = 200_000;
const ROUNDS: usize = 5;

fn main() {
    let head = AnswerHead {
        id: "chatcmpl-9bb79559b9c5246c".to_owned(),
        created: 1_795_541_125,
        model: "mistralai/Mistral-7B-Instruct-v0.3".to_owned(),
    };
    let plain = ChatChunk::content(&head, 0, " something", None);
    let with_ids = ChatChunk::content(&head, 0, " something", Some(vec![4140]));
    let running = ChatChunk::content(&head, 0, " something", None).with_running_usage(1371, 17);
    for (name, chunk) in [("plain", plain), ("token ids", with_ids), ("running usage", running)] {
        let json = serde_json::to_string(&chunk).expect("a chunk serialises");
        let event = encode_data(&json);
        println!("{name}: one event is {} bytes", event.len());

        let stream = event.repeat(EVENTS);
        for read in [event.len(), 16 * 1024, 400 * 1024] {
            report(&format!("SSE, reads of {read} bytes"), || {
                let mut decoder = SseDecoder::new();
                let mut decoded = 0;
                for piece in stream.chunks(read) {
                    let mut events = decoder.feed(piece);
                    while let Some(event) = events.next_event() {
                        black_box(event.expect("well formed"));
                        decoded += 1;
                    }
                }
                assert_eq!(decoded, EVENTS);
            });
        }
        report("JSON, skipped whole (the floor)", || {
            for _ in 0..EVENTS {
                black_box(serde_json::from_str::<IgnoredAny>(black_box(&json)).expect("JSON"));
            }
        });
        report("JSON, parse_event", || {
            for _ in 0..EVENTS {
                black_box(parse_event(Endpoint::Chat, black_box(&json)).expect("well formed"));
            }
        });
        report("JSON, EventParser", || {
            let mut parser = EventParser::new(Endpoint::Chat);
            for _ in 0..EVENTS {
                black_box(parser.parse(black_box(&json)).expect("well formed"));
            }
        });
        report("SSE, EventParser and TokenFold", || {
            let mut decoder = SseDecoder::new();
            let mut parser = EventParser::new(Endpoint::Chat);
            let mut fold = TokenFold::new();
            for piece in stream.chunks(event.len()) {
                let mut events = decoder.feed(piece);
                while let Some(event) = events.next_event() {
                    let event = event.expect("well formed");
                    match parser.parse(event.data).expect("well formed") {
                        StreamEvent::Delta(delta) => fold.fold(&delta),
                        other => panic!("{other:?}"),
                    };
                }
            }
            black_box(fold.counted());
        });
    }
}

/// The best of some rounds, which is the least disturbed.
fn report(what: &str, mut round: impl FnMut()) {
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        round();
        begun.elapsed()
    });
    let best = times.min().expect("some rounds");
    println!("  {what}: {:.0} ns an event", best.as_nanos() as f64 / EVENTS as f64);
}
