//! All connections that are captured, and the records that wait for them. Sans-IO.

use std::collections::HashMap;
use std::time::Duration;

use vllm_bench_record::{CaptureInfo, Outcome, RequestRecord, Timestamp};

use super::flow::Flow;
use super::segment::{FlowKey, Segment};
use super::trace::{Trace, Word};

/// The connections from the servers' ports.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    by_key: HashMap<FlowKey, Known>,
    /// Of requests that have ended and whose record has not come yet.
    ended: HashMap<String, Trace>,
    pub report: CaptureInfo,
}

/// One connection.
#[derive(Debug, Default)]
struct Known {
    flow: Flow,
    /// It is of this program; others talk to the server as well.
    ours: bool,
    closed: bool,
    /// Records that will still ask.
    outstanding: u32,
    opened_at: Timestamp,
}

/// A connection that this program has not named so long after it opened is another's.
const OTHERS: Duration = Duration::from_secs(5);

impl Flows {
    /// A segment that arrived `at`.
    pub(crate) fn segment(&mut self, segment: &Segment, at: Timestamp) {
        self.report.segments += 1;
        if segment.syn {
            let known = self.by_key.entry(segment.flow).or_default();
            if !known.flow.open(segment.sequence) {
                *known = Known { ours: known.ours, ..Known::default() };
                known.flow.open(segment.sequence);
            }
            known.opened_at = at;
        } else if let Some(known) = self.by_key.get_mut(&segment.flow) {
            known.flow.segment(segment.sequence, segment.length, at);
        }
    }

    /// What a connection said.
    pub(crate) fn word(&mut self, word: Word) {
        match word {
            Word::Opened(key) => self.by_key.entry(key).or_default().ours = true,
            Word::Ended(trace) => {
                if let Some(known) = self.by_key.get_mut(&trace.flow) {
                    known.outstanding += 1;
                }
                self.ended.insert(trace.request_id.clone(), trace);
            }
            Word::Closed(key) => {
                if let Some(known) = self.by_key.get_mut(&key) {
                    known.closed = true;
                }
                self.leave(&key);
            }
        }
    }

    /// Forgets connections that are another program's.
    pub(crate) fn forget_others(&mut self, now: Timestamp) {
        self.by_key.retain(|_, known| known.ours || now.since(known.opened_at) < OTHERS);
    }

    /// Puts the exact arrivals into the record of a request that has ended. All
    /// segments that its client had read must have been taken in before.
    pub(crate) fn resolve(&mut self, record: &mut RequestRecord) {
        let Some(trace) = self.ended.remove(&record.request_id) else {
            // Never sent, or on a connection that could not be followed.
            self.report.unresolved_chunks += record.chunks.len() as u64;
            return;
        };
        let Some(known) = self.by_key.get_mut(&trace.flow) else {
            self.report.unresolved_chunks += record.chunks.len() as u64;
            return;
        };
        known.flow.read_until(trace.read);
        let flow = &known.flow;
        let sent_at = record.sent_at.unwrap_or_default();
        for (n, chunk) in record.chunks.iter_mut().enumerate() {
            let known_at = chunk.at + chunk.client_lag.unwrap_or_default();
            let end = trace.chunk_ends.get(n).copied().flatten();
            match end.and_then(|end| flow.arrival(end)).filter(|&at| at >= sent_at) {
                Some(at) => {
                    // The error of the clocks' offset can put it a little after the read.
                    chunk.at = at.min(known_at);
                    chunk.client_lag = Some(known_at.since(chunk.at));
                    chunk.coalesced = false;
                    self.report.resolved_chunks += 1;
                }
                None => self.report.unresolved_chunks += 1,
            }
        }
        let exact = |seen: &mut Option<Timestamp>, end: Option<u64>| {
            if let (Some(seen), Some(at)) = (seen, end.and_then(|end| flow.arrival(end))) {
                *seen = at.min(*seen);
            }
        };
        exact(&mut record.headers_at, trace.head_end);
        if record.outcome == Outcome::Completed {
            exact(&mut record.finished_at, trace.end);
        }
        known.flow.forget(trace.read);
        known.outstanding = known.outstanding.saturating_sub(1);
        self.leave(&trace.flow);
    }

    /// Forgets a connection nobody will ask about.
    fn leave(&mut self, key: &FlowKey) {
        if self.by_key.get(key).is_some_and(|k| k.closed && k.outstanding == 0) {
            self.by_key.remove(key);
        }
    }
}
