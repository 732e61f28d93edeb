//! Events to bytes.

use bytes::Bytes;

/// The event that ends a stream, framed.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// `data` framed as one event. Each of its lines becomes a data line, so that
/// the decoder gives the same text back (line ends as line feeds).
pub fn encode_data(data: &str) -> Bytes {
    const PREFIX: &str = "data: ";
    let mut framed = String::with_capacity(PREFIX.len() + data.len() + 2);
    if memchr::memchr2(b'\n', b'\r', data.as_bytes()).is_none() {
        framed.push_str(PREFIX);
        framed.push_str(data);
        framed.push('\n');
    } else {
        for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
            framed.push_str(PREFIX);
            framed.push_str(line);
            framed.push('\n');
        }
    }
    framed.push('\n');
    Bytes::from(framed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::SseDecoder;

    #[test]
    fn what_is_framed_decodes_to_the_same() {
        let cases = [
            ("", "data: \n\n", ""),
            ("x", "data: x\n\n", "x"),
            (" x", "data:  x\n\n", " x"),
            ("a\nb", "data: a\ndata: b\n\n", "a\nb"),
            ("a\r\n\rb\n", "data: a\ndata: \ndata: b\ndata: \n\n", "a\n\nb\n"),
        ];
        for (data, framed, decoded) in cases {
            assert_eq!(encode_data(data), framed.as_bytes(), "{data:?}");
            let mut decoder = SseDecoder::new();
            decoder.push(&encode_data(data));
            let event = decoder.next_event().expect("an event").expect("well formed");
            assert_eq!(event.data, decoded, "{data:?}");
            assert_eq!(decoder.finish(), Ok(()));
        }
        assert_eq!(encode_data("[DONE]"), DONE);
    }
}
