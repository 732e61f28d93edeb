//! What else changed when a figure did.

use std::collections::BTreeMap;

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

/// SM clocks that fall by this share slow the GPU visibly.
const CLOCKS: f64 = 0.03;
/// … and so does the driver when it holds them back in this share of the samples more.
const OFTENER: f64 = 0.2;
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
        let found = |kind, words: &str| Found { kind, words: words.into() };
        let unknown = || found(Cause::Unknown, "nothing that was sampled tells why");
        if metric == Watched::GpuMemory {
            return found(Cause::Leak, "something keeps memory: a leak, or a cache that fills");
        }
        if better {
            let beginning = self.to.since(self.from).mul_f64(BEGINNING);
            return match at.since(self.from) <= beginning {
                true => found(
                    Cause::WarmUp,
                    "it looks like a warm-up: give the stage more before it counts",
                ),
                false => unknown(),
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
            .unwrap_or_else(unknown)
    }

    fn throttling(&self, parts: Parts) -> Option<Found> {
        let gpu = self.dataset.gpu();
        let told = |of: fn(&GpuSample) -> Option<f64>, statistic| {
            self.around(gpu, |s| s.at, of, parts, statistic)
        };
        let clock = told(|s| s.sm_clock_mhz.map(f64::from), median);
        let heat = told(|s| s.temperature_c.map(f64::from), median);
        let held = told(|s| s.throttled().map(|held| f64::from(u8::from(held))), mean);
        let slower = clock.is_some_and(|(before, after)| after <= before * (1.0 - CLOCKS));
        let oftener = held.is_some_and(|(before, after)| after > before + OFTENER);
        if !slower && !oftener {
            return None;
        }
        let change = |name: &str, unit: &str, pair: Option<(f64, f64)>| {
            pair.map(|(b, a)| format!("{name} {} to {} {unit}", text::number(b), text::number(a)))
        };
        let percent = |(before, after): (f64, f64)| (before * 100.0, after * 100.0);
        let parts = [
            change("SM clock", "MHz", clock),
            change("temperature", "°C", heat),
            change("clocks held back in", "% of samples", held.filter(|_| oftener).map(percent)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let words = format!("{}: the GPU throttles", parts.join(", "));
        Some(Found { kind: Cause::Throttling, words })
    }

    fn preemption(&self, (left, right): Parts) -> Option<Found> {
        let (before, after) = (self.preempted(self.from, left)?, self.preempted(right, self.to)?);
        (after > 2 * before).then(|| Found {
            kind: Cause::Preemption,
            words: format!(
                "{} before and {} after: the KV cache is full",
                text::of(before, "preemption", "preemptions"),
                text::count(after)
            ),
        })
    }

    /// Preemptions of all servers in a span; `None` where none tells.
    fn preempted(&self, from: Timestamp, to: Timestamp) -> Option<u64> {
        let mut ends: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for sample in self.dataset.engine().iter().filter(|s| (from..=to).contains(&s.at)) {
            let Some(count) = sample.preemptions else { continue };
            ends.entry(sample.server_index).or_insert((count, count)).1 = count;
        }
        let grown = ends.values().map(|(first, last)| last.saturating_sub(*first));
        (!ends.is_empty()).then(|| grown.sum())
    }

    fn queue(&self, parts: Parts) -> Option<Found> {
        let waiting = |s: &EngineSample| s.waiting;
        let (before, after) = self.around(self.dataset.engine(), |s| s.at, waiting, parts, mean)?;
        (after >= 1.0 && after > 2.0 * before).then(|| Found {
            kind: Cause::Queue,
            words: format!(
                "{} requests waited in the server before, {} after: it is asked for more than it can do",
                text::number(before),
                text::number(after)
            ),
        })
    }

    /// The statistic of what `samples` tell before a change, and behind it.
    fn around<T>(
        &self,
        samples: &[T],
        at: impl Fn(&T) -> Timestamp,
        of: impl Fn(&T) -> Option<f64>,
        (left, right): Parts,
        statistic: fn(&[f64]) -> Option<f64>,
    ) -> Option<(f64, f64)> {
        let within = |from: Timestamp, to: Timestamp| {
            let there = samples.iter().filter(|s| (from..=to).contains(&at(s)));
            statistic(&there.filter_map(&of).collect::<Vec<f64>>())
        };
        within(self.from, left).zip(within(right, self.to))
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The end of what is before a change, and the beginning of what is behind it.
type Parts = (Timestamp, Timestamp);
