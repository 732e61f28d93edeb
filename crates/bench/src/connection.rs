//! One connection of the truth server: its requests, and the answer being written.

use std::io::{self, Write as _};
use std::net::TcpStream;

use crate::chunks::Chunks;
use crate::clock::monotonic_ns;
use crate::http::RequestBuffer;
use crate::truth_log::RequestTruth;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub socket: TcpStream,
    /// In order of acceptance; unique.
    pub number: u64,
    pub phase_ns: u64,
    pub requests: RequestBuffer,
    /// Requests that came so far.
    pub asked: u64,
    /// Arrival of the last read, the server's clock after it, and whether the kernel stamped it.
    pub read: ReadAt,
    pub answer: Option<Answer>,
    /// Waits for the socket to take more.
    pub blocked: bool,
}

/// When a read happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadAt {
    pub arrival_ns: u64,
    pub read_ns: u64,
    pub by_kernel: bool,
}

/// An answer on its way. Its steps are the tokens, and one more: the tail.
#[derive(Debug)]
pub(crate) struct Answer {
    pub truth: RequestTruth,
    pub step: u32,
    /// Bytes of the step that are written.
    offset: usize,
    tail: Vec<u8>,
}

/// How far a write came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A step is written, another is to come.
    Step(u32),
    /// The answer is written.
    Done,
    /// The socket takes no more for now.
    Blocked,
}

impl Answer {
    pub(crate) fn new(truth: RequestTruth, chunks: &Chunks) -> Self {
        let tail = chunks.tail(truth.tokens);
        Self { truth, step: 0, offset: 0, tail }
    }

    /// Writes the current step, with one write if the socket takes it whole.
    /// With `log` the clock just before is kept.
    pub(crate) fn write_step(
        &mut self,
        mut socket: &TcpStream,
        chunks: &Chunks,
        log: bool,
    ) -> io::Result<Progress> {
        let tokens = self.truth.tokens;
        let bytes =
            if self.step < tokens { chunks.token(self.step, tokens) } else { &self.tail[..] };
        while self.offset < bytes.len() {
            // Nothing of the step is out yet: what the socket refused before was no write.
            if log && self.offset == 0 && self.step < tokens {
                self.truth.writes_ns.truncate(self.step as usize);
                self.truth.writes_ns.push(monotonic_ns());
            }
            match socket.write(&bytes[self.offset..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.offset += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Blocked);
                }
                Err(error) => return Err(error),
            }
        }
        self.offset = 0;
        if self.step == tokens {
            self.truth.finished = true;
            return Ok(Progress::Done);
        }
        self.step += 1;
        Ok(Progress::Step(self.step))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;
    use crate::chunks::OTHER_EVENTS;
    use crate::event_count::EventCount;

    #[test]
    fn a_full_socket_loses_and_repeats_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).expect("open");
        let (server, _) = listener.accept().expect("accepted");
        server.set_nonblocking(true).expect("set");
        let tokens = 50_000;
        let truth = RequestTruth {
            id: "r".into(),
            connection: 0,
            arrival_ns: 0,
            arrival_by_kernel: false,
            read_ns: 0,
            tokens,
            writes_ns: Vec::new(),
            finished: false,
        };
        let chunks = Chunks::new("m");
        let mut answer = Answer::new(truth, &chunks);
        let (mut blocked, mut done) = (0, false);
        let mut count = EventCount::default();
        let mut buffer = vec![0; 1 << 20];
        while !done {
            match answer.write_step(&server, &chunks, true).expect("open") {
                Progress::Step(step) => assert_eq!(answer.truth.writes_ns.len(), step as usize),
                Progress::Done => done = true,
                Progress::Blocked => {
                    blocked += 1;
                    let read = client.read(&mut buffer).expect("open");
                    count.take(&buffer[..read]);
                }
            }
        }
        while !count.is_whole(tokens + OTHER_EVENTS) {
            let read = client.read(&mut buffer).expect("open");
            assert!(read > 0, "the answer is cut after {} events", count.events());
            count.take(&buffer[..read]);
        }
        assert!(blocked > 0, "the socket was never full: the test shows nothing");
        assert_eq!(count.events(), tokens + OTHER_EVENTS);
        assert!(answer.truth.finished && answer.truth.writes_ns.is_sorted());
        assert_eq!(answer.truth.writes_ns.len(), tokens as usize);
    }
}
