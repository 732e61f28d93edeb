//! A trace as it is replayed: its part chosen, its limits kept, its time scaled.

use std::collections::VecDeque;
use std::time::Duration;

use super::rows::{Length, Row, Rows};
use super::spec::{OverLimit, TraceSpec};
use crate::human::nanos;
use crate::schedule::LeftOut;
use crate::schedule_error::ScheduleError;

/// A request of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRequest {
    /// When it is due, from the stage's start.
    pub at: Duration,
    /// Prompt length.
    pub prompt_tokens: Option<u32>,
    /// Answer length.
    pub output_tokens: Option<u32>,
    /// Its session, as the trace names it.
    pub session: Option<String>,
    /// One number a block of the prompt.
    pub hash_ids: Option<Vec<u64>>,
}

impl TraceRequest {
    pub(crate) const fn at(at: Duration) -> Self {
        Self { at, prompt_tokens: None, output_tokens: None, session: None, hash_ids: None }
    }
}

/// Iterator over the requests of a trace that are sent; after an error it ends.
#[derive(Debug)]
pub struct TraceReplay {
    rows: Rows,
    spec: TraceSpec,
    left_out: LeftOut,
    /// Time of the trace's first request, and of the first that is sent.
    origin: Option<u64>,
    base: Option<u64>,
    /// Requests that passed the limits, and of these those sent.
    passed: u64,
    sent: u64,
    /// The last requests, once the file has been read to its end.
    tail: Option<VecDeque<Row>>,
    ended: bool,
}

impl TraceReplay {
    pub(crate) fn new(rows: Rows, spec: TraceSpec) -> Self {
        Self {
            rows,
            spec,
            left_out: LeftOut::default(),
            origin: None,
            base: None,
            passed: 0,
            sent: 0,
            tail: None,
            ended: false,
        }
    }

    /// What was left out or cut so far.
    pub const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    fn next_request(&mut self) -> Result<Option<TraceRequest>, ScheduleError> {
        let row = match self.spec.last {
            None if self.spec.first == Some(self.sent) => None,
            None => self.next_kept()?,
            Some(last) => {
                let mut tail = match self.tail.take() {
                    Some(tail) => tail,
                    None => self.read_tail(last)?,
                };
                let row = tail.pop_front();
                self.tail = Some(tail);
                row
            }
        };
        let Some(row) = row else { return self.end() };
        self.sent += 1;
        let since = row.time - *self.base.get_or_insert(row.time);
        let at = if self.spec.speed == 1.0 {
            since
        } else {
            (since as f64 / self.spec.speed).round() as u64
        };
        Ok(Some(TraceRequest {
            at: Duration::from_nanos(at),
            prompt_tokens: row.prompt_tokens.map(|l| l.tokens),
            output_tokens: row.output_tokens.map(|l| l.tokens),
            session: row.session,
            hash_ids: row.hash_ids.map(|(_, ids)| ids),
        }))
    }

    /// The end, which is an error when nothing was sent.
    fn end(&self) -> Result<Option<TraceRequest>, ScheduleError> {
        let name = self.rows.name().to_owned();
        match (self.sent, self.rows.read()) {
            (0, 0) => Err(ScheduleError::Empty { name }),
            (0, read) => Err(ScheduleError::NothingLeft { name, read }),
            _ => Ok(None),
        }
    }

    fn read_tail(&mut self, last: u64) -> Result<VecDeque<Row>, ScheduleError> {
        let mut tail = VecDeque::new();
        while let Some(row) = self.next_kept()? {
            if tail.len() as u64 == last {
                tail.pop_front();
            }
            tail.push_back(row);
        }
        Ok(tail)
    }

