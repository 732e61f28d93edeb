//! Time as a rate profile bends it: the exact inverse of the cumulative rate.

use std::time::Duration;

use crate::human::nanos;
use crate::rate::RateProfile;

/// The instant at which the expected count reaches a given number: time as the profile
/// bends it. Fed with the points of a process of rate 1, it gives one of this rate, exactly.
#[derive(Debug, Clone)]
pub(crate) struct Inverse {
    profile: RateProfile,
    duration: Option<Duration>,
    index: u64,
    segment: Option<Segment>,
    /// Where the segment starts: nanoseconds, and requests expected before it.
    start: u64,
    before: f64,
}

impl Inverse {
    /// Of a profile that was checked.
    pub(crate) fn new(profile: RateProfile, duration: Option<Duration>) -> Self {
        let segment = profile.segment(0, duration);
        Self { profile, duration, index: 0, segment, start: 0, before: 0.0 }
    }

    /// Nanoseconds at which the expected count reaches `count`, which must not fall from
    /// call to call; `None` when that is after the end of the stage or never.
    pub(crate) fn at(&mut self, count: f64) -> Option<u64> {
        let end = self.duration.map_or(u64::MAX, nanos);
        loop {
            let segment = self.segment?;
            if self.start >= end {
                return None;
            }
            let within = (count - self.before).max(0.0);
            // A segment holds its start, not its end.
            if within < segment.count() {
                let at = self.start.saturating_add(segment.instant(within));
                return (at < end).then_some(at);
            }
            self.before += segment.count();
            self.start = self.start.saturating_add(segment.length?);
            self.index += 1;
            self.segment = self.profile.segment(self.index, self.duration);
        }
    }
}

/// A piece of a profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub from: f64,
    pub to: f64,
    /// Nanoseconds; `None` is without end, and then `from` is `to`.
    pub length: Option<u64>,
    pub curve: Curve,
}

/// How the rate goes from one end of a segment to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    Linear,
    Exponential,
}

const SECOND: f64 = 1e9;

impl Segment {
    /// Requests expected in all of it.
    pub(crate) fn count(&self) -> f64 {
        match self.length {
            Some(length) => self.count_by(length),
            None if self.from > 0.0 => f64::INFINITY,
            None => 0.0,
        }
    }

    /// Requests expected in its first `elapsed` nanoseconds.
    pub(crate) fn count_by(&self, elapsed: u64) -> f64 {
        let elapsed = elapsed as f64;
        let Some(length) = self.length.filter(|_| self.from != self.to) else {
            return self.from * elapsed / SECOND;
        };
        let part = elapsed / length as f64;
        match self.curve {
            Curve::Linear => (self.from + 0.5 * (self.to - self.from) * part) * elapsed / SECOND,
            Curve::Exponential => {
                let growth = libm::log(self.to / self.from);
                self.from * libm::expm1(growth * part) / growth * (length as f64 / SECOND)
            }
        }
    }

    /// Nanoseconds from its start at which `count` requests are expected.
    fn instant(&self, count: f64) -> u64 {
        if count <= 0.0 {
            return 0;
        }
        let seconds = match self.length.filter(|_| self.from != self.to) {
            None => count / self.from,
            Some(length) => {
                let length = length as f64 / SECOND;
                match self.curve {
                    // The stable root of from·t + slope·t²/2 = count.
                    Curve::Linear => {
                        let slope = (self.to - self.from) / length;
                        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
                        2.0 * count / (self.from + root)
                    }
                    Curve::Exponential => {
                        let growth = libm::log(self.to / self.from) / length;
                        libm::log1p(growth * count / self.from) / growth
                    }
                }
            }
        };
        let at = (seconds * SECOND).round() as u64;
        // Rounding never carries a point out of its segment.
        self.length.map_or(at, |length| at.min(length.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::{OnOff, Ramp, Steps};

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_inverse_undoes_the_expected_count() {
        let minute = Some(60 * S);
        let profiles = [
            RateProfile::Constant(7.3),
            RateProfile::Linear(Ramp { from: 0.0, to: 20.0, over: None }),
            RateProfile::Linear(Ramp { from: 20.0, to: 1.0, over: Some(20 * S) }),
            RateProfile::Exponential(Ramp { from: 0.5, to: 64.0, over: None }),
            RateProfile::Exponential(Ramp { from: 64.0, to: 0.5, over: Some(45 * S) }),
            RateProfile::Exponential(Ramp { from: 3.0, to: 3.0, over: None }),
            RateProfile::Steps(Steps { rates: vec![1.0, 8.0, 3.0], each: None }),
            RateProfile::OnOff(OnOff { on: 2 * S, off: 3 * S, rate: 9.0, off_rate: 0.5 }),
        ];
        for profile in profiles {
            let total = profile.expected(60 * S, minute);
            let mut inverse = Inverse::new(profile.clone(), minute);
            let mut last = 0;
            for step in 0..1000 {
                let count = total * f64::from(step) / 1000.0;
                let at = inverse.at(count).expect("before the end");
                assert!(at >= last, "{profile:?}");
                last = at;
                let back = profile.expected(Duration::from_nanos(at), minute);
                // Half a nanosecond of the highest rate, and what f64 cannot hold.
                assert!((back - count).abs() < 1e-7, "{profile:?}: {count} came back as {back}");
            }
            assert_eq!(inverse.at(total + 1e-6), None, "{profile:?}");
        }
    }

    #[test]
    fn a_ramp_holds_its_last_rate() {
        let ramp = RateProfile::Linear(Ramp { from: 0.0, to: 10.0, over: Some(10 * S) });
        assert_eq!(ramp.expected(10 * S, None), 50.0);
        assert_eq!(ramp.expected(15 * S, None), 100.0);
        let mut inverse = Inverse::new(ramp, None);
        assert_eq!(inverse.at(12.5), Some(5_000_000_000));
        assert_eq!(inverse.at(60.0), Some(11_000_000_000));
        // One that falls to 0 has no more than its area.
        let falling = RateProfile::Linear(Ramp { from: 10.0, to: 0.0, over: Some(S) });
        assert_eq!(Inverse::new(falling, None).at(5.0), None);
    }
}
