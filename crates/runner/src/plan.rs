//! The stages of a scenario and the prompts they need.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;
use vllm_bench_loadgen::{
    ArrivalProcess, ArrivalSpec, LeftOut, Load, OnOff, Ramp, RateProfile, Schedule, ScheduleError,
    ScheduleSummary, Stage, Steps, TokenTotals, TraceFormat, TraceSpec, Until,
};
use vllm_bench_record::{Level, OpenLoad, Phase, StageInfo, StageLoad};

use crate::load_spec::{ClosedSpec, LoadSpec, OpenSpec, WarmupSpec};
use crate::recorded;
use crate::scenario::Scenario;
use crate::scenario_error::ScenarioError;
use crate::search::SearchPrompts;
use crate::units::OneOrEach;

/// Every stage of a run, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// Warm-up first, where there is one.
    pub stages: Vec<PlannedStage>,
    /// What a search after them needs of the corpus; its stages come as it goes.
    pub search: Option<SearchPrompts>,
}

/// One stage, as load and as the manifest tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// What the load generator does.
    pub stage: Stage,
    /// What the manifest says; times and counters are filled in as it runs.
    pub info: StageInfo,
    /// When its requests are due; `None` in a closed loop.
    pub pace: Option<Pace>,
    /// The longest answer that a trace asks for, tokens; `None` where the scenario's
    /// `max_tokens` holds.
    pub longest_answer: Option<u32>,
    /// The prompt lengths that a trace asks for.
    pub prompt_tokens: TokenTotals,
}

/// What an open-loop stage's requests are due by. Gives the same schedule each time.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// An arrival process.
    Arrivals {
        /// Rate and process.
        spec: ArrivalSpec,
        /// How long; `None`: until `requests`.
        duration: Option<Duration>,
        /// Requests at most.
        requests: Option<u64>,
        /// Seed of the arrivals.
        seed: u64,
        /// Number of the stage, so that stages of one seed differ.
        stage: u32,
    },
    /// A recorded trace.
    Trace(Box<TraceSpec>),
}

impl Pace {
    /// The schedule, from its start.
    ///
    /// # Errors
    /// Settings that make none, and a trace that cannot be read.
    pub fn schedule(&self) -> Result<Schedule, ScheduleError> {
        match self {
            Self::Arrivals { spec, duration, requests, seed, stage } => {
                let schedule = Schedule::arrivals(spec.times(*duration, *seed, *stage)?);
                Ok(match requests {
                    Some(n) => schedule.first(*n),
                    None => schedule,
                })
            }
            Self::Trace(spec) if spec.format == TraceFormat::Run => {
                Ok(Schedule::trace(recorded::replay(spec)?))
            }
            Self::Trace(spec) => Ok(Schedule::trace(spec.open()?)),
        }
    }
}

/// The prompts that a plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptsNeeded {
    /// Prompts of the stages that are bounded by a count.
    pub counted: u64,
    /// Stages bounded by a duration alone: each needs at least one prompt a user.
    pub open_ended: u64,
    /// How the number comes about: `16 + 8·20 + 16·20`.
    pub sum: String,
}

impl PromptsNeeded {
    /// The fewest prompts with which the plan makes sense.
    pub const fn least(&self) -> u64 {
        self.counted + self.open_ended
    }
}

impl RunPlan {
    /// The plan of `scenario`. Walks its arrivals or its trace once, so that what is wrong
    /// with them is found before anything is sent.
    ///
    /// # Errors
    /// Arrivals that make no schedule, and a trace that cannot be read to its end.
    pub fn of(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let load = scenario.spec.load.get_ref();
        let mut stages = Vec::new();
        stages.extend(load.warmup.as_ref().and_then(|warmup| self::warmup(warmup.get_ref(), load)));
        if let Some(closed) = &load.closed {
            stages.extend(closed_stages(closed.get_ref()));
        }
        let failed = |source| scenario.broken_schedule(source);
        if let Some(open) = &load.open {
            for rate in open.get_ref().rate.levels() {
                let index = stages.len() as u32;
                let stage = open_stage(open.get_ref(), rate, load, index).map_err(failed)?;
                stages.push(stage);
            }
        }
        if let Some(trace) = &load.trace {
            stages.push(trace_stage(trace, load).map_err(failed)?);
        }
        for (index, stage) in stages.iter_mut().enumerate() {
            stage.stage.index = index as u32;
        }
        let search = load.search.as_ref().map(|search| search.get_ref().prompts());
        Ok(Self { stages, search })
    }

