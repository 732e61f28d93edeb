//! What an open-loop stage sends when: arrivals or a trace, numbered and shared out.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::arrival::ArrivalTimes;
use crate::schedule_error::ScheduleError;
use crate::trace::{TraceReplay, TraceRequest};

/// One request that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its 0-based place in the whole schedule, whoever sends it.
    pub index: u64,
    /// When, from the stage's start.
    pub at: Duration,
    /// Its session, numbered in the order of first requests; a request that names none is its own.
    pub session: u32,
    /// 0-based turn of its session.
    pub turn: u32,
    /// Prompt length that the trace asks for.
    pub prompt_tokens: Option<u32>,
    /// Answer length that the trace asks for.
    pub output_tokens: Option<u32>,
    /// One number a block of the prompt, equal from the start on where prompts share a
    /// head; `None` where the trace does not say.
    pub hash_ids: Option<Vec<u64>>,
}

/// Iterator over what is due, in time order; after an error it ends. Memory does not grow with
/// the number of requests (only with the number of sessions that a trace names).
#[derive(Debug)]
pub struct Schedule {
    source: Source,
    numbers: Numbers,
    share: Option<Share>,
    /// Requests yet to come of the whole schedule.
    left: u64,
}

impl Schedule {
    /// Of an arrival process; never an error.
    pub fn arrivals(times: ArrivalTimes) -> Self {
        Self::of(Source::Times(Box::new(times)))
    }

    /// Of a trace.
    pub fn trace(replay: TraceReplay) -> Self {
        Self::of(Source::Trace(Box::new(replay)))
    }

    fn of(source: Source) -> Self {
        Self { source, numbers: Numbers::default(), share: None, left: u64::MAX }
    }

    /// What a trace had so far that is not sent as it stands, for all load generators together.
    pub fn left_out(&self) -> LeftOut {
        match &self.source {
            Source::Times(_) => LeftOut::default(),
            Source::Trace(replay) => replay.left_out(),
        }
    }

    /// The first `n` requests of it, before it is shared out.
    pub fn first(mut self, n: u64) -> Self {
        self.left = self.left.min(n);
        self
    }

    /// The share of load generator `index` of `of`: every `of`-th session, so that the
    /// shares together are the whole and a session stays with one generator.
    ///
    /// # Errors
    /// An `index` that is not below `of`.
    pub fn share(mut self, index: u32, of: NonZeroU32) -> Result<Self, ScheduleError> {
        if index >= of.get() {
            return Err(ScheduleError::Arrivals(format!(
                "load generator {index} of {of} cannot be; they are counted from 0"
            )));
        }
        self.share = Some(Share { index, of });
        Ok(self)
    }
}

impl Iterator for Schedule {
    type Item = Result<Due, ScheduleError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.left = self.left.checked_sub(1)?;
            let request = match &mut self.source {
                Source::Times(times) => Ok(TraceRequest::at(times.next()?)),
                Source::Trace(replay) => replay.next()?,
            };
            let due = match request {
                Ok(request) => self.numbers.due(request),
                Err(error) => return Some(Err(error)),
            };
            if self.share.is_none_or(|share| due.session % share.of == share.index) {
                return Some(Ok(due));
            }
        }
    }
}

// Both sources are, and a trace ends after its error.
impl std::iter::FusedIterator for Schedule {}

#[derive(Debug)]
enum Source {
    Times(Box<ArrivalTimes>),
    Trace(Box<TraceReplay>),
}

#[derive(Debug, Clone, Copy)]
struct Share {
    index: u32,
    of: NonZeroU32,
}

/// Numbers requests, sessions and turns.
#[derive(Debug, Default)]
struct Numbers {
    requests: u64,
    sessions: u32,
    /// Number and last turn of each session that the trace names.
    named: HashMap<String, (u32, u32)>,
}

impl Numbers {
    fn due(&mut self, request: TraceRequest) -> Due {
        let (session, turn) = match request.session {
            None => (self.new_session(), 0),
            Some(name) => {
                if let Some((session, turns)) = self.named.get_mut(&name) {
                    *turns = turns.saturating_add(1);
                    (*session, *turns)
                } else {
                    let session = self.new_session();
                    self.named.insert(name, (session, 0));
                    (session, 0)
                }
            }
        };
        let index = self.requests;
        self.requests += 1;
        Due {
            index,
            at: request.at,
            session,
            turn,
            prompt_tokens: request.prompt_tokens,
            output_tokens: request.output_tokens,
            hash_ids: request.hash_ids,
        }
    }

    fn new_session(&mut self) -> u32 {
        let session = self.sessions;
        // Past four thousand million sessions the numbers begin anew.
        self.sessions = session.wrapping_add(1);
        session
    }
}

/// A schedule in figures: what it needs before anything is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleSummary {
    /// Requests.
    pub requests: u64,
    /// Sessions.
    pub sessions: u64,
    /// When the last request is due; `None` without any.
    pub last_at: Option<Duration>,
    /// Prompt lengths.
    pub prompt_tokens: TokenTotals,
    /// Answer lengths.
    pub output_tokens: TokenTotals,
    /// Blocks with a hash id, in all prompts.
    pub hashed_blocks: u64,
    /// What the trace has and the schedule has not.
    pub left_out: LeftOut,
}

