//! The capacity search as a state machine: which load to try next, and what the answers come to.
//!
//! From the lower bound the load doubles until a probe fails or the upper bound is reached; then the
//! bracket of the highest load that holds and the lowest that does not is halved until it is
//! narrow enough; then both ends are confirmed by probes with prompts of their own. What contradicts
//! the bracket moves it, and the halving goes on.

use vllm_bench_record::{Capacity, Level, ProbeOutcome, SearchAxis};

/// What a search is to find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchPlan {
    /// What is varied.
    pub over: SearchAxis,
    /// Lower bound: the first load tried.
    pub from: f64,
    /// Upper bound: nothing above it is tried.
    pub to: f64,
    /// The bracket is to be narrower than this share of the load that holds.
    pub precision: f64,
    /// Probes that must repeat the answer.
    pub confirm: u32,
    /// Probes at most.
    pub max_probes: u32,
}

/// A probe that the search wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeRequest {
    /// The load.
    pub level: Level,
    /// Whether it repeats a load, to confirm or to see more clearly.
    pub confirms: bool,
    /// How many times the usual length.
    pub lengthen: u32,
}

/// What a probe showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeResult {
    /// By the intervals of its figures.
    pub outcome: ProbeOutcome,
    /// By the figures alone; `None` when there were none.
    pub estimate: Option<bool>,
}

/// Why a search is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SearchEnd {
    /// The bracket is narrow enough and its ends are confirmed.
    Found(Capacity),
    /// The lower bound already fails.
    LowerBoundFails,
    /// As many probes as are allowed did not suffice.
    MaxProbes,
    /// A probe, and a longer one in its place, had no figures at this load.
    NoFigures(Level),
}

/// A probe of an unclear load is this many times as long when it is repeated.
const LONGER: u32 = 2;

/// A search under way. [`next_probe`](Self::next_probe) says what to try, [`tell`](Self::tell) takes what came of it.
#[derive(Debug, Clone)]
pub struct Search {
    plan: SearchPlan,
    /// Every load tried, ascending.
    levels: Vec<Known>,
    pending: Option<ProbeRequest>,
    probes: u32,
    by_estimate: u32,
    end: Option<SearchEnd>,
}

/// What is known of one load.
#[derive(Debug, Clone, Copy)]
struct Known {
    level: f64,
    holds: bool,
    /// The intervals left it open; the figures alone decided.
    unclear: bool,
    /// Probes since the last change of mind that agreed with it.
    confirmed: u32,
    /// How often the mind was changed.
    changes: u32,
}

impl Search {
    /// A search that has tried nothing yet.
    pub const fn new(plan: SearchPlan) -> Self {
        Self { plan, levels: Vec::new(), pending: None, probes: 0, by_estimate: 0, end: None }
    }

    /// The next probe; the same until it was told of, `None` when the search is over.
    pub fn next_probe(&mut self) -> Option<ProbeRequest> {
        if self.pending.is_none() && self.end.is_none() {
            match self.choose() {
                Ok(_) if self.probes >= self.plan.max_probes => {
                    self.end = Some(SearchEnd::MaxProbes);
                }
                Ok(request) => self.pending = Some(request),
                Err(end) => self.end = Some(end),
            }
        }
        self.pending
    }

    /// Takes what came of the probe that [`next_probe`](Self::next_probe) asked for.
    pub fn tell(&mut self, result: ProbeResult) {
        let Some(request) = self.pending.take() else { return };
        self.probes += 1;
        let (holds, unclear) = match (result.outcome, result.estimate) {
            (ProbeOutcome::Holds, _) => (true, false),
            (ProbeOutcome::Fails, _) => (false, false),
            (ProbeOutcome::Unclear, estimate) => {
                if request.lengthen == 1 && self.repeats_unclear(request, estimate) {
                    // Told apart by the probes that are left, it is tried again at once.
                    self.pending =
                        Some(ProbeRequest { lengthen: LONGER, confirms: true, ..request })
                            .filter(|_| self.probes < self.plan.max_probes);
                    if self.pending.is_none() {
                        self.end = Some(SearchEnd::MaxProbes);
                    }
                    return;
                }
                let Some(holds) = estimate else {
                    self.end = Some(SearchEnd::NoFigures(request.level));
                    return;
                };
                self.by_estimate += 1;
                (holds, true)
            }
        };
        self.learn(request.level.value(), holds, unclear);
    }

    /// While doubling, the figures alone are enough: what they bracket is looked at again. Where
    /// there are none, or they end the search, a longer look is due.
    fn repeats_unclear(&self, request: ProbeRequest, estimate: Option<bool>) -> bool {
        let doubling = self.lowest_failing().is_none();
        let first = request.level.value() <= self.plan.from;
        estimate.is_none() || !doubling || (first && estimate == Some(false))
    }

