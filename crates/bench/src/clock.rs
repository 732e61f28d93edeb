//! The clock that all processes of a host share, and the ways onto it.

use nix::time::{ClockId, clock_gettime};
use vllm_bench_record::RunClock;

/// Brackets tried for one reading of an offset; the narrowest counts.
const BRACKETS: usize = 64;

/// How old an offset to wall time may be. At the kernel's largest slew
/// (500 ppm) it moves 50 µs in this time, at an ordinary one less than 1 µs.
const REFRESH_NS: u64 = 100_000_000;

/// `CLOCK_MONOTONIC`, nanoseconds.
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).expect("Linux has both clocks, and the pointer is valid");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// The instant of `clock`'s zero on `CLOCK_MONOTONIC`, nanoseconds.
pub fn run_clock_origin_ns(clock: &RunClock) -> u64 {
    let (_, middle, run) = narrowest(|| clock.now().as_nanos());
    middle - run
}

/// Width and middle of the narrowest bracket, and the reading within it.
fn narrowest(mut inner: impl FnMut() -> u64) -> (u64, u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..BRACKETS {
        let before = monotonic_ns();
        let reading = inner();
        let width = monotonic_ns() - before;
        if width < best.0 {
            best = (width, before + width / 2, reading);
        }
    }
    best
}

/// Puts the kernel's stamps, which are wall time, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallOffset {
    wall_minus_monotonic_ns: i64,
    read_at_ns: u64,
}

impl WallOffset {
    /// Reads the offset.
    pub(crate) fn read() -> Self {
        let (_, middle, wall) = narrowest(|| read(ClockId::CLOCK_REALTIME));
        Self { wall_minus_monotonic_ns: wall as i64 - middle as i64, read_at_ns: middle }
    }

    /// Reads it again if it is old at `now_ns`: wall time is slewed.
    pub(crate) fn refresh(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.read_at_ns) > REFRESH_NS {
            *self = Self::read();
        }
    }

    /// A wall-clock stamp on the monotonic clock.
    pub(crate) fn to_monotonic(self, wall_ns: i64) -> u64 {
        u64::try_from(wall_ns - self.wall_minus_monotonic_ns).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pause of the scheduler between two readings may cost here.
    const SLACK: u64 = 2_000_000;

    #[test]
    fn a_run_clock_lies_where_it_began() {
        let before = monotonic_ns();
        let clock = RunClock::start();
        let after = monotonic_ns();
        let origin = run_clock_origin_ns(&clock);
        assert!(origin + SLACK >= before && origin <= after + SLACK);
    }

    #[test]
    fn wall_time_maps_to_now() {
        let mut offset = WallOffset::read();
        let before = monotonic_ns();
        let mapped = offset.to_monotonic(read(ClockId::CLOCK_REALTIME) as i64);
        let after = monotonic_ns();
        assert!(mapped + SLACK >= before && mapped <= after + SLACK);
        let first_read = offset.read_at_ns;
        offset.refresh(first_read + REFRESH_NS);
        assert_eq!(offset.read_at_ns, first_read);
        offset.refresh(first_read + REFRESH_NS + 1);
        assert!(offset.read_at_ns > first_read);
    }
}
