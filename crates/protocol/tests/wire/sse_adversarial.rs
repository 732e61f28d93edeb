//! Streams that no server should send.

use crate::common::decode;
use vllm_bench_protocol::sse::{DEFAULT_MAX_EVENT_BYTES, SseDecoder, SseError};

/// The data (with the event's name before `|`, where it has one) and the end
/// of a stream: the same whole, cut in two anywhere, and byte by byte.
fn check(stream: &[u8], expected: &[&str], end: Result<(), SseError>) {
    let texts = |pieces: &[&[u8]]| {
        let (events, end) = decode(SseDecoder::new, pieces.iter().copied());
        let texts = events.into_iter().map(|event| match event.event {
            Some(name) => format!("{name}|{}", event.data),
            None => event.data,
        });
        (texts.collect::<Vec<_>>(), end)
    };
    let expected = (expected.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), end);
    let name = String::from_utf8_lossy(stream).into_owned();
    assert_eq!(texts(&[stream]), expected, "{name:?} whole");
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(texts(&[head, tail]), expected, "{name:?} cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(texts(&bytes), expected, "{name:?} byte by byte");
}

fn unterminated(offset: u64, tail: &str) -> Result<(), SseError> {
    // The variants are not exhaustive, so they are built by the decoder only.
    let mut decoder = SseDecoder::new();
    decoder.push(&vec![b'\n'; usize::try_from(offset).expect("small")]);
    decoder.push(tail.as_bytes());
    assert_eq!(decoder.next_event(), None);
    let end = decoder.finish();
    assert!(
        matches!(&end, Err(SseError::Unterminated { offset: o, tail: t, .. }) if *o == offset && t == tail),
        "{end:?}"
    );
    end
}

