//! All prompts of a RAG corpus: chosen one after the other, counted in parallel, mended where need be.

use rayon::ThreadPool;
use rayon::prelude::*;

use super::choose::Passages;
use super::fit::Fitted;
use super::job::{Job, Table};
use super::plan::{Costs, Plan};
use crate::build::Built;
use crate::source::Material;
use crate::uniqueness::violations;
use crate::{CorpusError, CorpusSpec, Progress, TokenCounter};

/// Times that prompts which do not fit are mended.
const ROUNDS: usize = 6;

/// Makes the prompts of a RAG corpus.
pub(crate) fn assemble(
    spec: &CorpusSpec,
    material: &Material,
    counter: &dyn TokenCounter,
    pool: &ThreadPool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Built>, CorpusError> {
    let job = Job::new(spec, material, counter, pool)?;
    let mut passages = Passages::new(&material.passages, counter, pool);
    let mut table = job.choose(&mut passages)?;
    let costs = job.costs(&table, &mut passages)?;
    let mut plans = job.plan_all(job.count, costs, &mut table, &mut passages)?;
    let mut fitted: Vec<Option<Fitted>> = vec![None; plans.len()];
    let mut pending: Vec<usize> = (0..plans.len()).collect();
    for round in 0..=ROUNDS {
        job.fit_all(&pending, &mut plans, &mut fitted, &passages, progress)?;
        let keys: Vec<_> = fitted.iter().map(|f| f.as_ref().and_then(|f| f.key)).collect();
        let shared = violations(&keys);
        pending = (0..plans.len()).filter(|&i| job.misses(&plans[i], fitted[i].as_ref())).collect();
        if round == ROUNDS || (shared.is_empty() && pending.is_empty()) {
            break;
        }
        for &i in &pending {
            job.mend_length(&mut plans[i], fitted[i].as_ref(), costs, &mut table, &mut passages)?;
        }
        for i in shared {
            if table.change_opening(&mut plans[i]) && !pending.contains(&i) {
                pending.push(i);
            }
        }
        pending.sort_unstable();
        if pending.is_empty() {
            break;
        }
    }
    let reused = table.deck.reused;
    plans
        .into_iter()
        .zip(fitted)
        .map(|(plan, fitted)| {
            let fitted = fitted.expect("every prompt is counted in the first round");
            job.check(&fitted)?;
            Ok(Built {
                messages: fitted.messages,
                tokens: fitted.tokens,
                key: fitted.key,
                reference: material.exchanges[plan.asked.exchange].answer.clone(),
                reuses: plan.passages.iter().filter(|at| reused.contains(at)).count() as u64,
            })
        })
        .collect()
}

impl Job<'_> {
    fn fit_all(
        &self,
        which: &[usize],
        plans: &mut [Plan],
        fitted: &mut [Option<Fitted>],
        passages: &Passages<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CorpusError> {
        let writer = self.writer(passages);
        let mut done = self.count - which.len();
        for lot in which.chunks(64) {
            let results: Vec<(Plan, Fitted)> = self.pool.install(|| {
                let fit = |&i: &usize| {
                    let mut plan = plans[i].clone();
                    writer.fit(&mut plan).map(|fitted| (plan, fitted))
                };
                lot.par_iter().map(fit).collect::<Result<_, _>>()
            })?;
            for (&i, (plan, result)) in lot.iter().zip(results) {
                plans[i] = plan;
                fitted[i] = Some(result);
            }
            done += lot.len();
            progress(Progress::Building { done, total: self.count });
        }
        Ok(())
    }

    fn misses(&self, plan: &Plan, fitted: Option<&Fitted>) -> bool {
        fitted.is_none_or(|f| f.tokens.abs_diff(plan.target) > self.tolerance)
    }

    /// Another passage for a prompt that is too short, one less for one that is too long.
    fn mend_length(
        &self,
        plan: &mut Plan,
        fitted: Option<&Fitted>,
        costs: Costs,
        table: &mut Table,
        passages: &mut Passages<'_>,
    ) -> Result<(), CorpusError> {
        let Some(fitted) = fitted else { return Ok(()) };
        plan.estimate = f64::from(fitted.tokens);
        if fitted.tokens > plan.target {
            let movable =
                (1..plan.passages.len()).rev().find(|&i| Some(plan.passages[i]) != plan.asked.gold);
            let Some(index) = movable else { return Ok(()) };
            let removed = plan.passages.remove(index);
            let cut = plan.cut.take_if(|(cut, _)| *cut == index).map(|(_, end)| end);
            if let Some((at, _)) = plan.cut.as_mut().filter(|(at, _)| *at > index) {
                *at -= 1;
            }
            let measure = passages.measure(removed);
            let tokens = cut.map_or(measure.tokens(), |end| measure.tokens_before(end));
            plan.estimate -= f64::from(tokens) + costs.passage;
        }
        // What is cut stays cut; what is added behind it may be cut in its place.
        if plan.cut.is_some_and(|(at, _)| at + 1 < plan.passages.len()) || plan.cut.is_none() {
            let kept = plan.cut.take();
            table.deck_top_up(plan, costs, passages)?;
            plan.cut = plan.cut.or(kept);
        }
        Ok(())
    }

    fn check(&self, fitted: &Fitted) -> Result<(), CorpusError> {
        let (least, most) = self.length.bounds();
        if (least..=most).contains(&fitted.tokens) {
            return Ok(());
        }
        Err(CorpusError::Length {
            message: format!(
                "a prompt came out at {} tokens, wanted are {least} to {most}",
                fitted.tokens
            ),
            advice: "widen length.within, or add sources with passages of other lengths".to_owned(),
        })
    }
}
