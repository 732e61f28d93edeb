//! The floor: a client that does as little as can be done. One thread, one
//! epoll loop, requests built before, one read a wake-up, kernel stamps, events
//! counted by their empty lines.

use std::io::{self, Write as _};
use std::net::TcpStream;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::chunks::OTHER_EVENTS;
use crate::client_log::{Arrival, ClientLog, ClientRequest};
use crate::clock::{WallOffset, monotonic_ns};
use crate::error::BenchError;
use crate::event_count::EventCount;
use crate::plan::ClientPlan;
use crate::process;
use crate::stamped::{self, StampedReader};

/// Longest silence of all streams together.
const PATIENCE_SECONDS: u16 = 30;

/// Longest read.
const READ: usize = 256 << 10;

/// Runs `plan`; returns when the last answer has ended.
///
/// # Errors
/// When a connection cannot be opened, breaks, or answers something else.
pub fn run_floor(plan: &ClientPlan) -> Result<ClientLog, BenchError> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(wait_error)?;
    let mut streams = Vec::with_capacity(plan.streams as usize);
    for number in 0..plan.streams {
        let stream = Stream::open(plan, number)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(number));
        epoll.add(&stream.socket, event).map_err(wait_error)?;
        streams.push(stream);
    }
    let mut reader = StampedReader::new(READ);
    let mut wall = WallOffset::read();
    let mut log = ClientLog { started_ns: monotonic_ns(), ..ClientLog::default() };
    let mut open = 0;
    for stream in &mut streams {
        open += usize::from(stream.send_next()?);
    }
    let mut events = [EpollEvent::empty(); 256];
    while open > 0 {
        let ready = match epoll.wait(&mut events, PATIENCE_SECONDS * 1000) {
            Ok(0) => return Err(BenchError::Stuck { open, seconds: PATIENCE_SECONDS }),
            Ok(ready) => ready,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(wait_error(error)),
        };
        let now = monotonic_ns();
        wall.refresh(now);
        for event in &events[..ready] {
            let stream = &mut streams[event.data() as usize];
            let (bytes, stamp) = match reader.read(&stream.socket) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(e) => return Err(stream.wrong(&e)),
            };
            let at = stamp.map_or(now, |stamp| wall.to_monotonic(stamp));
            if stream.take(bytes, at)? {
                log.requests += 1;
                log.tokens += u64::from(plan.tokens);
                open -= usize::from(!stream.send_next()?);
            }
        }
    }
    log.finished_ns = monotonic_ns();
    log.cpu_ns = process::cpu_ns()?;
    log.peak_rss_bytes = process::peak_rss_bytes(None);
    log.kept = streams.into_iter().flat_map(|stream| stream.kept).collect();
    Ok(log)
}

fn wait_error(error: Errno) -> BenchError {
    BenchError::system("wait for events")(error)
}

/// One connection and its requests.
struct Stream {
    socket: TcpStream,
    number: u32,
    tokens: u32,
    /// Id and bytes, last first.
    requests: Vec<(String, Vec<u8>)>,
    keep: bool,
    count: EventCount,
    begun: bool,
    kept: Vec<ClientRequest>,
}

impl Stream {
    fn open(plan: &ClientPlan, number: u32) -> Result<Self, BenchError> {
        let cannot = || BenchError::system::<io::Error>(format!("connect to {}", plan.addr));
        let socket = TcpStream::connect(plan.addr).map_err(cannot())?;
        socket.set_nodelay(true).map_err(cannot())?;
        stamped::enable(&socket);
        let body = plan.body();
        let requests = (0..plan.requests_per_stream).rev().map(|turn| {
            let id = plan.request_id(u64::from(turn) * u64::from(plan.streams) + u64::from(number));
            let request = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\n\
                 content-type: application/json\r\naccept: text/event-stream\r\n\
                 user-agent: vllm-bench-floor\r\nx-request-id: {id}\r\ncontent-length: {}\r\n\r\n\
                 {body}",
                plan.addr,
                body.len()
            );
            (id, request.into_bytes())
        });
        Ok(Self {
            requests: requests.collect(),
            socket,
            number,
            tokens: plan.tokens,
            keep: plan.keep_arrivals,
            count: EventCount::default(),
            begun: false,
            kept: Vec::new(),
        })
    }

    /// Sends the next request; false when there is none. The socket blocks: a
    /// request goes out at once, and reads do not wait.
    fn send_next(&mut self) -> Result<bool, BenchError> {
        let Some((id, bytes)) = self.requests.pop() else { return Ok(false) };
        self.count = EventCount::default();
        self.begun = false;
        if self.keep {
            let arrivals = Vec::with_capacity(self.tokens as usize);
            self.kept.push(ClientRequest {
                id,
                sent_ns: monotonic_ns(),
                scheduled_ns: None,
                arrivals,
            });
        }
        match self.socket.write_all(&bytes) {
            Ok(()) => Ok(true),
            Err(error) => Err(self.wrong(&error)),
        }
    }

    /// Takes what one read brought; whether the answer is whole.
    fn take(&mut self, bytes: &[u8], at_ns: u64) -> Result<bool, BenchError> {
        if bytes.is_empty() {
            return Err(self.wrong(&"the server closed the connection"));
        }
        if !self.begun {
            self.begun = true;
            if !bytes.starts_with(b"HTTP/1.1 200 ") {
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                return Err(self.wrong(&shown));
            }
        }
        let first = self.count.events();
        let new = self.count.take(bytes);
        if self.keep
            && let Some(request) = self.kept.last_mut()
        {
            // Event 0 is the role; after the tokens come usage and [DONE].
            let tokens = first.max(1)..(first + new).min(self.tokens + 1);
            let last = first + new - u32::from(new > 0);
            request.arrivals.extend(tokens.map(|n| Arrival { at_ns, censored: n != last }));
        }
        if self.count.events() > self.tokens + OTHER_EVENTS {
            return Err(self.wrong(&"more events than tokens were asked for"));
        }
        Ok(self.count.is_whole(self.tokens + OTHER_EVENTS))
    }

    fn wrong(&self, reason: &impl ToString) -> BenchError {
        BenchError::Answer { stream: self.number, reason: reason.to_string() }
    }
}
