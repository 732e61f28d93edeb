//! All prompts of a RAG corpus: chosen one after the other, counted in parallel, mended where need be.

use rayon::prelude::*;

use super::choose::Passages;
use super::fit::Fitted;
use super::job::{Job, Table};
use super::plan::{Costs, Plan};
use crate::build::{Outcome, Workshop};
use crate::file::Sealed;
use crate::header::Aims;
use crate::uniqueness::violations;
use crate::{CorpusError, Progress};

/// Times that prompts which do not fit are mended.
const ROUNDS: usize = 6;

/// Makes the prompts of a RAG corpus.
pub(crate) fn assemble(shop: &mut Workshop<'_>) -> Result<Outcome, CorpusError> {
    let material = shop.material;
    let job = Job::new(shop.spec, material, shop.counter, shop.pool)?;
    let mut passages = Passages::new(&material.passages, shop.counter, shop.pool);
    let mut table = job.choose(&mut passages)?;
    let costs = job.costs(&table, &mut passages)?;
    let mut plans = job.plan_all(job.count, costs, &mut table, &mut passages)?;
    let mut tokens: Vec<u32> = vec![0; plans.len()];
    let mut pending: Vec<usize> = (0..plans.len()).collect();
    for round in 0..=ROUNDS {
        job.fit_all(&pending, &mut plans, &mut tokens, &passages, shop)?;
        let shared = violations(&shop.spool.keys());
        pending = (0..plans.len())
            .filter(|&i| tokens[i].abs_diff(plans[i].target) > job.tolerance)
            .collect();
        if round == ROUNDS || (shared.is_empty() && pending.is_empty()) {
            break;
        }
        for &i in &pending {
            job.mend_length(&mut plans[i], tokens[i], costs, &mut table, &mut passages)?;
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
    for &tokens in &tokens {
        job.check(tokens)?;
    }
    let reused = &table.deck.reused;
    let passages = plans.iter().flat_map(|plan| &plan.passages);
    Ok(Outcome {
        reuses: passages.filter(|at| reused.contains(at)).count() as u64,
        aims: Aims::of(plans.iter().zip(&tokens).map(|(plan, &tokens)| (plan.target, tokens))),
        ..Outcome::default()
    })
}

impl Job<'_> {
    /// Fits these prompts and puts them into the spool.
    fn fit_all(
        &self,
        which: &[usize],
        plans: &mut [Plan],
        tokens: &mut [u32],
        passages: &Passages<'_>,
        shop: &mut Workshop<'_>,
    ) -> Result<(), CorpusError> {
        let writer = self.writer(passages);
        let mut done = self.count - which.len();
        let (sealer, exchanges) = (shop.sealer, &self.material.exchanges);
        for lot in which.chunks(64) {
            let results: Vec<(Plan, Sealed)> = self.pool.install(|| {
                let fit = |&i: &usize| {
                    let mut plan = plans[i].clone();
                    let Fitted { messages, ids, key } = writer.fit(&mut plan)?;
                    let reference = exchanges[plan.asked.exchange].answer.clone();
                    let sealed = sealer.seal(i, &ids, key, messages, reference)?;
                    Ok((plan, sealed))
                };
                lot.par_iter().map(fit).collect::<Result<_, CorpusError>>()
            })?;
            for (&i, (plan, sealed)) in lot.iter().zip(results) {
                plans[i] = plan;
                tokens[i] = sealed.tokens;
                shop.spool.put(sealed)?;
            }
            done += lot.len();
            (shop.progress)(Progress::Building { done, total: self.count });
        }
        Ok(())
    }

    /// Another passage for a prompt that is too short, one less for one that is too long.
    fn mend_length(
        &self,
        plan: &mut Plan,
        tokens: u32,
        costs: Costs,
        table: &mut Table,
        passages: &mut Passages<'_>,
    ) -> Result<(), CorpusError> {
        plan.estimate = f64::from(tokens);
        if tokens > plan.target {
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

    fn check(&self, tokens: u32) -> Result<(), CorpusError> {
        let (least, most) = self.length.bounds();
        if (least..=most).contains(&tokens) {
            return Ok(());
        }
        Err(CorpusError::Length {
            message: format!("a prompt came out at {tokens} tokens, wanted are {least} to {most}"),
            advice: "widen length.within, or add sources with passages of other lengths".to_owned(),
        })
    }
}
