//! How a run is stopped from outside, and how that reaches requests in flight.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::watch;

/// Stops stages: hand a clone to whoever may want to (a Ctrl-C handler).
#[derive(Debug, Clone)]
pub struct StopHandle {
    stop: Arc<watch::Sender<bool>>,
}

impl Default for StopHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl StopHandle {
    /// A handle nobody has used yet.
    pub fn new() -> Self {
        Self { stop: Arc::new(watch::Sender::new(false)) }
    }

    /// Sends nothing more and cancels what is in flight; each such request
    /// becomes a record with outcome `Cancelled`. For good: later stages end at once.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

/// One worker's view of the handle: a flag to look at and wakers to call, so
/// that a request in flight pays nothing for being stoppable.
#[derive(Debug, Default)]
pub(crate) struct LocalStop {
    stopped: Cell<bool>,
    wakers: RefCell<Vec<Option<Waker>>>,
}

impl LocalStop {
    pub(crate) fn new(users: usize) -> Rc<Self> {
        Rc::new(Self { stopped: Cell::new(false), wakers: RefCell::new(vec![None; users]) })
    }

    pub(crate) fn stop(&self) {
        self.stopped.set(true);
        for waker in self.wakers.borrow_mut().iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Wakes `cx`'s task on stop; once a request is enough, a task keeps its waker.
    pub(crate) fn register(&self, slot: usize, cx: &Context<'_>) {
        self.wakers.borrow_mut()[slot] = Some(cx.waker().clone());
    }
}
