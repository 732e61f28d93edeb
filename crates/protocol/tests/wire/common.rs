//! The recordings, and an independent reading of them.

use std::path::PathBuf;

use serde_json::Value;
use vllm_bench_protocol::Endpoint;
use vllm_bench_protocol::sse::{SseDecoder, SseError, SseEvent, SseEventRef};

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vllm-0.32")
}

/// The bytes of one recording.
pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn read_text(name: &str) -> String {
    String::from_utf8(read(name)).expect("the recordings are UTF-8")
}

/// The names, without `suffix`, of all recordings that end in it, sorted.
pub(crate) fn names(suffix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the recordings are in the project");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().into_string().expect("plain names"))
        .filter_map(|name| name.strip_suffix(suffix).map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// The names of all streamed answers.
pub(crate) fn streams() -> Vec<String> {
    let mut names = names(".body");
    names.retain(|name| read(&format!("{name}.body")).starts_with(b"data: "));
    assert_eq!(names.len(), 31, "a recording was added or lost: {names:?}");
    names
}

/// The data of a stream's events, read without the decoder: the recordings
/// have line feeds only and one data line an event.
pub(crate) fn datas(body: &str) -> Vec<&str> {
    let mut datas: Vec<&str> = body.split("\n\n").collect();
    assert_eq!(datas.pop(), Some(""), "ends with a blank line");
    for data in &mut datas {
        *data = data.strip_prefix("data: ").expect("a data line");
        assert!(!data.contains('\n'));
    }
    datas
}

/// The endpoint that a stream came from, by what it says of itself.
pub(crate) fn endpoint(body: &str) -> Endpoint {
    if body.contains("\"object\":\"text_completion\"") {
        Endpoint::Completions
    } else {
        assert!(body.contains("\"object\":\"chat.completion"), "{body}");
        Endpoint::Chat
    }
}

pub(crate) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The same with floating-point numbers cut to 14 digits: serde_json reads
/// them to within a unit in the last place unless its `float_roundtrip` is on.
pub(crate) fn near(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            format!("{:.13e}", number.as_f64().expect("a float")).into()
        }
        Value::Array(items) => items.into_iter().map(near).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, near(value))).collect())
        }
        other => other,
    }
}

/// Everything that a decoder makes of these pieces, and how it ends: by lent
/// events, and the same by copies, and by both in turn.
pub(crate) fn decode<'a>(
    decoder: impl Fn() -> SseDecoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<SseEvent>, Result<(), SseError>) {
    let pieces: Vec<&[u8]> = pieces.into_iter().collect();
    let lent = decode_by(decoder(), &pieces, |_| How::Lent);
    assert_eq!(decode_by(decoder(), &pieces, |_| How::Copied), lent, "copies");
    let in_turn = |n: usize| [How::Lent, How::LentOne, How::Copied][n % 3];
    assert_eq!(decode_by(decoder(), &pieces, in_turn), lent, "in turn");
    lent
}

#[derive(Clone, Copy)]
enum How {
    /// Lent events.
    Lent,
    /// One lent event, the others copied.
    LentOne,
    /// Copied events.
    Copied,
}

fn decode_by(
    mut decoder: SseDecoder,
    pieces: &[&[u8]],
    how: impl Fn(usize) -> How,
) -> (Vec<SseEvent>, Result<(), SseError>) {
    let mut events = Vec::new();
    for (n, piece) in pieces.iter().enumerate() {
        let mut failed = None;
        let mut take = |event: Result<SseEvent, SseError>| match event {
            Ok(event) => events.push(event),
            Err(error) => failed = Some(error),
        };
        match how(n) {
            How::Lent => {
                let mut lent = decoder.feed(piece);
                while let Some(event) = lent.next_event() {
                    take(event.map(SseEventRef::to_owned));
                }
            }
            How::LentOne => {
                if let Some(event) = decoder.feed(piece).next_event() {
                    take(event.map(SseEventRef::to_owned));
                }
            }
            How::Copied => decoder.push(piece),
        }
        while let Some(event) = decoder.next_event() {
            take(event);
        }
        if let Some(error) = failed {
            assert_eq!(decoder.finish(), Err(error.clone()), "the error stays");
            decoder.push(b"data: more\n\n");
            assert_eq!(decoder.next_event(), None, "nothing after an error");
            assert_eq!(decoder.feed(b"data: more\n\n").next_event(), None, "nor lent");
            return (events, Err(error));
        }
    }
    let end = decoder.finish();
    (events, end)
}

/// The payload of a body in chunked transfer coding (of one that may be cut).
pub(crate) fn dechunked(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = raw.windows(2).position(|pair| pair == b"\r\n").expect("a chunk head");
        let size = std::str::from_utf8(&raw[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("hexadecimal");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&raw[end + 2..end + 2 + size]);
        raw = &raw[end + 2 + size + 2..];
    }
}

/// What follows the head of a raw HTTP answer.
pub(crate) fn after_head(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    &raw[end + 4..]
}
