//! How the request rate goes over a stage.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::human::{self, nanos};
use crate::inverse::{Curve, Segment};
use crate::schedule_error::ScheduleError;

/// The request rate over a stage, requests a second.
///
/// In a scenario: `rate = 10`, `rate = { linear = { from = 1, to = 50 } }`,
/// `{ exponential = { from = 1, to = 100, over = "2m" } }`,
/// `{ steps = { rates = [1, 2, 4], each = "30s" } }`,
/// `{ on_off = { on = "5s", off = "15s", rate = 40 } }`.
#[derive(Debug, Clone, PartialEq)]
pub enum RateProfile {
    /// The same all along.
    Constant(f64),
    /// A straight line from one rate to the other, which is then held. Either may be 0, not both.
    Linear(Ramp),
    /// Growth (or decay) by the same factor in equal times, then held.
    Exponential(Ramp),
    /// One rate after the other; the last is held.
    Steps(Steps),
    /// Bursts and pauses in turn, beginning with a burst.
    OnOff(OnOff),
}

/// A ramp from one rate to another.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Rate at the start.
    #[serde(deserialize_with = "rate_or_zero")]
    pub from: f64,
    /// Rate at the end.
    #[serde(deserialize_with = "rate_or_zero")]
    pub to: f64,
    /// How long it takes; the whole stage where absent.
    #[serde(default, deserialize_with = "human::optional")]
    pub over: Option<Duration>,
}

/// Rates one after the other.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// The rates, in order. Some may be 0, not all.
    #[serde(deserialize_with = "rates_or_zero")]
    pub rates: Vec<f64>,
    /// How long each lasts; an equal part of the stage where absent.
    #[serde(default, deserialize_with = "human::optional")]
    pub each: Option<Duration>,
}

/// Bursts and pauses in turn.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnOff {
    /// How long a burst lasts.
    #[serde(deserialize_with = "human::duration")]
    pub on: Duration,
    /// How long a pause lasts.
    #[serde(deserialize_with = "human::duration")]
    pub off: Duration,
    /// Rate in a burst.
    #[serde(deserialize_with = "positive_rate")]
    pub rate: f64,
    /// Rate in a pause.
    #[serde(default, deserialize_with = "rate_or_zero")]
    pub off_rate: f64,
}

/// The highest rate taken, requests a second: one a microsecond.
pub const MAX_RATE: f64 = 1e6;

impl RateProfile {
    /// Whether this makes a schedule; `duration` is the stage's, `None` without end.
    ///
    /// # Errors
    /// A rate of 0, negative, NaN or above [`MAX_RATE`]; a length of 0; a ramp or steps
    /// of no stated length in a stage without end.
    pub fn check(&self, duration: Option<Duration>) -> Result<(), ScheduleError> {
        self.problem(duration).map_or(Ok(()), |reason| Err(ScheduleError::Arrivals(reason)))
    }

    /// Requests expected in the first `until` of a stage of `duration`; exact for Poisson
    /// arrivals in the mean. 0 for a profile that [`check`](Self::check) refuses.
    pub fn expected(&self, until: Duration, duration: Option<Duration>) -> f64 {
        if self.problem(duration).is_some() {
            return 0.0;
        }
        let until = nanos(until);
        let (mut count, mut start) = (0.0, 0);
        for index in 0.. {
            let Some(segment) = self.segment(index, duration) else { break };
            let left = until.saturating_sub(start);
            if segment.length.is_none_or(|length| length >= left) {
                return count + segment.count_by(left);
            }
            count += segment.count();
            start = start.saturating_add(segment.length.unwrap_or(u64::MAX));
        }
        count
    }

    fn problem(&self, duration: Option<Duration>) -> Option<String> {
        let check = |name: &str, rate: f64, least: Least| {
            rate_problem(rate, least).map(|reason| format!("{name} {reason}"))
        };
        let length = |name: &str, length: Option<Duration>| match length.or(duration) {
            None => Some(format!("a stage without a duration needs {name}")),
            Some(d) if d.is_zero() => Some(format!("{name} must be longer than 0")),
            Some(_) => None,
        };
        match self {
            Self::Constant(rate) => check("rate", *rate, Least::AboveZero),
            Self::Linear(Ramp { from, to, over }) => check("linear.from", *from, Least::Zero)
                .or_else(|| check("linear.to", *to, Least::Zero))
                .or_else(|| {
                    (*from == 0.0 && *to == 0.0).then(|| {
                        "linear.from and linear.to are both 0: no request would ever be sent".into()
                    })
                })
                .or_else(|| length("linear.over", *over)),
            Self::Exponential(Ramp { from, to, over }) => {
                check("exponential.from", *from, Least::AboveZero)
                    .or_else(|| check("exponential.to", *to, Least::AboveZero))
                    .or_else(|| length("exponential.over", *over))
            }
            Self::Steps(Steps { rates, each }) => rates
                .iter()
                .find_map(|rate| check("steps.rates", *rate, Least::Zero))
                .or_else(|| {
                    let none = rates.iter().all(|&rate| rate == 0.0);
                    none.then(|| "steps.rates needs at least one rate above 0".into())
                })
                .or_else(|| length("steps.each", *each)),
            Self::OnOff(OnOff { on, off, rate, off_rate }) => {
                check("on_off.rate", *rate, Least::AboveZero)
                    .or_else(|| check("on_off.off_rate", *off_rate, Least::Zero))
                    .or_else(|| length("on_off.on", Some(*on)))
                    .or_else(|| length("on_off.off", Some(*off)))
            }
        }
    }

