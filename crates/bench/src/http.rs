//! As much of HTTP/1.1 as a load generator sends: requests out of bytes. Sans-IO.

use memchr::memmem;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: String,
    pub path: String,
    /// `X-Request-Id`.
    pub id: Option<String>,
    /// `max_tokens` or `max_completion_tokens` of its body.
    pub max_tokens: Option<u32>,
    /// The body asks for a stream.
    pub stream: bool,
}

/// Why the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadRequest {
    Head,
    HeadTooLong,
    BodyTooLong,
    /// Only `Content-Length` is understood.
    Framing,
}

impl BadRequest {
    /// In words.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Head => "the request head is not HTTP/1.1",
            Self::HeadTooLong => "the request head is longer than 64 KiB",
            Self::BodyTooLong => "the body is longer than 64 MiB",
            Self::Framing => "the body must have a content-length",
        }
    }
}

const HEAD_LIMIT: usize = 64 << 10;
const BODY_LIMIT: usize = 64 << 20;

/// What has come of a connection's requests.
#[derive(Debug, Default)]
pub(crate) struct RequestBuffer {
    bytes: Vec<u8>,
    /// A head whose body is still coming, and that body's length.
    head: Option<(Request, usize)>,
}

impl RequestBuffer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next request that is there to its last byte.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, BadRequest> {
        if self.head.is_none() {
            match memmem::find(&self.bytes, b"\r\n\r\n") {
                Some(end) => {
                    self.head = Some(parse_head(&self.bytes[..end])?);
                    self.bytes.drain(..end + 4);
                }
                None if self.bytes.len() > HEAD_LIMIT => return Err(BadRequest::HeadTooLong),
                None => return Ok(None),
            }
        }
        let Some((mut request, length)) = self.head.take() else { return Ok(None) };
        if self.bytes.len() < length {
            self.head = Some((request, length));
            return Ok(None);
        }
        let body = &self.bytes[..length];
        request.max_tokens =
            number(body, b"max_tokens\":").or_else(|| number(body, b"max_completion_tokens\":"));
        request.stream = after(body, b"\"stream\":").is_some_and(|rest| rest.starts_with(b"true"));
        self.bytes.drain(..length);
        Ok(Some(request))
    }
}

fn parse_head(head: &[u8]) -> Result<(Request, usize), BadRequest> {
    let head = std::str::from_utf8(head).map_err(|_| BadRequest::Head)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadRequest::Head);
    };
    let mut request = Request {
        method: method.into(),
        path: path.into(),
        id: None,
        max_tokens: None,
        stream: false,
    };
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BadRequest::Head)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| BadRequest::Head)?;
        } else if name.eq_ignore_ascii_case("x-request-id") {
            request.id = Some(value.into());
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(BadRequest::Framing);
        }
    }
    if length > BODY_LIMIT {
        return Err(BadRequest::BodyTooLong);
    }
    Ok((request, length))
}

/// What stands after `key` and white space. A key with its quote and colon
/// cannot stand in a JSON string, where the quote would be escaped.
fn after<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = memmem::find(body, key)?;
    Some(body[at + key.len()..].trim_ascii_start())
}

fn number(body: &[u8], key: &[u8]) -> Option<u32> {
    let rest = after(body, key)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> String {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nX-Request-ID: r-7\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn requests_come_out_however_the_bytes_come() {
        let both = text(r#"{"max_tokens": 12,"stream":true}"#) + "GET /version HTTP/1.1\r\n\r\n";
        for size in 1..=both.len() {
            let mut buffer = RequestBuffer::default();
            let mut found = Vec::new();
            for part in both.as_bytes().chunks(size) {
                buffer.push(part);
                while let Some(request) = buffer.next().expect("well formed") {
                    found.push(request);
                }
            }
            assert_eq!(found.len(), 2, "reads of {size}");
            assert_eq!((found[0].id.as_deref(), found[0].max_tokens), (Some("r-7"), Some(12)));
            assert!(found[0].stream && !found[1].stream);
            assert_eq!((found[1].method.as_str(), found[1].path.as_str()), ("GET", "/version"));
        }
    }

    #[test]
    fn the_tokens_asked_for_are_found() {
        for (body, expected) in [
            (r#"{"max_tokens":5}"#, Some(5)),
            (r#"{"max_completion_tokens": 6}"#, Some(6)),
            (r#"{"messages":[{"content":"\"max_tokens\": 9"}],"max_tokens":7}"#, Some(7)),
            (r#"{"max_tokens":null}"#, None),
            ("{}", None),
        ] {
            let mut buffer = RequestBuffer::default();
            buffer.push(text(body).as_bytes());
            let request = buffer.next().expect("well formed").expect("whole");
            assert_eq!(request.max_tokens, expected, "{body}");
        }
    }

    #[test]
    fn what_it_does_not_understand_is_said() {
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(HEAD_LIMIT));
        for (bytes, expected) in [
            ("nonsense\r\n\r\n", BadRequest::Head),
            ("GET / HTTP/1.0\r\n\r\n", BadRequest::Head),
            ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", BadRequest::Head),
            ("POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", BadRequest::BodyTooLong),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", BadRequest::Framing),
            (long.as_str(), BadRequest::HeadTooLong),
        ] {
            let mut buffer = RequestBuffer::default();
            buffer.push(bytes.as_bytes());
            assert_eq!(buffer.next(), Err(expected), "{}", &bytes[..bytes.len().min(40)]);
        }
    }
}
