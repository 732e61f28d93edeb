//! Deliberate misbehaviour, for tests of clients: written in a rule of the configuration or in the
//! request header `x-vllm-bench-fault`, several separated by commas.
//!
//! | fault | what the client sees |
//! | --- | --- |
//! | `refuse=429`, `refuse=503 retry-after=2` | an error status at once, with or without `Retry-After` |
//! | `stall=2s@3`, `stall=forever@0` | nothing for so long after 3 events (0: before the first) |
//! | `cut=3` | the connection breaks after 3 events |
//! | `no-done` | the stream ends without `[DONE]` |
//! | `error-event=3` | after 3 events an error object inside the 200 stream, then `[DONE]` |
//! | `invalid-utf8=3` | after 3 events one that is not UTF-8 |
//! | `garbage=3` | after 3 events one that is not JSON |
//! | `unterminated` | the last event lacks its blank line |
//! | `tokens-per-chunk=4` | exactly four tokens in each event that carries tokens (else as many as have come) |
//! | `events-per-write=3` | three events in one write |
//! | `writes-per-event=2` | each event over two writes |
//!
//! An answer that is not streamed counts as one event, to which `refuse`, `stall`, `cut`,
//! `invalid-utf8` and `garbage` apply.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::error::SimulatorError;

const KNOWN: &str = "refuse=STATUS [retry-after=SECONDS], stall=TIME@N, cut=N, no-done, error-event=N, \
                     invalid-utf8=N, garbage=N, unterminated, tokens-per-chunk=N, events-per-write=N, \
                     writes-per-event=N";

/// One way to misbehave. `after` is a number of events that come whole first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An HTTP error instead of an answer.
    Refuse {
        /// 400 to 599.
        status: u16,
        /// Seconds in `Retry-After`, where the header is sent.
        retry_after: Option<u32>,
    },
    /// A pause.
    Stall {
        /// Events before it.
        after: u32,
        /// How long; none is for ever.
        time: Option<Duration>,
    },
    /// A broken connection.
    Cut {
        /// Events before it.
        after: u32,
    },
    /// No `[DONE]`.
    NoDone,
    /// An error object in the stream, which then ends.
    ErrorEvent {
        /// Events before it.
        after: u32,
    },
    /// Bytes that are not UTF-8, within an event.
    InvalidUtf8 {
        /// Events before it.
        after: u32,
    },
    /// An event that is not JSON.
    Garbage {
        /// Events before it.
        after: u32,
    },
    /// No blank line after the last event.
    Unterminated,
    /// Several tokens an event.
    TokensPerChunk(u32),
    /// Several events a write.
    EventsPerWrite(u32),
    /// Several writes an event.
    WritesPerEvent(u32),
}

/// Which requests meet which faults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Every so-manieth generating request: 1 is all of them.
    pub every: Option<u64>,
    /// Generating requests by number, counted from 1.
    #[serde(default)]
    pub nth: Vec<u64>,
    /// The faults, as in the header.
    pub fault: FaultSet,
}

impl FaultRule {
    /// Whether the rule is for the generating request of this number, counted from 1.
    pub(crate) fn fits(&self, number: u64) -> bool {
        self.nth.contains(&number)
            || self.every.is_some_and(|every| every != 0 && number.is_multiple_of(every))
    }
}

/// Faults that one request meets together.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct FaultSet(Vec<Fault>);

impl FaultSet {
    /// The faults in order.
    pub fn iter(&self) -> impl Iterator<Item = Fault> + '_ {
        self.0.iter().copied()
    }

    /// The first figure that `pick` finds in a fault.
    pub(crate) fn find<T>(&self, pick: impl Fn(Fault) -> Option<T>) -> Option<T> {
        self.iter().find_map(pick)
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

impl TryFrom<String> for FaultSet {
    type Error = SimulatorError;

    fn try_from(text: String) -> Result<Self, SimulatorError> {
        text.parse()
    }
}

impl FromStr for FaultSet {
    type Err = SimulatorError;

    fn from_str(text: &str) -> Result<Self, SimulatorError> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(parse)
            .collect::<Result<_, _>>()
            .map(FaultSet)
    }
}