    /// Piece `index` of the profile; the pieces follow each other without a gap.
    pub(crate) fn segment(&self, index: u64, duration: Option<Duration>) -> Option<Segment> {
        let stage = duration.map_or(u64::MAX, nanos);
        let held = |rate| Segment { from: rate, to: rate, length: None, curve: Curve::Linear };
        let ramp = |ramp: &Ramp, curve| match index {
            0 => Some(Segment {
                from: ramp.from,
                to: ramp.to,
                length: Some(ramp.over.map_or(stage, nanos)),
                curve,
            }),
            1 => Some(held(ramp.to)),
            _ => None,
        };
        match self {
            Self::Constant(rate) => (index == 0).then(|| held(*rate)),
            Self::Linear(linear) => ramp(linear, Curve::Linear),
            Self::Exponential(exponential) => ramp(exponential, Curve::Exponential),
            Self::Steps(steps) => {
                let rate = *steps.rates.get(usize::try_from(index).ok()?)?;
                let count = steps.rates.len() as u64;
                if index + 1 == count {
                    return Some(held(rate));
                }
                // Boundaries of equal parts, so that rounding does not add up.
                let part = |i: u64| (u128::from(stage) * u128::from(i) / u128::from(count)) as u64;
                let length = steps.each.map_or_else(|| part(index + 1) - part(index), nanos);
                Some(Segment { from: rate, to: rate, length: Some(length), curve: Curve::Linear })
            }
            Self::OnOff(burst) => {
                let (rate, length) = if index.is_multiple_of(2) {
                    (burst.rate, burst.on)
                } else {
                    (burst.off_rate, burst.off)
                };
                Some(Segment {
                    from: rate,
                    to: rate,
                    length: Some(nanos(length)),
                    curve: Curve::Linear,
                })
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Least {
    Zero,
    AboveZero,
}

fn rate_problem(rate: f64, least: Least) -> Option<String> {
    let wanted = match least {
        Least::Zero => "a rate from 0",
        Least::AboveZero => "a rate above 0",
    };
    let wanted = format!("{wanted} to {MAX_RATE:.0} requests a second");
    if rate.is_nan() {
        return Some(format!("is NaN; give {wanted}"));
    }
    let below = rate < 0.0 || (rate == 0.0 && least == Least::AboveZero);
    (below || rate > MAX_RATE).then(|| format!("is {rate}; give {wanted}"))
}

struct RateVisitor(Least);

impl Visitor<'_> for RateVisitor {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate in requests a second")
    }

    fn visit_f64<E: Error>(self, rate: f64) -> Result<f64, E> {
        rate_problem(rate, self.0)
            .map_or(Ok(rate), |reason| Err(E::custom(format_args!("the rate {reason}"))))
    }

    fn visit_i64<E: Error>(self, rate: i64) -> Result<f64, E> {
        self.visit_f64(rate as f64)
    }

    fn visit_u64<E: Error>(self, rate: u64) -> Result<f64, E> {
        self.visit_f64(rate as f64)
    }
}

fn positive_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(RateVisitor(Least::AboveZero))
}

fn rate_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    deserializer.deserialize_any(RateVisitor(Least::Zero))
}

fn rates_or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    struct Rate(f64);
    impl<'de> Deserialize<'de> for Rate {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            rate_or_zero(deserializer).map(Self)
        }
    }
    Ok(Vec::<Rate>::deserialize(deserializer)?.into_iter().map(|rate| rate.0).collect())
}

