//! The truth server: one thread, one epoll loop, one write a token.
//!
//! Times are kept, not promised: a write that comes late is logged late. The
//! loop sleeps on a timer until a deadline is near and spins the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Backlog, listen};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::chunks::{Chunks, plain};
use crate::clock::{WallOffset, monotonic_ns};
use crate::connection::{Answer, Connection, Progress, ReadAt};
use crate::error::BenchError;
use crate::http::{Request, RequestBuffer};
use crate::stamped::{self, StampedReader};
use crate::truth_config::TruthConfig;
use crate::truth_log::{RequestTruth, TruthLog};

/// A bound server that does not answer yet.
#[derive(Debug)]
pub struct TruthServer {
    config: TruthConfig,
    listener: TcpListener,
    addr: SocketAddr,
}

impl TruthServer {
    /// Binds to `addr`; port 0 picks a free one. Clients may connect from now on.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn bind(config: TruthConfig, addr: SocketAddr) -> Result<Self, BenchError> {
        let cannot = || BenchError::system::<io::Error>(format!("listen on {addr}"));
        let listener = TcpListener::bind(addr).map_err(cannot())?;
        listener.set_nonblocking(true).map_err(cannot())?;
        // The standard library's queue of 128 is too short for 1,000 streams at once.
        listen(&listener, Backlog::MAXALLOWABLE).map_err(|e| cannot()(e.into()))?;
        // Accepted sockets inherit it: a request can be there before it is accepted.
        stamped::enable(&listener);
        // Where the kernel never stamps, each request's log says so.
        stamped::settle().map_err(BenchError::system("try the kernel's receive stamps"))?;
        let addr = listener.local_addr().map_err(cannot())?;
        Ok(Self { config, listener, addr })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `stop` is readable or at its end; then what it did.
    ///
    /// # Errors
    /// When the loop itself cannot go on; a broken connection is no error.
    pub fn serve(self, stop: &impl AsFd) -> Result<TruthLog, BenchError> {
        Serving::new(self, stop)?.run()
    }
}

const LISTENER: u64 = 0;
const STOP: u64 = 1;
const TIMER: u64 = 2;
const FIRST_SLOT: u64 = 3;

/// A deadline this near is not worth a sleep.
const SPIN_NS: u64 = 30_000;

/// Longest read of a request.
const READ: usize = 256 << 10;

/// More tokens than this are cut: the log holds a clock for each.
const MOST_TOKENS: u32 = 1 << 20;

/// Something to write: when, where, and for which connection if the slot was used again.
type Due = Reverse<(u64, usize, u64)>;

struct Serving {
    config: TruthConfig,
    listener: TcpListener,
    epoll: Epoll,
    timer: TimerFd,
    chunks: Chunks,
    reader: StampedReader,
    wall: WallOffset,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    accepted: u64,
    due: BinaryHeap<Due>,
    /// Those of `due` that one pass writes.
    pass: Vec<Due>,
    log: Vec<RequestTruth>,
}

fn epoll_error(error: Errno) -> BenchError {
    BenchError::system("wait for events")(error)
}

