//! `[load]` of a scenario: how hard, in which of the ways there are.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::Range;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use vllm_bench_loadgen::{ArrivalProcess, MAX_RATE, RateProfile, TraceSpec};

use crate::precision::UntilSpec;
use crate::scenario::ClockChoice;
use crate::scenario_error::{Place, ScenarioError};
use crate::search::SearchSpec;
use crate::units::{HumanDuration, OneOrEach};

/// `[load]`: how hard. Exactly one of `closed`, `open`, `trace` and `search`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSpec {
    /// What is sent before anything is measured, and what of an open loop is not.
    pub warmup: Option<Spanned<WarmupSpec>>,
    /// A closed loop: levels of concurrency, each user one request in flight.
    pub closed: Option<Spanned<ClosedSpec>>,
    /// An open loop: requests arrive by a rate, whatever the server does.
    pub open: Option<Spanned<OpenSpec>>,
    /// An open loop that follows a recorded trace.
    pub trace: Option<Spanned<TraceSpec>>,
    /// A search for the highest load at which the objectives hold.
    pub search: Option<Spanned<SearchSpec>>,
    /// Ends each stage as soon as one of its figures is known well enough.
    pub until: Option<Spanned<UntilSpec>>,
    /// Most requests in flight of an open loop; later arrivals wait, and are counted.
    pub max_in_flight: Option<Spanned<NonZeroU32>>,
    /// Load-generator threads; one a CPU where absent.
    pub workers: Option<NonZeroUsize>,
    /// How arrivals are stamped.
    #[serde(default)]
    pub clock: ClockChoice,
    /// Measure the client's own error before the run.
    #[serde(default = "yes")]
    pub calibrate: bool,
}

const fn yes() -> bool {
    true
}

/// `warmup = { requests = 16 }` or, in an open loop, `{ duration = "10s" }`, or both.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmupSpec {
    /// Prompts spent in a stage of their own, before the first.
    pub requests: Option<NonZeroU32>,
    /// Users of that stage; the first level's, but at most `requests`, where absent.
    pub concurrency: Option<NonZeroU32>,
    /// The beginning of every open-loop stage that its steady figures leave out.
    pub duration: Option<HumanDuration>,
}

/// `closed = { concurrency = [1, 4], requests_per_user = 10 }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedSpec {
    /// Users of each level.
    pub concurrency: OneOrEach,
    /// Requests of each level, in all.
    pub requests: Option<OneOrEach>,
    /// Requests of each user.
    pub requests_per_user: Option<OneOrEach>,
    /// Longest time of each level; what is in flight then is waited for.
    pub duration: Option<HumanDuration>,
}

/// `open = { rate = [1, 2, 4], arrivals = "poisson", duration = "60s" }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSpec {
    /// Requests a second: a number, one a level, or how the rate goes over one stage.
    pub rate: Rates,
    /// How arrivals fall around the rate.
    #[serde(default)]
    pub arrivals: ArrivalProcess,
    /// How long requests arrive at each level.
    pub duration: Option<HumanDuration>,
    /// Requests of each level, at most.
    pub requests: Option<NonZeroU64>,
    /// Seed of the arrivals.
    #[serde(default = "one")]
    pub seed: u64,
}

const fn one() -> u64 {
    1
}

/// The rates of an open loop.
#[derive(Debug, Clone, PartialEq)]
pub enum Rates {
    /// One stage, whose rate goes like this.
    One(RateProfile),
    /// A stage for each rate, requests a second.
    Each(Vec<f64>),
}

impl LoadSpec {
    /// Where the scenario says how hard: the span of `closed`, `open`, `trace` or `search`, or else `own`.
    pub(crate) fn span_of_way(&self, own: Range<usize>) -> Range<usize> {
        let closed = self.closed.as_ref().map(Spanned::span);
        let open = self.open.as_ref().map(Spanned::span);
        let trace = self.trace.as_ref().map(Spanned::span);
        let search = self.search.as_ref().map(Spanned::span);
        closed.or(open).or(trace).or(search).unwrap_or(own)
    }
}

