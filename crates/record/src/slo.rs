//! Service-level objectives: `ttft_p95 = "2s"`, from words to values.

use std::fmt;
use std::time::Duration;

use crate::percentile;
use crate::request::{Outcome, RequestRecord};

/// One objective: a statistic of a metric must not be above a limit, or goodput not below one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    /// What is bounded.
    pub target: SloTarget,
    /// Nanoseconds for a latency, a share from 0 to 1 for the error rate and for goodput.
    pub limit: f64,
}

/// What an objective bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SloTarget {
    /// A statistic of a latency.
    Latency(SloMetric, SloStatistic),
    /// Failed requests among those that completed or failed.
    ErrorRate,
    /// Requests, among those that completed or failed, that meet every latency objective for
    /// themselves: the one objective whose limit is a least value.
    Goodput,
}

/// The latencies that an objective can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SloMetric {
    /// Time to first token.
    Ttft,
    /// Time to first token, counted from the schedule.
    TtftFromSchedule,
    /// Time per output token.
    Tpot,
    /// Inter-token latency.
    Itl,
    /// End-to-end latency.
    E2e,
    /// End-to-end latency, counted from the schedule.
    E2eFromSchedule,
}

impl SloMetric {
    /// All of them; of two names where one begins the other, the longer first.
    pub const ALL: [Self; 6] = [
        Self::TtftFromSchedule,
        Self::Ttft,
        Self::Tpot,
        Self::Itl,
        Self::E2eFromSchedule,
        Self::E2e,
    ];

    /// The word in scenarios.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::TtftFromSchedule => "ttft_from_schedule",
            Self::Tpot => "tpot",
            Self::Itl => "itl",
            Self::E2e => "e2e",
            Self::E2eFromSchedule => "e2e_from_schedule",
        }
    }
}

/// The statistics that an objective can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SloStatistic {
    /// Arithmetic mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// The largest value.
    Max,
}

impl SloStatistic {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mean, Self::P50, Self::P90, Self::P95, Self::P99, Self::Max];

    /// The quantile that it is, from 0 to 1; `None` for the mean.
    pub const fn quantile(self) -> Option<f64> {
        match self {
            Self::Mean => None,
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::Max => Some(1.0),
        }
    }

    /// Its value of ascending `sorted`; `None` of none.
    pub fn of(self, sorted: &[f64]) -> Option<f64> {
        match self.quantile() {
            Some(q) => percentile::quantile(sorted, q),
            None if sorted.is_empty() => None,
            None => Some(sorted.iter().sum::<f64>() / sorted.len() as f64),
        }
    }

    /// The word in scenarios.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }
}

const ERROR_RATE: &str = "error_rate";
const GOODPUT: &str = "goodput";

impl SloTarget {
    /// Every name an objective can have.
    pub fn names() -> Vec<String> {
        let latencies = SloMetric::ALL.into_iter().flat_map(|metric| {
            SloStatistic::ALL.into_iter().map(move |s| Self::Latency(metric, s).to_string())
        });
        latencies.chain([ERROR_RATE.to_owned(), GOODPUT.to_owned()]).collect()
    }

    /// The target of this name; `None` when there is none.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            ERROR_RATE => return Some(Self::ErrorRate),
            GOODPUT => return Some(Self::Goodput),
            _ => {}
        }
        SloMetric::ALL.into_iter().find_map(|metric| {
            let word = name.strip_prefix(metric.as_str())?.strip_prefix('_')?;
            let statistic = SloStatistic::ALL.into_iter().find(|s| s.as_str() == word)?;
            Some(Self::Latency(metric, statistic))
        })
    }
}

impl fmt::Display for SloTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(metric, statistic) => {
                write!(f, "{}_{}", metric.as_str(), statistic.as_str())
            }
            Self::ErrorRate => f.write_str(ERROR_RATE),
            Self::Goodput => f.write_str(GOODPUT),
        }
    }
}

