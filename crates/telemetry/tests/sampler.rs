//! The sampling thread: on time, told apart from its source's troubles, stopped at once.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use vllm_bench_record::{GpuSource, RunClock, Timestamp};
use vllm_bench_telemetry::{Load, MIN_INTERVAL, Sampler, SimulatedSource, Source, TelemetryError};

const MS: Duration = Duration::from_millis(1);

/// Gives its own instants, after doing something.
struct Fake<F>(F);

impl<F: FnMut(u64) -> Result<(), TelemetryError> + Send> Source for Fake<F> {
    type Sample = Timestamp;

    fn name(&self) -> &'static str {
        "fake"
    }

    fn sample(&mut self, clock: &RunClock, out: &mut Vec<Timestamp>) -> Result<(), TelemetryError> {
        out.push(clock.now());
        (self.0)(out[0].as_nanos())
    }
}

#[test]
fn a_reading_does_not_delay_the_ones_after_it() {
    let (sender, receiver) = mpsc::channel();
    let four_ms = Fake(|_| {
        std::thread::sleep(4 * MS);
        Ok(())
    });
    let sampler = Sampler::start(four_ms, RunClock::start(), 10 * MS, move |samples| {
        let _ = sender.send(samples[0]);
    })
    .expect("a thread");
    let times: Vec<Timestamp> = receiver.iter().take(60).collect();
    let report = sampler.stop();
    assert!(report.ticks >= 60 && report.failures == 0, "{report:?}");
    assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
    // 59 intervals of 10 ms, where waiting 10 ms after each reading would make
    // 59 of 14. Instants skipped on a busy machine are taken off.
    let took = times[59].since(times[0]) - report.skipped.min(50) as u32 * 10 * MS;
    assert!((500 * MS..720 * MS).contains(&took), "{took:?} {report:?}");
}

#[test]
fn a_slow_source_skips_instead_of_bunching() {
    let clock = RunClock::start();
    let (sender, receiver) = mpsc::channel();
    let slow = Fake(|_| {
        std::thread::sleep(25 * MS);
        Ok(())
    });
    let sampler = Sampler::start(slow, clock, 10 * MS, move |samples| {
        sender.send(samples[0]).expect("the test listens");
    })
    .expect("a thread");
    let times: Vec<Timestamp> = receiver.iter().take(5).collect();
    let report = sampler.stop();
    assert!(report.skipped >= 2 * 4, "{report:?}");
    assert!(times.windows(2).all(|w| w[1].since(w[0]) >= 25 * MS), "{times:?}");
}

#[test]
fn a_stop_does_not_wait_for_the_interval() {
    let (sender, receiver) = mpsc::channel();
    let hour = Duration::from_secs(3600);
    let sampler = Sampler::start(Fake(|_| Ok(())), RunClock::start(), hour, move |samples| {
        sender.send(samples).expect("the test listens");
    })
    .expect("a thread");
    assert_eq!(receiver.recv().expect("a first sample at once").len(), 1);
    let start = Instant::now();
    let report = sampler.stop();
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!((report.ticks, report.skipped), (1, 0));
    assert!(receiver.recv().is_err(), "the thread and its sink are gone");
}

#[test]
fn failures_are_counted_the_first_is_kept_and_samples_still_come() {
    let mut n = 0;
    let failing = Fake(move |_| {
        n += 1;
        match n {
            2 | 4 => Err(TelemetryError::Url { url: format!("try-{n}") }),
            _ => Ok(()),
        }
    });
    let (sender, receiver) = mpsc::channel();
    let sampler = Sampler::start(failing, RunClock::start(), 10 * MS, move |samples| {
        let _ = sender.send(samples);
    })
    .expect("a thread");
    assert_eq!(receiver.iter().take(6).count(), 6);
    let report = sampler.stop();
    assert_eq!(report.failures, 2);
    assert!(report.first_error.is_some_and(|e| e.starts_with("try-2 is not")));
}

#[test]
fn a_panicking_source_is_a_failure_of_the_report() {
    let (sender, receiver) = mpsc::channel::<()>();
    let source = Fake(move |_| {
        let _sender = &sender;
        panic!("a bug in a source")
    });
    let sampler = Sampler::start(source, RunClock::start(), 10 * MS, |_| {}).expect("a thread");
    assert!(receiver.recv().is_err(), "the thread ends");
    let report = sampler.stop();
    assert_eq!(report.failures, 1);
    assert!(report.first_error.is_some_and(|e| e.contains("panicked")));
}

#[test]
fn too_short_an_interval_is_refused() {
    for interval in [Duration::ZERO, MIN_INTERVAL - MS] {
        let refused = Sampler::start(Fake(|_| Ok(())), RunClock::start(), interval, |_| {});
        assert!(matches!(refused, Err(TelemetryError::Interval { .. })), "{refused:?}");
    }
}

#[test]
fn the_simulated_gpu_is_labelled_and_follows_the_load() {
    let load = Load::default();
    let (sender, receiver) = mpsc::channel();
    let source: vllm_bench_telemetry::BoxedSource<_> = Box::new(SimulatedSource::new(load.clone()));
    let sampler = Sampler::start(source, RunClock::start(), 10 * MS, move |samples| {
        let _ = sender.send(samples);
    })
    .expect("a thread");
    let idle = receiver.recv().expect("a sample").remove(0);
    load.set(16);
    let busy = receiver.iter().map(|mut s| s.remove(0)).find(|s| s.power_mw > Some(200_000));
    let busy = busy.expect("it warms up");
    sampler.stop();
    assert_eq!((idle.source, busy.source), (GpuSource::Simulated, GpuSource::Simulated));
    assert!(busy.utilization_pct > idle.utilization_pct && busy.energy_mj > idle.energy_mj);
}
