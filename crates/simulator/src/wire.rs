//! The way out of an event stream: the response body, and the writer that can misbehave on it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use vllm_bench_protocol::{ApiError, sse};

use crate::faults::{Fault, FaultSet};

/// Between writes that shall reach the client apart.
pub(crate) const APART: Duration = Duration::from_millis(2);

/// A connection broken on purpose.
#[derive(Debug, thiserror::Error)]
#[error("connection cut on purpose")]
pub(crate) struct Cut;

/// The stream is over early: the client left, or a fault ended it.
#[derive(Debug)]
pub(crate) struct Over;

type Frames = mpsc::Sender<Result<Bytes, Cut>>;

/// A response body: whole, or a stream whose producer runs inside the connection's own task and is
/// dropped with it.
pub(crate) struct AnswerBody {
    kind: BodyKind,
    /// Dropped when the body is done with, which is how the end of an answer is noticed.
    _guards: Vec<Box<dyn Send>>,
}

enum BodyKind {
    Whole(Option<Bytes>),
    Stream {
        producer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
        frames: mpsc::Receiver<Result<Bytes, Cut>>,
    },
}

impl AnswerBody {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        AnswerBody { kind: BodyKind::Whole(Some(bytes.into())), _guards: Vec::new() }
    }

    /// A stream of what `producer` writes.
    pub(crate) fn stream<F>(producer: impl FnOnce(Frames) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, frames) = mpsc::channel(1);
        let producer: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(producer(sender));
        AnswerBody {
            kind: BodyKind::Stream { producer: Some(producer), frames },
            _guards: Vec::new(),
        }
    }

    /// Keeps `guard` until the body is done with.
    pub(crate) fn guarded(mut self, guard: impl Send + 'static) -> Self {
        self._guards.push(Box::new(guard));
        self
    }

    /// Bytes of a whole body; 0 for a stream.
    pub(crate) fn length(&self) -> u64 {
        match &self.kind {
            BodyKind::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            BodyKind::Stream { .. } => 0,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.kind {
            BodyKind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            BodyKind::Stream { producer, frames } => {
                // What is ready goes first; then the producer runs until it has to wait.
                if let Poll::Ready(frame) = frames.poll_recv(context) {
                    return Poll::Ready(frame.map(|frame| frame.map(Frame::data)));
                }
                if let Some(running) = producer
                    && running.as_mut().poll(context).is_ready()
                {
                    *producer = None;
                }
                frames.poll_recv(context).map(|frame| frame.map(|frame| frame.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, BodyKind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Whole(_) => SizeHint::with_exact(self.length()),
            BodyKind::Stream { .. } => SizeHint::default(),
        }
    }
}

/// Writes events as the request's faults say.
pub(crate) struct Wire {
    frames: Frames,
    faults: FaultSet,
    events: u32,
    /// Events that wait for others to share their write.
    batch: Vec<u8>,
    batched: u32,
}

impl Wire {
    pub(crate) fn new(frames: Frames, faults: FaultSet) -> Self {
        Wire { frames, faults, events: 0, batch: Vec::new(), batched: 0 }
    }

    /// Writes one event.
    pub(crate) async fn event(&mut self, data: &str) -> Result<(), Over> {
        self.misbehave().await?;
        self.events += 1;
        self.write(sse::encode_data(data)).await
    }

    /// Writes the end of the stream.
    pub(crate) async fn done(mut self) -> Result<(), Over> {
        if !self.faults.has(Fault::NoDone) {
            self.misbehave().await?;
            self.write(Bytes::from_static(sse::DONE)).await?;
        }
        if self.faults.has(Fault::Unterminated) {
            let length = self.batch.len().saturating_sub(2);
            self.batch.truncate(length);
        }
        self.flush().await
    }

    /// Does what is to be done before the next event.
    async fn misbehave(&mut self) -> Result<(), Over> {
        let faults = std::mem::take(&mut self.faults);
        let mut over = Ok(());
        for fault in faults.iter() {
            over = self.misbehave_so(fault).await;
            if over.is_err() {
                break;
            }
        }
        self.faults = faults;
        over
    }

    async fn misbehave_so(&mut self, fault: Fault) -> Result<(), Over> {
        match fault {
            Fault::Stall { after, time } if after == self.events => {
                self.flush().await?;
                stall(time).await;
                Ok(())
            }
            Fault::Cut { after } if after == self.events => {
                self.flush().await?;
                // What was written before must be on its way before the connection goes.
                tokio::time::sleep(APART).await;
                self.frames.send(Err(Cut)).await.map_err(|_| Over)?;
                Err(Over)
            }
            Fault::ErrorEvent { after } if after == self.events => {
                self.flush().await?;
                let error = ApiError::vllm(
                    "simulated fault: the engine failed",
                    "InternalServerError",
                    None,
                    500,
                );
                self.send(sse::encode_data(&error.to_body())).await?;
                self.send(Bytes::from_static(sse::DONE)).await?;
                Err(Over)
            }
            Fault::InvalidUtf8 { after } if after == self.events => {
                self.write(Bytes::from_static(b"data: {\"text\":\"\xc3\x28\"}\n\n")).await
            }
            Fault::Garbage { after } if after == self.events => {
                self.write(Bytes::from_static(b"data: {\"id\":\"chatcmpl-garbage\",\"choi\n\n"))
                    .await
            }
            _ => Ok(()),
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Over> {
        let together = self.faults.find(|fault| match fault {
            Fault::EventsPerWrite(count) => Some(count),
            _ => None,
        });
        // An end without its blank line can only be cut off an event that is still here.
        let keeps_last = self.faults.has(Fault::Unterminated);
        if together.is_none() && !keeps_last {
            return self.send(bytes).await;
        }
        if self.batched >= together.unwrap_or(1) {
            self.flush().await?;
        }
        self.batch.extend_from_slice(&bytes);
        self.batched += 1;
        if self.batched >= together.unwrap_or(1) && !keeps_last {
            return self.flush().await;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Over> {
        self.batched = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.batch);
        self.send(bytes.into()).await
    }

    async fn send(&mut self, mut bytes: Bytes) -> Result<(), Over> {
        let parts = self.faults.find(|fault| match fault {
            Fault::WritesPerEvent(count) => Some(count as usize),
            _ => None,
        });
        let size = bytes.len().div_ceil(parts.unwrap_or(1)).max(1);
        while bytes.len() > size {
            self.frames.send(Ok(bytes.split_to(size))).await.map_err(|_| Over)?;
            tokio::time::sleep(APART).await;
        }
        self.frames.send(Ok(bytes)).await.map_err(|_| Over)
    }
}

/// Waits; for ever where no time is given.
pub(crate) async fn stall(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => {
            let _never: Infallible = std::future::pending().await;
        }
    }
}
