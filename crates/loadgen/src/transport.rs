//! The socket under hyper: every read is stamped on arrival, and hyper is let
//! to the next read only when all of the previous one has been consumed.
//!
//! hyper reads ahead: left alone, it may have read (and restamped) again before
//! its consumer sees what an earlier read brought. A [`Gate`] between the two
//! makes the mapping from read to decoded bytes exact. It works because the
//! connection is polled by the task that consumes its answer (`connection.rs`).

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use vllm_bench_record::{RunClock, Timestamp};

use crate::capture::Tracked;
use crate::kernel_clock::WallMap;

/// When one socket read arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ReadStamp {
    /// Arrival.
    pub at: Timestamp,
    /// How much later this program knew; `None` without a kernel stamp.
    pub client_lag: Option<Duration>,
    /// Number of the read on its connection, from 1.
    pub read: u64,
}

/// What connection and consumer share: the last read, the last write, and
/// whether hyper may read.
#[derive(Debug)]
pub(crate) struct Gate {
    clock: RunClock,
    open: Cell<bool>,
    last_read: Cell<ReadStamp>,
    first_write: Cell<Option<Timestamp>>,
    last_write: Cell<Option<Timestamp>>,
    /// Follows the bytes, where arrivals are captured.
    tracked: Option<Tracked>,
}

impl Gate {
    pub(crate) fn new(clock: RunClock, tracked: Option<Tracked>) -> Rc<Self> {
        Rc::new(Self {
            clock,
            open: Cell::new(true),
            last_read: Cell::default(),
            first_write: Cell::default(),
            last_write: Cell::default(),
            tracked,
        })
    }

    /// Lets hyper read once more. False when it already might.
    pub(crate) fn open(&self) -> bool {
        !self.open.replace(true)
    }

    /// The read that brought what is being consumed.
    pub(crate) fn last_read(&self) -> ReadStamp {
        self.last_read.get()
    }

    /// Forgets the writes of the previous request.
    pub(crate) fn start_request(&self) {
        self.first_write.set(None);
        self.last_write.set(None);
        if let Some(tracked) = &self.tracked {
            tracked.begin();
        }
    }

    /// What follows the connection's bytes, where arrivals are captured.
    pub(crate) const fn tracked(&self) -> Option<&Tracked> {
        self.tracked.as_ref()
    }

    /// Just before the request's first byte went to the kernel.
    pub(crate) fn first_write(&self) -> Option<Timestamp> {
        self.first_write.get()
    }

    /// After the latest byte went to the kernel.
    pub(crate) fn last_write(&self) -> Option<Timestamp> {
        self.last_write.get()
    }
}

/// A TCP socket that stamps its reads, under TLS too.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    gate: Rc<Gate>,
    /// `None`: the clock is read right after the read.
    kernel: Option<KernelStamps>,
}

/// What reading with the kernel's stamps needs.
#[derive(Debug)]
pub(crate) struct KernelStamps {
    pub wall: WallMap,
    /// One for all connections of a worker: bytes only pass through it.
    pub scratch: Rc<RefCell<Box<[u8]>>>,
    #[cfg(target_os = "linux")]
    pub receiver: crate::kernel_clock::Receiver,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, gate: Rc<Gate>, kernel: Option<KernelStamps>) -> Self {
        Self { tcp, gate, kernel }
    }

    fn stamp(&self, at: Timestamp, client_lag: Option<Duration>) {
        let read = self.gate.last_read.get().read + 1;
        self.gate.last_read.set(ReadStamp { at, client_lag, read });
    }

    #[cfg(target_os = "linux")]
    fn poll_kernel_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(kernel) = &mut self.kernel else { return Poll::Ready(Ok(())) };
        let mut scratch = kernel.scratch.borrow_mut();
        let room = buf.remaining().min(scratch.len());
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let mut got = None;
            let result = self.tcp.try_io(Interest::READABLE, || {
                let (bytes, stamp) = kernel.receiver.recv(&self.tcp, &mut scratch[..room])?;
                got = Some((bytes, stamp));
                // A short read has emptied the socket: saying so spares the
                // read that would find it empty (tokio's own reads do the same).
                if bytes > 0 && bytes < room {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            match (got, result) {
                (Some((bytes, stamp)), _) => {
                    let now = self.gate.clock.now();
                    buf.put_slice(&scratch[..bytes]);
                    if let Some(tracked) = self.gate.tracked() {
                        tracked.push(&scratch[..bytes]);
                    }
                    let at = stamp.and_then(|ns| kernel.wall.to_run(ns));
                    drop(scratch);
                    match at {
                        // Offset error can put a stamp a little after now.
                        Some(at) => self.stamp(at.min(now), Some(now.since(at))),
                        None => self.stamp(now, None),
                    }
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                (None, result) => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        #[cfg(target_os = "linux")]
        if self.kernel.is_some() {
            return self.poll_kernel_read(cx, buf);
        }
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        let now = self.gate.clock.now();
        self.stamp(now, None);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stamped_write(|tcp| tcp.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stamped_write(|tcp| tcp.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Socket {
    fn stamped_write(
        &mut self,
        write: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.gate.first_write.get().is_none() {
            self.gate.first_write.set(Some(self.gate.clock.now()));
        }
        let written = ready!(write(Pin::new(&mut self.tcp)))?;
        self.gate.last_write.set(Some(self.gate.clock.now()));
        Poll::Ready(Ok(written))
    }
}

/// A plain or a TLS connection.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Self::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Self::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(s) => s.is_write_vectored(),
            Self::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_flush(cx),
            Self::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Self::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

/// What hyper is given: a stream whose reads wait for the gate.
pub(crate) struct GatedIo {
    inner: TokioIo<Stream>,
    gate: Rc<Gate>,
}

impl GatedIo {
    pub(crate) fn new(stream: Stream, gate: Rc<Gate>) -> Self {
        Self { inner: TokioIo::new(stream), gate }
    }
}

impl hyper::rt::Read for GatedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.gate.open.get() {
            // No waker is needed: whoever opens the gate polls again.
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.gate.open.set(false);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for GatedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}
