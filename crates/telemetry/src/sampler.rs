//! A thread that calls a [`Source`] at exact times.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vllm_bench_record::RunClock;

use crate::error::TelemetryError;
use crate::source::Source;

/// The shortest sampling interval.
pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// A thread that samples until it is stopped.
///
/// Sample `n` is due `n` intervals after the start, whatever the ones before
/// it took: no drift. A source that takes longer than an interval misses the
/// instants that passed meanwhile; they are counted, not made up for.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a [`Sampler`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SamplerReport {
    /// Times the source was called.
    pub ticks: u64,
    /// Times it was too slow to be called.
    pub skipped: u64,
    /// Times it failed.
    pub failures: u64,
    /// What it said the first time it failed, with its causes.
    pub first_error: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopping: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    report: SamplerReport,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sampler {
    /// Starts to sample: now, and every `interval` from now on. `sink` gets
    /// the samples of each reading, on the sampler's thread.
    ///
    /// # Errors
    /// When the interval is below [`MIN_INTERVAL`], or the thread cannot be started.
    pub fn start<S: Source + 'static>(
        source: S,
        clock: RunClock,
        interval: Duration,
        sink: impl FnMut(Vec<S::Sample>) + Send + 'static,
    ) -> Result<Self, TelemetryError> {
        if interval < MIN_INTERVAL {
            return Err(TelemetryError::Interval { interval });
        }
        let shared = Arc::new(Shared::default());
        let name = format!("sample {}", source.name());
        let thread = thread::Builder::new()
            .name(name.clone())
            .spawn({
                let shared = shared.clone();
                move || run(source, clock, interval, sink, &shared)
            })
            .map_err(|source| TelemetryError::Thread { name, source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How it goes so far.
    pub fn report(&self) -> SamplerReport {
        self.shared.lock().report.clone()
    }

    /// Stops at once, or when the reading in progress ends. Dropping does the same.
    pub fn stop(mut self) -> SamplerReport {
        self.join();
        self.report()
    }

    fn join(&mut self) {
        self.shared.lock().stop = true;
        self.shared.stopping.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            let report = &mut self.shared.lock().report;
            report.failures += 1;
            report.first_error.get_or_insert_with(|| "the sampling thread panicked".into());
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.join();
    }
}

fn run<S: Source>(
    mut source: S,
    clock: RunClock,
    interval: Duration,
    mut sink: impl FnMut(Vec<S::Sample>),
    shared: &Shared,
) {
    let start = Instant::now();
    let mut tick = 0;
    loop {
        let mut samples = Vec::new();
        let result = source.sample(&clock, &mut samples);
        if !samples.is_empty() {
            sink(samples);
        }
        let next = next_tick(tick, start.elapsed(), interval);
        let mut state = shared.lock();
        state.report.ticks += 1;
        state.report.skipped += next - tick - 1;
        if let Err(error) = result {
            state.report.failures += 1;
            if state.report.first_error.is_none() {
                let text = error.chain();
                tracing::warn!("{text}; said once, counted from here on");
                state.report.first_error = Some(text);
            }
        }
        tick = next;
        let due = start + offset(tick, interval);
        loop {
            if state.stop {
                return;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = shared.stopping.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The first tick after `tick` that is not past, `elapsed` after the start.
fn next_tick(tick: u64, elapsed: Duration, interval: Duration) -> u64 {
    let past = (elapsed.as_nanos() / interval.as_nanos()) as u64;
    past.max(tick) + 1
}

fn offset(tick: u64, interval: Duration) -> Duration {
    Duration::from_nanos((u128::from(tick) * interval.as_nanos()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_passed_are_skipped() {
        let ms = Duration::from_millis;
        for (tick, elapsed, next) in
            [(0, ms(0), 1), (0, ms(9), 1), (0, ms(10), 2), (3, ms(30), 4), (3, ms(75), 8)]
        {
            assert_eq!(next_tick(tick, elapsed, ms(10)), next, "{tick} {elapsed:?}");
        }
        assert_eq!(offset(360_000, ms(10)), Duration::from_secs(3600));
    }
}