    /// The prompt lengths of its trace; `None` where it replays none.
    pub fn prompt_tokens(&self) -> Option<TokenTotals> {
        let traced = |stage: &&PlannedStage| matches!(stage.pace, Some(Pace::Trace(_)));
        self.stages.iter().find(traced).map(|stage| stage.prompt_tokens)
    }

    /// The prompts it needs.
    pub fn prompts_needed(&self) -> PromptsNeeded {
        let mut needed = PromptsNeeded { counted: 0, open_ended: 0, sum: String::new() };
        let mut terms = Vec::new();
        for PlannedStage { stage, .. } in &self.stages {
            let users = match stage.load {
                Load::Closed { concurrency } => u64::from(concurrency),
                Load::Open { .. } => 1,
            };
            match (stage.max_requests(), stage.until.requests_per_user) {
                (Some(n), Some(each)) if n == users * u64::from(each) => {
                    needed.counted += n;
                    terms.push(format!("{users}·{each}"));
                }
                (Some(n), _) => {
                    needed.counted += n;
                    terms.push(n.to_string());
                }
                (None, _) => {
                    needed.open_ended += users;
                    terms.push(format!("at least {users}"));
                }
            }
        }
        if let Some(search) = self.search {
            needed.counted += search.first;
            terms.push(format!("{} of the search's first two probes", search.first));
        }
        needed.sum = terms.join(" + ");
        needed
    }
}

fn warmup(warmup: &WarmupSpec, load: &LoadSpec) -> Option<PlannedStage> {
    let requests = warmup.requests?;
    let first = load.closed.as_ref().and_then(|closed| closed.get_ref().concurrency.at(0));
    let users = warmup.concurrency.or(first).unwrap_or(WARMUP_USERS).min(requests).get();
    let until = Until { requests: Some(u64::from(requests.get())), ..Until::default() };
    Some(closed_stage("warm-up".into(), Phase::Warmup, users, until))
}

/// Users of a warm-up that nothing else gives a number.
const WARMUP_USERS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

fn closed_stages(closed: &ClosedSpec) -> Vec<PlannedStage> {
    let level = |list: &Option<OneOrEach>, i| list.as_ref().and_then(|l| l.at(i));
    let stage = |i| {
        let users = closed.concurrency.at(i)?;
        let until = Until {
            requests: level(&closed.requests, i).map(|n| u64::from(n.get())),
            requests_per_user: level(&closed.requests_per_user, i).map(|n| n.get()),
            duration: closed.duration.map(|d| d.0),
        };
        Some(closed_stage(format!("cc {users}"), Phase::Measure, users.get(), until))
    };
    (0..closed.concurrency.levels().unwrap_or(1)).filter_map(stage).collect()
}

pub(crate) fn closed_stage(label: String, phase: Phase, users: u32, until: Until) -> PlannedStage {
    let stage = Stage { index: 0, load: Load::Closed { concurrency: users }, until };
    let mut info = StageInfo::planned(label, phase, StageLoad::Concurrency(users));
    info.planned_requests = stage.max_requests();
    PlannedStage {
        stage,
        info,
        pace: None,
        longest_answer: None,
        prompt_tokens: TokenTotals::default(),
    }
}

/// One open-loop stage, the `index`th of the run.
pub(crate) fn open_stage(
    open: &OpenSpec,
    rate: RateProfile,
    load: &LoadSpec,
    index: u32,
) -> Result<PlannedStage, ScheduleError> {
    let duration = open.duration.map(|d| d.0);
    let profile = profile_words(&rate);
    let asked = match (&rate, duration) {
        (RateProfile::Constant(rate), _) => Some(*rate),
        (rate, Some(d)) if open.requests.is_none() => {
            Some(rate.expected(d, duration) / d.as_secs_f64())
        }
        _ => None,
    };
    let pace = Pace::Arrivals {
        spec: ArrivalSpec { rate, arrivals: open.arrivals },
        duration,
        requests: open.requests.map(|n| n.get()),
        seed: open.seed,
        stage: index,
    };
    paced(pace, asked, process_words(open.arrivals), profile, load)
}

