//! Ends a stage when one of its figures is known well enough: `load.until`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};
use vllm_bench_record::{
    Outcome, RequestRecord, SloMetric, SloStatistic, SloTarget, Timestamp, percentile,
};

use crate::search::Share;

/// `until = { metric = "ttft_p99", ci_width = "5%" }`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UntilSpec {
    /// A statistic of a latency that every request has one of.
    #[serde(deserialize_with = "metric")]
    pub metric: (SloMetric, SloStatistic),
    /// The 95 % confidence interval, upper − lower end, as a share of the figure.
    #[serde(deserialize_with = "width")]
    pub ci_width: f64,
}

fn metric<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(SloMetric, SloStatistic), D::Error> {
    let name = String::deserialize(deserializer)?;
    match SloTarget::parse(&name) {
        // Tokens of one answer are not independent of each other.
        Some(SloTarget::Latency(SloMetric::Itl, _)) => Err(D::Error::custom(
            "the gaps of one answer hang together, so that an interval of ITL would be too narrow; use tpot",
        )),
        Some(SloTarget::Latency(_, SloStatistic::Max)) => {
            Err(D::Error::custom("a maximum has no interval; use a percentile or the mean"))
        }
        Some(SloTarget::Latency(metric, statistic)) => Ok((metric, statistic)),
        _ => Err(D::Error::invalid_value(
            Unexpected::Str(&name),
            &"a latency with its statistic, such as \"ttft_p99\" or \"tpot_mean\"",
        )),
    }
}

fn width<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let Share(share) = Share::deserialize(deserializer)?;
    if share > 0.0 && share < 1.0 {
        return Ok(share);
    }
    Err(D::Error::invalid_value(
        Unexpected::Float(share),
        &"a share above 0 and below 1, such as \"5%\"",
    ))
}

/// How well one figure of a stage is known so far.
#[derive(Debug)]
pub(crate) struct Precision {
    spec: UntilSpec,
    /// The beginning of the stage whose requests do not count, and where it ends.
    warmup: Duration,
    from: Timestamp,
    values: Vec<f64>,
    /// Values when it was looked at last.
    judged: usize,
}

/// Looks again when there is this much more to see: looking after each request would cost much, and
/// the more often one looks the sooner chance alone makes an interval narrow.
const GROWTH: f64 = 1.05;

impl Precision {
    /// `warmup`: the beginning of the stage whose requests do not count.
    pub(crate) fn new(spec: UntilSpec, warmup: Option<Duration>) -> Self {
        let warmup = warmup.unwrap_or_default();
        Self { spec, warmup, from: Timestamp::ZERO, values: Vec::new(), judged: 0 }
    }

    /// The stage starts.
    pub(crate) fn begin(&mut self, at: Timestamp) {
        self.from = at + self.warmup;
    }

    /// Takes a finished request in.
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        if record.outcome != Outcome::Completed || record.scheduled_at < self.from {
            return;
        }
        let value = match self.spec.metric.0 {
            SloMetric::Ttft => record.ttft(),
            SloMetric::TtftFromSchedule => record.ttft_from_schedule(),
            SloMetric::Tpot => record.tpot(),
            SloMetric::E2e => record.e2e(),
            SloMetric::E2eFromSchedule => record.e2e_from_schedule(),
            SloMetric::Itl => None,
        };
        self.values.extend(value.map(|d| d.as_nanos() as f64));
    }

    /// Whether the interval is as narrow as asked.
    pub(crate) fn is_reached(&mut self) -> bool {
        let n = self.values.len();
        let q = self.spec.metric.1.quantile();
        let enough = q.map_or(MEAN_FLOOR, percentile::sample_floor);
        if (n as u64) < enough || (n as f64) < self.judged as f64 * GROWTH {
            return false;
        }
        self.judged = n;
        self.width(q).is_some_and(|width| width <= self.spec.ci_width)
    }

    /// Width of the interval as a share of the figure.
    fn width(&mut self, q: Option<f64>) -> Option<f64> {
        let Some(q) = q else {
            let n = self.values.len() as f64;
            let mean = self.values.iter().sum::<f64>() / n;
            let squares: f64 = self.values.iter().map(|v| (v - mean).powi(2)).sum();
            let error = (squares / (n - 1.0) / n).sqrt();
            return (mean > 0.0).then(|| 2.0 * percentile::Z * error / mean);
        };
        self.values.sort_unstable_by(f64::total_cmp);
        let value = percentile::quantile(&self.values, q)?;
        let (low, high) = percentile::quantile_interval(&self.values, q);
        (value > 0.0).then(|| Some((high? - low?) / value))?
    }
}

/// The fewest values whose mean has an interval worth the name.
const MEAN_FLOOR: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<UntilSpec, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    fn after(spec: UntilSpec, values: impl Iterator<Item = f64>) -> Option<usize> {
        let mut precision = Precision::new(spec, None);
        for (n, value) in values.enumerate() {
            precision.values.push(value);
            if precision.is_reached() {
                return Some(n + 1);
            }
        }
        None
    }

    /// Evenly spread over 90 to 110, in an order without trend.
    fn even() -> impl Iterator<Item = f64> {
        (0..20_000u64).map(|n| 90.0 + 20.0 * ((n * 7_919 % 10_007) as f64 / 10_007.0))
    }

    #[test]
    fn a_narrower_interval_takes_more_requests() {
        let wide = after(spec("metric = \"ttft_p50\"\nci_width = 0.05").expect("good"), even());
        let narrow = after(spec("metric = \"ttft_p50\"\nci_width = \"1%\"").expect("good"), even());
        // The half width of a median of n even values over 20 is about 20/√n.
        let (wide, narrow) = (wide.expect("reached"), narrow.expect("reached"));
        assert!((30..130).contains(&wide), "{wide}");
        assert!((1_000..2_500).contains(&narrow), "{narrow}");
        let mean = after(spec("metric = \"e2e_mean\"\nci_width = \"1%\"").expect("good"), even());
        assert!((300..900).contains(&mean.expect("reached")), "{mean:?}");
    }

    #[test]
    fn a_percentile_waits_for_the_samples_that_it_needs() {
        let spec = spec("metric = \"ttft_p99\"\nci_width = \"90%\"").expect("good");
        assert_eq!(after(spec, std::iter::repeat_n(5.0, 2_000)), Some(662));
        assert_eq!(after(spec, std::iter::repeat_n(5.0, 600)), None);
    }

    #[test]
    fn what_has_no_interval_is_refused() {
        for (text, words) in [
            ("metric = \"itl_p99\"\nci_width = 0.05", "use tpot"),
            ("metric = \"ttft_max\"\nci_width = 0.05", "no interval"),
            ("metric = \"error_rate\"\nci_width = 0.05", "such as \"ttft_p99\""),
            ("metric = \"ttft\"\nci_width = 0.05", "such as \"ttft_p99\""),
            ("metric = \"ttft_p99\"\nci_width = 0", "above 0"),
            ("metric = \"ttft_p99\"\nci_width = \"5\"", "such as"),
        ] {
            let error = spec(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
