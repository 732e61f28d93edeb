//! What a stage costs: energy from the GPUs' own counters, money by the GPU hour, and how many
//! people could read along.

mod columns;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vllm_bench_record::{GpuSample, Timestamp};

use crate::dataset::{Dataset, devices};
use crate::rows::RequestRow;
use crate::stage::WindowSummary;

pub(crate) use columns::{COLUMNS, notes, told};

/// What the reader of a run knows and the run does not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Price of one GPU for an hour, in any currency; `None`: no costs.
    pub gpu_hour: Option<f64>,
    /// GPUs of the server; `None`: those that were sampled.
    pub gpus: Option<u32>,
    /// Tokens a second that a person reads.
    pub reading_speed: f64,
}

/// Tokens a second that a person reads: 238 words a minute (M. Brysbaert, "How many words do we read
/// per minute?", Journal of Memory and Language 109 (2019), silent reading of English non-fiction)
/// at 4 tokens for 3 words, OpenAI's rule of thumb for English.
pub const READING_SPEED: f64 = 5.3;

impl Default for Prices {
    fn default() -> Self {
        Self { gpu_hour: None, gpus: None, reading_speed: READING_SPEED }
    }
}

/// What the window of a stage costs. `None` is "cannot be told", never 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Economy {
    /// GPUs that are counted.
    pub gpus: Option<u32>,
    /// Output tokens a second of each GPU.
    pub output_tokens_per_s_per_gpu: Option<f64>,
    /// Energy of all sampled GPUs; `None` where samples do not reach over the window.
    pub energy: Option<Energy>,
    /// Price of a million output tokens, in the currency of [`Prices::gpu_hour`].
    pub per_million_output_tokens: Option<f64>,
    /// Price of a million tokens, those of the prompts counted.
    pub per_million_tokens: Option<f64>,
    /// Price of a thousand completed requests.
    pub per_thousand_requests: Option<f64>,
    /// People who could read along; `None` of answers without a pace.
    pub readers: Option<Readers>,
}

/// Energy of all sampled GPUs over a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// Where it comes from.
    pub source: EnergySource,
    /// Joules.
    pub joules: f64,
    /// Mean power, watts.
    pub mean_w: f64,
    /// Mean power of the same GPUs with no request in flight, watts; `None` where that was not sampled.
    pub idle_w: Option<f64>,
    /// Joules an output token.
    pub per_output_token_j: Option<f64>,
    /// The same without what the idle GPUs would have used.
    pub above_idle_per_output_token_j: Option<f64>,
    /// Joules a completed request.
    pub per_request_j: Option<f64>,
}

/// Where an energy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnergySource {
    /// The driver's energy counter.
    Counter,
    /// Power readings, integrated: what happens between two of them is not seen.
    Power,
}

/// People who read answers while they are written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Readers {
    /// Tokens a second that each of them reads.
    pub tokens_per_s: f64,
    /// Share of the completed requests whose tokens came at least that fast (by TPOT), 0 to 1.
    pub kept_up: f64,
    /// People at once whom the output throughput could feed at that speed.
    pub fed: Option<f64>,
}

/// What the economy of every stage of a run is reckoned with.
pub(crate) struct Meter<'a> {
    devices: Vec<Vec<&'a GpuSample>>,
    /// When no request was in flight.
    idle: Vec<(Timestamp, Timestamp)>,
    prices: Prices,
}

impl<'a> Meter<'a> {
    pub(crate) fn of(dataset: &'a Dataset, prices: Prices) -> Self {
        let devices: Vec<_> = devices(dataset.gpu()).into_values().collect();
        let idle = if devices.is_empty() { Vec::new() } else { idle_spans(dataset) };
        Self { devices, idle, prices }
    }

    /// Of the window of a stage whose rows are `rows`.
    pub(crate) fn economy(&self, rows: &[&RequestRow], window: &WindowSummary) -> Economy {
        let Prices { gpu_hour, gpus, reading_speed } = self.prices;
        let sampled = self.devices.len() as u32;
        let gpus = gpus.or((sampled > 0).then_some(sampled));
        let hour = gpu_hour.zip(gpus).map(|(price, gpus)| price * f64::from(gpus));
        let each = |per_s: Option<f64>, lot: f64| {
            let per_s = per_s.filter(|v| *v > 0.0)?;
            Some(hour? / 3600.0 / per_s * lot)
        };
        Economy {
            gpus,
            output_tokens_per_s_per_gpu: window
                .output_tokens_per_s
                .zip(gpus)
                .map(|(rate, gpus)| rate / f64::from(gpus)),
            energy: self.energy(window),
            per_million_output_tokens: each(window.output_tokens_per_s, 1e6),
            per_million_tokens: each(window.total_tokens_per_s, 1e6),
            per_thousand_requests: each(window.completed_per_s, 1e3),
            readers: readers(rows, window, reading_speed),
        }
    }

