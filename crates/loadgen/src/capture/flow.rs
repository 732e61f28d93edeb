//! One connection's bytes and when each could first be delivered. Sans-IO.

use std::collections::VecDeque;

use vllm_bench_record::Timestamp;

/// Bytes up to `end` (and past the previous run's) could be delivered `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    end: u64,
    /// `None`: the segment was not captured.
    at: Option<Timestamp>,
}

/// A segment that came before one in front of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Early {
    start: u64,
    end: u64,
    at: Timestamp,
}

/// The bytes of one connection from server to client, by offset from its first.
///
/// The arrival of a byte is when it could first be delivered in order: a byte
/// behind a gap arrives with what fills the gap, and a second copy of a byte
/// changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Sequence number of offset 0, once the connection's opening was seen.
    base: Option<u32>,
    /// Bytes in order so far.
    next: u64,
    runs: VecDeque<Run>,
    /// By start; empty but for reordering and loss.
    early: Vec<Early>,
}

impl Flow {
    /// The connection opened with sequence number `initial`. False when it had
    /// opened before with another: this is a new connection of the same name.
    pub(crate) fn open(&mut self, initial: u32) -> bool {
        let base = initial.wrapping_add(1);
        *self.base.get_or_insert(base) == base
    }

    /// A segment of `length` bytes from `sequence` on. Ignored before the opening was seen.
    pub(crate) fn segment(&mut self, sequence: u32, length: u32, at: Timestamp) {
        let Some(base) = self.base else { return };
        // Sequence numbers wrap every 4 GiB: the nearest offset to what is expected is meant.
        let expected = base.wrapping_add(self.next as u32);
        let ahead = i64::from(sequence.wrapping_sub(expected) as i32);
        let end = self.next as i64 + ahead + i64::from(length);
        let Ok(end) = u64::try_from(end) else { return };
        if length == 0 || end <= self.next {
            return;
        }
        let start = self.next.saturating_add_signed(ahead);
        if start <= self.next {
            self.deliver(end, Some(at));
            self.deliver_early(at);
        } else {
            let place = self.early.partition_point(|e| e.start <= start);
            self.early.insert(place, Early { start, end, at });
        }
    }

    fn deliver(&mut self, end: u64, at: Option<Timestamp>) {
        if end > self.next {
            self.runs.push_back(Run { end, at });
            self.next = end;
        }
    }

    /// Delivers what waited for the bytes that have come `at`.
    fn deliver_early(&mut self, at: Timestamp) {
        let (mut count, mut end) = (0, self.next);
        while let Some(early) = self.early.get(count).filter(|e| e.start <= end) {
            end = end.max(early.end);
            count += 1;
        }
        self.early.drain(..count);
        self.deliver(end, Some(at));
    }

    /// Whether all bytes before `offset` were captured, or never will be known because
    /// the opening was not.
    pub(crate) const fn is_whole(&self, offset: u64) -> bool {
        self.next >= offset || self.base.is_none()
    }

    /// The client has read up to `offset`: what was not captured of that never will be.
    pub(crate) fn read_until(&mut self, offset: u64) {
        while self.next < offset {
            match self.early.first().copied().filter(|e| e.start < offset) {
                Some(early) => {
                    self.deliver(early.start, None);
                    self.early.remove(0);
                    // Its gap was in the capture, not on the wire: it arrived when it did.
                    self.deliver(early.end, Some(early.at));
                }
                None => self.deliver(offset, None),
            }
        }
    }

    /// When the bytes before offset `end` could all be delivered, as far as the
    /// last of them was captured.
    pub(crate) fn arrival(&self, end: u64) -> Option<Timestamp> {
        let place = self.runs.partition_point(|run| run.end < end);
        self.runs.get(place)?.at
    }