fn trace_stage(trace: &Spanned<TraceSpec>, load: &LoadSpec) -> Result<PlannedStage, ScheduleError> {
    let trace = trace.get_ref();
    let file = trace.file.file_name().unwrap_or(trace.file.as_os_str()).to_string_lossy();
    let speed = match trace.speed {
        1.0 => String::new(),
        speed => format!(" at {speed} times its speed"),
    };
    let words = format!("trace {file}{speed}");
    paced(Pace::Trace(Box::new(trace.clone())), None, words, None, load)
}

/// A stage that sends by `pace`, whose rate is `asked`, or else what its schedule has.
fn paced(
    pace: Pace,
    asked: Option<f64>,
    arrivals: String,
    profile: Option<String>,
    load: &LoadSpec,
) -> Result<PlannedStage, ScheduleError> {
    let summary = ScheduleSummary::of(pace.schedule()?)?;
    let rate = asked.or_else(|| summary.mean_rate()).unwrap_or_default();
    let cap = load.max_in_flight.as_ref().map(|n| n.get_ref().get());
    let warmup = load.warmup.as_ref().and_then(|w| w.get_ref().duration);
    let label = match &pace {
        Pace::Trace(_) => "trace".into(),
        Pace::Arrivals { spec, .. } => profile_label(&spec.rate),
    };
    let open = OpenLoad {
        rate,
        arrivals,
        profile,
        warmup: warmup.map_or(Duration::ZERO, |d| d.0),
        max_in_flight: cap,
        last_arrival: summary.last_at,
        capped: 0,
        left_out: left_out_words(summary.left_out),
    };
    let mut info = StageInfo::planned(label, Phase::Measure, StageLoad::Open(open));
    info.planned_requests = Some(summary.requests);
    let load = Load::Open { max_in_flight: cap, connections: connections(rate, cap) };
    let until = Until { requests: Some(summary.requests), ..Until::default() };
    Ok(PlannedStage {
        stage: Stage { index: 0, load, until },
        info,
        pace: Some(pace),
        longest_answer: summary.output_tokens.max,
        prompt_tokens: summary.prompt_tokens,
    })
}

/// Connections to open ahead: those of the requests of two seconds. More are opened as they
/// are needed, outside of every latency from sending.
fn connections(rate: f64, cap: Option<u32>) -> u32 {
    let ahead = (2.0 * rate).ceil().clamp(4.0, 256.0) as u32;
    cap.map_or(ahead, |cap| ahead.min(cap))
}

fn process_words(process: ArrivalProcess) -> String {
    match process {
        ArrivalProcess::Constant => "constant".into(),
        ArrivalProcess::Poisson => "poisson".into(),
        ArrivalProcess::Gamma(gamma) => format!("gamma {}", gamma.burstiness),
    }
}

/// A rate that changes, in words; `None` for one that does not.
fn profile_words(rate: &RateProfile) -> Option<String> {
    let over = |d: &Option<Duration>| {
        d.map(|d| format!(" over {}", humantime::format_duration(d))).unwrap_or_default()
    };
    match rate {
        RateProfile::Constant(_) => None,
        RateProfile::Linear(Ramp { from, to, over: d }) => {
            Some(format!("{from} to {to} req/s{}", over(d)))
        }
        RateProfile::Exponential(Ramp { from, to, over: d }) => {
            Some(format!("{from} to {to} req/s{}, exponentially", over(d)))
        }
        RateProfile::Steps(Steps { rates, .. }) => {
            let rates: Vec<_> = rates.iter().map(f64::to_string).collect();
            Some(format!("{} req/s in steps", rates.join(", ")))
        }
        RateProfile::OnOff(OnOff { on, off, rate, off_rate }) => Some(format!(
            "{rate} req/s for {}, {off_rate} for {}, in turn",
            humantime::format_duration(*on),
            humantime::format_duration(*off)
        )),
    }
}

