//! What a RAG corpus asks for and what follows from it: which questions, turns and passages, in which order.

use std::collections::HashSet;

use rayon::ThreadPool;
use rayon::prelude::*;
use vllm_bench_protocol::ChatMessage;

use super::choose::{Asked, History, Passages, block, questions};
use super::deck::Deck;
use super::fit::{Fitted, Writer};
use super::plan::{Costs, Plan, Wanted, fragment};
use crate::dice::Dice;
use crate::lengths;
use crate::source::Material;
use crate::uniqueness::{Opening, UNLIKE, opening_text};
use crate::{CorpusError, CorpusSpec, Form, LengthSpec, TokenCounter};

/// Prompts that are counted before the others, to learn what the estimates miss.
const SAMPLE: usize = 48;

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

/// Tokens that all prompts of the corpus begin with. Of RAG prompts without earlier turns the words before the first
/// passage are part of it; ready-made prompts have only the template in common.
pub(crate) fn common_head(
    spec: &CorpusSpec,
    counter: &dyn TokenCounter,
) -> Result<u32, CorpusError> {
    let block_size = spec.cache().block_size;
    if spec.form != Form::Rag {
        return Ok(Opening::of(&[ChatMessage::user("x")], counter, block_size)?.head_tokens);
    }
    if spec.rag.history_turns > 0 {
        return Ok(Opening::of(&shape(spec, "x", "x"), counter, block_size)?.head_tokens);
    }
    let [a, b, c] = UNLIKE.map(|text| {
        let mut messages = shape(spec, text, text);
        messages.pop();
        messages.push(ChatMessage::user(format!("Context:\n[1] {text}\n\nQuestion: {text}")));
        counter.prompt_ids(&messages)
    });
    Ok(Opening::common(&[&a?, &b?, &c?]))
}

/// What is asked for, with what follows from it.
pub(super) struct Job<'a> {
    pub(super) spec: &'a CorpusSpec,
    pub(super) material: &'a Material,
    pub(super) counter: &'a dyn TokenCounter,
    pub(super) pool: &'a ThreadPool,
    pub(super) count: usize,
    pub(super) turns: usize,
    pub(super) length: LengthSpec,
    pub(super) targets: Vec<u32>,
    /// Shortest and longest target.
    pub(super) limits: (u32, u32),
    pub(super) tolerance: u32,
    pub(super) opening: Opening,
    /// Tokens of a prompt without passages, question and earlier turns' texts.
    pub(super) frame: u32,
}

/// What has been chosen and is dealt to prompts in turn.
pub(super) struct Table {
    pub(super) asked: Vec<Asked>,
    pub(super) gold_first: Vec<bool>,
    pub(super) history: History,
    pub(super) deck: Deck,
    pub(super) dice: Dice,
}

impl<'a> Job<'a> {
    pub(super) fn new(
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
        // A prompt may stop short by what is too little for another passage.
        let limit =
            (length.within - tolerance.max(fragment(length.mean_tokens) + 5.0) / mean - 0.005)
                .max(0.0);
        let mut dice = Dice::new(spec.seed, "lengths");
        let targets = lengths::targets(count, length.mean_tokens, length.spread, limit, &mut dice);
        let frame = counter.prompt_ids(&shape(spec, "", ""))?.len() as u32;
        let opening = Opening::of(&shape(spec, "x", "x"), counter, spec.cache().block_size)?;
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
        let limits = ((mean * (1.0 - limit)).ceil() as u32, (mean * (1.0 + limit)).floor() as u32);
        Ok(Self {
            spec,
            material,
            counter,
            pool,
            count,
            turns,
            length,
            targets,
            limits,
            tolerance,
            opening,
            frame,
        })
    }

    /// Chooses questions, earlier turns and the order of passages.
    pub(super) fn choose(&self, passages: &mut Passages<'_>) -> Result<Table, CorpusError> {
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
    pub(super) fn costs(
        &self,
        table: &Table,
        passages: &mut Passages<'_>,
    ) -> Result<Costs, CorpusError> {
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
            plans.iter().zip(&counted).map(|(plan, c)| c.ids.len() as f64 - plan.estimate).sum();
        let blocks: usize = plans.iter().map(|plan| plan.passages.len()).sum();
        costs.passage = (costs.passage + missed / blocks.max(1) as f64).max(0.0);
        Ok(costs)
    }

    pub(super) fn plan_all(
        &self,
        count: usize,
        costs: Costs,
        table: &mut Table,
        passages: &mut Passages<'_>,
    ) -> Result<Vec<Plan>, CorpusError> {
        let mut plans = Vec::with_capacity(count);
        let (least, most) = self.limits;
        let mut missing = 0.0;
        for i in 0..count {
            let target = f64::from(self.targets[i]);
            let wanted = Wanted {
                // What one prompt is short of, the next ones have more.
                target: (target + missing).clamp(f64::from(least), f64::from(most)).round() as u32,
                asked: table.asked[i],
                gold_first: table.gold_first[i],
                history: table.history.deal(self.turns),
            };
            match Plan::fill(wanted, costs, &mut table.deck, passages, &mut table.dice)? {
                Some(plan) => {
                    missing += target - plan.estimate;
                    plans.push(plan);
                }
                None => {
                    return Err(self.too_few(i, "the passages are used up (rag.reuse_passages)"));
                }
            }
        }
        Ok(plans)
    }

    pub(super) fn writer<'w>(&'w self, passages: &'w Passages<'w>) -> Writer<'w> {
        Writer {
            system: &self.spec.rag.system,
            exchanges: &self.material.exchanges,
            passages,
            counter: self.counter,
            opening: self.opening,
            tolerance: self.tolerance,
        }
    }

    pub(super) fn too_few(&self, possible: usize, lacking: &str) -> CorpusError {
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
    pub(super) fn deck_top_up(
        &mut self,
        plan: &mut Plan,
        costs: Costs,
        passages: &mut Passages<'_>,
    ) -> Result<(), CorpusError> {
        plan.top_up(costs, &mut self.deck, passages).map(|_| ())
    }

    /// Gives a prompt another beginning; false when there is none left.
    pub(super) fn change_opening(&mut self, plan: &mut Plan) -> bool {
        if let Some(first) = plan.history.first_mut() {
            return self.history.another_head().map(|head| *first = head).is_some();
        }
        let Some(opening) = self.deck.opening() else { return false };
        self.deck.note(opening);
        plan.passages.insert(0, opening);
        if let Some((cut, _)) = plan.cut.as_mut() {
            *cut += 1;
        }
        true
    }
}
