//! The rate at which requests left, beside the rate at which they were due.

use crate::time::Timestamp;
use crate::verdict::facts::{Ended, RequestFacts};

/// How a stage's requests came due and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrivals {
    due: Times,
    sent: Times,
}

/// Instants: how many, the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Times {
    count: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Times {
    fn add(&mut self, at: Timestamp) {
        self.count += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// Instants a second; `None` of fewer than two, or at once.
    fn rate(&self) -> Option<f64> {
        let seconds = self.last?.since(self.first?).as_secs_f64();
        (seconds > 0.0).then(|| (self.count - 1) as f64 / seconds)
    }
}

impl Arrivals {
    /// Adds a request. One that the run's end kept from being sent was not asked for.
    pub fn add(&mut self, facts: &RequestFacts) {
        if facts.sent_at.is_none() && facts.ended == Ended::Cancelled {
            return;
        }
        self.due.add(facts.scheduled_at);
        if let Some(sent) = facts.sent_at {
            self.sent.add(sent);
        }
    }

    /// Requests a second asked for, and sent, each from its first to its last; `None` where there
    /// is no rate.
    pub fn rates(&self) -> Option<(f64, f64)> {
        Some((self.due.rate()?, self.sent.rate()?))
    }
}
