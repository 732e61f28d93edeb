//! Prepares requests ahead of whoever sends them, in a thread of its own.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use vllm_bench_record::{RunClock, Timestamp};

use crate::client::Outgoing;
use crate::error::LoadError;
use crate::plan::PreparedRequest;
use crate::stop::StopHandle;
use crate::template::Template;
use crate::worker::Message;

/// The thread that draws from the source.
pub(crate) struct Feeder<'a> {
    pub template: &'a Template,
    /// One for all workers, or one a worker; then requests go to them in turn.
    pub queues: Vec<async_channel::Sender<Outgoing>>,
    pub messages: Sender<Message>,
    pub stop: &'a StopHandle,
    /// Of an open loop.
    pub pace: Option<&'a Pace>,
}

/// What an open loop's feeder shares with the stage.
#[derive(Debug)]
pub(crate) struct Pace {
    pub clock: RunClock,
    /// No request that is due at or after it is sent.
    pub duration: Option<Duration>,
    /// The stage's start, once it is known.
    pub start: OnceLock<Timestamp>,
    /// When the requests that are prepared are due, those counted already left out.
    dues: Mutex<VecDeque<Duration>>,
}

impl Pace {
    pub(crate) fn new(clock: RunClock, duration: Option<Duration>) -> Self {
        Self { clock, duration, start: OnceLock::new(), dues: Mutex::default() }
    }

    /// How many requests have come due since it was last asked.
    pub(crate) fn newly_due(&self) -> u64 {
        let Some(&start) = self.start.get() else { return 0 };
        let now = self.clock.now().since(start);
        let mut dues = self.dues.lock().unwrap_or_else(PoisonError::into_inner);
        let due = dues.partition_point(|&due| due <= now);
        dues.drain(..due);
        due as u64
    }

    /// Whether `request` had come due when the stage was told to send nothing more.
    pub(crate) fn was_due(&self, request: &PreparedRequest, stop: &StopHandle) -> bool {
        match (self.start.get(), request.due, stop.signal().since()) {
            (Some(&start), Some(due), Some(end)) => start + due <= self.clock.at(end),
            _ => false,
        }
    }

    fn check(&self, request: &PreparedRequest, before: Duration) -> Result<Duration, LoadError> {
        let request_id = || request.request_id.clone();
        let due =
            request.due.ok_or_else(|| LoadError::NotScheduled { request_id: request_id() })?;
        if due < before {
            return Err(LoadError::Unordered { request_id: request_id(), due, before });
        }
        Ok(due)
    }
}

/// What became of the source.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    /// Drawn after nothing more was to be sent, with their places in the source.
    pub left: Vec<(u64, PreparedRequest)>,
    /// Drawn, and due after the stage's time.
    pub beyond: Option<PreparedRequest>,
    /// The source came to its end.
    pub exhausted: bool,
    /// Why the source cannot be sent.
    pub fault: Option<LoadError>,
}

impl Feeder<'_> {
    /// Draws until the source ends, its time is over, or nothing more is to be sent; then on
    /// for those that have come due, which are rows too.
    pub(crate) fn run(self, source: impl Iterator<Item = PreparedRequest>) -> Fed {
        let mut fed = Fed::default();
        let mut last = Duration::ZERO;
        // Dropped once it has spoken: the stage ends when no worker is left to speak.
        let mut begun = Begun(Some(self.messages));
        for (index, prepared) in (0..).zip(source) {
            if let Some(pace) = self.pace {
                match pace.check(&prepared, last) {
                    Ok(due) if pace.duration.is_some_and(|end| due >= end) => {
                        fed.beyond = Some(prepared);
                        return fed;
                    }
                    Ok(due) => {
                        last = due;
                        let mut dues = pace.dues.lock().unwrap_or_else(PoisonError::into_inner);
                        dues.push_back(due);
                    }
                    Err(error) => {
                        fed.fault = Some(error);
                        self.stop.end_stage();
                        return fed;
                    }
                }
            }
            let queue = &self.queues[(index % self.queues.len() as u64) as usize];
            let outgoing = self.template.outgoing(index, prepared);
            if let Err(closed) = queue.send_blocking(outgoing) {
                let prepared = closed.0.prepared;
                let due = self.pace.is_some_and(|pace| pace.was_due(&prepared, self.stop));
                fed.left.push((index, prepared));
                if !due {
                    return fed;
                }
            }
            begun.say();
        }
        fed.exhausted = true;
        fed
    }
}

/// Says once that the first request is prepared, or that none will be.
struct Begun(Option<Sender<Message>>);

impl Begun {
    fn say(&mut self) {
        if let Some(messages) = self.0.take() {
            // A send fails only when the stage is gone.
            let _ = messages.send(Message::Fed);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.say();
    }
}