/// The same in a table's first column.
fn profile_label(rate: &RateProfile) -> String {
    match rate {
        RateProfile::Constant(rate) => Level::Rate(*rate).with_unit(),
        RateProfile::Linear(Ramp { from, to, .. })
        | RateProfile::Exponential(Ramp { from, to, .. }) => format!("{from}→{to} req/s"),
        RateProfile::Steps(_) => "steps".into(),
        RateProfile::OnOff(_) => "bursts".into(),
    }
}

fn left_out_words(left_out: LeftOut) -> Vec<String> {
    [
        (left_out.zero_tokens, "have no prompt or no answer tokens and are not sent"),
        (left_out.over_limit, "are longer than a limit and are not sent"),
        (left_out.clipped, "are cut to a limit"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} requests of the trace {what}"))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn plan(load: &str) -> RunPlan {
        let text = format!("name = \"t\"\n[corpus]\nfile = \"c.jsonl\"\n[load]\n{load}\n");
        RunPlan::of(&Scenario::parse(&text, Path::new("t.toml"), &[]).expect("valid"))
            .expect("a plan")
    }

    #[test]
    fn counts_prompts_and_says_how() {
        let plan = plan(
            "warmup = { requests = 16 }\nclosed = { concurrency = [8, 16, 32], requests_per_user = 20 }",
        );
        let needed = plan.prompts_needed();
        assert_eq!(needed.sum, "16 + 8·20 + 16·20 + 32·20");
        assert_eq!((needed.counted, needed.open_ended), (16 + 1120, 0));
        let labels: Vec<_> = plan.stages.iter().map(|s| s.info.label.as_str()).collect();
        assert_eq!(labels, ["warm-up", "cc 8", "cc 16", "cc 32"]);
        assert_eq!(plan.stages[3].stage.index, 3);
    }

    #[test]
    fn durations_need_a_prompt_a_user_at_least() {
        let plan = plan("closed = { concurrency = [1, 4], duration = \"10s\" }");
        assert_eq!(plan.prompts_needed().least(), 5);
        let each = super::tests::plan("closed = { concurrency = [1, 4], requests = [3, 9] }");
        assert_eq!(each.prompts_needed().counted, 12);
    }

    #[test]
    fn rates_are_stages_whose_requests_are_known_beforehand() {
        let plan = plan(
            "warmup = { requests = 2, duration = \"1s\" }\nmax_in_flight = 3\n\
             open = { rate = [2, 4.5], arrivals = \"constant\", duration = \"10s\" }",
        );
        let labels: Vec<_> = plan.stages.iter().map(|s| s.info.label.as_str()).collect();
        assert_eq!(labels, ["warm-up", "2 req/s", "4.5 req/s"]);
        assert_eq!(plan.prompts_needed().sum, "2 + 20 + 45");
        let stage = &plan.stages[2];
        assert_eq!(stage.stage.load, Load::Open { max_in_flight: Some(3), connections: 3 });
        let open = stage.info.load.open().expect("an open loop");
        assert_eq!((open.rate, open.warmup), (4.5, Duration::from_secs(1)));
        let due = || stage.pace.as_ref().expect("paced").schedule().expect("a schedule");
        assert!(due().map(|d| d.expect("right")).eq(due().map(|d| d.expect("right"))));
        assert_eq!(due().count(), 45);
    }

    #[test]
    fn a_rate_that_changes_is_one_stage_named_by_it() {
        let plan = plan(
            "open = { rate = { on_off = { on = \"1s\", off = \"3s\", rate = 40 } }, duration = \"8s\" }",
        );
        let [stage] = plan.stages.as_slice() else { panic!("one stage") };
        assert_eq!(stage.info.label, "bursts");
        let open = stage.info.load.open().expect("an open loop");
        assert_eq!(open.profile.as_deref(), Some("40 req/s for 1s, 0 for 3s, in turn"));
        assert_eq!(stage.info.load.level(), Level::Rate(10.0));
    }
}