impl<'de> Deserialize<'de> for RateProfile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not an enum to serde: a map deserialized as one would drop a second key unseen.
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            linear: Option<Ramp>,
            exponential: Option<Ramp>,
            steps: Option<Steps>,
            on_off: Option<OnOff>,
        }
        struct Profile;
        impl<'de> Visitor<'de> for Profile {
            type Value = RateProfile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate in requests a second, or a table with linear, exponential, steps or on_off")
            }

            fn visit_f64<E: Error>(self, rate: f64) -> Result<RateProfile, E> {
                RateVisitor(Least::AboveZero).visit_f64(rate).map(RateProfile::Constant)
            }

            fn visit_i64<E: Error>(self, rate: i64) -> Result<RateProfile, E> {
                self.visit_f64(rate as f64)
            }

            fn visit_u64<E: Error>(self, rate: u64) -> Result<RateProfile, E> {
                self.visit_f64(rate as f64)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RateProfile, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                let mut given = [
                    table.linear.map(RateProfile::Linear),
                    table.exponential.map(RateProfile::Exponential),
                    table.steps.map(RateProfile::Steps),
                    table.on_off.map(RateProfile::OnOff),
                ]
                .into_iter()
                .flatten();
                let (Some(profile), None) = (given.next(), given.next()) else {
                    return Err(A::Error::custom(
                        "rate takes exactly one of linear, exponential, steps and on_off",
                    ));
                };
                // Everything but what depends on the stage's duration.
                match profile.problem(Some(Duration::MAX)) {
                    Some(reason) => Err(A::Error::custom(reason)),
                    None => Ok(profile),
                }
            }
        }
        deserializer.deserialize_any(Profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Doc {
        rate: RateProfile,
    }

    fn parse(text: &str) -> Result<RateProfile, String> {
        toml::from_str::<Doc>(&format!("rate = {text}")).map(|d| d.rate).map_err(|e| e.to_string())
    }

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn scenarios_write_rates_so() {
        assert_eq!(parse("10"), Ok(RateProfile::Constant(10.0)));
        assert_eq!(parse("0.25"), Ok(RateProfile::Constant(0.25)));
        let ramp = Ramp { from: 0.0, to: 50.0, over: None };
        assert_eq!(parse("{ linear = { from = 0, to = 50 } }"), Ok(RateProfile::Linear(ramp)));
        let ramp = Ramp { from: 1.0, to: 100.0, over: Some(120 * S) };
        assert_eq!(
            parse("{ exponential = { from = 1, to = 100, over = \"2m\" } }"),
            Ok(RateProfile::Exponential(ramp))
        );
        let steps = Steps { rates: vec![1.0, 0.0, 4.0], each: Some(30 * S) };
        assert_eq!(
            parse("{ steps = { rates = [1, 0, 4], each = \"30s\" } }"),
            Ok(RateProfile::Steps(steps))
        );
        let burst = OnOff { on: 5 * S, off: 15 * S, rate: 40.0, off_rate: 0.0 };
        assert_eq!(
            parse("{ on_off = { on = \"5s\", off = \"15s\", rate = 40 } }"),
            Ok(RateProfile::OnOff(burst))
        );
    }

    #[test]
    fn rates_that_make_no_schedule_are_refused_with_their_place() {
        for (text, says) in [
            ("0", "the rate is 0"),
            ("-1", "the rate is -1"),
            ("nan", "the rate is NaN"),
            ("inf", "the rate is inf"),
            ("\"fast\"", "a rate in requests a second, or a table"),
            ("{ linear = { from = -1, to = 2 } }", "the rate is -1"),
            ("{ linear = { from = 0, to = 0 } }", "both 0"),
            ("{ exponential = { from = 0, to = 2 } }", "exponential.from is 0"),
            ("{ exponential = { from = 1, to = nan } }", "the rate is NaN"),
            ("{ steps = { rates = [] } }", "at least one rate above 0"),
            ("{ steps = { rates = [0, 0] } }", "at least one rate above 0"),
            ("{ on_off = { on = \"5s\", off = \"5s\", rate = 0 } }", "the rate is 0"),
            ("{ on_off = { on = \"0s\", off = \"5s\", rate = 1 } }", "a duration with its unit"),
            ("{ linear = { from = 1, to = 2, ove = \"5s\" } }", "unknown field `ove`"),
            ("{ linar = { from = 1, to = 2 } }", "unknown field `linar`"),
            ("{}", "exactly one of"),
            (
                "{ linear = { from = 1, to = 2 }, steps = { rates = [1] } }",
                "exactly one of linear, exponential, steps and on_off",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
            assert!(error.contains("line 1, column"), "{text}: {error}");
        }
    }

    #[test]
    fn rates_made_in_code_are_checked_too() {
        let says = |profile: RateProfile, duration| {
            profile.check(duration).map_or_else(|e| e.to_string(), |()| String::new())
        };
        assert!(says(RateProfile::Constant(0.0), None).contains("rate is 0"));
        assert!(says(RateProfile::Constant(f64::NAN), None).contains("NaN"));
        assert!(says(RateProfile::Constant(2e6), None).contains("1000000"));
        let ramp = RateProfile::Linear(Ramp { from: 1.0, to: 2.0, over: None });
        assert!(says(ramp.clone(), None).contains("needs linear.over"));
        assert_eq!(says(ramp, Some(S)), "");
        let steps = RateProfile::Steps(Steps { rates: vec![1.0], each: Some(Duration::ZERO) });
        assert!(says(steps, None).contains("longer than 0"));
    }
}
