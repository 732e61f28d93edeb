//! What a connection says of itself and of each answer, for the capture.

use std::cell::RefCell;
use std::sync::mpsc::Sender;

use tokio::net::TcpStream;

use super::framing::Framing;
use super::segment::FlowKey;

/// What connections say, in order.
#[derive(Debug)]
pub(crate) enum Word {
    /// A connection is open.
    Opened(FlowKey),
    /// A request ended; its record follows by another way.
    Ended(Trace),
    /// A connection is closed.
    Closed(FlowKey),
}

/// Where the parts of one answer lay in the bytes of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub request_id: String,
    pub flow: FlowKey,
    /// Offset behind the response head.
    pub head_end: Option<u64>,
    /// Offset behind each chunk of the record.
    pub chunk_ends: Vec<Option<u64>>,
    /// Offset behind the answer.
    pub end: Option<u64>,
    /// Bytes of the connection that had been read when the request ended.
    pub read: u64,
}

/// Makes the [`Tracked`] of new connections. One a worker.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    words: Sender<Word>,
}

impl Tracker {
    pub(crate) const fn new(words: Sender<Word>) -> Self {
        Self { words }
    }

    /// Follows `tcp` from its first byte on. `None` where the system does not
    /// tell its addresses.
    pub(crate) fn track(&self, tcp: &TcpStream) -> Option<Tracked> {
        let flow =
            FlowKey { server: tcp.peer_addr().ok()?.into(), client: tcp.local_addr().ok()?.into() };
        let _ = self.words.send(Word::Opened(flow));
        Some(Tracked { flow, framing: RefCell::default(), words: self.words.clone() })
    }
}

/// One connection that is followed; says when it is closed.
#[derive(Debug)]
pub(crate) struct Tracked {
    flow: FlowKey,
    framing: RefCell<Framing>,
    words: Sender<Word>,
}

impl Tracked {
    /// A request goes out.
    pub(crate) fn begin(&self) {
        self.framing.borrow_mut().begin();
    }

    /// A read brought `bytes`.
    pub(crate) fn push(&self, bytes: &[u8]) {
        self.framing.borrow_mut().push(bytes);
    }

    /// A request ended whose chunks end at `body_ends` of its body; where the
    /// answer was not streamed, all of it is one chunk.
    pub(crate) fn ended(&self, request_id: &str, streamed: bool, body_ends: &[u64]) {
        let framing = self.framing.borrow();
        let whole = [framing.body()];
        let body_ends = if streamed { body_ends } else { &whole };
        // A send fails only when the stage is gone.
        let _ = self.words.send(Word::Ended(Trace {
            request_id: request_id.to_owned(),
            flow: self.flow,
            head_end: framing.head_end(),
            chunk_ends: body_ends.iter().map(|&end| framing.wire_end(end)).collect(),
            end: framing.end(),
            read: framing.read(),
        }));
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let _ = self.words.send(Word::Closed(self.flow));
    }
}
