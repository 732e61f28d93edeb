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
    /// When connections of others were last looked for.
    swept_at: Timestamp,
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

    /// Forgets connections that are another program's, now and then.
    pub(crate) fn forget_others(&mut self, now: Timestamp) {
        if now.since(self.swept_at) < OTHERS {
            return;
        }
        self.swept_at = now;
        self.by_key.retain(|_, known| known.ours || now.since(known.opened_at) < OTHERS);
    }

    /// Whether all that the client had read of `record`'s answer has been taken in.
    pub(crate) fn is_ready(&self, record: &RequestRecord) -> bool {
        let Some(trace) = self.ended.get(&record.request_id) else { return true };
        self.by_key.get(&trace.flow).is_none_or(|known| known.flow.is_whole(trace.read))
    }

    /// Puts the exact arrivals into the record of a request that has ended. What
    /// its client had read and was not taken in by now counts as lost.
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
                    // The read's own stamp is a bound, and where a host's packets are stamped
                    // once for each taker (loopback) the closer one by some µs.
                    chunk.at = at.min(chunk.at);
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use vllm_bench_record::ChunkArrival;

    use super::super::segment::End;
    use super::*;

    fn at(us: u64) -> Timestamp {
        Timestamp::from_nanos(us * 1000)
    }

    fn key(port: u16) -> FlowKey {
        let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
        FlowKey { server: End { ip, port: 8000 }, client: End { ip, port } }
    }

    const INITIAL: u32 = u32::MAX - 3;

    /// Takes in the opening (`None`) or `length` bytes at an offset, which arrive at a µs.
    fn segment(flows: &mut Flows, port: u16, part: Option<(u32, u32)>, us: u64) {
        let (sequence, length) =
            part.map_or((INITIAL, 0), |(n, length)| (INITIAL.wrapping_add(1 + n), length));
        let syn = part.is_none();
        flows.segment(&Segment { flow: key(port), sequence, syn, length }, at(us));
    }

    fn trace(port: u16, id: &str, head: u64, chunks: &[u64], end: u64) -> Word {
        Word::Ended(Trace {
            request_id: id.into(),
            flow: key(port),
            head_end: Some(head),
            chunk_ends: chunks.iter().map(|&end| Some(end)).collect(),
            end: Some(end),
            read: end,
        })
    }

    /// Sent at 100 µs; everything came in one read at `us`, noticed 50 µs later.
    fn record(id: &str, chunks: usize, us: u64) -> RequestRecord {
        let lag = Some(Duration::from_micros(50));
        let chunk =
            |n| ChunkArrival { at: at(us), tokens: 1, coalesced: n + 1 < chunks, client_lag: lag };
        RequestRecord {
            sent_at: Some(at(100)),
            written_at: Some(at(110)),
            headers_at: Some(at(us)),
            chunks: (0..chunks).map(chunk).collect(),
            finished_at: Some(at(us)),
            outcome: Outcome::Completed,
            http_status: Some(200),
            ..RequestRecord::due(id, at(100))
        }
    }

    fn arrivals(record: &RequestRecord) -> Vec<(Timestamp, bool, Option<Duration>)> {
        record.chunks.iter().map(|c| (c.at, c.coalesced, c.client_lag)).collect()
    }

    #[test]
    fn a_record_gets_the_arrival_of_each_chunk() {
        let mut flows = Flows::default();
        flows.word(Word::Opened(key(1)));
        segment(&mut flows, 1, None, 10);
        for (n, part) in [(0, 10), (10, 5), (15, 5), (20, 3)].into_iter().enumerate() {
            segment(&mut flows, 1, Some(part), 200 + n as u64);
        }
        let mut one = record("a", 2, 300);
        flows.word(trace(1, "a", 10, &[15, 18], 23));
        flows.resolve(&mut one);
        let lag = |us| Some(Duration::from_micros(us));
        assert_eq!(arrivals(&one), [(at(201), false, lag(149)), (at(202), false, lag(148))]);
        assert_eq!((one.headers_at, one.finished_at), (Some(at(200)), Some(at(203))));
        assert_eq!(one.scheduled_at, at(100), "the plan's times are not the capture's");
        let expected = CaptureInfo { segments: 5, resolved_chunks: 2, ..CaptureInfo::default() };
        assert_eq!(flows.report, expected);
        // The connection goes on where it was.
        segment(&mut flows, 1, Some((23, 7)), 400);
        flows.word(trace(1, "b", 25, &[30], 30));
        let mut two = record("b", 1, 500);
        flows.resolve(&mut two);
        assert_eq!(two.chunks[0].at, at(400));
    }

    #[test]
    fn what_was_missed_keeps_its_stamp_and_its_mark() {
        let mut flows = Flows::default();
        flows.word(Word::Opened(key(1)));
        segment(&mut flows, 1, None, 10);
        segment(&mut flows, 1, Some((0, 10)), 200);
        segment(&mut flows, 1, Some((20, 10)), 202);
        flows.word(trace(1, "a", 5, &[10, 20, 30], 30));
        let mut one = record("a", 3, 300);
        let lag = |us| Some(Duration::from_micros(us));
        flows.resolve(&mut one);
        let missed = (at(300), true, lag(50));
        let expected = [(at(200), false, lag(150)), missed, (at(202), false, lag(148))];
        assert_eq!(arrivals(&one), expected);
        assert_eq!((flows.report.resolved_chunks, flows.report.unresolved_chunks), (2, 1));
        // A connection that opened unseen, and a request that never had one.
        flows.word(Word::Opened(key(2)));
        segment(&mut flows, 2, Some((0, 10)), 200);
        flows.word(trace(2, "b", 5, &[10], 10));
        for id in ["b", "c"] {
            let mut other = record(id, 1, 300);
            let before = other.clone();
            flows.resolve(&mut other);
            assert_eq!(other, before);
        }
        assert_eq!(flows.report.unresolved_chunks, 3);
    }

    #[test]
    fn an_arrival_before_the_request_is_of_another_connection() {
        let mut flows = Flows::default();
        segment(&mut flows, 1, None, 10);
        segment(&mut flows, 1, Some((0, 10)), 50);
        flows.word(trace(1, "a", 5, &[10], 10));
        let mut one = record("a", 1, 300);
        flows.resolve(&mut one);
        assert_eq!((one.chunks[0].at, flows.report.unresolved_chunks), (at(300), 1));
    }

    #[test]
    fn connections_are_forgotten() {
        let mut flows = Flows::default();
        for port in 1..=3 {
            segment(&mut flows, port, None, 10);
        }
        flows.word(Word::Opened(key(1)));
        flows.word(Word::Opened(key(2)));
        flows.word(trace(1, "a", 5, &[], 5));
        flows.word(Word::Closed(key(1)));
        flows.word(Word::Closed(key(2)));
        let known = |flows: &Flows| {
            let mut ports: Vec<u16> = flows.by_key.keys().map(|k| k.client.port).collect();
            ports.sort_unstable();
            ports
        };
        assert_eq!(known(&flows), [1, 3], "a record will still ask for the first");
        flows.resolve(&mut record("a", 0, 300));
        assert_eq!(known(&flows), [3]);
        flows.forget_others(at(4_999_000));
        assert_eq!(known(&flows), [3], "its owner may still say so");
        flows.forget_others(at(5_000_010));
        assert_eq!(known(&flows), [0_u16; 0]);
    }

    #[test]
    fn a_new_connection_of_the_same_ports_starts_anew() {
        let mut flows = Flows::default();
        flows.word(Word::Opened(key(1)));
        segment(&mut flows, 1, None, 10);
        segment(&mut flows, 1, Some((0, 100)), 20);
        let opening = Segment { flow: key(1), sequence: 77, syn: true, length: 0 };
        flows.segment(&opening, at(150));
        flows.segment(&Segment { sequence: 78, syn: false, length: 10, ..opening }, at(160));
        flows.word(trace(1, "a", 5, &[10], 10));
        let mut one = record("a", 1, 300);
        flows.resolve(&mut one);
        assert_eq!(one.chunks[0].at, at(160));
    }
}
