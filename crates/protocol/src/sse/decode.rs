//! Bytes to events.
//!
//! eventsource-stream reads the fields; this file is the guard around it. It
//! finds the blank line that ends an event, and hands over one complete event at a time.
//! That keeps its known faults (0.2.3) out of reach: a panic on a leading
//! byte-order mark, copying all that is buffered at every line, buffering for ever behind
//! invalid UTF-8, and not ending an event whose blank line is a bare CR at
//! the end of what came.

use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use eventsource_stream::{Event, EventStream};
use futures_core::Stream;

use crate::text::truncated;

/// Longest event unless told otherwise: 64 MiB.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;

/// Most characters of an unterminated tail that the error quotes.
const MAX_TAIL_CHARS: usize = 200;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// One event that carried data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent {
    /// The `event` field; `None` for the default, `message`.
    pub event: Option<String>,
    /// The `data` lines, joined by line feeds.
    pub data: String,
}

/// A stream of events that is broken. Offsets count from the stream's first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// Not UTF-8.
    #[error("event stream is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// The first byte that is wrong.
        offset: u64,
    },
    /// The stream ended inside an event.
    #[error("event stream ended inside an event that began at byte {offset}: `{tail}`")]
    Unterminated {
        /// Where that event began.
        offset: u64,
        /// How it begins, at most a few hundred characters.
        tail: String,
    },
    /// An event longer than the limit.
    #[error("event at byte {offset} is longer than {limit} bytes")]
    TooLong {
        /// Where that event began.
        offset: u64,
        /// The limit.
        limit: usize,
    },
}

/// Decodes a stream of events from pieces of any size.
///
/// After an error it yields nothing more.
pub struct SseDecoder {
    buffer: Vec<u8>,
    /// Where the event under way begins in `buffer`.
    start: usize,
    /// Where its current line begins.
    line: usize,
    /// How far line ends were looked for.
    scanned: usize,
    /// How far the event under way is known to be UTF-8.
    valid: usize,
    /// Offset in the stream of `buffer[0]`.
    offset: u64,
    /// The stream's first bytes have not been looked at for a byte-order mark.
    at_beginning: bool,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    max_event_bytes: usize,
    failed: Option<SseError>,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl SseDecoder {
    /// A decoder that refuses events of more than [`DEFAULT_MAX_EVENT_BYTES`].
    pub fn new() -> Self {
        Self::with_max_event_bytes(DEFAULT_MAX_EVENT_BYTES)
    }

    /// A decoder that refuses events of more than `limit` bytes, line ends included.
    pub fn with_max_event_bytes(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            line: 0,
            scanned: 0,
            valid: 0,
            offset: 0,
            at_beginning: true,
            after_cr: false,
            max_event_bytes: limit,
            failed: None,
        }
    }

