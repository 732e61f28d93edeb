//! What a probe is held against: the scenario's objectives, and what a search needs besides.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use vllm_bench_record::{SearchAxis, Slo, SloTarget};

/// One objective of a search, with its words.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    kind: Kind,
    /// The limit as written.
    limit: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Slo(Slo),
    /// What is under way grows by at most this share of what arrives.
    Growth(f64),
}

/// Failed requests that a search takes where the scenario sets no limit: without one, a server
/// that refuses half of them would look fast.
const ERROR_RATE: &str = "1%";

/// Of 100 requests that arrive, 5 may be left over: more, and the server does not keep up.
const GROWTH: (&str, f64) = ("5%", 0.05);

impl Objective {
    /// The objectives of a search over `axis` in a scenario with these `[slo]` entries.
    ///
    /// Where the scenario bounds neither errors nor goodput, errors are; in an open loop,
    /// what is under way may not grow without end, since a latency that does not count the
    /// queue (TPOT) would hold at any rate.
    pub fn of(slo: &BTreeMap<String, Spanned<String>>, axis: SearchAxis) -> Vec<Self> {
        let read = |name: &str, limit: &str| {
            let kind = Kind::Slo(Slo::parse(name, limit).ok()?);
            Some(Self { kind, limit: limit.to_owned() })
        };
        let mut list: Vec<Self> =
            slo.iter().filter_map(|(name, limit)| read(name, limit.get_ref())).collect();
        let bounded = |o: &Self| {
            matches!(o.slo().map(|s| s.target), Some(SloTarget::ErrorRate | SloTarget::Goodput))
        };
        if !list.iter().any(bounded) {
            list.extend(read("error_rate", ERROR_RATE));
        }
        if axis == SearchAxis::Rate {
            list.push(Self { kind: Kind::Growth(GROWTH.1), limit: GROWTH.0.into() });
        }
        list
    }

    /// The objective of the scenario, if it is one.
    pub(crate) const fn slo(&self) -> Option<&Slo> {
        match &self.kind {
            Kind::Slo(slo) => Some(slo),
            Kind::Growth(_) => None,
        }
    }

    pub(crate) fn holds(&self, value: f64) -> bool {
        match self.kind {
            Kind::Slo(slo) => slo.holds(value),
            Kind::Growth(limit) => value <= limit,
        }
    }

    /// What a figure says with its interval; `None` when that leaves it open. Growth says that
    /// something is wrong only when it surely is: a queue that keeps up scatters. Errors of which
    /// none was seen leave nothing open: probes that could rule out one in a thousand are too long.
    pub(crate) fn decided(&self, value: f64, low: Option<f64>, high: Option<f64>) -> Option<bool> {
        match self.kind {
            Kind::Slo(Slo { target: SloTarget::ErrorRate, .. }) if value == 0.0 => Some(true),
            Kind::Slo(slo) => slo.decided(low, high),
            Kind::Growth(limit) => Some(low.is_none_or(|low| low <= limit)),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Slo(slo) => {
                write!(f, "{} {} {}", slo.target, slo.target.relation(), self.limit)
            }
            Kind::Growth(_) => write!(f, "in_flight_growth <= {}", self.limit),
        }
    }
}
