//! Where an answer's body lies in the bytes of its connection. Sans-IO.
//!
//! hyper hands out the body without its framing (RFC 9112): heads, chunk headers
//! and trailers are gone. This follows the same bytes and remembers at which
//! offset of the connection each stretch of the body began.

/// Follows one plain HTTP/1.1 connection.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    /// Bytes of the connection that have been read.
    read: u64,
    state: State,
    /// The response head as far as it came.
    head: Vec<u8>,
    /// Body bytes of this answer so far.
    body: u64,
    stretches: Vec<Stretch>,
    head_end: Option<u64>,
    end: Option<u64>,
}

/// A part of the body without framing in it; it reaches to where the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    body: u64,
    wire: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of body, and then the end.
    Fixed(u64),
    /// The header of a chunk; whether its size is over (an extension or the line's end).
    Size { value: u64, over: bool },
    /// So many bytes of a chunk.
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    /// The lines behind the last chunk; whether the current one has something in it.
    Trailer { filled: bool },
    /// The body ends with the connection.
    UntilClose,
    /// The answer has ended.
    Done,
    /// Not what HTTP says; hyper will say why. Nothing more is known of this connection.
    Lost,
}

/// Longest response head, bytes. hyper refuses at 400 KiB or so.
const HEAD_LIMIT: usize = 512 << 10;

/// Most headers of a head: hyper's own limit.
const HEADERS: usize = 100;

impl Framing {
    /// A request goes out: the next bytes are of its answer.
    pub(crate) fn begin(&mut self) {
        self.stretches.clear();
        (self.body, self.head_end, self.end) = (0, None, None);
        self.state = match self.state {
            State::Done | State::Head if self.head.is_empty() => State::Head,
            _ => State::Lost,
        };
    }

    /// Takes the bytes of a read.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            self.read += taken as u64;
            bytes = &bytes[taken..];
            if self.state == State::Done {
                self.end.get_or_insert(self.read);
            }
        }
    }

    /// Bytes of the connection that have been read.
    pub(crate) const fn read(&self) -> u64 {
        self.read
    }

    /// Offset behind the response head, once it is whole.
    pub(crate) const fn head_end(&self) -> Option<u64> {
        self.head_end
    }

    /// Offset behind the answer, where its framing told.
    pub(crate) const fn end(&self) -> Option<u64> {
        self.end
    }

    /// Body bytes of this answer so far.
    pub(crate) const fn body(&self) -> u64 {
        self.body
    }

    /// Offset behind the body's first `body` bytes. `None` where they have not been read.
    pub(crate) fn wire_end(&self, body: u64) -> Option<u64> {
        if body == 0 || body > self.body {
            return None;
        }
        let place = self.stretches.partition_point(|s| s.body < body);
        let stretch = self.stretches.get(place.checked_sub(1)?)?;
        Some(stretch.wire + (body - stretch.body))
    }

    /// Takes some of `bytes` (at least one); how many.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let first = bytes[0];
        match self.state {
            State::Head => return self.head(bytes),
            State::Fixed(left) => {
                let taken = self.take_body(bytes, left);
                let left = left - taken as u64;
                self.state = if left == 0 { State::Done } else { State::Fixed(left) };
                return taken;
            }
            State::Data(left) => {
                let taken = self.take_body(bytes, left);
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                return taken;
            }
            State::UntilClose => return self.take_body(bytes, u64::MAX),
            State::Size { value, over } => self.state = chunk_header(value, over, first),
            State::DataEnd => match first {
                b'\r' => {}
                b'\n' => self.state = State::Size { value: 0, over: false },
                _ => self.state = State::Lost,
            },
            State::Trailer { filled } => match first {
                b'\r' => {}
                b'\n' if filled => self.state = State::Trailer { filled: false },
                b'\n' => self.state = State::Done,
                _ => self.state = State::Trailer { filled: true },
            },
            State::Done => self.state = State::Lost,
            State::Lost => return bytes.len(),
        }
        1
    }

    fn take_body(&mut self, bytes: &[u8], most: u64) -> usize {
        let taken = (bytes.len() as u64).min(most);
        let next = Stretch { body: self.body, wire: self.read };
        let joins = self
            .stretches
            .last()
            .is_some_and(|last| next.wire - last.wire == next.body - last.body);
        if !joins {
            self.stretches.push(next);
        }
        self.body += taken;
        taken as usize
    }

    fn head(&mut self, bytes: &[u8]) -> usize {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(&self.head) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if self.head.len() <= HEAD_LIMIT => return bytes.len(),
            _ => {
                self.state = State::Lost;
                return bytes.len();
            }
        };
        let taken = length - before;
        let code = response.code.unwrap_or(0);
        self.state = match code {
            // An interim answer: the real one follows.
            100 | 102..200 => State::Head,
            204 | 304 => State::Done,
            _ => body_of(response.headers),
        };
        if self.state != State::Head {
            self.head_end = Some(self.read + taken as u64);
        }
        self.head.clear();
        taken
    }
}

