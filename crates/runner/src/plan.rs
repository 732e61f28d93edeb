//! The stages of a scenario and the prompts they need.

use vllm_bench_loadgen::{Load, Stage, Until};
use vllm_bench_record::{Phase, StageInfo, StageLoad};

use crate::scenario::Scenario;
use crate::units::OneOrEach;

/// Every stage of a run, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// Warm-up first, where there is one.
    pub stages: Vec<PlannedStage>,
}

/// One stage, as load and as the manifest tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// What the load generator does.
    pub stage: Stage,
    /// What the manifest says; times and counters are filled in as it runs.
    pub info: StageInfo,
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
    /// The plan of `scenario`.
    pub fn of(scenario: &Scenario) -> Self {
        let load = &scenario.spec.load;
        let closed = load.closed.get_ref();
        let levels = closed.concurrency.levels().unwrap_or(1);
        let level = |list: &Option<OneOrEach>, i| list.as_ref().and_then(|l| l.at(i));
        let mut stages = Vec::new();
        if let Some(warmup) = load.warmup {
            let first = closed.concurrency.at(0).unwrap_or(warmup.requests);
            let users = warmup.concurrency.unwrap_or(first).min(warmup.requests).get();
            let until =
                Until { requests: Some(u64::from(warmup.requests.get())), ..Until::default() };
            stages.push(planned("warm-up".into(), Phase::Warmup, users, until));
        }
        for i in 0..levels {
            // A level without a number cannot be: the scenario was checked.
            let Some(users) = closed.concurrency.at(i) else { continue };
            let until = Until {
                requests: level(&closed.requests, i).map(|n| u64::from(n.get())),
                requests_per_user: level(&closed.requests_per_user, i).map(|n| n.get()),
                duration: closed.duration.map(|d| d.0),
            };
            stages.push(planned(format!("cc {users}"), Phase::Measure, users.get(), until));
        }
        for (index, stage) in stages.iter_mut().enumerate() {
            stage.stage.index = index as u32;
        }
        Self { stages }
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
        needed.sum = terms.join(" + ");
        needed
    }
}

fn planned(label: String, phase: Phase, users: u32, until: Until) -> PlannedStage {
    let stage = Stage { index: 0, load: Load::Closed { concurrency: users }, until };
    let mut info = StageInfo::planned(label, phase, StageLoad::Concurrency(users));
    info.planned_requests = stage.max_requests();
    PlannedStage { stage, info }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn plan(load: &str) -> RunPlan {
        let text = format!("name = \"t\"\n[corpus]\nfile = \"c.jsonl\"\n[load]\n{load}\n");
        RunPlan::of(&Scenario::parse(&text, Path::new("t.toml"), &[]).expect("valid"))
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
}
