//! `[load.search]` of a scenario: the highest load that the objectives allow.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use vllm_bench_loadgen::{ArrivalProcess, MAX_RATE, RateProfile, ScheduleError, Until};
use vllm_bench_record::{Level, Phase, SearchAxis, StageLoad};

use super::machine::{ProbeRequest, SearchPlan};
use crate::load_spec::{LoadSpec, OpenSpec, Rates};
use crate::plan::{PlannedStage, closed_stage, open_stage};
use crate::scenario_error::{Place, ScenarioError};
use crate::units::HumanDuration;

/// `search = { over = "rate", from = 1, to = 64 }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSpec {
    /// What is varied: `rate` (open loop) or `concurrency` (closed loop).
    pub over: SearchAxis,
    /// Lower bound, the first load tried.
    pub from: Spanned<f64>,
    /// Upper bound.
    pub to: Spanned<f64>,
    /// How narrow the bracket is to be, as a share of the load that holds.
    #[serde(default = "five_percent")]
    pub precision: Spanned<Share>,
    /// How long requests are sent in each probe, warm-up included.
    pub duration: Option<Spanned<HumanDuration>>,
    /// Requests of each probe, warm-up included; whichever of the two comes first ends it.
    pub requests: Option<NonZeroU64>,
    /// The beginning of each probe that its figures leave out.
    pub warmup: Option<Spanned<HumanDuration>>,
    /// How arrivals fall around the rate.
    #[serde(default)]
    pub arrivals: ArrivalProcess,
    /// Seed of the arrivals.
    #[serde(default = "one_u64")]
    pub seed: u64,
    /// Probes that must repeat the answer.
    #[serde(default = "one")]
    pub confirm: u32,
    /// Probes at most.
    #[serde(default = "most_probes")]
    pub max_probes: NonZeroU32,
}

/// Prompts that a search needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchPrompts {
    /// Of its first two probes: with fewer it does not begin.
    pub first: u64,
    /// If the answer lies in the middle between the bounds and nothing has to be repeated.
    pub likely: u64,
    /// Both count one request a user, since how many a user sends in a given time is
    /// not known: it will be more.
    pub at_least: bool,
}

/// A share written as a percentage or as a number: `"5%"`, `0.05`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(pub f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a share such as \"5%\" or 0.05")]
        enum Written {
            Number(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(share) => Ok(Self(share)),
            Written::Text(text) => text
                .strip_suffix('%')
                .and_then(|percent| percent.trim().parse::<f64>().ok())
                .map(|percent| Self(percent / 100.0))
                .ok_or_else(|| {
                    D::Error::invalid_value(Unexpected::Str(&text), &"a share such as \"5%\"")
                }),
        }
    }
}

fn five_percent() -> Spanned<Share> {
    Spanned::new(0..0, Share(0.05))
}

const fn one_u64() -> u64 {
    1
}

const fn one() -> u32 {
    1
}

const fn most_probes() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(23)
}

/// How long a probe sends where the scenario does not say.
const DURATION: Duration = Duration::from_secs(30);

/// The share of a probe's duration that is warm-up where the scenario does not say.
const WARMUP_PART: u32 = 6;

impl SearchSpec {
    /// The search that it asks for.
    pub fn plan(&self) -> SearchPlan {
        SearchPlan {
            over: self.over,
            from: *self.from.get_ref(),
            to: *self.to.get_ref(),
            precision: self.precision.get_ref().0,
            confirm: self.confirm,
            max_probes: self.max_probes.get(),
        }
    }

    /// How long a probe sends; `None` when only a number of requests ends it.
    pub fn sends_for(&self) -> Option<Duration> {
        match (&self.duration, self.requests) {
            (Some(duration), _) => Some(duration.get_ref().0),
            (None, Some(_)) => None,
            (None, None) => Some(DURATION),
        }
    }

    /// The beginning of each probe that its figures leave out. What was not said is a sixth of the
    /// duration, and nothing where requests alone end a probe.
    pub fn leaves_out(&self) -> Duration {
        match &self.warmup {
            Some(warmup) => warmup.get_ref().0,
            None => self.sends_for().map_or(Duration::ZERO, |d| d / WARMUP_PART),
        }
    }

    /// Requests that one probe of `level` sends, as far as that is known beforehand:
    /// a closed loop sends at least one a user.
    pub fn requests_at(&self, level: Level, lengthen: u32) -> u64 {
        let by_time = |rate: f64| self.sends_for().map(|d| (rate * d.as_secs_f64()).ceil() as u64);
        let by_count = self.requests.map(NonZeroU64::get);
        let least = match level {
            Level::Rate(rate) => [by_time(rate), by_count].into_iter().flatten().min(),
            Level::Concurrency(users) => {
                by_count.filter(|_| self.duration.is_none()).or(Some(u64::from(users)))
            }
        };
        least.unwrap_or(1).saturating_mul(u64::from(lengthen)).max(1)
    }

