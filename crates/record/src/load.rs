//! How hard a stage asks: users at once (closed loop), or arrivals whatever the server does (open loop).

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How hard one stage asks. On disk a key of the stage: `"concurrency": 8` or `"open": {…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageLoad {
    /// Closed loop: this many users, each with one request in flight.
    Concurrency(u32),
    /// Open loop: requests arrive by a schedule.
    Open(OpenLoad),
}

/// An open loop's load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenLoad {
    /// Requests a second asked for, the mean over the stage.
    pub rate: f64,
    /// The arrival process in words: `poisson`, `constant`, `gamma 0.5`, `trace conv.csv`.
    pub arrivals: String,
    /// How the rate goes over time, in words; `None` when it is the same throughout.
    #[serde(default)]
    pub profile: Option<String>,
    /// The beginning of the stage that its steady figures leave out.
    #[serde(rename = "warmup_ns", with = "nanos")]
    pub warmup: Duration,
    /// Most requests in flight; later arrivals wait, which shows in latency from schedule.
    #[serde(default)]
    pub max_in_flight: Option<u32>,
    /// Last arrival planned, from the stage's start; `None` when not known beforehand.
    #[serde(default, rename = "last_arrival_ns", with = "maybe_nanos")]
    pub last_arrival: Option<Duration>,
    /// Requests that had to wait for `max_in_flight`; filled in when the stage is over.
    #[serde(default)]
    pub capped: u64,
    /// What of a trace was not sent as it stands, one sentence each.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// A stage's place on the axis of load, what tables and charts name it by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Users at once.
    Concurrency(u32),
    /// Requests a second asked for.
    Rate(f64),
}

impl StageLoad {
    /// Where it stands on the axis of load.
    pub const fn level(&self) -> Level {
        match self {
            Self::Concurrency(users) => Level::Concurrency(*users),
            Self::Open(open) => Level::Rate(open.rate),
        }
    }

    /// The open loop's load, if it is one.
    pub const fn open(&self) -> Option<&OpenLoad> {
        match self {
            Self::Concurrency(_) => None,
            Self::Open(open) => Some(open),
        }
    }
}

impl OpenLoad {
    /// Whether it follows a recorded trace, whose rate is what it was.
    pub fn is_trace(&self) -> bool {
        self.arrivals.starts_with("trace ")
    }
}

impl Level {
    /// The number on the axis.
    pub fn value(self) -> f64 {
        match self {
            Self::Concurrency(users) => f64::from(users),
            Self::Rate(rate) => rate,
        }
    }

    /// The number as people read it: `8`, `12.5`.
    pub fn number(self) -> String {
        match self {
            Self::Concurrency(users) => users.to_string(),
            Self::Rate(rate) => {
                // Enough digits to tell neighbours of a search apart, none that say nothing.
                let digits = if rate >= 100.0 {
                    0
                } else if rate >= 10.0 {
                    1
                } else {
                    2
                };
                let text = format!("{rate:.digits$}");
                match text.contains('.') {
                    true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                    false => text,
                }
            }
        }
    }

    /// The unit with the number: `1 stream`, `8 streams`, `12.5 req/s`.
    pub fn with_unit(self) -> String {
        match self {
            Self::Concurrency(1) => "1 stream".into(),
            Self::Concurrency(_) => format!("{} streams", self.number()),
            Self::Rate(_) => format!("{} req/s", self.number()),
        }
    }

    /// All levels in one order: closed loops before open ones, then by number.
    pub fn total_cmp(self, other: Self) -> Ordering {
        let open = |level| matches!(level, Self::Rate(_));
        open(self).cmp(&open(other)).then(self.value().total_cmp(&other.value()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.number())
    }
}

/// A duration as nanoseconds.
mod nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_nanos)
    }
}

/// The same where there may be none.
mod maybe_nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        label: String,
        #[serde(flatten)]
        load: StageLoad,
    }

    #[test]
    fn a_load_is_one_key_of_its_stage() {
        let closed = Holder { label: "cc 8".into(), load: StageLoad::Concurrency(8) };
        let text = serde_json::to_string(&closed).expect("plain data");
        assert_eq!(text, r#"{"label":"cc 8","concurrency":8}"#);
        assert_eq!(serde_json::from_str::<Holder>(&text).expect("own text"), closed);
        let open = Holder {
            label: "2 req/s".into(),
            load: StageLoad::Open(OpenLoad {
                rate: 2.0,
                arrivals: "poisson".into(),
                profile: None,
                warmup: Duration::from_secs(1),
                max_in_flight: None,
                last_arrival: Some(Duration::from_millis(1)),
                capped: 0,
                left_out: Vec::new(),
            }),
        };
        let text = serde_json::to_string(&open).expect("plain data");
        assert!(text.contains(r#""warmup_ns":1000000000"#), "{text}");
        assert_eq!(serde_json::from_str::<Holder>(&text).expect("own text"), open);
    }

    #[test]
    fn levels_are_named_with_their_unit() {
        assert_eq!(Level::Concurrency(1).with_unit(), "1 stream");
        assert_eq!(Level::Concurrency(8).with_unit(), "8 streams");
        assert_eq!(Level::Rate(2.0).with_unit(), "2 req/s");
        assert_eq!(Level::Rate(0.25).number(), "0.25");
        assert_eq!(Level::Rate(12.34).number(), "12.3");
        assert_eq!(Level::Rate(100.0).number(), "100");
    }
}
