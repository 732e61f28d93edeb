//! When the requests of an open-loop stage are due: arrival processes.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};

use crate::dice::Dice;
use crate::inverse::Inverse;
use crate::rate::RateProfile;
use crate::schedule_error::ScheduleError;

/// The rate of a stage and how its arrivals fall around it.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalSpec {
    /// Requests a second, over the stage.
    pub rate: RateProfile,
    /// How they fall.
    #[serde(default)]
    pub arrivals: ArrivalProcess,
}

/// How arrivals fall around their rate.
///
/// In a scenario: `arrivals = "constant"`, `"poisson"`, `{ gamma = { burstiness = 0.5 } }`.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalProcess {
    /// Evenly, the first at the start; under a rate that changes, evenly in the expected count.
    Constant,
    /// Independent of each other.
    #[default]
    Poisson,
    /// Gaps from a gamma distribution.
    Gamma(Gamma),
}

/// Gaps from a gamma distribution.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gamma {
    /// The distribution's shape, as vLLM's `--burstiness`: below 1 in bursts, 1 Poisson,
    /// above 1 more even. The gaps' coefficient of variation is 1/√burstiness.
    #[serde(deserialize_with = "burstiness")]
    pub burstiness: f64,
}

/// The least burstiness: below it nearly all arrivals of a stage would fall into one instant.
const MIN_BURSTINESS: f64 = 0.01;
const MAX_BURSTINESS: f64 = 1e6;

impl ArrivalSpec {
    /// The arrivals of a stage of `duration` (`None`: without end), the same for the same
    /// `seed` and `stage` on any machine. The whole schedule can thus be walked before
    /// the run to know how many requests it has.
    ///
    /// # Errors
    /// What [`RateProfile::check`] refuses, and a burstiness out of range.
    pub fn times(
        &self,
        duration: Option<Duration>,
        seed: u64,
        stage: u32,
    ) -> Result<ArrivalTimes, ScheduleError> {
        self.rate.check(duration)?;
        if let ArrivalProcess::Gamma(Gamma { burstiness }) = self.arrivals
            && let Some(reason) = burstiness_problem(burstiness)
        {
            return Err(ScheduleError::Arrivals(reason));
        }
        Ok(ArrivalTimes {
            process: self.arrivals,
            dice: Dice::new(seed, u64::from(stage)),
            inverse: Some(Inverse::new(self.rate.clone(), duration)),
            index: 0,
            count: 0.0,
            last: 0,
        })
    }
}

/// Iterator over the arrivals of a stage, as durations since its start: whole nanoseconds,
/// never falling, all before the stage's end. Needs the same memory however many there are.
///
/// The points of a process of rate 1 are carried through the inverse of the cumulative
/// rate, so that Poisson arrivals stay Poisson under any rate profile and the expected number by any
/// instant is the area under the rate. A gamma process starts in its steady state (its
/// first gap is what is left of one that began earlier), so that its expected number is right too.
#[derive(Debug, Clone)]
pub struct ArrivalTimes {
    process: ArrivalProcess,
    dice: Dice,
    /// `None` after the last.
    inverse: Option<Inverse>,
    index: u64,
    /// Expected count at the last arrival.
    count: f64,
    last: u64,
}

impl Iterator for ArrivalTimes {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let first = self.index == 0;
        self.count = match self.process {
            ArrivalProcess::Constant => self.index as f64,
            ArrivalProcess::Poisson => self.count + self.dice.exponential(),
            ArrivalProcess::Gamma(Gamma { burstiness }) if first => {
                // Residual life: an even part of a gap chosen in proportion to its length,
                // which for a gamma distribution has the next higher shape.
                self.dice.unit() * self.dice.gamma(burstiness + 1.0) / burstiness
            }
            ArrivalProcess::Gamma(Gamma { burstiness }) => {
                self.count + self.dice.gamma(burstiness) / burstiness
            }
        };
        self.index += 1;
        let Some(at) = self.inverse.as_mut()?.at(self.count) else {
            self.inverse = None;
            return None;
        };
        self.last = self.last.max(at);
        Some(Duration::from_nanos(self.last))
    }
}

