//! What the load costs: CPU time of the threads that make it.

use std::time::Duration;

use vllm_bench_record::ClientCpu;

/// CPU time of the calling thread so far; `None` where the system does not tell.
pub(crate) fn thread_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        use nix::time::{ClockId, clock_gettime};
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok().map(Duration::from)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// CPU time of the calling thread since `before`, an earlier [`thread_time`] of it.
pub(crate) fn since(before: Option<Duration>) -> Option<Duration> {
    Some(thread_time()?.saturating_sub(before?))
}

/// CPU time of all workers over a stage of length `stage`; `None` when one is not known or
/// the stage had no length.
pub(crate) fn total(workers: &[Option<Duration>], stage: Duration) -> Option<ClientCpu> {
    let times = workers.iter().copied().collect::<Option<Vec<_>>>()?;
    let busiest = times.iter().max()?.as_secs_f64();
    (!stage.is_zero()).then(|| ClientCpu {
        total_ns: times.iter().sum::<Duration>().as_nanos() as u64,
        busiest_share: (busiest / stage.as_secs_f64()).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_is_a_share_of_the_stage() {
        let ms = |n| Some(Duration::from_millis(n));
        let cpu = total(&[ms(30), ms(50)], Duration::from_millis(200)).expect("all known");
        assert_eq!((cpu.total_ns, cpu.busiest_share), (80_000_000, 0.25));
        assert_eq!(total(&[ms(30), None], Duration::from_secs(1)), None);
        assert_eq!(total(&[ms(30)], Duration::ZERO), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_computes_is_seen() {
        let before = thread_time().expect("Linux tells");
        let mut sum = 0_u64;
        while thread_time().expect("Linux tells") < before + Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