    fn energy(&self, window: &WindowSummary) -> Option<Energy> {
        let (from, to, seconds) = (window.from_ns, window.to_ns, window.seconds);
        if self.devices.is_empty() || seconds <= 0.0 {
            return None;
        }
        let all = |of: &dyn Fn(&[&GpuSample]) -> Option<f64>| -> Option<f64> {
            self.devices.iter().map(|samples| of(samples)).sum()
        };
        let (source, joules) = match all(&|samples| counted(samples, from, to)) {
            Some(joules) => (EnergySource::Counter, joules),
            None => (EnergySource::Power, all(&|samples| integrated(samples, from, to))?),
        };
        let idle_w = all(&|samples| idle_power(samples, &self.idle));
        let tokens = window.output_tokens_per_s.map(|rate| rate * seconds).filter(|n| *n > 0.0);
        let requests = window.completed_per_s.map(|rate| rate * seconds).filter(|n| *n > 0.0);
        Some(Energy {
            source,
            joules,
            mean_w: joules / seconds,
            idle_w,
            per_output_token_j: tokens.map(|n| joules / n),
            above_idle_per_output_token_j: tokens
                .zip(idle_w)
                .map(|(n, idle)| (joules - idle * seconds) / n),
            per_request_j: requests.map(|n| joules / n),
        })
    }
}

fn readers(rows: &[&RequestRow], window: &WindowSummary, speed: f64) -> Option<Readers> {
    let within = |row: &&&RequestRow| {
        row.completed()
            && row.sent_at.is_some_and(|at| (window.from_ns..=window.to_ns).contains(&at))
    };
    let paces: Vec<Duration> = rows.iter().filter(within).filter_map(|row| row.tpot).collect();
    let kept = paces.iter().filter(|tpot| tpot.as_secs_f64() * speed <= 1.0).count();
    (!paces.is_empty()).then(|| Readers {
        tokens_per_s: speed,
        kept_up: kept as f64 / paces.len() as f64,
        fed: window.output_tokens_per_s.map(|rate| rate / speed),
    })
}

/// The counter's rise from `from` to `to`, joules, readings joined by lines; `None` where they do not
/// reach over the window, or the counter ran backwards (a driver that was loaded anew).
fn counted(samples: &[&GpuSample], from: Timestamp, to: Timestamp) -> Option<f64> {
    let told: Vec<(Timestamp, f64)> =
        samples.iter().filter_map(|s| Some((s.at, s.energy_mj? as f64 / 1e3))).collect();
    if told.windows(2).any(|pair| pair[1].1 < pair[0].1) {
        return None;
    }
    Some(at(&told, to)? - at(&told, from)?)
}

/// Power over time, joules; `None` where readings do not reach over the window.
fn integrated(samples: &[&GpuSample], from: Timestamp, to: Timestamp) -> Option<f64> {
    let told: Vec<(Timestamp, f64)> =
        samples.iter().filter_map(|s| Some((s.at, s.power_mw? as f64 / 1e3))).collect();
    let mut line = vec![(from, at(&told, from)?)];
    line.extend(told.iter().filter(|(t, _)| *t > from && *t < to));
    line.push((to, at(&told, to)?));
    let pieces = line.windows(2).map(|pair| {
        let [(start, a), (end, b)] = [pair[0], pair[1]];
        (a + b) / 2.0 * end.since(start).as_secs_f64()
    });
    Some(pieces.sum())
}

/// The value at `instant` on the lines between readings. A window may reach beyond the first and the
/// last reading by one period: samples and stages do not begin in step.
fn at(told: &[(Timestamp, f64)], instant: Timestamp) -> Option<f64> {
    let next = told.partition_point(|(t, _)| *t < instant);
    let line = |a: usize, b: usize| {
        let ((t0, v0), (t1, v1)) = (*told.get(a)?, *told.get(b)?);
        let length = t1.since(t0).as_nanos() as f64;
        if length == 0.0 {
            return Some(v0);
        }
        let along = instant.as_nanos() as f64 - t0.as_nanos() as f64;
        (-length..=2.0 * length).contains(&along).then(|| v0 + (v1 - v0) * along / length)
    };
    match next {
        0 => line(0, 1),
        n if n == told.len() => line(n.checked_sub(2)?, n - 1),
        n => line(n - 1, n),
    }
}