    /// Takes what the socket gave. Events are read with [`next_event`](Self::next_event).
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        // Drop what was read, but move the rest only when that is the smaller part:
        // each byte is moved a bounded number of times.
        if self.start > 0 && self.start >= self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.offset += self.start as u64;
            self.line -= self.start;
            self.scanned -= self.start;
            self.valid -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete event with data; `None` until more is pushed.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        if self.failed.is_some() || !self.skip_bom() {
            return None;
        }
        while let Some(block) = self.next_block() {
            let block = match block {
                Ok(block) => block,
                Err(error) => return Some(Err(self.fail(error))),
            };
            if let Some(event) = read_block(&self.buffer[block]) {
                return Some(Ok(event));
            }
        }
        // Nothing complete: what is there must still be able to become an event.
        let end = self.buffer.len();
        self.check(end).err().map(|error| Err(self.fail(error)))
    }

    /// The end of the stream: an error when it came inside an event, or when
    /// an error came before. Read the complete events first. Comments and
    /// blank lines at the end are nothing.
    pub fn finish(&mut self) -> Result<(), SseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let tail = &self.buffer[self.start..];
        let open = tail
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .any(|line| !line.is_empty() && !line.starts_with(b":"));
        if !open {
            return Ok(());
        }
        let head = &tail[..tail.len().min(MAX_TAIL_CHARS * 4 + 4)];
        let error = SseError::Unterminated {
            offset: self.offset + self.start as u64,
            tail: truncated(&String::from_utf8_lossy(head), MAX_TAIL_CHARS),
        };
        Err(self.fail(error))
    }

    fn fail(&mut self, error: SseError) -> SseError {
        self.failed = Some(error.clone());
        self.buffer = Vec::new();
        error
    }

    /// False until enough has come to tell.
    fn skip_bom(&mut self) -> bool {
        if self.at_beginning {
            if self.buffer.len() < BOM.len() && BOM.starts_with(&self.buffer) {
                return false;
            }
            if self.buffer.starts_with(BOM) {
                (self.start, self.line) = (BOM.len(), BOM.len());
                (self.scanned, self.valid) = (BOM.len(), BOM.len());
            }
            self.at_beginning = false;
        }
        true
    }

    /// The bytes of the next event with its blank line; `None` when it is not
    /// complete. Blank lines alone are passed over.
    fn next_block(&mut self) -> Option<Result<std::ops::Range<usize>, SseError>> {
        while self.scanned < self.buffer.len() {
            if std::mem::take(&mut self.after_cr) && self.buffer[self.scanned] == b'\n' {
                // The other half of a line end: of the event under way, or of
                // the one before it, which was complete at the CR.
                self.scanned += 1;
                if self.start == self.line {
                    self.start = self.scanned;
                    self.valid = self.scanned;
                }
                self.line = self.scanned;
                continue;
            }
            let rest = &self.buffer[self.scanned..];
            let Some(at) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.scanned = self.buffer.len();
                return None;
            };
            let end = self.scanned + at;
            self.after_cr = self.buffer[end] == b'\r';
            self.scanned = end + 1;
            let blank = end == self.line;
            self.line = self.scanned;
            if blank {
                let block = self.start..self.scanned;
                let checked = self.check(block.end);
                self.start = self.scanned;
                self.valid = self.scanned;
                // More than the end of the blank line.
                if block.len() > 1 {
                    return Some(checked.map(|()| block));
                }
            }
        }
        None
    }

    /// Whether the event under way is short enough and UTF-8 up to `end`,
    /// whichever breaks first. Looks at each byte once.
    fn check(&mut self, end: usize) -> Result<(), SseError> {
        let limit = self.start.saturating_add(self.max_event_bytes);
        self.valid = self.valid.max(self.start);
        let upto = end.min(limit);
        if self.valid < upto {
            match std::str::from_utf8(&self.buffer[self.valid..upto]) {
                Ok(_) => self.valid = upto,
                Err(error) => {
                    self.valid += error.valid_up_to();
                    // No length: a character that is not complete yet.
                    if error.error_len().is_some() {
                        return Err(SseError::NotUtf8 { offset: self.offset + self.valid as u64 });
                    }
                }
            }
        }
        if end > limit {
            return Err(SseError::TooLong {
                offset: self.offset + self.start as u64,
                limit: self.max_event_bytes,
            });
        }
        Ok(())
    }
}

impl fmt::Debug for SseDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseDecoder")
            .field("buffered_bytes", &self.buffer.len().saturating_sub(self.start))
            .field("offset", &self.offset)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The event of a complete block; `None` when it has no data.
fn read_block(block: &[u8]) -> Option<SseEvent> {
    // A mark in mid-stream is part of a field's name: the blank line before
    // it keeps the library from taking it for the stream's own.
    let before: &[u8] = if block.starts_with(BOM) { b"\n" } else { b"" };
    // A bare CR at the end would make the library wait for the LF.
    let after: &[u8] = if block.ends_with(b"\r") { b"\n" } else { b"" };
    let mut events = pin!(EventStream::new(Pieces { pieces: [before, block, after], next: 0 }));
    let mut context = Context::from_waker(Waker::noop());
    match events.as_mut().poll_next(&mut context) {
        Poll::Ready(Some(Ok(Event { event, data, .. }))) => {
            Some(SseEvent { event: (event != "message").then_some(event), data })
        }
        // Checked before: the block is UTF-8, and every text is a line.
        Poll::Ready(Some(Err(_)) | None) | Poll::Pending => None,
    }
}

/// A stream that always has its pieces ready.
struct Pieces<'a> {
    pieces: [&'a [u8]; 3],
    next: usize,
}

impl<'a> Stream for Pieces<'a> {
    type Item = Result<&'a [u8], Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.pieces.get(self.next).copied();
        self.next += 1;
        Poll::Ready(piece.map(Ok))
    }
}