    fn learn(&mut self, level: f64, holds: bool, unclear: bool) {
        match self.levels.iter_mut().find(|known| known.level == level) {
            None => {
                let known = Known { level, holds, unclear, confirmed: 0, changes: 0 };
                let at = self.levels.partition_point(|known| known.level < level);
                self.levels.insert(at, known);
            }
            Some(known) if known.holds == holds => {
                known.confirmed += 1;
                known.unclear &= unclear;
            }
            // Once it is said to hold and once not: it does not hold reliably. A failure that was
            // unclear may be taken back once.
            Some(known) => {
                known.holds = holds && known.changes == 0;
                known.changes += 1;
                known.confirmed = u32::from(!known.holds);
                known.unclear = unclear;
            }
        }
    }

    /// Why it is over; `None` while it goes on.
    pub const fn end(&self) -> Option<SearchEnd> {
        self.end
    }

    /// Probes so far.
    pub const fn probes(&self) -> u32 {
        self.probes
    }

    /// Probes that the figures alone decided, because their intervals straddled the limit.
    pub const fn by_estimate(&self) -> u32 {
        self.by_estimate
    }

    /// The highest load that holds and the lowest that does not, as far as is known.
    pub fn bracket(&self) -> (Option<f64>, Option<f64>) {
        (self.highest_holding().map(|k| k.level), self.lowest_failing().map(|k| k.level))
    }

    /// About how many more probes it takes if nothing contradicts what is known.
    pub fn probes_to_go(&self) -> u32 {
        let halvings = |low: f64, high: f64| {
            let steps = ((high / low).ln() / (1.0 + self.plan.precision).ln()).max(1.0);
            steps.log2().ceil() as u32
        };
        let to_find = match self.bracket() {
            (Some(low), Some(high)) => halvings(low, high),
            // One more doubling, then the bracket that it leaves.
            (_, None) => 1 + halvings(1.0, 2.0),
            (None, Some(_)) => 0,
        };
        to_find + self.plan.confirm
    }

    /// The lowest load that fails.
    fn lowest_failing(&self) -> Option<Known> {
        self.levels.iter().find(|known| !known.holds).copied()
    }

    /// The highest load below it that holds.
    fn highest_holding(&self) -> Option<Known> {
        self.levels.iter().take_while(|known| known.holds).last().copied()
    }

    fn choose(&self) -> Result<ProbeRequest, SearchEnd> {
        let (low, high) = match (self.highest_holding(), self.lowest_failing()) {
            (None, None) => return Ok(self.probe(self.plan.from)),
            (None, Some(_)) => return Err(SearchEnd::LowerBoundFails),
            (Some(low), None) if low.level < self.plan.to => {
                return Ok(self.probe((2.0 * low.level).min(self.plan.to)));
            }
            (Some(low), None) => (low, None),
            (Some(low), Some(high)) => {
                if let Some(middle) = self.middle(low.level, high.level) {
                    return Ok(self.probe(middle));
                }
                (low, Some(high))
            }
        };
        if low.confirmed < self.plan.confirm {
            return Ok(self.confirm(low.level, low.unclear));
        }
        // A side that was clear needs no second look.
        if let Some(high) = high.filter(|h| h.unclear && h.confirmed < self.plan.confirm) {
            return Ok(self.confirm(high.level, true));
        }
        Err(SearchEnd::Found(Capacity { holds: low.level, fails: high.map(|h| h.level) }))
    }

    /// The load that halves the bracket; `None` when it is narrow enough.
    fn middle(&self, low: f64, high: f64) -> Option<f64> {
        if high - low <= self.plan.precision * low {
            return None;
        }
        match self.plan.over {
            SearchAxis::Rate => Some((low * high).sqrt()),
            SearchAxis::Concurrency => {
                let middle = ((low + high) / 2.0).floor();
                (middle > low && middle < high).then_some(middle)
            }
        }
    }

    fn probe(&self, level: f64) -> ProbeRequest {
        ProbeRequest { level: self.level(level), confirms: false, lengthen: 1 }
    }

    fn confirm(&self, level: f64, unclear: bool) -> ProbeRequest {
        let lengthen = if unclear { LONGER } else { 1 };
        ProbeRequest { level: self.level(level), confirms: true, lengthen }
    }

    fn level(&self, level: f64) -> Level {
        match self.plan.over {
            SearchAxis::Rate => Level::Rate(level),
            SearchAxis::Concurrency => Level::Concurrency(level as u32),
        }
    }
}
