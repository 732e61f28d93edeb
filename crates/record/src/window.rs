//! Requests in flight over time, and the steady window.

use crate::load::{OpenLoad, StageLoad};
use crate::manifest::StageInfo;
use crate::time::Timestamp;

/// The share of the target that must be in flight in the steady window.
const STEADY_SHARE: f64 = 0.95;

/// A span of the run, both ends in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Span {
    /// Its length, seconds.
    pub fn seconds(self) -> f64 {
        self.to.since(self.from).as_secs_f64()
    }

    /// Whether `at` lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// `count` a second; `None` for a span without length.
    pub fn per_second(self, count: f64) -> Option<f64> {
        let seconds = self.seconds();
        (seconds > 0.0).then(|| count / seconds)
    }
}

/// How many requests were in flight, as steps: the count from each instant on.
#[derive(Debug, Clone, Default)]
pub struct InFlight {
    steps: Vec<(Timestamp, u32)>,
}

impl InFlight {
    /// From each request's time in flight. One that ends at the instant at which another begins
    /// is not counted with it.
    pub fn of(flights: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Self {
        let mut changes: Vec<(Timestamp, i64)> =
            flights.into_iter().flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
        changes.sort_unstable_by_key(|(at, _)| *at);
        let (mut steps, mut count) = (Vec::new(), 0_i64);
        for same in changes.chunk_by(|a, b| a.0 == b.0) {
            count += same.iter().map(|(_, change)| change).sum::<i64>();
            steps.push((same[0].0, u32::try_from(count).unwrap_or(0)));
        }
        Self { steps }
    }

    /// From the first to the last instant with at least 95 % of `target` in flight; `None` when
    /// that never was.
    pub fn steady(&self, target: u32) -> Option<Span> {
        let full = |(_, count): &(Timestamp, u32)| {
            *count > 0 && f64::from(*count) >= STEADY_SHARE * f64::from(target)
        };
        let first = self.steps.iter().position(full)?;
        let last = self.steps.iter().rposition(full)?;
        // The last step has a count of 0, so a full one has a successor.
        let end = self.steps.get(last + 1)?;
        let span = Span { from: self.steps[first].0, to: end.0 };
        (span.from < span.to).then_some(span)
    }

    /// The steps within `span`: from, to, count.
    fn pieces(&self, span: Span) -> impl Iterator<Item = (Timestamp, Timestamp, u32)> + '_ {
        let ends = self.steps.iter().skip(1).map(|s| s.0).chain([span.to]);
        self.steps
            .iter()
            .zip(ends)
            .map(move |(&(at, count), end)| (at.max(span.from), end.min(span.to), count))
            .filter(|(from, to, _)| from < to)
    }

    /// Time-weighted mean over `span`; `None` for one without length.
    pub fn mean(&self, span: Span) -> Option<f64> {
        let area: f64 = self
            .pieces(span)
            .map(|(from, to, n)| to.since(from).as_secs_f64() * f64::from(n))
            .sum();
        span.per_second(area)
    }

    /// Most at once in `span`.
    pub fn max(&self, span: Span) -> u32 {
        self.pieces(span).map(|(_, _, n)| n).max().unwrap_or(0)
    }
}

/// The steady window of a stage: at full load in a closed loop; from the end of the declared warm-up
/// to the last arrival in an open one. `None` when there was no such time. `due`: when each of its
/// requests was due.
pub fn steady_window(
    stage: &StageInfo,
    in_flight: &InFlight,
    due: impl Iterator<Item = Timestamp> + Clone,
) -> Option<Span> {
    match &stage.load {
        StageLoad::Concurrency(target) => in_flight.steady(*target),
        StageLoad::Open(open) => arrivals(stage, open, due),
    }
}

/// Whether the steady window speaks for its stage: it holds half of the completed requests; any at
/// all in an open loop, whose declared warm-up is taken at its word.
pub const fn steady_stands(load: &StageLoad, in_window: u64, in_stage: u64) -> bool {
    in_window > 0 && (load.open().is_some() || in_window * 2 >= in_stage)
}

/// The last arrival is the planned one, or the last that came due where the stage was cut short or
/// the plan does not tell.
fn arrivals(
    stage: &StageInfo,
    open: &OpenLoad,
    due: impl Iterator<Item = Timestamp> + Clone,
) -> Option<Span> {
    let start = stage.started_at_ns.or_else(|| due.clone().min())?;
    // What was due only after the end was not asked of the server.
    let seen = due.filter(|at| stage.finished_at_ns.is_none_or(|end| *at <= end)).max()?;
    let planned = open.last_arrival.map(|last| start + last);
    let span = Span { from: start + open.warmup, to: planned.map_or(seen, |p| p.min(seen)) };
    (span.from < span.to).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Timestamp {
        Timestamp::from_nanos(s * 1_000_000_000)
    }

    fn in_flight(flights: &[(u64, u64)]) -> InFlight {
        InFlight::of(flights.iter().map(|&(from, to)| (at(from), at(to))))
    }

    #[test]
    fn two_users_hand_over_without_overlap() {
        // User A: 0–4, 4–8; user B: 1–5, 6–10. Both are busy 1–5 and 6–8.
        let f = in_flight(&[(0, 4), (4, 8), (1, 5), (6, 10)]);
        let steady = f.steady(2).expect("both were busy");
        assert_eq!(steady, Span { from: at(1), to: at(8) });
        // 7 s: 4 s of 2, 1 s of 1, 2 s of 2.
        assert!((f.mean(steady).expect("7 s") - 13.0 / 7.0).abs() < 1e-12);
        assert_eq!(f.max(steady), 2);
        let whole = Span { from: at(0), to: at(10) };
        assert!((f.mean(whole).expect("10 s") - 1.6).abs() < 1e-12);
        assert_eq!((f.steady(3), f.steady(1).map(Span::seconds)), (None, Some(10.0)));
    }

    #[test]
    fn ninety_five_percent_is_enough_and_less_is_not() {
        let flights: Vec<(u64, u64)> = (0..19).map(|i| (i, 100)).collect();
        assert_eq!(in_flight(&flights).steady(20), Some(Span { from: at(18), to: at(100) }));
        assert_eq!(in_flight(&flights[1..]).steady(20), None);
    }

    #[test]
    fn nothing_and_instants_have_no_window() {
        assert_eq!(in_flight(&[]).steady(1), None);
        assert_eq!(in_flight(&[(3, 3)]).steady(1), None);
        let f = in_flight(&[(3, 3), (1, 5)]);
        assert_eq!(f.max(Span { from: at(0), to: at(9) }), 1);
        assert_eq!(f.mean(Span { from: at(2), to: at(2) }), None);
    }
}