impl Serving {
    fn new(server: TruthServer, stop: &impl AsFd) -> Result<Self, BenchError> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(epoll_error)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )
        .map_err(epoll_error)?;
        let readable = |data| EpollEvent::new(EpollFlags::EPOLLIN, data);
        epoll.add(&server.listener, readable(LISTENER)).map_err(epoll_error)?;
        epoll.add(stop, readable(STOP)).map_err(epoll_error)?;
        // Edge-triggered: setting the timer anew makes it unreadable, so it is never read.
        let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&timer, EpollEvent::new(edge, TIMER)).map_err(epoll_error)?;
        Ok(Self {
            chunks: Chunks::new(&server.config.model),
            config: server.config,
            listener: server.listener,
            epoll,
            timer,
            reader: StampedReader::new(READ),
            wall: WallOffset::read(),
            connections: Vec::new(),
            free: Vec::new(),
            accepted: 0,
            due: BinaryHeap::new(),
            pass: Vec::new(),
            log: Vec::new(),
        })
    }

    fn run(mut self) -> Result<TruthLog, BenchError> {
        let mut events = [EpollEvent::empty(); 256];
        loop {
            self.write_due();
            let timeout = self.sleep_until_due()?;
            let ready = match self.epoll.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(epoll_error(error)),
            };
            for event in &events[..ready] {
                match event.data() {
                    LISTENER => self.accept()?,
                    STOP => return Ok(self.finish()),
                    TIMER => {}
                    slot => self.ready((slot - FIRST_SLOT) as usize, event.events()),
                }
            }
        }
    }

    fn finish(mut self) -> TruthLog {
        let open = self.connections.iter_mut().flatten().filter_map(|c| c.answer.take());
        self.log.extend(open.map(|answer| answer.truth));
        TruthLog { pace: self.config.pace, requests: self.log }
    }

    /// Arms the timer for the next deadline; how epoll is to wait.
    fn sleep_until_due(&self) -> Result<EpollTimeout, BenchError> {
        let Some(&Reverse((at_ns, ..))) = self.due.peek() else { return Ok(EpollTimeout::NONE) };
        if at_ns <= monotonic_ns() + SPIN_NS {
            return Ok(EpollTimeout::ZERO);
        }
        let wake_ns = at_ns - SPIN_NS / 2;
        let at = TimeSpec::new((wake_ns / 1_000_000_000) as _, (wake_ns % 1_000_000_000) as _);
        self.timer
            .set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            .map_err(epoll_error)?;
        Ok(EpollTimeout::NONE)
    }

    /// Writes one step of every answer whose deadline has come.
    fn write_due(&mut self) {
        let now = monotonic_ns();
        let mut pass = std::mem::take(&mut self.pass);
        while let Some(&due) = self.due.peek()
            && due.0.0 <= now
        {
            self.due.pop();
            pass.push(due);
        }
        for Reverse((_, slot, number)) in pass.drain(..) {
            self.write_step(slot, number);
        }
        self.pass = pass;
    }

    fn write_step(&mut self, slot: usize, number: u64) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let Some(answer) = connection.answer.as_mut().filter(|_| connection.number == number)
        else {
            return;
        };
        match answer.write_step(&connection.socket, &self.chunks, self.config.log_writes) {
            Ok(Progress::Step(step)) => {
                let arrival = answer.truth.arrival_ns;
                let at = self.config.pace.deadline_ns(arrival, connection.phase_ns, step);
                self.due.push(Reverse((at, slot, number)));
            }
            Ok(Progress::Done) => {
                let done = connection.answer.take();
                self.log.extend(done.map(|answer| answer.truth));
                self.next_request(slot);
            }
            Ok(Progress::Blocked) => {
                connection.blocked = true;
                self.watch(slot);
            }
            Err(_gone) => self.close(slot),
        }
    }

    fn accept(&mut self) -> Result<(), BenchError> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(BenchError::system("accept a connection")(e)),
            };
            // A connection that is gone already shows itself at the first read.
            let _ = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
            stamped::enable(&socket);
            let slot = self.free.pop().unwrap_or(self.connections.len());
            let event = EpollEvent::new(EpollFlags::EPOLLIN, FIRST_SLOT + slot as u64);
            self.epoll.add(&socket, event).map_err(epoll_error)?;
            let connection = Connection {
                socket,
                number: self.accepted,
                phase_ns: self.config.pace.phase_ns(self.accepted),
                requests: RequestBuffer::default(),
                asked: 0,
                read: ReadAt::default(),
                answer: None,
                blocked: false,
            };
            self.accepted += 1;
            if slot == self.connections.len() {
                self.connections.push(Some(connection));
            } else {
                self.connections[slot] = Some(connection);
            }
        }
    }

    fn ready(&mut self, slot: usize, events: EpollFlags) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        if events.contains(EpollFlags::EPOLLOUT) && connection.blocked {
            connection.blocked = false;
            let number = connection.number;
            self.watch(slot);
            self.write_step(slot, number);
        }
        if events.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            self.read(slot);
        }
    }

    fn read(&mut self, slot: usize) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        match self.reader.read(&connection.socket) {
            Ok(([], _)) => self.close(slot),
            Ok((bytes, stamp)) => {
                let read_ns = monotonic_ns();
                self.wall.refresh(read_ns);
                let arrival_ns = stamp.map_or(read_ns, |wall| self.wall.to_monotonic(wall));
                connection.read = ReadAt { arrival_ns, read_ns, by_kernel: stamp.is_some() };
                connection.requests.push(bytes);
                self.next_request(slot);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_gone) => self.close(slot),
        }
    }

    /// Begins with the next request that is whole, if no answer is under way.
    fn next_request(&mut self, slot: usize) {
        while let Some(Some(connection)) = self.connections.get_mut(slot) {
            if connection.answer.is_some() {
                return;
            }
            let answered = match connection.requests.next() {
                Ok(None) => return,
                Ok(Some(request)) => {
                    connection.asked += 1;
                    match route(&request, &self.config) {
                        None => return self.begin(slot, request),
                        Some(answer) => write_whole(connection, &answer),
                    }
                }
                Err(bad) => {
                    // What follows on this connection cannot be told apart.
                    let _ = write_whole(connection, &refusal("400 Bad Request", bad.reason()));
                    Err(io::ErrorKind::InvalidData.into())
                }
            };
            if answered.is_err() {
                self.close(slot);
            }
        }
    }

    fn begin(&mut self, slot: usize, request: Request) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let tokens = request.max_tokens.unwrap_or(self.config.tokens).clamp(1, MOST_TOKENS);
        let number = connection.number;
        let read = connection.read;
        let truth = RequestTruth {
            id: request.id.unwrap_or_else(|| format!("{number}-{}", connection.asked)),
            connection: number,
            arrival_ns: read.arrival_ns,
            arrival_by_kernel: read.by_kernel,
            read_ns: read.read_ns,
            tokens,
            writes_ns: Vec::with_capacity(if self.config.log_writes { tokens as usize } else { 0 }),
            finished: false,
        };
        connection.answer = Some(Answer::new(truth, &self.chunks));
        let at = self.config.pace.deadline_ns(read.arrival_ns, connection.phase_ns, 0);
        self.due.push(Reverse((at, slot, number)));
    }

    /// Tells epoll whether the connection waits for room.
    fn watch(&mut self, slot: usize) {
        let Some(Some(connection)) = self.connections.get(slot) else { return };
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, connection.blocked);
        let mut event = EpollEvent::new(flags, FIRST_SLOT + slot as u64);
        if self.epoll.modify(&connection.socket, &mut event).is_err() {
            self.close(slot);
        }
    }

    fn close(&mut self, slot: usize) {
        // Closing the socket takes it out of epoll.
        if let Some(connection) = self.connections[slot].take() {
            self.log.extend(connection.answer.map(|answer| answer.truth));
            self.free.push(slot);
        }
    }
}