    /// What the search needs of the corpus. How far it goes is not known beforehand.
    pub fn prompts(&self) -> SearchPrompts {
        let (from, to) = (*self.from.get_ref(), *self.to.get_ref());
        let at = |level: f64| {
            let level = match self.over {
                SearchAxis::Rate => Level::Rate(level),
                SearchAxis::Concurrency => Level::Concurrency(level as u32),
            };
            self.requests_at(level, 1)
        };
        // As if the answer lay in the middle between the bounds, by ratio.
        let middle = (from * to).sqrt().max(from);
        let (mut likely, mut level) = (0, from);
        while level < middle {
            likely += at(level);
            level *= 2.0;
        }
        let halvings = (2.0_f64.ln() / (1.0 + self.precision.get_ref().0).ln()).log2().ceil();
        let repeats = halvings.max(0.0) as u64 + u64::from(self.confirm);
        likely += at(level.min(to)) + repeats * at(middle);
        let timed_users = self.over == SearchAxis::Concurrency
            && (self.duration.is_some() || self.requests.is_none());
        SearchPrompts { first: at(from) + at((2.0 * from).min(to)), likely, at_least: timed_users }
    }

    /// The stage that makes `request`, the `index`th of the run and the `number`th probe.
    ///
    /// # Errors
    /// Arrivals that make no schedule.
    pub(crate) fn stage(
        &self,
        request: ProbeRequest,
        number: usize,
        index: u32,
        load: &LoadSpec,
    ) -> Result<PlannedStage, ScheduleError> {
        let label = format!("probe {number}: {}", request.level.with_unit());
        // Warm-up is not longer in a longer probe.
        let (warmup, lengthen) = (self.leaves_out(), request.lengthen);
        let duration = self.sends_for().map(|d| warmup + (d - warmup) * lengthen);
        let requests = self
            .requests
            .map(|n| n.saturating_mul(NonZeroU64::MIN.saturating_add(u64::from(lengthen) - 1)));
        let mut planned = match request.level {
            Level::Concurrency(users) => {
                let requests = requests.map(NonZeroU64::get);
                let until = Until { requests, duration, ..Until::default() };
                closed_stage(label, Phase::Measure, users, until)
            }
            Level::Rate(rate) => {
                let profile = RateProfile::Constant(rate);
                let open = OpenSpec {
                    rate: Rates::One(profile.clone()),
                    arrivals: self.arrivals,
                    duration: duration.map(HumanDuration),
                    requests,
                    seed: self.seed,
                };
                let mut planned = open_stage(&open, profile, load, index)?;
                planned.info.label = label;
                planned
            }
        };
        if let StageLoad::Open(open) = &mut planned.info.load {
            open.warmup = warmup;
        }
        planned.stage.index = index;
        Ok(planned)
    }
}

/// Checks what the keys' types do not.
pub(crate) fn check(
    search: &Spanned<SearchSpec>,
    load: &LoadSpec,
    objectives: usize,
    at: &Place<'_>,
) -> Result<(), ScenarioError> {
    let span = search.span();
    let search = search.get_ref();
    let (from, to) = (*search.from.get_ref(), *search.to.get_ref());
    for (key, bound) in [("from", &search.from), ("to", &search.to)] {
        let value = *bound.get_ref();
        let problem = match search.over {
            SearchAxis::Rate if !(value > 0.0 && value <= MAX_RATE) => {
                format!("{key} = {value} requests a second cannot be; it must be above 0")
            }
            SearchAxis::Concurrency
                if !(value >= 1.0 && value <= f64::from(u16::MAX) && value.fract() == 0.0) =>
            {
                format!("{key} = {value} users cannot be; give a whole number of at least 1")
            }
            _ => continue,
        };
        return Err(at.at(bound.span(), problem));
    }
    if from >= to {
        let problem = format!("from = {from} is not below to = {to}: there is nothing to search");
        return Err(at.at(search.from.span(), problem));
    }
    let precision = search.precision.get_ref().0;
    if !(0.001..=0.5).contains(&precision) {
        let problem = format!(
            "a precision of {precision} cannot be; write a share from \"0.1%\" to \"50%\" of the answer"
        );
        return Err(at.at(search.precision.span(), problem));
    }
    if let (Some(warmup), Some(duration)) = (&search.warmup, search.sends_for())
        && warmup.get_ref().0 >= duration
    {
        let problem =
            format!("warmup leaves nothing of a probe of {}", humantime::format_duration(duration));
        return Err(at.at(warmup.span(), problem));
    }
    if load.warmup.as_ref().is_some_and(|w| w.get_ref().duration.is_some()) {
        let problem = "load.warmup.duration is for open loops; write load.search.warmup";
        return Err(at.at(load.warmup.as_ref().map_or(span, Spanned::span), problem.into()));
    }
    if objectives == 0 {
        let problem =
            "a search needs objectives to hold: write [slo], such as ttft_p99 = \"500ms\"";
        return Err(at.at(span, problem.into()));
    }
    Ok(())
}