    /// Forgets the bytes before `offset`.
    pub(crate) fn forget(&mut self, offset: u64) {
        let place = self.runs.partition_point(|run| run.end <= offset);
        self.runs.drain(..place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> Timestamp {
        Timestamp::from_nanos(ns)
    }

    /// A flow that opened with `initial`, and its segments as (offset, length, ns).
    fn flow(initial: u32, segments: &[(u64, u32, u64)]) -> Flow {
        let mut flow = Flow::default();
        assert!(flow.open(initial));
        for &(offset, length, ns) in segments {
            flow.segment(initial.wrapping_add(1).wrapping_add(offset as u32), length, at(ns));
        }
        flow
    }

    #[track_caller]
    fn check(flow: &Flow, expected: &[(u64, Option<u64>)]) {
        for &(end, ns) in expected {
            assert_eq!(flow.arrival(end), ns.map(at), "up to offset {end}");
        }
    }

    #[test]
    fn each_byte_arrives_with_its_segment() {
        let flow = flow(7, &[(0, 10, 1), (10, 5, 2), (15, 1, 3)]);
        check(&flow, &[(1, Some(1)), (10, Some(1)), (11, Some(2)), (16, Some(3)), (17, None)]);
    }

    #[test]
    fn sequence_numbers_wrap() {
        for initial in [u32::MAX - 12, u32::MAX - 1, u32::MAX, 0, i32::MAX as u32] {
            let flow = flow(initial, &[(0, 10, 1), (10, 10, 2), (20, 10, 3)]);
            check(&flow, &[(10, Some(1)), (12, Some(2)), (20, Some(2)), (30, Some(3))]);
        }
        // Past 4 GiB offsets go on.
        let mut long = Flow::default();
        long.open(99);
        let step = 1 << 30;
        for n in 0..6_u32 {
            long.segment(100_u32.wrapping_add(n.wrapping_mul(step)), step, at(u64::from(n) + 1));
            long.forget(u64::from(n.saturating_sub(1)) * u64::from(step));
        }
        check(&long, &[(6 * u64::from(step), Some(6)), (5 * u64::from(step), Some(5))]);
    }

    #[test]
    fn a_second_copy_changes_nothing() {
        let flow = flow(7, &[(0, 10, 1), (0, 10, 2), (10, 10, 3), (5, 10, 4), (15, 15, 5)]);
        check(&flow, &[(10, Some(1)), (20, Some(3)), (21, Some(5)), (30, Some(5))]);
    }

    #[test]
    fn bytes_behind_a_gap_arrive_with_what_fills_it() {
        let reordered = flow(7, &[(0, 10, 1), (20, 10, 2), (30, 10, 3), (10, 10, 4), (40, 1, 5)]);
        check(&reordered, &[(10, Some(1)), (20, Some(4)), (40, Some(4)), (41, Some(5))]);
        // Two gaps, filled from behind; overlapping copies.
        let twice = flow(7, &[(20, 5, 1), (22, 10, 2), (40, 5, 3), (10, 10, 4), (0, 10, 5)]);
        check(&twice, &[(10, Some(5)), (32, Some(5)), (33, None)]);
        let whole = flow(7, &[(10, 5, 1), (15, 5, 2), (0, 30, 3)]);
        check(&whole, &[(10, Some(3)), (30, Some(3)), (31, None)]);
    }

    #[test]
    fn what_was_not_captured_is_not_known_and_the_rest_is() {
        let mut lossy = flow(7, &[(0, 10, 1), (20, 10, 3), (30, 10, 4), (50, 10, 6)]);
        check(&lossy, &[(10, Some(1)), (20, None), (30, None)]);
        lossy.read_until(40);
        check(&lossy, &[(10, Some(1)), (15, None), (20, None), (30, Some(3)), (40, Some(4))]);
        // The second gap is past what was read: it may still fill.
        lossy.segment(8 + 40, 10, at(7));
        check(&lossy, &[(50, Some(7)), (60, Some(7))]);
        lossy.read_until(70);
        check(&lossy, &[(60, Some(7)), (70, None), (71, None)]);
        lossy.segment(8 + 60, 20, at(9));
        check(&lossy, &[(70, None), (80, Some(9))]);
    }

    #[test]
    fn without_its_opening_nothing_is_known() {
        let mut flow = Flow::default();
        flow.segment(1, 10, at(1));
        flow.read_until(10);
        assert_eq!(flow.arrival(10), None);
    }

    #[test]
    fn another_opening_is_another_connection() {
        let mut flow = Flow::default();
        assert!(flow.open(5) && flow.open(5) && !flow.open(6));
    }

    #[test]
    fn forgets_what_is_not_asked_for_again() {
        let mut flow = flow(7, &[(0, 10, 1), (10, 10, 2), (20, 10, 3)]);
        flow.forget(15);
        assert_eq!(flow.runs.len(), 2);
        check(&flow, &[(16, Some(2)), (30, Some(3))]);
        flow.forget(30);
        assert!(flow.runs.is_empty());
    }
}