impl Rates {
    /// The rate of every stage, in order.
    pub fn levels(&self) -> Vec<RateProfile> {
        match self {
            Self::One(profile) => vec![profile.clone()],
            Self::Each(list) => list.iter().copied().map(RateProfile::Constant).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Rates;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "requests a second, above 0: a number, a list of numbers, or one of \
                     { linear }, { exponential }, { steps }, { on_off }",
                )
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Rates, E> {
                self.visit_f64(n as f64)
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Rates, E> {
                self.visit_f64(n as f64)
            }

            fn visit_f64<E: Error>(self, rate: f64) -> Result<Rates, E> {
                check_rate(rate).map(|rate| Rates::One(RateProfile::Constant(rate)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Rates, A::Error> {
                let list = Vec::<f64>::deserialize(SeqAccessDeserializer::new(seq))?;
                if list.is_empty() {
                    return Err(A::Error::invalid_length(0, &self));
                }
                list.into_iter().map(check_rate).collect::<Result<_, _>>().map(Rates::Each)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rates, A::Error> {
                RateProfile::deserialize(MapAccessDeserializer::new(map)).map(Rates::One)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

fn check_rate<E: Error>(rate: f64) -> Result<f64, E> {
    if rate > 0.0 && rate <= MAX_RATE {
        return Ok(rate);
    }
    Err(E::custom(format!("a rate of {rate} requests a second cannot be; it must be above 0")))
}

/// Checks what the keys' types do not.
pub(crate) fn check(load: &Spanned<LoadSpec>, at: &Place<'_>) -> Result<(), ScenarioError> {
    let (span, load) = (load.span(), load.get_ref());
    let ways = [
        ("closed", load.closed.as_ref().map(Spanned::span)),
        ("open", load.open.as_ref().map(Spanned::span)),
        ("trace", load.trace.as_ref().map(Spanned::span)),
        ("search", load.search.as_ref().map(Spanned::span)),
    ];
    let mut given = ways.iter().filter_map(|(name, span)| Some((*name, span.clone()?)));
    match (given.next(), given.next()) {
        (None, _) => {
            let message = "load needs one of closed (users at once), open (arrivals by a rate), trace and search";
            return Err(at.at(span, message.into()));
        }
        (Some((first, _)), Some((second, span))) => {
            let message = format!("load takes {first} or {second}, not both");
            return Err(at.at(span, message));
        }
        _ => {}
    }
    if let Some(cap) = load.max_in_flight.as_ref().filter(|_| load.closed.is_some()) {
        let message = "a closed loop never has more in flight than its concurrency: \
                       max_in_flight is for open and trace";
        return Err(at.at(cap.span(), message.into()));
    }
    if let Some(until) = load.until.as_ref().filter(|_| load.search.is_some()) {
        let message =
            "a search decides itself when a probe ends: until is for closed, open and trace";
        return Err(at.at(until.span(), message.into()));
    }
    if let Some(warmup) = &load.warmup {
        let WarmupSpec { requests, concurrency, duration } = warmup.get_ref();
        let message = match (requests, concurrency, duration) {
            (None, _, None) => Some("warmup needs requests, or in an open loop a duration"),
            (None, Some(_), _) => Some("warmup.concurrency says nothing without requests"),
            (_, _, Some(_)) if load.closed.is_some() => {
                Some("a closed loop's steady window begins by itself: warmup takes requests")
            }
            _ => None,
        };
        if let Some(message) = message {
            return Err(at.at(warmup.span(), message.into()));
        }
    }
    load.closed.as_ref().map_or(Ok(()), |closed| check_closed(closed, at))?;
    load.open.as_ref().map_or(Ok(()), |open| check_open(open, load, at))
}

fn check_closed(closed: &Spanned<ClosedSpec>, at: &Place<'_>) -> Result<(), ScenarioError> {
    let fail = |message: String| Err(at.at(closed.span(), message));
    let closed = closed.get_ref();
    if closed.requests.is_none() && closed.requests_per_user.is_none() && closed.duration.is_none()
    {
        return fail(
            "closed needs an end: requests, requests_per_user or duration (duration may go with either)"
                .into(),
        );
    }
    if closed.requests.is_some() && closed.requests_per_user.is_some() {
        return fail("closed takes requests or requests_per_user, not both".into());
    }
    let levels = closed.concurrency.levels().unwrap_or(1);
    for (key, list) in
        [("requests", &closed.requests), ("requests_per_user", &closed.requests_per_user)]
    {
        if let Some(n) = list.as_ref().and_then(OneOrEach::levels)
            && n != levels
        {
            return fail(format!(
                "{key} has {n} numbers for {levels} levels of concurrency; give one number, or one a level"
            ));
        }
    }
    Ok(())
}

fn check_open(
    open: &Spanned<OpenSpec>,
    load: &LoadSpec,
    at: &Place<'_>,
) -> Result<(), ScenarioError> {
    let fail = |message: String| Err(at.at(open.span(), message));
    let open = open.get_ref();
    if open.duration.is_none() && open.requests.is_none() {
        return fail("open needs an end: duration, requests, or both".into());
    }
    let duration = open.duration.map(|d| d.0);
    for rate in open.rate.levels() {
        if let Err(error) = rate.check(duration) {
            return fail(error.to_string());
        }
    }
    let warmup = load.warmup.as_ref().and_then(|w| w.get_ref().duration).map(|d| d.0);
    if let (Some(warmup), Some(duration)) = (warmup, duration)
        && warmup >= duration
    {
        return fail(format!(
            "a warm-up of {} leaves nothing of stages of {}",
            humantime::format_duration(warmup),
            humantime::format_duration(duration)
        ));
    }
    Ok(())
}
