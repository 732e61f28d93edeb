//! The decoder against eventsource-stream fed whole, and against itself, on
//! streams made up at random and cut anywhere.
//!
//! Known faults of eventsource-stream 0.2.3, which are kept from it:
//! 1. it panics on a leading byte-order mark (and so also on a second one, once
//!    the first is taken away);
//! 2. it waits for an LF behind a CR that is the last byte, although the CR ends the line;
//! 3. cut into pieces, it copies all that is buffered at every line (not a fault of its
//!    results: it is fed whole);
//! 4. behind invalid UTF-8 it buffers for ever: it gets text only, and
//!    what is wrong where is tested in `sse_adversarial.rs`.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::common::decode;
use eventsource_stream::EventStream;
use futures_core::Stream;
use proptest::prelude::*;
use vllm_bench_protocol::sse::SseDecoder;

/// Name and data of each event, by eventsource-stream in one piece. In place of a
/// leading mark it gets none (fault 1), and behind a last CR an LF, which means the same (fault 2).
fn oracle(stream: &str) -> Vec<(String, String)> {
    struct Once(Option<String>);
    impl Stream for Once {
        type Item = Result<String, Infallible>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.take().map(Ok))
        }
    }
    let mut stream = stream.strip_prefix('\u{feff}').unwrap_or(stream).to_owned();
    if stream.starts_with('\u{feff}') {
        stream.insert(0, '\n');
    }
    if stream.ends_with('\r') {
        stream.push('\n');
    }
    let mut events = pin!(EventStream::new(Once(Some(stream))));
    let mut context = Context::from_waker(Waker::noop());
    let mut found = Vec::new();
    loop {
        match events.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(event)) => {
                let event = event.expect("text");
                found.push((event.event, event.data));
            }
            Poll::Ready(None) => return found,
            Poll::Pending => panic!("always ready"),
        }
    }
}

fn ours<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let (events, _) = decode(SseDecoder::new, pieces);
    let named = |name: Option<String>| name.unwrap_or_else(|| "message".to_owned());
    events.into_iter().map(|event| (named(event.event), event.data)).collect()
}

/// `stream` cut at these places (taken modulo its length).
fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut begin = 0;
    for cut in cuts.into_iter().chain([stream.len()]) {
        pieces.push(&stream[begin..cut]);
        begin = cut;
    }
    pieces
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("data: ".to_owned()),
        2 => Just("data".to_owned()),
        1 => Just("event: ".to_owned()),
        1 => Just("id: ".to_owned()),
        1 => Just("retry: 7".to_owned()),
        2 => Just(":".to_owned()),
        6 => Just("\n".to_owned()),
        3 => Just("\n\n".to_owned()),
        3 => Just("\r".to_owned()),
        3 => Just("\r\n".to_owned()),
        1 => Just("\u{feff}".to_owned()),
        1 => Just("\0".to_owned()),
        2 => Just("世é🎉".to_owned()),
        1 => Just("{\"choices\":[]}".to_owned()),
        2 => "[a-z ]{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..40).prop_map(|words| words.concat())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..12)
}

/// Bytes near to streams: text with a few bytes changed.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<usize>(), any::<u8>()), 0..3);
    (text(), changes).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            let len = bytes.len();
            if len > 0 {
                bytes[at % len] = byte;
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_library_fed_whole(stream in text(), cuts in cuts()) {
        let expected = oracle(&stream);
        prop_assert_eq!(ours([stream.as_bytes()]), expected.clone());
        prop_assert_eq!(ours(pieces(stream.as_bytes(), &cuts)), expected.clone());
        prop_assert_eq!(ours(stream.as_bytes().chunks(1)), expected);
    }

    #[test]
    fn events_errors_and_end_do_not_depend_on_the_cuts(
        stream in bytes(),
        cuts in cuts(),
        limit in prop_oneof![Just(usize::MAX), 0_usize..40],
    ) {
        let decoder = || SseDecoder::with_max_event_bytes(limit);
        let whole = decode(decoder, [stream.as_slice()]);
        prop_assert_eq!(decode(decoder, pieces(&stream, &cuts)), whole.clone());
        prop_assert_eq!(decode(decoder, stream.chunks(1)), whole);
    }
}
