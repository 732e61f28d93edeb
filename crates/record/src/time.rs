//! Time on the run clock: monotonic nanoseconds since run start, anchored to wall time once.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// An instant on the run clock: nanoseconds since the run's [`RunClock`] was started.
///
/// Serialises as a plain integer. Only timestamps of one run may be compared or subtracted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The run's start.
    pub const ZERO: Self = Self(0);

    /// The instant `ns` nanoseconds after run start.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since run start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Seconds since run start, for display.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs.as_nanos() as u64))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs.as_nanos() as u64))
    }
}

/// The clock of one run: a monotonic origin with the wall time read beside it.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    origin: Instant,
    wall: SystemTime,
}

impl RunClock {
    /// Starts the clock: from here on [`now`](Self::now) counts from zero.
    pub fn start() -> Self {
        // The narrowest of a few brackets, so that a preemption between the two
        // readings does not shift the anchor.
        let mut best = (Duration::MAX, Instant::now(), SystemTime::now());
        for _ in 0..16 {
            let before = Instant::now();
            let wall = SystemTime::now();
            let width = before.elapsed();
            if width < best.0 {
                best = (width, before + width / 2, wall);
            }
        }
        Self { origin: best.1, wall: best.2 }
    }

    /// Now, on this clock.
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// `instant` on this clock; run start when it is earlier.
    pub fn at(&self, instant: Instant) -> Timestamp {
        Timestamp(instant.saturating_duration_since(self.origin).as_nanos() as u64)
    }

    /// The monotonic instant of `timestamp`.
    pub fn instant(&self, timestamp: Timestamp) -> Instant {
        self.origin + Duration::from_nanos(timestamp.0)
    }

    /// Wall time at run start, nanoseconds since the Unix epoch.
    pub fn wall_start_unix_ns(&self) -> u64 {
        self.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let t = Timestamp::from_nanos(5);
        assert_eq!(t - Duration::from_nanos(9), Timestamp::ZERO);
        assert_eq!((t + Duration::from_nanos(2)).since(t), Duration::from_nanos(2));
        assert_eq!(Timestamp::ZERO.since(t), Duration::ZERO);
    }

    #[test]
    fn clock_round_trips() {
        let clock = RunClock::start();
        let t = Timestamp::from_nanos(1_234_567);
        assert_eq!(clock.at(clock.instant(t)), t);
    }
}
