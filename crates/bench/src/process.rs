//! What a process costs, and where it may run.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::unistd::Pid;

use crate::error::BenchError;

/// User and system time of this process so far, nanoseconds.
///
/// # Errors
/// When the system does not say.
pub fn cpu_ns() -> Result<u64, BenchError> {
    let sum = |usage: Usage| -> u64 {
        let times = [usage.user_time(), usage.system_time()];
        times.iter().map(|t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_usec() as u64 * 1000).sum()
    };
    getrusage(UsageWho::RUSAGE_SELF).map(sum).map_err(|e| BenchError::system("read CPU times")(e))
}

/// User and system time of process `pid` so far, all its threads, nanoseconds; in steps of
/// 10 ms. `None` when it is gone.
pub fn cpu_ns_of(pid: u32) -> Option<u64> {
    cpu_of(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `USER_HZ`, in which the kernel tells programs times: 100 on every architecture that Rust knows.
const TICK_NS: u64 = 10_000_000;

fn cpu_of(stat: &str) -> Option<u64> {
    // The name may hold anything; its parenthesis is the last. utime and stime are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * TICK_NS)
}

/// Most memory that a process (`None`: this one) ever held, bytes. `None`
/// where the system does not say.
///
/// Of `/proc`: `ru_maxrss` begins with the parent's at `exec`.
pub fn peak_rss_bytes(pid: Option<u32>) -> Option<u64> {
    let name = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    peak_of(&std::fs::read_to_string(format!("/proc/{name}/status")).ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The CPUs this process may run on, ascending.
pub fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or_default()).collect()
}

/// Lets a process (`None`: this thread and those it will start) run on `cpu` only.
///
/// # Errors
/// When there is no such CPU, or the process may not be moved.
pub fn pin(pid: Option<u32>, cpu: usize) -> Result<(), BenchError> {
    let pid = Pid::from_raw(pid.unwrap_or(0) as i32);
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(pid, &set))
        .map_err(|e| BenchError::system(format!("run on CPU {cpu}"))(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kibibytes() {
        assert_eq!(peak_of("VmPeak:\t 9 kB\nVmHWM:\t  1536 kB\nVmRSS:\t 1 kB\n"), Some(1536 << 10));
        assert_eq!(peak_of("VmPeak:\t 9 kB\n"), None);
        assert!(peak_rss_bytes(None).is_some_and(|bytes| bytes > 100 << 10));
    }

    #[test]
    fn cpu_times_are_found_behind_any_name() {
        let stat = "12 (a) b (c) S 1 2 3 0 -1 4194560 9 0 0 0 250 31 7 8 20 0 3 0 1 2 3";
        assert_eq!(cpu_of(stat), Some(2_810_000_000));
        assert_eq!(cpu_of("12 (x) S 1"), None);
        assert!(cpu_ns_of(std::process::id()).is_some());
    }

    #[test]
    fn work_shows_in_the_cpu_time() {
        let before = cpu_ns().expect("known");
        let mut sum = 0_u64;
        while cpu_ns().expect("known") < before + 5_000_000 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(sum > 0);
    }

    #[test]
    fn a_thread_can_be_pinned() {
        let all = cpus();
        let last = *all.last().expect("it runs somewhere");
        std::thread::spawn(move || {
            pin(None, last).expect("allowed");
            assert_eq!(cpus(), [last]);
        })
        .join()
        .expect("pinned");
        assert_eq!(cpus(), all, "other threads stay as they were");
        assert!(pin(None, 100_000).is_err());
    }
}
