//! How a run is stopped from outside, and how that reaches requests in flight.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::sync::watch;

/// Stops stages: hand a clone to whoever may want to (a Ctrl-C handler).
#[derive(Debug, Clone)]
pub struct StopHandle {
    signal: Arc<watch::Sender<Signal>>,
}

/// What has been asked for, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Go,
    /// Send nothing more in this stage.
    End(Instant),
    /// Send nothing more at all, and cancel what is in flight.
    Stop(Instant),
}

impl Signal {
    /// Since when nothing more is sent.
    pub(crate) const fn since(self) -> Option<Instant> {
        match self {
            Self::Go => None,
            Self::End(at) | Self::Stop(at) => Some(at),
        }
    }

    const fn is_stop(self) -> bool {
        matches!(self, Self::Stop(_))
    }
}

impl Default for StopHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl StopHandle {
    /// A handle nobody has used yet.
    pub fn new() -> Self {
        Self { signal: Arc::new(watch::Sender::new(Signal::Go)) }
    }

    /// Sends nothing more and cancels what is in flight; each such request
    /// becomes a record with outcome `Cancelled`. For good: later stages end at once.
    pub fn stop(&self) {
        self.signal.send_if_modified(|signal| {
            let new = !signal.is_stop();
            if new {
                *signal = Signal::Stop(Instant::now());
            }
            new
        });
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.signal.borrow().is_stop()
    }

    /// Ends the stage that runs: no new request is sent, those in flight are waited for,
    /// and the report says [`Precise`](vllm_bench_record::StageEnd::Precise). A stage that
    /// starts later knows nothing of it.
    pub fn end_stage(&self) {
        self.signal.send_if_modified(|signal| {
            let new = *signal == Signal::Go;
            if new {
                *signal = Signal::End(Instant::now());
            }
            new
        });
    }

    /// Forgets an [`end_stage`](Self::end_stage) of the stage before.
    pub(crate) fn begin_stage(&self) {
        self.signal.send_if_modified(|signal| {
            let old = matches!(signal, Signal::End(_));
            if old {
                *signal = Signal::Go;
            }
            old
        });
    }

    pub(crate) fn signal(&self) -> Signal {
        *self.signal.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Signal> {
        self.signal.subscribe()
    }
}

/// Waits until nothing more is to be sent. Cancel safe.
pub(crate) async fn raised(signal: &mut watch::Receiver<Signal>) {
    // The handle outlives the stage; were it gone, nobody could stop anything.
    if signal.wait_for(|signal| signal.since().is_some()).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One worker's view of the handle: a flag to look at and wakers to call, so
/// that a request in flight pays next to nothing for being stoppable.
#[derive(Debug, Default)]
pub(crate) struct LocalStop {
    stopped: Cell<bool>,
    wakers: RefCell<Vec<Option<Waker>>>,
}

impl LocalStop {
    /// Brings what `signal` says to the requests of this thread, for as long as it is polled.
    pub(crate) async fn watch(self: Rc<Self>, mut signal: watch::Receiver<Signal>) {
        if signal.wait_for(|signal| signal.is_stop()).await.is_ok() {
            self.stop();
        }
    }

    fn stop(&self) {
        self.stopped.set(true);
        for waker in self.wakers.borrow_mut().iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    /// Whether requests in flight are to be cancelled.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Wakes `cx`'s task on stop.
    pub(crate) fn register(&self, slot: usize, cx: &Context<'_>) {
        let mut wakers = self.wakers.borrow_mut();
        if wakers.len() <= slot {
            wakers.resize(slot + 1, None);
        }
        if !wakers[slot].as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            wakers[slot] = Some(cx.waker().clone());
        }
    }

    /// Ends when requests in flight are to be cancelled.
    pub(crate) async fn stopped(&self, slot: usize) {
        poll_fn(|cx| {
            self.register(slot, cx);
            if self.is_stopped() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_for_one_stage_and_a_stop_for_good() {
        let handle = StopHandle::new();
        handle.end_stage();
        assert!(matches!(handle.signal(), Signal::End(_)) && !handle.is_stopped());
        handle.begin_stage();
        assert_eq!(handle.signal(), Signal::Go);
        handle.stop();
        let stopped = handle.signal();
        handle.end_stage();
        handle.begin_stage();
        handle.stop();
        assert_eq!(handle.signal(), stopped, "the first stop stands");
    }
}
