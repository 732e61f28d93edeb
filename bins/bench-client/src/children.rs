//! Starts and ends the processes of a measurement.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vllm_bench_bench::{TruthCommand, TruthConfig, TruthProcess, TruthRole, monotonic_ns, process};

use crate::role::Role;

/// This program, to play `role`.
pub(crate) fn command(role: &Role) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("role").arg(serde_json::to_string(role)?);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

/// A child that does not outlive its owner.
pub(crate) struct Owned(Child);

impl Owned {
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("cannot start {name}"))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Both fail when it has ended already, as it should have.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a truth server.
pub(crate) fn start_truth(config: TruthConfig, cpu: Option<usize>) -> anyhow::Result<TruthProcess> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(TruthProcess::start(&TruthCommand::new(program), &TruthRole { config, cpu })?)
}

/// The client is stopped this long, and then runs as long.
const STALL: Duration = Duration::from_millis(30);

/// What a child cost that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    /// When it was looked at, and its CPU time until then.
    looks: Vec<(u64, u64)>,
    /// Of its last look; `None` where it was too short to look.
    pub peak_rss_bytes: Option<u64>,
}

impl Cost {
    /// CPU time from one instant to another, both within the child's life.
    pub(crate) fn cpu_ns_between(&self, from_ns: u64, to_ns: u64) -> Option<f64> {
        Some(self.cpu_ns_at(to_ns)? - self.cpu_ns_at(from_ns)?)
    }

    /// On a straight line between the looks before and after.
    fn cpu_ns_at(&self, at_ns: u64) -> Option<f64> {
        let next = self.looks.partition_point(|look| look.0 < at_ns);
        let (before, after) = (self.looks.get(next.checked_sub(1)?)?, self.looks.get(next)?);
        let share = (at_ns - before.0) as f64 / (after.0 - before.0) as f64;
        Some(before.1 as f64 + share * (after.1 - before.1) as f64)
    }
}

/// Waits for the end of `child`; with `stalled` it is stopped half of the time.
pub(crate) fn wait(mut child: Owned, stalled: bool, limit: Duration) -> anyhow::Result<Cost> {
    let started = Instant::now();
    let mut peak_rss_bytes = None;
    let mut looks = Vec::new();
    loop {
        if let Some(status) = child.0.try_wait()? {
            ensure!(status.success(), "the client failed: {status}");
            return Ok(Cost { looks, peak_rss_bytes });
        }
        if started.elapsed() > limit {
            bail!("the client did not end within {limit:?}");
        }
        if stalled {
            // It has not been waited for: the number is still its own.
            let pid = Pid::from_raw(child.id() as i32);
            kill(pid, Signal::SIGSTOP)?;
            sleep(STALL);
            kill(pid, Signal::SIGCONT)?;
            sleep(STALL);
        } else {
            looks.extend(process::cpu_ns_of(child.id()).map(|cpu_ns| (monotonic_ns(), cpu_ns)));
            peak_rss_bytes = process::peak_rss_bytes(Some(child.id())).or(peak_rss_bytes);
            sleep(Duration::from_millis(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_between_looks() {
        let looks = vec![(100, 1_000), (200, 1_000), (300, 3_000), (400, 3_500)];
        let cost = Cost { looks, peak_rss_bytes: None };
        for (from, to, expected) in [(150, 250, 1_000.0), (200, 400, 2_500.0), (310, 320, 50.0)] {
            assert_eq!(cost.cpu_ns_between(from, to), Some(expected), "{from} to {to}");
        }
        assert_eq!(cost.cpu_ns_between(50, 200), None, "before the first look");
        assert_eq!(cost.cpu_ns_between(150, 401), None, "after the last");
    }
}