/// A GPU needs some time to come to rest.
const REST: Duration = Duration::from_secs(2);

/// When no request was in flight, from two seconds after the last.
fn idle_spans(dataset: &Dataset) -> Vec<(Timestamp, Timestamp)> {
    let mut flights: Vec<(Timestamp, Timestamp)> =
        dataset.requests().iter().filter_map(RequestRow::in_flight).collect();
    flights.sort_unstable();
    let mut spans = Vec::new();
    // Before the first request the GPU has been at rest for as long as the run knows.
    let mut from = Timestamp::ZERO;
    for (sent, end) in flights {
        if sent > from {
            spans.push((from, sent));
        }
        from = from.max(end + REST);
    }
    spans.push((from, Timestamp::from_nanos(u64::MAX)));
    spans
}

/// Fewer readings at rest say nothing.
const IDLE_SAMPLES: usize = 3;

/// The mean of the power readings at rest, watts.
fn idle_power(samples: &[&GpuSample], idle: &[(Timestamp, Timestamp)]) -> Option<f64> {
    let at_rest = |at: Timestamp| {
        let next = idle.partition_point(|(from, _)| *from <= at);
        next.checked_sub(1).is_some_and(|i| at < idle[i].1)
    };
    let told: Vec<f64> = samples
        .iter()
        .filter(|s| at_rest(s.at))
        .filter_map(|s| Some(s.power_mw? as f64 / 1e3))
        .collect();
    (told.len() >= IDLE_SAMPLES).then(|| told.iter().sum::<f64>() / told.len() as f64)
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::GpuSource;

    use super::*;

    fn second(s: f64) -> Timestamp {
        Timestamp::from_nanos((s * 1e9) as u64)
    }

    fn sample(s: f64, power_w: u64, energy_j: Option<u64>) -> GpuSample {
        GpuSample {
            power_mw: Some(power_w * 1000),
            energy_mj: energy_j.map(|j| j * 1000),
            ..GpuSample::untold(second(s), 0, GpuSource::Nvml)
        }
    }

    #[test]
    fn the_counter_is_read_between_its_readings() {
        let samples = [
            sample(0.0, 100, Some(1000)),
            sample(1.0, 300, Some(1200)),
            sample(2.0, 300, Some(1500)),
        ];
        let samples: Vec<&GpuSample> = samples.iter().collect();
        assert_eq!(counted(&samples, second(0.5), second(1.5)), Some(250.0));
        assert_eq!(counted(&samples, second(0.5), second(2.5)), Some(550.0), "one period beyond");
        assert_eq!(counted(&samples, second(0.5), second(4.0)), None, "the window is not covered");
        let back = [sample(0.0, 1, Some(9)), sample(1.0, 1, Some(3))];
        assert_eq!(counted(&[&back[0], &back[1]], second(0.0), second(1.0)), None);
    }

    #[test]
    fn power_is_integrated_by_trapezoids() {
        let samples = [sample(0.0, 100, None), sample(1.0, 300, None), sample(3.0, 100, None)];
        let samples: Vec<&GpuSample> = samples.iter().collect();
        assert_eq!(integrated(&samples, second(0.0), second(1.0)), Some(200.0));
        assert_eq!(integrated(&samples, second(0.5), second(2.0)), Some(125.0 + 250.0));
        assert_eq!(counted(&samples, second(0.0), second(1.0)), None, "no counter");
    }

    #[test]
    fn rest_is_where_nothing_is_in_flight() {
        let samples = [
            sample(0.0, 60, None),
            sample(0.5, 70, None),
            sample(1.5, 400, None),
            sample(9.0, 80, None),
        ];
        let samples: Vec<&GpuSample> = samples.iter().collect();
        let idle = [(Timestamp::ZERO, second(1.0)), (second(6.0), second(10.0))];
        assert_eq!(idle_power(&samples, &idle), Some(70.0));
        assert_eq!(idle_power(&samples[2..], &idle), None, "one reading says nothing");
    }
}