impl std::iter::FusedIterator for ArrivalTimes {}

fn burstiness_problem(burstiness: f64) -> Option<String> {
    (!(MIN_BURSTINESS..=MAX_BURSTINESS).contains(&burstiness)).then(|| {
        format!("burstiness is {burstiness}; give {MIN_BURSTINESS} to {MAX_BURSTINESS:.0} (1 is Poisson, below it bursts)")
    })
}

fn burstiness<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number: 1 is Poisson, below it bursts")
        }

        fn visit_f64<E: Error>(self, shape: f64) -> Result<f64, E> {
            burstiness_problem(shape).map_or(Ok(shape), |reason| Err(E::custom(reason)))
        }

        fn visit_i64<E: Error>(self, shape: i64) -> Result<f64, E> {
            self.visit_f64(shape as f64)
        }

        fn visit_u64<E: Error>(self, shape: u64) -> Result<f64, E> {
            self.visit_f64(shape as f64)
        }
    }
    deserializer.deserialize_any(Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::{OnOff, Ramp, Steps};

    const S: Duration = Duration::from_secs(1);

    fn times(rate: RateProfile, arrivals: ArrivalProcess, seed: u64) -> ArrivalTimes {
        ArrivalSpec { rate, arrivals }.times(Some(60 * S), seed, 0).expect("a schedule")
    }

    fn gamma(burstiness: f64) -> ArrivalProcess {
        ArrivalProcess::Gamma(Gamma { burstiness })
    }

    fn nanos(times: impl Iterator<Item = Duration>) -> Vec<u128> {
        times.map(|at| at.as_nanos()).collect()
    }

    /// Kolmogorov and Smirnov's distance of `sample` from the distribution `cdf`.
    fn ks(mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        sample.sort_by(f64::total_cmp);
        let n = sample.len() as f64;
        sample.iter().enumerate().fold(0.0, |worst, (i, &x)| {
            let f = cdf(x);
            worst.max((f - i as f64 / n).abs()).max(((i + 1) as f64 / n - f).abs())
        })
    }

    fn gaps(times: impl Iterator<Item = Duration>) -> Vec<f64> {
        let all: Vec<f64> = times.map(|at| at.as_secs_f64()).collect();
        all.windows(2).map(|w| w[1] - w[0]).collect()
    }

    #[test]
    fn constant_arrivals_are_exact() {
        let three = nanos(times(RateProfile::Constant(3.0), ArrivalProcess::Constant, 1).take(5));
        assert_eq!(three, [0, 333_333_333, 666_666_667, 1_000_000_000, 1_333_333_333]);
        let all = nanos(times(RateProfile::Constant(200.0), ArrivalProcess::Constant, 1));
        assert_eq!(all, (0..12_000).map(|k| k * 5_000_000).collect::<Vec<_>>());
        // No drift: the hour's last arrival is as exact as the first.
        let hour =
            ArrivalSpec { rate: RateProfile::Constant(7.0), arrivals: ArrivalProcess::Constant };
        let all = nanos(hour.times(Some(3600 * S), 1, 0).expect("a schedule"));
        assert_eq!(all.len(), 25_200);
        for (k, &at) in all.iter().enumerate() {
            assert_eq!(at, (k as u128 * 2_000_000_000 + 7) / 14, "arrival {k}");
        }
    }

    #[test]
    fn constant_arrivals_follow_a_changing_rate() {
        let steps = RateProfile::Steps(Steps { rates: vec![1.0, 0.0, 2.0], each: Some(2 * S) });
        let got = nanos(times(steps, ArrivalProcess::Constant, 1).take(6));
        assert_eq!(got, [0, 1000, 4000, 4500, 5000, 5500].map(|ms: u128| ms * 1_000_000));
        let burst = RateProfile::OnOff(OnOff { on: S, off: 9 * S, rate: 4.0, off_rate: 0.0 });
        let got = nanos(times(burst, ArrivalProcess::Constant, 1));
        assert_eq!(got.len(), 24);
        assert_eq!(got[3..6], [750_000_000, 10_000_000_000, 10_250_000_000]);
        // t²·10/120 = k: the square roots, exactly.
        let ramp = RateProfile::Linear(Ramp { from: 0.0, to: 10.0, over: None });
        let got = nanos(times(ramp, ArrivalProcess::Constant, 1));
        assert_eq!(got.len(), 300);
        assert_eq!(
            (got[0], got[3], got[12], got[75]),
            (0, 6_000_000_000, 12_000_000_000, 30_000_000_000)
        );
    }

    #[test]
    fn poisson_gaps_pass_kolmogorov_and_smirnov() {
        let exponential = |x: f64| 1.0 - (-200.0 * x).exp();
        let critical = 1.358 / 4000f64.sqrt();
        let spec =
            ArrivalSpec { rate: RateProfile::Constant(200.0), arrivals: ArrivalProcess::Poisson };
        let distance = |seed| {
            let times = spec.times(None, seed, 0).expect("a schedule");
            ks(gaps(times.take(4001)), exponential)
        };
        assert!(distance(1) < critical, "{}", distance(1));
        // At 95 %, about 5 of 100 seeds fail; 12 or more have a chance of 0.4 %, no failure 0.6 %.
        let failed = (0..100).filter(|&seed| distance(seed) >= critical).count();
        assert!((1..12).contains(&failed), "{failed} of 100 seeds fail");
        let constant = times(RateProfile::Constant(200.0), ArrivalProcess::Constant, 1);
        assert!(ks(gaps(constant.take(4001)), exponential) > 0.3, "the test must be able to fail");
    }

    #[test]
    fn poisson_stays_poisson_under_a_ramp() {
        for rate in [
            RateProfile::Linear(Ramp { from: 0.0, to: 150.0, over: None }),
            RateProfile::Exponential(Ramp { from: 1.0, to: 500.0, over: None }),
            RateProfile::Steps(Steps { rates: vec![50.0, 10.0, 150.0], each: None }),
            RateProfile::OnOff(OnOff { on: S, off: 2 * S, rate: 200.0, off_rate: 5.0 }),
        ] {
            // Given their number, arrivals are spread as the cumulative rate.
            let total = rate.expected(60 * S, Some(60 * S));
            let all: Vec<f64> = times(rate.clone(), ArrivalProcess::Poisson, 3)
                .map(|at| rate.expected(at, Some(60 * S)) / total)
                .collect();
            let critical = 1.358 / (all.len() as f64).sqrt();
            let distance = ks(all, |x| x);
            assert!(distance < critical, "{rate:?}: {distance} of {critical}");
        }
    }

    #[test]
    fn counts_are_exact_in_expectation() {
        let ramp = RateProfile::Linear(Ramp { from: 2.0, to: 8.0, over: None });
        let exponential = RateProfile::Exponential(Ramp { from: 1.0, to: 10.0, over: None });
        let burst = RateProfile::OnOff(OnOff { on: S, off: 4 * S, rate: 20.0, off_rate: 1.0 });
        let flat = RateProfile::Constant(5.0);
        assert_eq!(ramp.expected(60 * S, Some(60 * S)), 300.0);
        assert_eq!(burst.expected(60 * S, Some(60 * S)), 288.0);
        // 9·60/ln 10.
        assert!((exponential.expected(60 * S, Some(60 * S)) - 234.5190).abs() < 1e-4);
        for (rate, process) in [
            (ramp, ArrivalProcess::Poisson),
            (exponential, ArrivalProcess::Poisson),
            (burst, ArrivalProcess::Poisson),
            (flat.clone(), gamma(0.25)),
            (flat, gamma(4.0)),
        ] {
            let expected = rate.expected(60 * S, Some(60 * S));
            let counts: Vec<f64> =
                (0..400).map(|seed| times(rate.clone(), process, seed).count() as f64).collect();
            let mean = counts.iter().sum::<f64>() / 400.0;
            let variance = counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / 399.0;
            // Three standard errors of the mean.
            assert!(
                (mean - expected).abs() < 3.0 * (variance / 400.0).sqrt(),
                "{rate:?} {process:?}: {mean}"
            );
            if process == ArrivalProcess::Poisson {
                assert!((variance / expected - 1.0).abs() < 0.25, "{rate:?}: variance {variance}");
            }
        }
    }

    #[test]
    fn burstiness_sets_the_coefficient_of_variation() {
        for burstiness in [0.1, 0.5, 1.0, 2.0, 10.0] {
            let spec =
                ArrivalSpec { rate: RateProfile::Constant(50.0), arrivals: gamma(burstiness) };
            let gaps = gaps(spec.times(None, 11, 0).expect("a schedule").take(40_001));
            let mean = gaps.iter().sum::<f64>() / 40_000.0;
            let variance = gaps.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / 39_999.0;
            let cv = variance.sqrt() / mean;
            assert!((mean * 50.0 - 1.0).abs() < 0.05, "{burstiness}: mean {mean}");
            assert!((cv * burstiness.sqrt() - 1.0).abs() < 0.05, "{burstiness}: cv {cv}");
        }
    }

    #[test]
    fn schedules_are_fixed_for_ever() {
        // A change here changes every schedule of every user.
        let got = nanos(times(RateProfile::Constant(10.0), ArrivalProcess::Poisson, 1371).take(4));
        assert_eq!(got, POISSON);
        let ramp = RateProfile::Exponential(Ramp { from: 1.0, to: 100.0, over: None });
        assert_eq!(nanos(times(ramp, gamma(0.5), 1371).take(4)), GAMMA);
        let spec =
            ArrivalSpec { rate: RateProfile::Constant(10.0), arrivals: ArrivalProcess::Poisson };
        assert_ne!(nanos(spec.times(None, 1371, 1).expect("a schedule").take(4)), POISSON);
    }

    // Both were also computed by a second implementation, in another language.
    const POISSON: [u128; 4] = [36_156_665, 91_557_842, 116_537_712, 193_172_546];
    const GAMMA: [u128; 4] = [2_094_751_715, 2_273_456_718, 3_229_166_982, 4_746_849_818];

    #[test]
    fn scenarios_write_processes_so() {
        let parse = |text: &str| toml::from_str::<ArrivalSpec>(text).map_err(|e| e.to_string());
        let arrivals =
            |text: &str| parse(&format!("rate = 1\narrivals = {text}")).map(|s| s.arrivals);
        assert_eq!(parse("rate = 1").map(|s| s.arrivals), Ok(ArrivalProcess::Poisson));
        assert_eq!(arrivals("\"constant\""), Ok(ArrivalProcess::Constant));
        assert_eq!(arrivals("{ gamma = { burstiness = 0.5 } }"), Ok(gamma(0.5)));
        assert_eq!(arrivals("{ gamma = { burstiness = 2 } }"), Ok(gamma(2.0)));
        for (text, says) in [
            ("\"poison\"", "expected one of `constant`, `poisson`, `gamma`"),
            ("{ gamma = { burstiness = 0 } }", "burstiness is 0"),
            ("{ gamma = { burstiness = nan } }", "burstiness is NaN"),
            ("{ gamma = { burstiness = -0.5 } }", "burstiness is -0.5"),
            ("{ gamma = { shape = 1 } }", "unknown field `shape`"),
            ("{ gamma = {} }", "missing field `burstiness`"),
        ] {
            let error = arrivals(text).expect_err(text);
            assert!(error.contains(says) && error.contains("line 2, column"), "{text}: {error}");
        }
        let bad = ArrivalSpec { rate: RateProfile::Constant(1.0), arrivals: gamma(f64::NAN) };
        assert!(bad.times(None, 1, 0).is_err());
    }
}
