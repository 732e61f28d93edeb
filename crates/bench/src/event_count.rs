//! Counts the events of a stream by their empty lines, and nothing else. Pure.

use memchr::memmem;

/// What ends a chunked body after its last event.
const AFTER_LAST: usize = b"\r\n0\r\n\r\n".len();

/// Events of one answer so far, over reads that may end anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct EventCount {
    events: u32,
    /// The last read ended with a line feed that belongs to no event yet.
    half: bool,
    /// Bytes after the last event.
    after: usize,
}

impl EventCount {
    /// Counts the events that `bytes` complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> u32 {
        let before = self.events;
        let mut start = 0;
        if self.half && bytes.first() == Some(&b'\n') {
            self.events += 1;
            self.after = 0;
            start = 1;
        }
        let rest = &bytes[start..];
        let mut end = None;
        for at in memmem::find_iter(rest, b"\n\n") {
            self.events += 1;
            end = Some(at + 2);
        }
        match end {
            Some(end) => self.after = rest.len() - end,
            None => self.after += rest.len(),
        }
        self.half = self.after > 0 && bytes.last() == Some(&b'\n');
        self.events - before
    }

    /// Events so far.
    pub(crate) const fn events(&self) -> u32 {
        self.events
    }

    /// Whether an answer of `events` events is there to its last byte.
    pub(crate) const fn is_whole(&self, events: u32) -> bool {
        self.events >= events && self.after >= AFTER_LAST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n";

    #[test]
    fn counts_the_same_however_the_bytes_come() {
        for size in 1..=ANSWER.len() {
            let mut count = EventCount::default();
            let mut whole_at = None;
            for (n, part) in ANSWER.chunks(size).enumerate() {
                count.take(part);
                if whole_at.is_none() && count.is_whole(2) {
                    whole_at = Some(((n + 1) * size).min(ANSWER.len()));
                }
            }
            assert_eq!(count.events(), 2, "reads of {size}");
            assert_eq!(whole_at, Some(ANSWER.len()), "reads of {size}");
        }
    }

    #[test]
    fn three_line_feeds_are_one_event() {
        let mut count = EventCount::default();
        assert_eq!(count.take(b"data: 1\n\n\n"), 1);
        assert_eq!(count.take(b"x"), 0);
        assert_eq!(count.take(b"\n"), 0);
        assert_eq!(count.take(b"\n"), 1);
    }
}