impl Slo {
    /// Reads one entry of a scenario's `[slo]` table.
    ///
    /// A latency's limit is a number with `us`, `ms`, `s` or `m`; the error rate's and goodput's
    /// is a percentage (`0.1%`) or a share from 0 to 1.
    ///
    /// # Errors
    /// An unknown name (the known ones are listed) or a limit without unit, negative or not a number.
    pub fn parse(name: &str, limit: &str) -> Result<Self, SloError> {
        let target = SloTarget::parse(name)
            .ok_or_else(|| SloError::UnknownName { name: name.to_owned() })?;
        let value = match target {
            SloTarget::Latency(..) => parse_duration_ns(limit),
            SloTarget::ErrorRate | SloTarget::Goodput => parse_share(limit),
        };
        let limit = value
            .ok_or_else(|| SloError::BadLimit { name: name.to_owned(), limit: limit.to_owned() })?;
        Ok(Self { target, limit })
    }

    /// Whether one request, for itself, meets a latency objective: its value against the limit (of
    /// its ITLs the statistic). One that did not complete does not; a metric that it has not (TPOT
    /// of a one-chunk answer) cannot be too long. The other objectives say nothing of one request.
    pub fn met_by(&self, record: &RequestRecord) -> bool {
        let SloTarget::Latency(metric, statistic) = self.target else { return true };
        let ns = |d: Duration| d.as_nanos() as f64;
        let value = match metric {
            SloMetric::Ttft => record.ttft().map(ns),
            SloMetric::TtftFromSchedule => record.ttft_from_schedule().map(ns),
            SloMetric::Tpot => record.tpot().map(ns),
            SloMetric::E2e => record.e2e().map(ns),
            SloMetric::E2eFromSchedule => record.e2e_from_schedule().map(ns),
            SloMetric::Itl => {
                let mut gaps: Vec<f64> = record.itl().map(ns).collect();
                gaps.sort_by(f64::total_cmp);
                statistic.of(&gaps)
            }
        };
        record.outcome == Outcome::Completed && value.is_none_or(|value| value <= self.limit)
    }

    /// Whether `value` is on the good side of the limit; the limit itself is.
    pub fn holds(&self, value: f64) -> bool {
        match self.target {
            SloTarget::Goodput => value >= self.limit,
            SloTarget::Latency(..) | SloTarget::ErrorRate => value <= self.limit,
        }
    }
}

impl Slo {
    /// What an interval of the value says: `Some` when all of it is on one side of the limit,
    /// `None` when it straddles it or lacks the end that would tell.
    pub fn decided(&self, low: Option<f64>, high: Option<f64>) -> Option<bool> {
        let (good, bad) = match self.target {
            SloTarget::Goodput => (low, high),
            SloTarget::Latency(..) | SloTarget::ErrorRate => (high, low),
        };
        if good.is_some_and(|end| self.holds(end)) {
            return Some(true);
        }
        bad.is_some_and(|end| !self.holds(end)).then_some(false)
    }
}

impl SloTarget {
    /// How the limit bounds the value: `<=`, or `>=` for goodput.
    pub const fn relation(self) -> &'static str {
        match self {
            Self::Goodput => ">=",
            Self::Latency(..) | Self::ErrorRate => "<=",
        }
    }
}

fn parse_duration_ns(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ')?;
    let (number, unit) = text.split_at(unit_at);
    let ns_per_unit = match unit {
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        _ => return None,
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|n| n.is_finite() && *n >= 0.0)
        .map(|n| n * ns_per_unit)
}

fn parse_share(text: &str) -> Option<f64> {
    let text = text.trim();
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

/// Why an objective could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SloError {
    /// No such objective.
    UnknownName {
        /// As given.
        name: String,
    },
    /// Not a limit for this objective.
    BadLimit {
        /// The objective.
        name: String,
        /// As given.
        limit: String,
    },
}

impl fmt::Display for SloError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName { name } => write!(
                f,
                "unknown objective `{name}`; known are error_rate, goodput and METRIC_STATISTIC with METRIC one of {} and STATISTIC one of {}",
                list(SloMetric::ALL.map(SloMetric::as_str)),
                list(SloStatistic::ALL.map(SloStatistic::as_str)),
            ),
            Self::BadLimit { name, limit } if name == ERROR_RATE || name == GOODPUT => {
                let example = if name == GOODPUT { "95%" } else { "0.1%" };
                write!(
                    f,
                    "`{limit}` is no limit for {name}: write a percentage such as \"{example}\" or a share from 0 to 1"
                )
            }
            Self::BadLimit { name, limit } => {
                write!(
                    f,
                    "`{limit}` is no limit for {name}: write a time with its unit such as \"60ms\" or \"2s\""
                )
            }
        }
    }
}

