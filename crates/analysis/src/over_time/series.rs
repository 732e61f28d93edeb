//! A stage cut into stretches, and its figures in each.

use std::collections::BTreeMap;
use std::time::Duration;

use vllm_bench_record::{GpuSample, Timestamp};

use super::Watched;
use super::trend::{FEWEST, median};
use crate::rows::RequestRow;

/// Stretches of equal length that make up a window.
pub(super) struct Stretches {
    from: Timestamp,
    each: Duration,
    count: usize,
}

/// Requests of a stretch, at least, about: enough for a median.
const REQUESTS: usize = 5;
/// Most stretches: more say nothing more.
const MOST: usize = 60;
/// A stretch with fewer requests has no median.
const LEAST: usize = 3;

impl Stretches {
    /// Of a window with so many requests; `None` where they are too few for a trend.
    pub(super) fn of(from: Timestamp, to: Timestamp, requests: usize) -> Option<Self> {
        let count = (requests / REQUESTS).min(MOST);
        let each = to.since(from) / u32::try_from(count.max(1)).ok()?;
        (count >= FEWEST && !each.is_zero()).then_some(Self { from, each, count })
    }

    /// The stretch of an instant.
    fn index(&self, at: Timestamp) -> Option<usize> {
        if at < self.from {
            return None;
        }
        let index = (at.since(self.from).as_nanos() / self.each.as_nanos()) as usize;
        // The window's last instant belongs to the last stretch.
        (index <= self.count).then_some(index.min(self.count - 1))
    }

    fn start(&self, index: usize) -> Timestamp {
        self.from + self.each * index as u32
    }
}

/// One figure, one value a stretch that has one.
pub(super) struct Series {
    pub(super) metric: Watched,
    pub(super) values: Vec<f64>,
    /// When each value's stretch began.
    pub(super) starts: Vec<Timestamp>,
}

impl Series {
    pub(super) fn ttft(rows: &[&RequestRow], stretches: &Stretches) -> Self {
        let of = |row: &&RequestRow| Some((row.sent_at?, row.ttft?.as_nanos() as f64));
        Self::medians(Watched::Ttft, rows.iter().filter_map(of), stretches, LEAST)
    }

    pub(super) fn tpot(rows: &[&RequestRow], stretches: &Stretches) -> Self {
        let of = |row: &&RequestRow| Some((row.sent_at?, row.tpot?.as_nanos() as f64));
        Self::medians(Watched::Tpot, rows.iter().filter_map(of), stretches, LEAST)
    }

    /// Of `rows` that ran in any part of the window; tokens taken as evenly spread between a request's
    /// first and last.
    pub(super) fn throughput(rows: &[&RequestRow], stretches: &Stretches) -> Self {
        let mut tokens = vec![0.0; stretches.count];
        for row in rows {
            let Some((first, last)) = row.first_token_at.zip(row.last_token_at) else { continue };
            let length = last.since(first).as_secs_f64();
            let count = row.output_tokens.map_or(0.0, f64::from);
            for (index, sum) in tokens.iter_mut().enumerate() {
                let (from, to) = (stretches.start(index), stretches.start(index + 1));
                if length == 0.0 {
                    *sum += if (from..to).contains(&first) { count } else { 0.0 };
                } else {
                    // Nothing, where the end is before the beginning.
                    let part = last.min(to).since(first.max(from)).as_secs_f64();
                    *sum += count * part / length;
                }
            }
        }
        let seconds = stretches.each.as_secs_f64();
        Self {
            metric: Watched::OutputThroughput,
            starts: (0..stretches.count).map(|i| stretches.start(i)).collect(),
            values: tokens.into_iter().map(|n| n / seconds).collect(),
        }
    }

    /// Of all devices together: the sum of their medians.
    pub(super) fn gpu_memory(samples: &[GpuSample], stretches: &Stretches) -> Self {
        let mut devices: BTreeMap<u32, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for sample in samples {
            let used = sample.memory_used_bytes.map(|bytes| (sample.at, bytes as f64));
            devices.entry(sample.gpu_index).or_default().extend(used);
        }
        let each: Vec<Self> = devices
            .into_values()
            .map(|told| Self::medians(Watched::GpuMemory, told.into_iter(), stretches, 1))
            .collect();
        let sum = |start: &Timestamp| -> Option<f64> {
            let at = |one: &Self| Some(one.values[one.starts.binary_search(start).ok()?]);
            each.iter().map(at).sum()
        };
        let starts = each.first().map_or(&[][..], |first| &first.starts);
        let (starts, values) =
            starts.iter().filter_map(|start| Some((*start, sum(start)?))).unzip();
        Self { metric: Watched::GpuMemory, values, starts }
    }

    fn medians(
        metric: Watched,
        values: impl Iterator<Item = (Timestamp, f64)>,
        stretches: &Stretches,
        least: usize,
    ) -> Self {
        let mut bins = vec![Vec::new(); stretches.count];
        for (at, value) in values {
            if let Some(index) = stretches.index(at) {
                bins[index].push(value);
            }
        }
        let told = bins.iter().enumerate().filter(|(_, bin)| bin.len() >= least);
        let (starts, values) =
            told.filter_map(|(i, bin)| Some((stretches.start(i), median(bin)?))).unzip();
        Self { metric, values, starts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_cut_by_its_requests() {
        let at = |s: u64| Timestamp::from_nanos(s * 1_000_000_000);
        assert!(Stretches::of(at(0), at(10), 39).is_none(), "too few");
        assert!(Stretches::of(at(5), at(5), 1000).is_none(), "no length");
        let cut = Stretches::of(at(10), at(20), 50).expect("ten stretches");
        assert_eq!((cut.count, cut.start(3)), (10, at(13)));
        let places = [9, 10, 13, 20, 22].map(|s| cut.index(at(s)));
        assert_eq!(places, [None, Some(0), Some(3), Some(9), None]);
    }
}
