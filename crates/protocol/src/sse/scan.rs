//! Where events begin and end in the bytes of a stream.

use std::ops::Range;

use super::error::SseError;

const BOM: &[u8] = "\u{feff}".as_bytes();

/// How far a text was looked at. Positions are in that text, which is handed
/// to each call and only ever grows at its end, or loses what is before `start`.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where the event under way begins.
    start: usize,
    /// Where its current line begins.
    line: usize,
    /// Where its first line ends, if that is its only one so far.
    only_line: Option<usize>,
    /// How far line ends were looked for.
    scanned: usize,
    /// How far the event under way is known to be UTF-8.
    valid: usize,
    /// Offset in the stream of the text's first byte.
    offset: u64,
    /// The stream's first bytes have not been looked at for a byte-order mark.
    at_beginning: bool,
    /// The last byte was a CR that ended a line: an LF now belongs to it.
    after_cr: bool,
    max_event_bytes: usize,
}

/// The lines of an event, with its blank line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub range: Range<usize>,
    /// Where its line ends, if it has only one.
    pub only_line: Option<usize>,
}

impl Scan {
    pub(super) const fn new(max_event_bytes: usize) -> Self {
        Self {
            start: 0,
            line: 0,
            only_line: None,
            scanned: 0,
            valid: 0,
            offset: 0,
            at_beginning: true,
            after_cr: false,
            max_event_bytes,
        }
    }

    /// Where the event under way begins.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Offset in the stream of where the event under way begins.
    pub(super) const fn offset(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// What was before the event under way is gone from the text.
    pub(super) fn forget(&mut self) {
        let start = std::mem::take(&mut self.start);
        self.offset += start as u64;
        self.line -= start;
        self.scanned -= start;
        self.only_line = self.only_line.map(|end| end - start);
        self.valid = self.valid.saturating_sub(start);
    }

    /// The next complete event; `None` until there is more of `text`. Blank
    /// lines alone are passed over.
    pub(super) fn next_block(&mut self, text: &[u8]) -> Option<Result<Block, SseError>> {
        if self.at_beginning && !self.skip_bom(text) {
            return None;
        }
        while self.scanned < text.len() {
            if std::mem::take(&mut self.after_cr) && text[self.scanned] == b'\n' {
                // The other half of a line end: of the event under way, or of
                // the one before it, which was complete at the CR.
                self.scanned += 1;
                if self.start == self.line {
                    self.start = self.scanned;
                }
                self.line = self.scanned;
                continue;
            }
            let Some(at) = memchr::memchr2(b'\n', b'\r', &text[self.scanned..]) else {
                self.scanned = text.len();
                break;
            };
            let end = self.scanned + at;
            self.after_cr = text[end] == b'\r';
            self.scanned = end + 1;
            if end > self.line {
                self.only_line = (self.line == self.start).then_some(end);
                self.line = self.scanned;
                continue;
            }
            self.line = self.scanned;
            let range = self.start..self.scanned;
            let only_line = self.only_line.take();
            // More than the end of the blank line.
            if range.len() > 1 {
                let fits = self.fits(text, range.end);
                self.start = self.scanned;
                return Some(fits.map(|()| Block { range, only_line }));
            }
            self.start = self.scanned;
        }
        // Nothing complete: what is there must still be able to become an event.
        self.check(text, text.len()).err().map(Err)
    }

    /// False until enough has come to tell.
    fn skip_bom(&mut self, text: &[u8]) -> bool {
        if text.len() < BOM.len() && BOM.starts_with(text) {
            return false;
        }
        if text.starts_with(BOM) {
            (self.start, self.line, self.scanned) = (BOM.len(), BOM.len(), BOM.len());
        }
        self.at_beginning = false;
        true
    }

    /// Whether the event that is complete at `end` is short enough. Whether it
    /// is UTF-8 is left to [`not_utf8`](Self::not_utf8), unless it is too long.
    fn fits(&mut self, text: &[u8], end: usize) -> Result<(), SseError> {
        if end - self.start > self.max_event_bytes { self.check(text, end) } else { Ok(()) }
    }

    /// What is wrong with a block that is not UTF-8 at its `position`.
    pub(super) fn not_utf8(&self, block: &Block, position: usize) -> SseError {
        SseError::NotUtf8 { offset: self.offset + (block.range.start + position) as u64 }
    }

    /// Whether the event under way is short enough and UTF-8 up to `end`,
    /// whichever breaks first. Looks at each byte once.
    fn check(&mut self, text: &[u8], end: usize) -> Result<(), SseError> {
        let limit = self.start.saturating_add(self.max_event_bytes);
        self.valid = self.valid.max(self.start);
        let upto = end.min(limit);
        if self.valid < upto {
            match std::str::from_utf8(&text[self.valid..upto]) {
                Ok(_) => self.valid = upto,
                Err(error) => {
                    self.valid += error.valid_up_to();
                    // No length: a character that is not complete yet.
                    if error.error_len().is_some() {
                        return Err(SseError::NotUtf8 { offset: self.offset + self.valid as u64 });
                    }
                }
            }
        }
        if end > limit {
            return Err(SseError::TooLong { offset: self.offset(), limit: self.max_event_bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a text that comes whole, each with its only line.
    fn blocks(text: &[u8]) -> Vec<(Range<usize>, Option<usize>)> {
        let mut scan = Scan::new(usize::MAX);
        std::iter::from_fn(|| scan.next_block(text))
            .map(|block| block.expect("sound"))
            .map(|block| (block.range, block.only_line))
            .collect()
    }

    #[test]
    fn events_end_at_their_blank_line() {
        assert_eq!(blocks(b"data: a\n\ndata: b\n\nda"), [(0..9, Some(7)), (9..18, Some(16))]);
        assert_eq!(blocks(b"a\r\n\r\nb\r\n\r\n"), [(0..4, Some(1)), (5..9, Some(6))]);
        assert_eq!(blocks(b"a\nb\n\n\n\n\r\rc\n\n"), [(0..5, None), (9..12, Some(10))]);
        assert_eq!(blocks("\u{feff}a\n\n".as_bytes()), [(3..6, Some(4))]);
        assert_eq!(blocks(b"\n\r\n\r"), []);
    }

    #[test]
    fn forgetting_moves_all_positions() {
        let whole = b"data: a\n\ndata: b\ndata: c\r\n\r\n";
        for cut in 9..whole.len() - 1 {
            let mut scan = Scan::new(usize::MAX);
            scan.next_block(&whole[..cut]).expect("the first").expect("sound");
            assert_eq!(scan.next_block(&whole[..cut]), None, "cut at {cut}");
            scan.forget();
            let rest = &whole[9..];
            let block = scan.next_block(rest).expect("the second").expect("sound");
            assert_eq!(block, Block { range: 0..rest.len() - 1, only_line: None }, "cut at {cut}");
            assert_eq!(scan.offset(), whole.len() as u64 - 1);
        }
    }
}