#[test]
fn line_ends_of_all_kinds() {
    check(b"data: a\n\ndata: b\n\n", &["a", "b"], Ok(()));
    check(b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"], Ok(()));
    check(b"data: a\r\rdata: b\r\r", &["a", "b"], Ok(()));
    check(b"data: a\n\r\ndata: b\r\n\ndata: c\r\n\r", &["a", "b", "c"], Ok(()));
    check(b"data: a\r\ndata: b\rdata: c\n\n", &["a\nb\nc"], Ok(()));
    check(b"\n\n\r\r\r\n\r\ndata: a\n\n\n\n\n", &["a"], Ok(()));
}

#[test]
fn a_bare_cr_ends_an_event_at_once() {
    let mut decoder = SseDecoder::new();
    decoder.push(b"data: a\r\r");
    assert_eq!(decoder.next_event().expect("not held back").expect("fine").data, "a");
    decoder.push(b"\n");
    assert_eq!(decoder.next_event(), None);
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn byte_order_marks() {
    check("\u{feff}data: a\n\n".as_bytes(), &["a"], Ok(()));
    check("\u{feff}\ndata: a\n\n".as_bytes(), &["a"], Ok(()));
    check("\u{feff}".as_bytes(), &[], Ok(()));
    // Only the first one is a mark; others belong to the field's name or the value.
    check("\u{feff}\u{feff}data: a\n\n".as_bytes(), &[], Ok(()));
    check(
        "data: a\n\n\u{feff}data: b\n\ndata: \u{feff}c\n\n".as_bytes(),
        &["a", "\u{feff}c"],
        Ok(()),
    );
}

#[test]
fn fields() {
    check(b": hello\n\n:\n\ndata: a\n: more\ndata: b\n\n: bye\n\n", &["a\nb"], Ok(()));
    check(b"event: add\ndata: 1\n\ndata: 2\n\n", &["add|1", "2"], Ok(()));
    check(b"event: message\ndata: 1\n\nevent: x\n\ndata: 2\n\n", &["1", "2"], Ok(()));
    check(b"id: 7\nretry: 5\nnonsense\nother: x\ndata:a\n\n", &["a"], Ok(()));
    check(b"data\n\ndata:\n\ndata\ndata\n\n", &["", "", "\n"], Ok(()));
    check(b"data:  a: b \n\n", &[" a: b "], Ok(()));
    check("data: Grüße 🎉\n\ndata: 世界\n\n".as_bytes(), &["Grüße 🎉", "世界"], Ok(()));
    check(b"data: \0\n\n", &["\0"], Ok(()));
    check(b"", &[], Ok(()));
}

#[test]
fn ends() {
    check(b"data: a\n\ndata: b\n", &["a"], unterminated(9, "data: b\n"));
    check(b"data: a\n\ndata: b", &["a"], unterminated(9, "data: b"));
    check(b"data", &[], unterminated(0, "data"));
    check(b": only a comment\n", &[], Ok(()));
    check(b"data: a\n\n: keep-alive", &["a"], Ok(()));
    let mut decoder = SseDecoder::new();
    decoder.push("data: ß".repeat(100_000).as_bytes());
    assert_eq!(decoder.next_event(), None);
    let Err(SseError::Unterminated { tail, .. }) = decoder.finish() else { panic!("open") };
    assert!(tail.chars().count() <= 201 && tail.ends_with('…'), "{tail}");
}

#[test]
fn bad_utf8_is_found_where_it_is() {
    let at = |stream: &[u8], expected: &[&str], position: u64| {
        let (_, end) = decode(SseDecoder::new, [stream]);
        let Err(SseError::NotUtf8 { offset, .. }) = &end else { panic!("{end:?}") };
        assert_eq!(*offset, position);
        check(stream, expected, end);
    };
    at(b"data: a\n\ndata: \xff\n\ndata: b\n\n", &["a"], 15);
    at(b"data: \xe4\xb8\n\n", &[], 6);
    at(b"\xff", &[], 0);
    at(b"data: a\n\n: \xc3(\n\n", &["a"], 11);
    at(b"data: \xed\xa0\x80\n\n", &[], 6);
    at(b"\xef\xbb\xbfdata: \xff\n\n", &[], 9);
}

#[test]
fn bad_utf8_does_not_buffer_for_ever() {
    let mut decoder = SseDecoder::new();
    decoder.push(b"data: \xff");
    assert!(matches!(decoder.next_event(), Some(Err(SseError::NotUtf8 { offset: 6, .. }))));
    for _ in 0..1000 {
        decoder.push(&[b'x'; 1024]);
        assert_eq!(decoder.next_event(), None);
    }
    assert!(format!("{decoder:?}").contains("buffered_bytes: 0"), "{decoder:?}");
}

#[test]
fn long_lines() {
    let long = "x".repeat(10 << 20);
    let stream = format!("data: {long}\n\ndata: b\n\n");
    for size in [stream.len(), 1 << 16, 1000] {
        let (events, end) = decode(SseDecoder::new, stream.as_bytes().chunks(size));
        assert_eq!(end, Ok(()));
        assert_eq!(events.len(), 2);
        assert!(events[0].data == long && events[1].data == "b");
    }
}

#[test]
fn too_long_is_refused_at_the_limit() {
    // The limit counts the event with its blank line: "data: aaaa\n\n" is 12.
    for cut in 1..=24 {
        let stream = b"data: aaaa\n\ndata: aaaaa\n\n";
        let decoder = || SseDecoder::with_max_event_bytes(12);
        let (events, end) = decode(decoder, stream.chunks(cut));
        assert_eq!(events.len(), 1, "pieces of {cut}");
        assert!(matches!(end, Err(SseError::TooLong { offset: 12, limit: 12, .. })), "{end:?}");
    }
    let mut decoder = SseDecoder::new();
    let megabyte = vec![b'x'; 1 << 20];
    let refused_after = (0..100).position(|_| {
        decoder.push(&megabyte);
        matches!(decoder.next_event(), Some(Err(SseError::TooLong { .. })))
    });
    assert_eq!(refused_after, Some(DEFAULT_MAX_EVENT_BYTES >> 20));
}

#[test]
fn many_events_in_one_read_are_not_quadratic() {
    // 400,000 events at once: seconds when every event moved the rest.
    let stream = "data: x\n\n".repeat(400_000);
    let begun = std::time::Instant::now();
    let (events, end) = decode(SseDecoder::new, [stream.as_bytes()]);
    assert_eq!((events.len(), end), (400_000, Ok(())));
    assert!(begun.elapsed().as_secs() < 30, "took {:?}", begun.elapsed());
}