/// RFC 9112, 6.3: how the body is framed.
fn body_of(headers: &[httparse::Header<'_>]) -> State {
    let named = |name: &str| headers.iter().rfind(|h| h.name.eq_ignore_ascii_case(name));
    if let Some(encoding) = named("transfer-encoding") {
        let last = encoding.value.rsplit(|&b| b == b',').next().unwrap_or_default();
        return if last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            State::Size { value: 0, over: false }
        } else {
            State::UntilClose
        };
    }
    let Some(length) = named("content-length") else { return State::UntilClose };
    match std::str::from_utf8(length.value).ok().and_then(|v| v.trim().parse().ok()) {
        Some(0) => State::Done,
        Some(length) => State::Fixed(length),
        None => State::Lost,
    }
}

/// RFC 9112, 7.1: `size [; extension] CRLF`, a byte at a time.
fn chunk_header(value: u64, over: bool, byte: u8) -> State {
    match (byte, char::from(byte).to_digit(16)) {
        (b'\n', _) if value == 0 => State::Trailer { filled: false },
        (b'\n', _) => State::Data(value),
        (_, Some(digit)) if !over => match value.checked_mul(16) {
            Some(shifted) => State::Size { value: shifted + u64::from(digit), over },
            None => State::Lost,
        },
        (b';' | b' ' | b'\t' | b'\r', _) => State::Size { value, over: true },
        _ if over => State::Size { value, over },
        _ => State::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";

    /// One answer: (bytes, head's length, (body offset, wire offset within the answer) …).
    type Answer = (Vec<u8>, u64, Vec<(u64, u64)>);

    fn chunked() -> Answer {
        let mut all = CHUNKED.to_vec();
        let head = all.len() as u64;
        all.extend_from_slice(b"5\r\nhello\r\n0000A;x=\"1\"\r\n, world!!\n\r\n1 \r\n.\r\n");
        all.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
        let ends = vec![
            (1, head + 4),
            (5, head + 8),
            (6, head + 8 + 2 + 13 + 1),
            (15, head + 8 + 2 + 13 + 10),
            (16, head + 8 + 2 + 13 + 10 + 2 + 4 + 1),
        ];
        (all, head, ends)
    }

    fn fixed(with_interim: bool) -> Answer {
        let mut all = Vec::new();
        if with_interim {
            all.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n");
        }
        all.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
        let head = all.len() as u64;
        all.extend_from_slice(b"body");
        (all, head, vec![(1, head + 1), (4, head + 4)])
    }

    fn empty() -> Answer {
        let all = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
        let head = all.len() as u64;
        (all, head, vec![])
    }

    #[test]
    fn answers_of_one_connection_cut_at_every_byte() {
        let answers = [chunked(), fixed(true), empty(), chunked(), fixed(false)];
        let longest = answers.iter().map(|a| a.0.len()).max().expect("some");
        for cut in 1..longest {
            let mut framing = Framing::default();
            let mut start = 0;
            for (bytes, head, ends) in &answers {
                framing.begin();
                let (a, b) = bytes.split_at(cut.min(bytes.len()));
                for part in [a, b] {
                    framing.push(part);
                }
                assert_eq!(framing.head_end(), Some(start + head), "cut at {cut}");
                for &(body, wire) in ends {
                    assert_eq!(framing.wire_end(body), Some(start + wire), "cut at {cut}");
                }
                let body = ends.last().map_or(0, |e| e.0);
                assert_eq!((framing.body(), framing.wire_end(body + 1)), (body, None));
                start += bytes.len() as u64;
                assert_eq!((framing.end(), framing.read()), (Some(start), start));
            }
        }
    }

    #[test]
    fn byte_by_byte_it_is_the_same() {
        let (bytes, head, ends) = chunked();
        let mut framing = Framing::default();
        framing.begin();
        for (n, byte) in bytes.iter().enumerate() {
            assert_eq!(framing.end(), None, "before byte {n}");
            framing.push(&[*byte]);
        }
        assert_eq!(framing.head_end(), Some(head));
        for (body, wire) in ends {
            assert_eq!(framing.wire_end(body), Some(wire));
        }
        assert_eq!(framing.end(), Some(bytes.len() as u64));
    }

    #[test]
    fn a_body_may_end_with_the_connection() {
        let mut framing = Framing::default();
        framing.begin();
        framing.push(b"HTTP/1.1 200 OK\r\n\r\nab");
        framing.push(b"cd");
        assert_eq!(framing.wire_end(4), Some(23));
        assert_eq!((framing.end(), framing.body()), (None, 4));
        framing.begin();
        framing.push(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(framing.head_end(), None, "the connection was not over");
    }

    #[test]
    fn what_is_not_http_tells_nothing_and_does_no_harm() {
        for bad in [
            &b"SSH-2.0-OpenSSH\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff1\r\nabc",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
        ] {
            for cut in 0..bad.len() {
                let mut framing = Framing::default();
                framing.begin();
                framing.push(&bad[..cut]);
                framing.push(&bad[cut..]);
                framing.push(b"0\r\n\r\n");
                assert_eq!(framing.state, State::Lost);
                framing.begin();
                framing.push(&fixed(false).0);
                assert_eq!((framing.head_end(), framing.wire_end(1)), (None, None));
            }
        }
    }
}
