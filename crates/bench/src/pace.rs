//! When each token of an answer is due. Pure: no clock, no socket.

use serde::{Deserialize, Serialize};

/// The rhythm of an answer: absolute deadlines, counted from the request's
/// arrival, so that a late write delays none of those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From arrival to the first token, nanoseconds.
    pub ttft_ns: u64,
    /// From token to token, nanoseconds.
    pub itl_ns: u64,
    /// Each connection has a phase of its own within `itl_ns`, added to the
    /// first token's deadline, so that streams that begin together do not
    /// write together.
    pub staggered: bool,
}

impl Pace {
    /// As fast as the sockets take.
    pub const SATURATED: Self = Self { ttft_ns: 0, itl_ns: 0, staggered: false };

    /// Staggered streams with these times in milliseconds.
    pub const fn of_ms(ttft: u64, itl: u64) -> Self {
        Self { ttft_ns: ttft * 1_000_000, itl_ns: itl * 1_000_000, staggered: true }
    }

    /// Whether nothing is waited for.
    pub const fn is_saturated(&self) -> bool {
        self.itl_ns == 0
    }

    /// The phase of connection number `connection`, below `itl_ns`. Any number
    /// of consecutive connections lie evenly spread (multiples of the golden ratio).
    pub const fn phase_ns(&self, connection: u64) -> u64 {
        if !self.staggered {
            return 0;
        }
        let turn = connection.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((turn as u128 * self.itl_ns as u128) >> 64) as u64
    }

    /// When step `step` (0 is the first token) of an answer is due, if its
    /// request arrived at `arrival_ns`.
    pub const fn deadline_ns(&self, arrival_ns: u64, phase_ns: u64, step: u32) -> u64 {
        arrival_ns + self.ttft_ns + phase_ns + self.itl_ns * step as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_absolute() {
        let pace = Pace { ttft_ns: 50, itl_ns: 10, staggered: true };
        for (phase, step, expected) in [(0, 0, 1050), (0, 1, 1060), (7, 1, 1067), (3, 100, 2053)] {
            assert_eq!(pace.deadline_ns(1000, phase, step), expected, "phase {phase} step {step}");
        }
    }

    #[test]
    fn phases_fill_the_gap_evenly() {
        let pace = Pace::of_ms(50, 10);
        let mut phases: Vec<u64> = (0..64).map(|n| pace.phase_ns(n)).collect();
        phases.sort_unstable();
        let widest = phases.windows(2).map(|pair| pair[1] - pair[0]).max().expect("64 phases");
        assert!(phases.iter().all(|&p| p < pace.itl_ns));
        // Evenly would be 1/64 of the gap; multiples of the golden ratio stay within a factor of 3.
        assert!(widest < 3 * pace.itl_ns / 64, "{widest}");
    }

    #[test]
    fn without_stagger_and_saturated_there_is_no_phase() {
        let together = Pace { staggered: false, ..Pace::of_ms(50, 10) };
        assert!((0..9).all(|n| together.phase_ns(n) == 0 && Pace::SATURATED.phase_ns(n) == 0));
        assert!(Pace::SATURATED.is_saturated() && !together.is_saturated());
        assert_eq!(Pace::SATURATED.deadline_ns(5, 0, 9), 5);
    }
}
