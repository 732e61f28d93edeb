//! How many streams at which rate a run is calibrated with. Pure.

use std::time::Duration;

use vllm_bench_record::Level;

/// What preflight's short requests showed of the server's pace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Probed {
    pub ttft: Option<Duration>,
    /// Time a token; `None` when the answer came in one chunk.
    pub tpot: Option<Duration>,
}

/// The load of a calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CalibrationLoad {
    /// Streams that the run's heaviest stage has at once.
    pub asked: u32,
    /// Streams that are tried: fewer where `asked` is more than makes sense here.
    pub streams: u32,
    /// Tokens a second of each stream.
    pub rate: f64,
}

/// More streams than this take too long to open and to fill for a few seconds' check.
pub(crate) const MOST_STREAMS: u32 = 1_024;

/// Streams where the plan names none.
const SOME_STREAMS: u32 = 64;

/// Tokens a second of a stream where the server was too short-spoken to tell.
const SOME_RATE: f64 = 50.0;

/// Slower and faster streams are taken for these: slower ones show too few tokens in
/// the time there is, faster ones are no model's.
const RATES: (f64, f64) = (5.0, 1_000.0);

/// Where the server told nothing of its first token.
const SOME_TTFT: Duration = Duration::from_millis(200);

impl CalibrationLoad {
    /// For the heaviest of `levels`, each with its cap on requests in flight, whose answers have
    /// at most `max_tokens`.
    pub(crate) fn of(
        levels: impl IntoIterator<Item = (Level, Option<u32>)>,
        max_tokens: u32,
        probed: Probed,
    ) -> Self {
        let rate = probed.tpot.map_or(SOME_RATE, |tpot| 1.0 / tpot.as_secs_f64());
        let rate = rate.clamp(RATES.0, RATES.1);
        let answer = probed.ttft.unwrap_or(SOME_TTFT).as_secs_f64() + f64::from(max_tokens) / rate;
        let at_once = |(level, cap): (Level, Option<u32>)| match level {
            Level::Concurrency(users) => users,
            Level::Rate(rate) => ((rate * answer).ceil() as u32).min(cap.unwrap_or(u32::MAX)),
        };
        let asked = levels.into_iter().map(at_once).max().unwrap_or(SOME_STREAMS).max(1);
        Self { asked, streams: asked.min(MOST_STREAMS), rate }
    }

    /// Tokens a second, all streams together.
    pub(crate) fn tokens_per_second(&self) -> f64 {
        f64::from(self.streams) * self.rate
    }

    /// The same, at most `most` tokens a second in all.
    pub(crate) fn at_most(self, most: f64) -> Self {
        let share = (most / self.tokens_per_second()).min(1.0);
        Self { rate: self.rate * share, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_stage_counts() {
        let probed = Probed {
            ttft: Some(Duration::from_millis(100)),
            tpot: Some(Duration::from_millis(10)),
        };
        let users = |n| (Level::Concurrency(n), None);
        let open = |rate, cap| (Level::Rate(rate), cap);
        for (levels, asked, streams) in [
            (vec![users(4), users(16), users(8)], 16, 16),
            (vec![], 64, 64),
            // An answer of 90 tokens takes a second.
            (vec![open(20.0, None)], 20, 20),
            (vec![open(20.0, Some(7))], 7, 7),
            (vec![users(4_096)], 4_096, 1_024),
        ] {
            let load = CalibrationLoad::of(levels.clone(), 90, probed);
            assert_eq!((load.asked, load.streams), (asked, streams), "{levels:?}");
            assert!((load.rate - 100.0).abs() < 1e-6);
        }
    }

    #[test]
    fn rates_stay_within_what_makes_sense() {
        let rate = |tpot_us: Option<u64>| {
            let probed = Probed { ttft: None, tpot: tpot_us.map(Duration::from_micros) };
            CalibrationLoad::of([(Level::Concurrency(10), None)], 16, probed).rate
        };
        assert_eq!((rate(None), rate(Some(0)), rate(Some(1_000_000))), (50.0, 1_000.0, 5.0));
        let capped = CalibrationLoad { asked: 10, streams: 10, rate: 100.0 }.at_most(500.0);
        assert_eq!((capped.streams, capped.rate), (10, 50.0));
        assert_eq!(capped.at_most(9_000.0), capped);
    }
}
