//! What else changed when a figure did.

use vllm_bench_record::{EngineSample, GpuSample, Timestamp};

use super::trend::median;
use super::{Cause, ChangeKind, Watched};
use crate::dataset::Dataset;
use crate::text;

/// What was sampled around a change.
pub(super) struct Around<'a> {
    pub(super) dataset: &'a Dataset,
    /// The window's beginning.
    pub(super) from: Timestamp,
    /// Its end.
    pub(super) to: Timestamp,
}

/// A cause with its figures.
pub(super) struct Found {
    pub(super) kind: Cause,
    pub(super) words: String,
}

/// NVML's bits of clocks held back by power, heat or the board:
/// SW power cap, HW slowdown, SW thermal, HW thermal, HW power brake (nvml.h,
/// `nvmlClocksEventReason…`).
const THROTTLED: u64 = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;
/// SM clocks that fall by this share slow the GPU visibly.
const CLOCKS: f64 = 0.03;
/// A stage's first part, in which a change for the better is its warm-up.
const BEGINNING: f64 = 0.3;

impl Around<'_> {
    /// What a change at `at` looks like.
    pub(super) fn cause(
        &self,
        metric: Watched,
        change: ChangeKind,
        at: Timestamp,
        better: bool,
    ) -> Found {
        let found = |kind, words: String| Found { kind, words };
        if metric == Watched::GpuMemory {
            return found(
                Cause::Leak,
                "something keeps memory: a leak, or a cache that fills".into(),
            );
        }
        let length = self.to.since(self.from).as_secs_f64();
        if better {
            let early = at.since(self.from).as_secs_f64() <= BEGINNING * length;
            return match early {
                true => found(
                    Cause::WarmUp,
                    "it looks like a warm-up: give the stage more before it counts".into(),
                ),
                false => found(Cause::Unknown, "nothing that was sampled tells why".into()),
            };
        }
        let parts = match change {
            ChangeKind::Step => (at, at),
            // The first and the last third of a drift.
            ChangeKind::Drift => {
                let third = self.to.since(self.from) / 3;
                (self.from + third, self.to - third)
            }
        };
        self.throttling(parts)
            .or_else(|| self.preemption(parts))
            .or_else(|| self.queue(parts))
            .unwrap_or_else(|| found(Cause::Unknown, "nothing that was sampled tells why".into()))
    }

    fn throttling(&self, parts: Parts) -> Option<Found> {
        let clock = |s: &GpuSample| s.sm_clock_mhz.map(f64::from);
        let bits = |s: &GpuSample| s.throttle_reasons.map(|r| f64::from(r & THROTTLED != 0));
        let gpu = self.dataset.gpu();
        let (before, after) = self.split(gpu, |s| s.at, clock, parts)?;
        let heat = self.split(gpu, |s| s.at, |s| s.temperature_c.map(f64::from), parts);
        let more_bits = self.means(gpu, |s| s.at, bits, parts).is_some_and(|(b, a)| a > b + 0.2);
        if after > before * (1.0 - CLOCKS) && !more_bits {
            return None;
        }
        let heat = heat.map_or_else(String::new, |(b, a)| {
            format!(", temperature {} to {} °C", text::number(b), text::number(a))
        });
        let words = format!(
            "SM clock {} to {} MHz{heat}: the GPU throttles",
            text::number(before),
            text::number(after)
        );
        Some(Found { kind: Cause::Throttling, words })
    }

    fn preemption(&self, (left, right): Parts) -> Option<Found> {
        let engine = self.dataset.engine();
        let grown = |from: Timestamp, to: Timestamp| -> Option<u64> {
            let told = engine.iter().filter(|s| s.server_index == 0 && (from..=to).contains(&s.at));
            let mut counts = told.filter_map(|s| s.preemptions);
            let first = counts.next()?;
            Some(counts.next_back().unwrap_or(first).saturating_sub(first))
        };
        let (before, after) = (grown(self.from, left)?, grown(right, self.to)?);
        (after > 2 * before).then(|| Found {
            kind: Cause::Preemption,
            words: format!(
                "{} before and {} after: the KV cache is full",
                text::of(before, "preemption", "preemptions"),
                text::count(after)
            ),
        })
    }

    fn queue(&self, parts: Parts) -> Option<Found> {
        let waiting = |s: &EngineSample| s.waiting;
        let (before, after) = self.means(self.dataset.engine(), |s| s.at, waiting, parts)?;
        (after >= 1.0 && after > 2.0 * before).then(|| Found {
            kind: Cause::Queue,
            words: format!(
                "{} requests waited in the server before, {} after: it is asked for more than it can do",
                text::number(before),
                text::number(after)
            ),
        })
    }

    /// The median of `of` before and behind a change.
    fn split<T>(
        &self,
        samples: &[T],
        at: impl Fn(&T) -> Timestamp,
        of: impl Fn(&T) -> Option<f64>,
        parts: Parts,
    ) -> Option<(f64, f64)> {
        let (before, after) = self.values(samples, at, of, parts);
        Some((median(&before)?, median(&after)?))
    }

    /// The mean of `of` before and behind a change.
    fn means<T>(
        &self,
        samples: &[T],
        at: impl Fn(&T) -> Timestamp,
        of: impl Fn(&T) -> Option<f64>,
        parts: Parts,
    ) -> Option<(f64, f64)> {
        let (before, after) = self.values(samples, at, of, parts);
        let mean = |v: &[f64]| (!v.is_empty()).then(|| v.iter().sum::<f64>() / v.len() as f64);
        Some((mean(&before)?, mean(&after)?))
    }

    fn values<T>(
        &self,
        samples: &[T],
        at: impl Fn(&T) -> Timestamp,
        of: impl Fn(&T) -> Option<f64>,
        (left, right): Parts,
    ) -> (Vec<f64>, Vec<f64>) {
        let within = |from: Timestamp, to: Timestamp| {
            let there = samples.iter().filter(|s| (from..=to).contains(&at(s)));
            there.filter_map(&of).collect()
        };
        (within(self.from, left), within(right, self.to))
    }
}

/// The end of what is before a change, and the beginning of what is behind it.
type Parts = (Timestamp, Timestamp);