    /// The next row in time, within the limits and after those skipped.
    fn next_kept(&mut self) -> Result<Option<Row>, ScheduleError> {
        while let Some(mut row) = self.rows.next_row()? {
            let since = row.time - *self.origin.get_or_insert(row.time);
            if self.spec.to.is_some_and(|to| since >= nanos(to)) {
                return Ok(None);
            }
            self.check_blocks(&row)?;
            if self.spec.from.is_some_and(|from| since < nanos(from))
                || !self.within_limits(&mut row)?
            {
                continue;
            }
            self.passed += 1;
            if self.passed > self.spec.skip {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn check_blocks(&self, row: &Row) -> Result<(), ScheduleError> {
        let (Some((column, ids)), Some(prompt)) = (&row.hash_ids, row.prompt_tokens) else {
            return Ok(());
        };
        let block = self.spec.tokens_per_block();
        let expected = prompt.tokens.div_ceil(block);
        if ids.len() as u64 == u64::from(expected) {
            return Ok(());
        }
        let numbers = if ids.len() == 1 { "number" } else { "numbers" };
        Err(self.rows.at(
            *column,
            format!(
                "hash_ids has {} {numbers}; {} tokens in blocks of {block} make {expected} (block_tokens sets the size)",
                ids.len(),
                prompt.tokens
            ),
        ))
    }

    /// Whether `row` is sent, cut where it must be.
    fn within_limits(&mut self, row: &mut Row) -> Result<bool, ScheduleError> {
        for (output, length) in [(false, row.prompt_tokens), (true, row.output_tokens)] {
            let Some(Length { tokens: 0, column }) = length else { continue };
            if !self.spec.drops_zero_tokens() {
                let name = self.rows.length_name(output);
                let message = format!(
                    "{name} is 0: such a request cannot be sent; zero_tokens = \"drop\" leaves it out"
                );
                return Err(self.rows.at(column, message));
            }
            self.left_out.zero_tokens += 1;
            return Ok(false);
        }
        let mut clipped = false;
        let limits = [self.spec.max_prompt_tokens, self.spec.max_output_tokens];
        for (output, limit) in [false, true].into_iter().zip(limits) {
            let length = if output { &mut row.output_tokens } else { &mut row.prompt_tokens };
            let (Some(limit), Some(length)) = (limit, length.as_mut()) else { continue };
            if length.tokens <= limit.get() {
                continue;
            }
            match self.spec.over_limit {
                OverLimit::Drop => {
                    self.left_out.over_limit += 1;
                    return Ok(false);
                }
                OverLimit::Error => {
                    let name = self.rows.length_name(output);
                    let message =
                        format!("{name} is {}, above the limit of {limit}", length.tokens);
                    return Err(self.rows.at(length.column, message));
                }
                OverLimit::Clip => {
                    length.tokens = limit.get();
                    clipped = true;
                }
            }
        }
        if clipped {
            self.left_out.clipped += 1;
            if let (Some((_, ids)), Some(prompt)) = (&mut row.hash_ids, row.prompt_tokens) {
                ids.truncate(prompt.tokens.div_ceil(self.spec.tokens_per_block()) as usize);
            }
        }
        Ok(true)
    }
}

impl Iterator for TraceReplay {
    type Item = Result<TraceRequest, ScheduleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_request().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::iter::FusedIterator for TraceReplay {}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::trace::{Columns, TraceFormat};

    /// Ten requests at 100, 101 .. 109 s, prompts of 10, 20 .. 100 tokens.
    fn text() -> String {
        let row = |i: u32| format!("{},{}\n", 100 + i, 10 * (i + 1));
        std::iter::once("timestamp,in\n".to_owned()).chain((0..10).map(row)).collect()
    }

    fn base() -> TraceSpec {
        let columns = Columns { prompt_tokens: Some("in".into()), ..Columns::default() };
        TraceSpec::new(TraceFormat::Csv(columns))
    }

    fn replay(spec: &TraceSpec) -> TraceReplay {
        spec.replay(std::io::Cursor::new(text()), "t").expect("a replay")
    }

    /// Milliseconds and prompt lengths.
    fn check(spec: &TraceSpec, expected: &[(u128, u32)]) -> LeftOut {
        let mut replay = replay(spec);
        let got: Vec<_> = replay
            .by_ref()
            .map(|r| r.map(|r| (r.at.as_millis(), r.prompt_tokens.expect("given"))))
            .collect::<Result<_, _>>()
            .expect("right");
        assert_eq!(got, expected, "{spec:?}");
        replay.left_out()
    }

    #[test]
    fn slices_begin_at_the_start_of_the_stage() {
        let second = |n| Some(Duration::from_secs(n));
        check(&TraceSpec { first: Some(2), ..base() }, &[(0, 10), (1000, 20)]);
        check(&TraceSpec { skip: 8, ..base() }, &[(0, 90), (1000, 100)]);
        check(&TraceSpec { last: Some(3), ..base() }, &[(0, 80), (1000, 90), (2000, 100)]);
        check(&TraceSpec { skip: 8, last: Some(5), ..base() }, &[(0, 90), (1000, 100)]);
        check(&TraceSpec { skip: 1, first: Some(1), ..base() }, &[(0, 20)]);
        check(&TraceSpec { from: second(3), to: second(5), ..base() }, &[(0, 40), (1000, 50)]);
        check(&TraceSpec { from: second(8), skip: 1, ..base() }, &[(0, 100)]);
    }

    #[test]
    fn time_is_scaled() {
        check(
            &TraceSpec { first: Some(3), speed: 4.0, ..base() },
            &[(0, 10), (250, 20), (500, 30)],
        );
        check(&TraceSpec { first: Some(2), speed: 0.5, ..base() }, &[(0, 10), (2000, 20)]);
    }

    #[test]
    fn limits_drop_clip_or_refuse() {
        let max = NonZeroU32::new(20);
        let limited = TraceSpec { max_prompt_tokens: max, ..base() };
        let left_out = check(&limited, &[(0, 10), (1000, 20)]);
        assert_eq!(left_out, LeftOut { over_limit: 8, ..LeftOut::default() });
        let clip = TraceSpec { over_limit: OverLimit::Clip, first: Some(3), ..limited.clone() };
        let left_out = check(&clip, &[(0, 10), (1000, 20), (2000, 20)]);
        assert_eq!(left_out, LeftOut { clipped: 1, ..LeftOut::default() });
        let refuse = TraceSpec { over_limit: OverLimit::Error, ..limited };
        let error = replay(&refuse).last().expect("an item").expect_err("refused");
        assert_eq!(error.to_string(), "t:4:5: in is 30, above the limit of 20");
    }

    #[test]
    fn a_slice_without_a_request_is_an_error() {
        for spec in [
            TraceSpec { skip: 10, ..base() },
            TraceSpec { from: Some(Duration::from_secs(60)), ..base() },
            TraceSpec { skip: 10, last: Some(4), ..base() },
        ] {
            let mut replay = replay(&spec);
            let error = replay.next().expect("an item").expect_err("nothing left").to_string();
            assert!(error.starts_with("trace t: none of the 10 requests read is left"), "{error}");
            assert!(replay.next().is_none());
        }
    }
}
