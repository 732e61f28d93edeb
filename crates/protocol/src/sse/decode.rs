//! Bytes to events, without I/O: the event stream of WHATWG HTML, 9.2.
//!
//! The usual read of a streamed answer holds whole events: these are read where they
//! lie, neither copied nor allocated. Only an event that two pieces share is put together.

use std::fmt;

use super::error::SseError;
use super::event::{SseEvent, SseEventRef};
use super::fields::{Data, Fields};
use super::scan::{Block, Scan};
use crate::text::truncated;

/// Longest event unless told otherwise: 64 MiB.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;

/// Most characters of an unterminated tail that the error quotes.
const MAX_TAIL_CHARS: usize = 200;

/// Largest empty buffer that is kept for the next event.
const KEPT_BUFFER_BYTES: usize = 64 * 1024;

/// Decodes a stream of events from pieces of any size.
///
/// After an error it yields nothing more.
pub struct SseDecoder {
    /// What is not decoded yet, and before it what was since the last move.
    buffer: Vec<u8>,
    /// In `buffer`, or in the piece that [`SseEvents`] reads.
    scan: Scan,
    /// Data of several lines, of the latest event that had such.
    joined: String,
    failed: Option<SseError>,
}

/// The events that one piece completes, each lent until the next is asked for.
///
/// What is not taken stays with the decoder, as does the beginning of an
/// event that is not complete.
#[derive(Debug)]
pub struct SseEvents<'a> {
    decoder: &'a mut SseDecoder,
    /// The piece, where no earlier one reaches into it; else it is in the buffer.
    piece: Option<&'a [u8]>,
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
        Self { buffer: Vec::new(), scan: Scan::new(limit), joined: String::new(), failed: None }
    }

    /// Takes what the socket gave and lends the events that are complete.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> SseEvents<'a> {
        let piece = if self.failed.is_none() && self.scan.start() == self.buffer.len() {
            self.scan.forget();
            self.buffer.clear();
            if self.buffer.capacity() > KEPT_BUFFER_BYTES {
                self.buffer = Vec::new();
            }
            Some(bytes)
        } else {
            self.push(bytes);
            None
        };
        SseEvents { decoder: self, piece }
    }

    /// Takes what the socket gave. Events are read with [`next_event`](Self::next_event).
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        // Drop what was read, but move the rest only when that is the smaller part:
        // each byte is moved a bounded number of times.
        let start = self.scan.start();
        if start > 0 && start >= self.buffer.len() / 2 {
            self.buffer.drain(..start);
            self.scan.forget();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// A copy of the next complete event with data; `None` until more is pushed.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        let mut events = SseEvents { decoder: self, piece: None };
        events.next_event().map(|event| event.map(SseEventRef::to_owned))
    }

    /// The end of the stream: an error when it came inside an event, or when
    /// an error came before. Read the complete events first. Comments and
    /// blank lines at the end are nothing.
    pub fn finish(&mut self) -> Result<(), SseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let tail = &self.buffer[self.scan.start()..];
        let open = tail
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .any(|line| !line.is_empty() && !line.starts_with(b":"));
        if !open {
            return Ok(());
        }
        let head = &tail[..tail.len().min(MAX_TAIL_CHARS * 4 + 4)];
        let error = SseError::Unterminated {
            offset: self.scan.offset(),
            tail: truncated(&String::from_utf8_lossy(head), MAX_TAIL_CHARS),
        };
        self.failed = Some(error.clone());
        self.buffer = Vec::new();
        Err(error)
    }
}

impl SseEvents<'_> {
    /// The next event with data; `None` when no further one is complete.
    pub fn next_event(&mut self) -> Option<Result<SseEventRef<'_>, SseError>> {
        if self.decoder.failed.is_some() {
            return None;
        }
        let SseDecoder { buffer, scan, joined, failed } = &mut *self.decoder;
        let text: &[u8] = self.piece.unwrap_or(buffer);
        let fields = loop {
            match scan.next_block(text)?.and_then(|block| fields(text, &block, scan, joined)) {
                Ok(Fields { data: Data::None, .. }) => {}
                Ok(fields) => break fields,
                Err(error) => {
                    *failed = Some(error.clone());
                    return Some(Err(error));
                }
            }
        };
        let data = match fields.data {
            Data::Line(line) => line,
            Data::None | Data::Joined => joined,
        };
        Some(Ok(SseEventRef { event: fields.event, data, end: scan.offset() }))
    }
}

/// The fields of a block; an error when it is not UTF-8.
fn fields<'a>(
    text: &'a [u8],
    block: &Block,
    scan: &Scan,
    joined: &mut String,
) -> Result<Fields<'a>, SseError> {
    let lines = std::str::from_utf8(&text[block.range.clone()])
        .map_err(|error| scan.not_utf8(block, error.valid_up_to()))?;
    Ok(match block.only_line {
        Some(end) => Fields::of(std::iter::once(&lines[..end - block.range.start]), joined),
        // The LF of a CR LF makes an empty line here, which is no field.
        None => Fields::of(lines.split(['\n', '\r']), joined),
    })
}

impl Drop for SseEvents<'_> {
    fn drop(&mut self) {
        let decoder = &mut *self.decoder;
        if decoder.failed.is_some() {
            decoder.buffer = Vec::new();
        } else if let Some(piece) = self.piece {
            decoder.buffer.extend_from_slice(&piece[decoder.scan.start()..]);
            decoder.scan.forget();
        }
    }
}

impl fmt::Debug for SseDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseDecoder")
            .field("buffered_bytes", &self.buffer.len().saturating_sub(self.scan.start()))
            .field("offset", &self.scan.offset())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
