//! All prompts of a RAG corpus: chosen one after the other, counted in parallel, mended where need be.

use std::collections::HashSet;

use rayon::ThreadPool;
use rayon::prelude::*;
use vllm_bench_protocol::ChatMessage;

use super::choose::{Asked, History, Passages, block, questions};
use super::deck::Deck;
use super::fit::{Fitted, Writer};
use super::plan::{Costs, Plan};
use crate::build::Built;
use crate::dice::Dice;
use crate::lengths;
use crate::source::Material;
use crate::uniqueness::{Opening, opening_text, violations};
use crate::{CorpusError, CorpusSpec, Form, LengthSpec, Progress, TokenCounter};

/// Prompts that are counted before the others, to learn what the estimates miss.
const SAMPLE: usize = 48;
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

/// A prompt of the corpus's form without anything in it.
fn shape(spec: &CorpusSpec, question: &str, turn: &str) -> Vec<ChatMessage> {
    let mut messages = Vec::new();
    if !spec.rag.system.is_empty() {
        messages.push(ChatMessage::system(spec.rag.system.as_str()));
    }
    for _ in 0..spec.rag.history_turns {
        messages.extend([ChatMessage::user(turn), ChatMessage::assistant(turn)]);
    }
    messages.push(ChatMessage::user(format!("Context:\n\nQuestion: {question}")));
    messages
}

/// Tokens that all prompts of the corpus begin with. Ready-made prompts have only the template in common.
pub(crate) fn common_head(
    spec: &CorpusSpec,
    counter: &dyn TokenCounter,
) -> Result<u32, CorpusError> {
    let shape = match spec.form {
        Form::Rag => shape(spec, "x", "x"),
        Form::ReadyMade => vec![ChatMessage::user("x")],
    };
    Ok(Opening::of(&shape, counter)?.head_tokens)
}

/// What is asked for, with what follows from it.
struct Job<'a> {
    spec: &'a CorpusSpec,
    material: &'a Material,
    counter: &'a dyn TokenCounter,
    pool: &'a ThreadPool,
    count: usize,
    turns: usize,
    length: LengthSpec,
    targets: Vec<u32>,
    tolerance: u32,
    opening: Opening,
    /// Tokens of a prompt without passages, question and earlier turns' texts.
    frame: u32,
}

/// What has been chosen and is dealt to prompts in turn.
struct Table {
    asked: Vec<Asked>,
    gold_first: Vec<bool>,
    history: History,
    deck: Deck,
    dice: Dice,
}

impl<'a> Job<'a> {
    fn new(
        spec: &'a CorpusSpec,
        material: &'a Material,
        counter: &'a dyn TokenCounter,
        pool: &'a ThreadPool,
    ) -> Result<Self, CorpusError> {
        let (count, turns, length) =
            (spec.prompts() as usize, spec.rag.history_turns as usize, spec.length());
        let mean = f64::from(length.mean_tokens);
        // Wide enough for a sentence where prompts are short, if the limits allow it.
        let tolerance = (mean * 0.02).max((mean * length.within / 3.0).min(12.0));
        let limit = (length.within - tolerance / mean - 0.005).max(0.0);
        let mut dice = Dice::new(spec.seed, "lengths");
        let targets = lengths::targets(count, length.mean_tokens, length.spread, limit, &mut dice);
        let frame = counter.prompt_ids(&shape(spec, "", ""))?.len() as u32;
        let opening = Opening::of(&shape(spec, "x", "x"), counter)?;
        let texts: Vec<&str> = material.passages.iter().take(64).map(|p| p.text.as_str()).collect();
        counter.calibrate(&texts)?;
        let room = (mean * (1.0 - length.within)) as i64 - i64::from(frame);
        if room < 40 {
            return Err(CorpusError::Length {
                message: format!(
                    "prompts of {} tokens have no room for passages: system line and chat template take {frame}",
                    length.mean_tokens
                ),
                advice: "ask for longer prompts (length.mean_tokens, --mean-tokens) or shorten rag.system".to_owned(),
            });
        }
        let tolerance = tolerance as u32;
        Ok(Self {
            spec,
            material,
            counter,
            pool,
            count,
            turns,
            length,
            targets,
            tolerance,
            opening,
            frame,
        })
    }

    /// Chooses questions, earlier turns and the order of passages.
    fn choose(&self, passages: &mut Passages<'_>) -> Result<Table, CorpusError> {
        let seed = self.spec.seed;
        let mean = f64::from(self.length.mean_tokens);
        let turn_most = ((mean * 0.4) / self.turns.max(1) as f64).max(24.0) as u32;
        let shortest = f64::from(self.targets.iter().copied().min().unwrap_or(0));
        // At least a tenth of the shortest prompt is left for passages that were not asked about.
        let room =
            shortest * 0.9 - f64::from(self.frame) - f64::from(turn_most) * self.turns as f64;
        let question_most = (mean / 6.0).max(24.0);
        let fits = |question: u32, gold: u32| {
            f64::from(question) <= question_most && f64::from(question) + f64::from(gold) <= room
        };
        let mut dice = Dice::new(seed, "questions");
        let asked = questions(self.count, self.material, passages, fits, &mut dice)?;
        if asked.len() < self.count {
            return Err(self.too_few(
                asked.len(),
                "each prompt takes a question of its own, of fitting length",
            ));
        }
        let mut dice = Dice::new(seed, "history");
        let history = History::choose(
            self.count,
            self.turns,
            turn_most,
            &asked,
            self.material,
            passages,
            &mut dice,
        )?;
        if history.suffices_for(self.turns) < self.count {
            let lacking = format!(
                "each earlier turn is used once; {} a prompt, of at most {turn_most} tokens, are wanted (rag.history_turns)",
                self.turns
            );
            return Err(self.too_few(history.suffices_for(self.turns), &lacking));
        }
        let (gold_first, deck) = self.shuffle(&asked, passages)?;
        Ok(Table { asked, gold_first, history, deck, dice: Dice::new(seed, "places") })
    }