fn parse(text: &str) -> Result<Fault, SimulatorError> {
    let wrong = |problem: String| SimulatorError::Fault { text: text.to_owned(), problem };
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text, None),
    };
    let number = |value: Option<&str>| -> Result<u32, SimulatorError> {
        let value = value.ok_or_else(|| wrong(format!("needs a number, as in {name}=3")))?;
        value.parse().map_err(|_| wrong(format!("{value:?} is not a whole number")))
    };
    let at_least_one = |value| match number(value)? {
        0 => Err(wrong("must be at least 1".into())),
        count => Ok(count),
    };
    let bare = |fault| match value {
        None => Ok(fault),
        Some(_) => Err(wrong(format!("{name} takes no value"))),
    };
    match name {
        "refuse" => {
            let (status, rest) = value
                .and_then(|value| value.split_once(' '))
                .map_or((value, None), |(a, b)| (Some(a), Some(b)));
            let status = number(status)?;
            let status = u16::try_from(status).ok().filter(|status| (400..600).contains(status));
            let status = status.ok_or_else(|| wrong("the status must be 400 to 599".into()))?;
            let retry_after = match rest.map(str::trim) {
                None => None,
                Some(rest) => {
                    let seconds = rest.strip_prefix("retry-after=");
                    Some(number(Some(
                        seconds.ok_or_else(|| wrong("knows retry-after=SECONDS only".into()))?,
                    ))?)
                }
            };
            Ok(Fault::Refuse { status, retry_after })
        }
        "stall" => {
            let (time, after) = value
                .and_then(|value| value.split_once('@'))
                .ok_or_else(|| wrong("is written TIME@EVENTS, as in stall=2s@3".into()))?;
            let time = match time {
                "forever" => None,
                time => Some(humantime::parse_duration(time).map_err(|problem| {
                    wrong(format!("{time:?} is not a duration such as \"2s\": {problem}"))
                })?),
            };
            Ok(Fault::Stall { after: number(Some(after))?, time })
        }
        "cut" => Ok(Fault::Cut { after: number(value)? }),
        "no-done" => bare(Fault::NoDone),
        "error-event" => Ok(Fault::ErrorEvent { after: number(value)? }),
        "invalid-utf8" => Ok(Fault::InvalidUtf8 { after: number(value)? }),
        "garbage" => Ok(Fault::Garbage { after: number(value)? }),
        "unterminated" => bare(Fault::Unterminated),
        "tokens-per-chunk" => Ok(Fault::TokensPerChunk(at_least_one(value)?)),
        "events-per-write" => Ok(Fault::EventsPerWrite(at_least_one(value)?)),
        "writes-per-event" => Ok(Fault::WritesPerEvent(at_least_one(value)?)),
        _ => Err(wrong(format!("is not known; known are {KNOWN}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_as_written() {
        let cases = [
            ("refuse=429", Fault::Refuse { status: 429, retry_after: None }),
            ("refuse=503 retry-after=2", Fault::Refuse { status: 503, retry_after: Some(2) }),
            ("stall=20ms@3", Fault::Stall { after: 3, time: Some(Duration::from_millis(20)) }),
            ("stall=forever@0", Fault::Stall { after: 0, time: None }),
            ("cut=5", Fault::Cut { after: 5 }),
            ("no-done", Fault::NoDone),
            ("error-event=1", Fault::ErrorEvent { after: 1 }),
            ("invalid-utf8=2", Fault::InvalidUtf8 { after: 2 }),
            ("garbage=2", Fault::Garbage { after: 2 }),
            ("unterminated", Fault::Unterminated),
            ("tokens-per-chunk=4", Fault::TokensPerChunk(4)),
            ("events-per-write=3", Fault::EventsPerWrite(3)),
            ("writes-per-event=2", Fault::WritesPerEvent(2)),
        ];
        for (text, fault) in cases {
            assert_eq!(text.parse::<FaultSet>().expect(text), FaultSet(vec![fault]));
        }
        let both = "tokens-per-chunk=4, cut=5".parse::<FaultSet>().expect("two");
        assert_eq!(both.iter().count(), 2);
    }

    #[test]
    fn what_is_not_a_fault_is_refused_with_what_is() {
        for (text, word) in [
            ("explode", "known are"),
            ("cut", "cut=3"),
            ("cut=x", "whole number"),
            ("refuse=200", "400 to 599"),
            ("refuse=503 later=1", "retry-after"),
            ("stall=2s", "TIME@EVENTS"),
            ("stall=2@1", "duration"),
            ("no-done=1", "no value"),
            ("tokens-per-chunk=0", "at least 1"),
        ] {
            let problem = text.parse::<FaultSet>().expect_err(text).to_string();
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }

    #[test]
    fn rules_count_requests_from_one() {
        let rule = FaultRule { every: Some(3), nth: vec![4], fault: FaultSet::default() };
        let fitting: Vec<_> = (1..=7).filter(|&number| rule.fits(number)).collect();
        assert_eq!(fitting, [3, 4, 6]);
    }
}