impl std::error::Error for SloError {}

fn list<const N: usize>(words: [&str; N]) -> String {
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_their_unit() {
        let check = |name: &str, limit: &str, expected: f64| {
            let slo = Slo::parse(name, limit).unwrap_or_else(|e| panic!("{name} = {limit}: {e}"));
            assert!(
                (slo.limit - expected).abs() <= expected * 1e-12,
                "{name} = {limit}: {}",
                slo.limit
            );
            assert_eq!(slo.target.to_string(), name);
        };
        check("ttft_p95", "2s", 2e9);
        check("ttft_from_schedule_p99", "1.5 s", 1.5e9);
        check("tpot_p99", "60ms", 60e6);
        check("itl_max", "500us", 500e3);
        check("e2e_mean", "1m", 60e9);
        check("error_rate", "0.1%", 0.001);
        check("error_rate", "0.05", 0.05);
        check("goodput", "95%", 0.95);
    }

    #[test]
    fn a_limit_holds_on_its_good_side() {
        let check = |name: &str, limit: &str, value: f64, holds: bool| {
            let slo = Slo::parse(name, limit).unwrap_or_else(|e| panic!("{name} = {limit}: {e}"));
            assert_eq!(slo.holds(value), holds, "{value} {} {limit}", slo.target.relation());
        };
        check("ttft_p99", "500ms", 500e6, true);
        check("ttft_p99", "500ms", 500.1e6, false);
        check("tpot_p95", "50ms", 49e6, true);
        check("error_rate", "0.1%", 0.0011, false);
        check("goodput", "95%", 0.95, true);
        check("goodput", "95%", 0.94, false);
    }

    #[test]
    fn an_interval_decides_when_it_is_on_one_side() {
        let check = |name: &str, limit: &str, low, high, expected: Option<bool>| {
            let slo = Slo::parse(name, limit).unwrap_or_else(|e| panic!("{name} = {limit}: {e}"));
            assert_eq!(slo.decided(low, high), expected, "{name} {limit}: {low:?} {high:?}");
        };
        check("error_rate", "1%", Some(0.0), Some(0.01), Some(true));
        check("error_rate", "1%", Some(0.02), Some(0.05), Some(false));
        check("error_rate", "1%", Some(0.0), Some(0.05), None);
        check("ttft_p99", "1s", Some(5e8), None, None);
        check("ttft_p99", "1s", Some(2e9), None, Some(false));
        check("goodput", "95%", Some(0.96), Some(0.99), Some(true));
        check("goodput", "95%", Some(0.5), Some(0.94), Some(false));
        check("goodput", "95%", Some(0.94), Some(0.97), None);
    }

    #[test]
    fn wrong_names_list_the_known_ones_and_wrong_limits_say_how() {
        for name in ["ttft", "ttft_p42", "latency_p95", "_p95", "ttft_from_p95"] {
            let error = Slo::parse(name, "2s").expect_err(name).to_string();
            assert!(
                error.contains(name) && error.contains("tpot") && error.contains("p99"),
                "{error}"
            );
        }
        for limit in ["2", "", "s", "-1s", "NaNs", "infs", "2 hours"] {
            assert!(Slo::parse("ttft_p95", limit).is_err(), "{limit}");
        }
        for limit in ["101%", "-1%", "2", "x", "NaN"] {
            for name in ["error_rate", "goodput"] {
                let error = Slo::parse(name, limit).expect_err(limit).to_string();
                assert!(error.contains(name) && error.contains("percentage"), "{error}");
            }
        }
    }

    #[test]
    fn every_listed_name_is_read_back() {
        let names = SloTarget::names();
        assert_eq!(names.len(), SloMetric::ALL.len() * SloStatistic::ALL.len() + 2);
        for name in names {
            assert_eq!(SloTarget::parse(&name).map(|t| t.to_string()), Some(name));
        }
    }
}