/// The answer to a request that is not streamed; `None` for one that is.
fn route(request: &Request, config: &TruthConfig) -> Option<Vec<u8>> {
    let ok = |body: &str| Some(plain("200 OK", body));
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/chat/completions") if request.stream => None,
        ("POST", "/v1/chat/completions") => {
            Some(refusal("400 Bad Request", "only streams are answered: set stream"))
        }
        ("GET", "/v1/models") => ok(&format!(
            "{{\"object\":\"list\",\"data\":[{{\"id\":\"{}\",\"object\":\"model\",\
             \"created\":1795541090,\"owned_by\":\"vllm-bench\",\"max_model_len\":1048576}}]}}",
            config.model
        )),
        ("GET", "/version") => ok("{\"version\":\"0.0.0+truth\"}"),
        ("GET", "/health") => ok(""),
        _ => Some(refusal("404 Not Found", "the truth server knows only chat completions")),
    }
}

fn refusal(status: &str, reason: &str) -> Vec<u8> {
    let code = &status[..3];
    plain(status, &format!("{{\"error\":{{\"message\":\"{reason}\",\"code\":{code}}}}}"))
}

/// Writes a short answer; one that does not go out at once ends the connection.
fn write_whole(connection: &Connection, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    (&connection.socket).write_all(bytes)
}
