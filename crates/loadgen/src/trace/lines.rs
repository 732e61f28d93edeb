//! Lines of a trace file, one at a time, numbered, of bounded length.

use std::fmt;
use std::io::{BufRead, Read};

use crate::schedule_error::ScheduleError;

/// The longest line taken: a million tokens of prompt in blocks of 1 stay below it.
const MAX_LINE: u64 = 16 << 20;

/// Reads lines; blank ones are passed over.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    name: String,
    number: u64,
    buffer: Vec<u8>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("name", &self.name).field("number", &self.number).finish()
    }
}

impl Lines {
    pub(crate) fn new(reader: Box<dyn BufRead + Send>, name: String) -> Self {
        Self { reader, name, number: 0, buffer: Vec::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// 1-based number of the line read last.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank, without its end; `None` at the file's end.
    pub(crate) fn next_line(&mut self) -> Result<Option<String>, ScheduleError> {
        loop {
            self.buffer.clear();
            let read = (&mut self.reader)
                .take(MAX_LINE + 1)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| ScheduleError::Read { name: self.name.clone(), source })?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.buffer.len() as u64 > MAX_LINE {
                return Err(self.at(1, format!("the line is longer than {} MiB", MAX_LINE >> 20)));
            }
            let text = match std::str::from_utf8(&self.buffer) {
                Ok(text) => text,
                Err(e) => {
                    let good = String::from_utf8_lossy(&self.buffer[..e.valid_up_to()]);
                    return Err(self.at(good.chars().count() + 1, "not UTF-8 text".into()));
                }
            };
            let text = if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text };
            let text = text.trim_end_matches(['\n', '\r']);
            if !text.trim().is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
    }

    /// An error in the line read last.
    pub(crate) fn at(&self, column: usize, message: String) -> ScheduleError {
        ScheduleError::At { name: self.name.clone(), line: self.number, column, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8]) -> Lines {
        Lines::new(Box::new(bytes), "t".into())
    }

    #[test]
    fn ends_blanks_and_a_mark_are_taken_off() {
        let mut lines = lines(b"\xef\xbb\xbfa,b\r\n\r\n  \nc\n\nlast");
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().expect("good") {
            all.push((lines.number(), line));
        }
        let expected = [(1, "a,b"), (4, "c"), (6, "last")].map(|(n, t)| (n, t.to_owned()));
        assert_eq!(all, expected);
    }

    #[test]
    fn bad_bytes_and_endless_lines_are_errors() {
        let error = lines("1,é\n2,é\u{0}".as_bytes()).next_line();
        assert_eq!(error.expect("good"), Some("1,é".into()));
        let error = lines(b"\xc3\xa9,\xff").next_line().expect_err("bad");
        assert_eq!(error.to_string(), "t:1:3: not UTF-8 text");
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = Lines::new(Box::new(endless), "t".into()).next_line().expect_err("bad");
        assert_eq!(error.to_string(), "t:1:1: the line is longer than 16 MiB");
    }
}