    /// Which prompts open with the passage that is asked about, and the deck of all other passages.
    fn shuffle(
        &self,
        asked: &[Asked],
        passages: &mut Passages<'_>,
    ) -> Result<(Vec<bool>, Deck), CorpusError> {
        let mut dice = Dice::new(self.spec.seed, "passages");
        let list = &self.material.passages;
        let golds: HashSet<usize> = asked.iter().filter_map(|a| a.gold).collect();
        let fillers: Vec<usize> =
            (0..list.len()).filter(|at| list[*at].fills && !golds.contains(at)).collect();
        let mut keys = HashSet::new();
        let mut first = |gold: Option<usize>| {
            gold.is_some_and(|at| keys.insert(opening_text(&block(&list[at]))))
        };
        let mut gold_first: Vec<bool> =
            asked.iter().map(|a| dice.percent(25) && first(a.gold)).collect();
        let mut candidates = fillers.clone();
        dice.shuffle(&mut candidates);
        candidates.retain(|&at| first(Some(at)));
        let spare = self.count / 50 + 16;
        let mut wanted = gold_first.iter().filter(|&&f| !f).count();
        for (i, asked) in asked.iter().enumerate() {
            // Where there are too few others, more prompts open with the passage asked about.
            if candidates.len() < wanted && !gold_first[i] && first(asked.gold) {
                gold_first[i] = true;
                wanted -= 1;
            }
        }
        if candidates.len() < wanted {
            let possible = self.count - (wanted - candidates.len());
            return Err(self.too_few(
                possible,
                "no two prompts may begin with the same passage, or with one that begins alike",
            ));
        }
        candidates.truncate(wanted + spare);
        passages.measure_all(candidates.iter().copied())?;
        Ok((gold_first, Deck::new(fillers, candidates, self.spec.rag.reuse_passages, dice)))
    }

    /// Counts a sample to learn what a passage costs besides its own tokens.
    fn costs(&self, table: &Table, passages: &mut Passages<'_>) -> Result<Costs, CorpusError> {
        let mut costs = Costs { frame: f64::from(self.frame), passage: 5.0 };
        let mut trial = self.choose(passages)?;
        trial.dice = table.dice.clone();
        let sample = self.count.min(SAMPLE);
        let plans = self.plan_all(sample, costs, &mut trial, passages)?;
        let writer = self.writer(passages);
        let counted: Vec<Fitted> = self.pool.install(|| {
            plans.par_iter().map(|plan| writer.count(plan)).collect::<Result<_, _>>()
        })?;
        let missed: f64 =
            plans.iter().zip(&counted).map(|(plan, c)| f64::from(c.tokens) - plan.estimate).sum();
        let blocks: usize = plans.iter().map(|plan| plan.passages.len()).sum();
        costs.passage = (costs.passage + missed / blocks.max(1) as f64).max(0.0);
        Ok(costs)
    }

    fn plan_all(
        &self,
        count: usize,
        costs: Costs,
        table: &mut Table,
        passages: &mut Passages<'_>,
    ) -> Result<Vec<Plan>, CorpusError> {
        let mut plans = Vec::with_capacity(count);
        for i in 0..count {
            let history = table.history.deal(self.turns);
            let (asked, first) = (table.asked[i], table.gold_first[i]);
            let (deck, dice) = (&mut table.deck, &mut table.dice);
            match Plan::fill(self.targets[i], asked, first, history, costs, deck, passages, dice)? {
                Some(plan) => plans.push(plan),
                None => {
                    return Err(self.too_few(i, "the passages are used up (rag.reuse_passages)"));
                }
            }
        }
        Ok(plans)
    }

    fn writer<'w>(&'w self, passages: &'w Passages<'w>) -> Writer<'w> {
        Writer {
            system: &self.spec.rag.system,
            exchanges: &self.material.exchanges,
            passages,
            counter: self.counter,
            opening: self.opening,
            tolerance: self.tolerance,
        }
    }

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

    fn too_few(&self, possible: usize, lacking: &str) -> CorpusError {
        CorpusError::TooFew {
            wanted: self.count,
            possible,
            lacking: lacking.to_owned(),
            advice: "ask for fewer (--count), raise `take` of a source, or add one: [[source]] kind = \"encyclopedia\" has no end"
                .to_owned(),
        }
    }
}

impl Table {
    fn deck_top_up(
        &mut self,
        plan: &mut Plan,
        costs: Costs,
        passages: &mut Passages<'_>,
    ) -> Result<(), CorpusError> {
        plan.top_up(costs, &mut self.deck, passages).map(|_| ())
    }

    /// Gives a prompt another beginning; false when there is none left.
    fn change_opening(&mut self, plan: &mut Plan) -> bool {
        if let Some(first) = plan.history.first_mut() {
            return self.history.another_head().map(|head| *first = head).is_some();
        }
        let Some(opening) = self.deck.opening() else { return false };
        plan.passages.insert(0, opening);
        if let Some((cut, _)) = plan.cut.as_mut() {
            *cut += 1;
        }
        true
    }
}