/// The lengths of a schedule's prompts or answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenTotals {
    /// Requests whose length is known.
    pub requests: u64,
    /// Their tokens in all.
    pub total: u64,
    /// The shortest.
    pub min: Option<u32>,
    /// The longest.
    pub max: Option<u32>,
}

/// Requests of a trace that are not sent as they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Not sent: their prompt or answer has no tokens.
    pub zero_tokens: u64,
    /// Not sent: longer than a limit.
    pub over_limit: u64,
    /// Sent, cut to a limit.
    pub clipped: u64,
}

impl ScheduleSummary {
    /// Walks the whole of `schedule`, so that its errors come before anything is sent.
    ///
    /// # Errors
    /// The first of the schedule's.
    pub fn of(mut schedule: Schedule) -> Result<Self, ScheduleError> {
        let mut summary = Self::default();
        for due in schedule.by_ref() {
            let due = due?;
            summary.requests += 1;
            summary.sessions += u64::from(due.turn == 0);
            summary.last_at = Some(due.at);
            summary.prompt_tokens.add(due.prompt_tokens);
            summary.output_tokens.add(due.output_tokens);
            summary.hashed_blocks += due.hash_ids.map_or(0, |ids| ids.len() as u64);
        }
        summary.left_out = schedule.left_out();
        Ok(summary)
    }

    /// Requests a second from the first to the last; `None` for fewer than 2, or all at once.
    pub fn mean_rate(&self) -> Option<f64> {
        let span = self.last_at?.as_secs_f64();
        (self.requests > 1 && span > 0.0).then(|| (self.requests - 1) as f64 / span)
    }
}

impl TokenTotals {
    /// The mean length; `None` where none is known.
    pub fn mean(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.total as f64 / self.requests as f64)
    }

    fn add(&mut self, tokens: Option<u32>) {
        let Some(tokens) = tokens else { return };
        self.requests += 1;
        self.total += u64::from(tokens);
        self.min = Some(self.min.map_or(tokens, |min| min.min(tokens)));
        self.max = Some(self.max.map_or(tokens, |max| max.max(tokens)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::{ArrivalProcess, ArrivalSpec};
    use crate::rate::RateProfile;
    use crate::trace::{Columns, TraceFormat, TraceSpec};

    fn of(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("not 0")
    }

    fn arrivals() -> Schedule {
        let spec =
            ArrivalSpec { rate: RateProfile::Constant(10.0), arrivals: ArrivalProcess::Constant };
        Schedule::arrivals(spec.times(Some(Duration::from_secs(1)), 1, 0).expect("a schedule"))
    }

    fn sessions() -> Schedule {
        let columns = Columns { session: Some("user".into()), ..Columns::default() };
        let spec = TraceSpec::new(TraceFormat::Csv(columns));
        let text = "timestamp,user\n5,ann\n6,\n7,bob\n8,ann\n9,ann\n9,\n";
        Schedule::trace(spec.replay(text.as_bytes(), "t.csv").expect("a replay"))
    }

    #[test]
    fn sessions_and_turns_are_numbered_as_they_come() {
        let got: Vec<_> = sessions()
            .map(|due| due.map(|d| (d.index, d.session, d.turn)))
            .collect::<Result<_, _>>()
            .expect("right");
        assert_eq!(got, [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 0, 1), (4, 0, 2), (5, 3, 0)]);
    }

    #[test]
    fn a_session_stays_with_one_generator() {
        let share = |i| {
            let share = sessions().share(i, of(2)).expect("in range");
            share.map(|due| due.map(|d| d.index)).collect::<Result<Vec<_>, _>>().expect("right")
        };
        assert_eq!((share(0), share(1)), (vec![0, 2, 3, 4], vec![1, 5]));
        assert!(arrivals().share(2, of(2)).is_err());
        let first: Vec<_> = arrivals().first(3).collect::<Result<_, _>>().expect("right");
        assert_eq!(first.last().map(|due| due.index), Some(2));
        let third = arrivals().share(1, of(3)).expect("in range");
        let at: Vec<_> = third.map(|due| due.expect("right").at.as_millis()).collect();
        assert_eq!(at, [100, 400, 700]);
    }

    #[test]
    fn a_summary_counts() {
        let summary = ScheduleSummary::of(arrivals()).expect("right");
        assert_eq!((summary.requests, summary.sessions), (10, 10));
        assert_eq!(summary.last_at, Some(Duration::from_millis(900)));
        assert_eq!(summary.mean_rate(), Some(10.0));
        assert_eq!(summary.prompt_tokens.mean(), None);
        let summary = ScheduleSummary::of(sessions()).expect("right");
        assert_eq!((summary.requests, summary.sessions), (6, 4));
    }

    #[test]
    fn a_schedule_can_cross_to_a_thread() {
        fn send<T: Send + 'static>(_: &T) {}
        send(&arrivals());
    }
}
