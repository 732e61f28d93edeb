//! Choosing questions and earlier turns, and measuring passages.

use std::collections::{HashSet, VecDeque};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::dice::Dice;
use crate::source::{Material, Passage};
use crate::uniqueness::opening_text;
use crate::{CorpusError, Measure, TokenCounter};

/// Passages with their measures, taken when first needed.
pub(super) struct Passages<'m> {
    pub(super) list: &'m [Passage],
    measures: Vec<Option<Measure>>,
    counter: &'m dyn TokenCounter,
    pool: &'m ThreadPool,
}

/// As it stands in a prompt, without its number: title, line feed, text.
pub(super) fn block(passage: &Passage) -> String {
    match &passage.title {
        Some(title) => format!("{title}\n{}", passage.text),
        None => passage.text.clone(),
    }
}

/// Where the text begins in it.
pub(super) fn body_at(passage: &Passage) -> usize {
    passage.title.as_ref().map_or(0, |title| title.len() + 1)
}

impl<'m> Passages<'m> {
    pub(super) fn new(
        list: &'m [Passage],
        counter: &'m dyn TokenCounter,
        pool: &'m ThreadPool,
    ) -> Self {
        Self { list, measures: vec![None; list.len()], counter, pool }
    }

    /// The measure of a passage that was measured.
    pub(super) fn measure(&self, at: usize) -> &Measure {
        self.measures[at].as_ref().expect("every passage is measured before it is dealt")
    }

    /// Measures these, all cores at work.
    pub(super) fn measure_all(
        &mut self,
        which: impl IntoIterator<Item = usize>,
    ) -> Result<(), CorpusError> {
        let missing: Vec<usize> =
            which.into_iter().filter(|&at| self.measures[at].is_none()).collect();
        let texts: Vec<String> = missing.iter().map(|&at| block(&self.list[at])).collect();
        let measures = measure_texts(&texts, self.counter, self.pool)?;
        for (at, measure) in missing.into_iter().zip(measures) {
            self.measures[at] = Some(measure);
        }
        Ok(())
    }

    /// Measures `at` and, since it is the next of many, a lot of those behind it.
    pub(super) fn measure_ahead(
        &mut self,
        at: usize,
        order: &VecDeque<usize>,
    ) -> Result<(), CorpusError> {
        if self.measures[at].is_some() {
            return Ok(());
        }
        self.measure_all([at].into_iter().chain(order.iter().copied().take(1023)))
    }
}

/// Measures texts in parallel, in order.
pub(super) fn measure_texts(
    texts: &[String],
    counter: &dyn TokenCounter,
    pool: &ThreadPool,
) -> Result<Vec<Measure>, CorpusError> {
    pool.install(|| texts.par_iter().map(|text| counter.measure(text)).collect())
}

/// One prompt's question: the exchange, its tokens, and those of the passage it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) exchange: usize,
    pub(super) tokens: u32,
    pub(super) gold: Option<usize>,
}

/// Chooses `count` questions: those about a passage first, each group in seeded order. `fits` says whether one of so many
/// tokens, with a passage of so many, can be asked at all.
pub(super) fn questions(
    count: usize,
    material: &Material,
    passages: &mut Passages<'_>,
    fits: impl Fn(u32, u32) -> bool,
    dice: &mut Dice,
) -> Result<Vec<Asked>, CorpusError> {
    let of = |about: bool| {
        let all = material.exchanges.iter().enumerate();
        all.filter(move |(_, e)| e.as_question && e.passage.is_some() == about).map(|(at, _)| at)
    };
    let (mut about, mut alone): (Vec<usize>, Vec<usize>) =
        (of(true).collect(), of(false).collect());
    dice.shuffle(&mut about);
    dice.shuffle(&mut alone);
    let mut chosen = Vec::with_capacity(count);
    // A passage is the right one for one question only: then no context stands twice as the one that is asked about.
    let mut golds = HashSet::new();
    let mut texts = HashSet::new();
    for group in [about, alone] {
        for lot in group.chunks(count.clamp(64, 4096)) {
            if chosen.len() == count {
                break;
            }
            let (counter, pool) = (passages.counter, passages.pool);
            let questions: Vec<String> =
                lot.iter().map(|&at| material.exchanges[at].question.clone()).collect();
            let measures = measure_texts(&questions, counter, pool)?;
            passages.measure_all(lot.iter().filter_map(|&at| material.exchanges[at].passage))?;
            for (&at, measure) in lot.iter().zip(measures) {
                let exchange = &material.exchanges[at];
                let gold = exchange.passage;
                let gold_tokens = gold.map_or(0, |gold| passages.measure(gold).tokens());
                let fresh = gold.is_none_or(|gold| !golds.contains(&gold));
                if chosen.len() < count
                    && fresh
                    && fits(measure.tokens(), gold_tokens)
                    && texts.insert(&exchange.question)
                {
                    golds.extend(gold);
                    chosen.push(Asked { exchange: at, tokens: measure.tokens(), gold });
                }
            }
        }
    }
    Ok(chosen)
}

/// Earlier turns, dealt to prompts.
pub(super) struct History {
    /// For the first turn: no two begin alike.
    heads: VecDeque<(usize, u32)>,
    /// For later turns.
    rest: VecDeque<(usize, u32)>,
}

impl History {
    /// Chooses turns of at most `most` tokens each, none of them asked as a question.
    pub(super) fn choose(
        prompts: usize,
        turns: usize,
        most: u32,
        asked: &[Asked],
        material: &Material,
        passages: &Passages<'_>,
        dice: &mut Dice,
    ) -> Result<Self, CorpusError> {
        let mut history = Self { heads: VecDeque::new(), rest: VecDeque::new() };
        if turns == 0 {
            return Ok(history);
        }
        let asked: HashSet<usize> = asked.iter().map(|a| a.exchange).collect();
        let all = material.exchanges.iter().enumerate();
        let mut order: Vec<usize> = all
            .filter(|(at, e)| e.as_history && e.answer.is_some() && !asked.contains(at))
            .map(|(at, _)| at)
            .collect();
        dice.shuffle(&mut order);
        let mut keys = HashSet::new();
        let mut texts = HashSet::new();
        let spare = prompts / 50 + 8;
        for lot in order.chunks(2048) {
            if history.heads.len() >= prompts + spare && history.rest.len() >= prompts * (turns - 1)
            {
                break;
            }
            let both: Vec<String> = lot.iter().map(|&at| both(material, at)).collect();
            let measures = measure_texts(&both, passages.counter, passages.pool)?;
            for (&at, measure) in lot.iter().zip(measures) {
                let question = &material.exchanges[at].question;
                if measure.tokens() > most || !texts.insert(question) {
                    continue;
                }
                let head =
                    history.heads.len() < prompts + spare && keys.insert(opening_text(question));
                if head { &mut history.heads } else { &mut history.rest }
                    .push_back((at, measure.tokens()));
            }
        }
        Ok(history)
    }

    /// How many prompts there are turns for.
    pub(super) fn suffices_for(&self, turns: usize) -> usize {
        match turns {
            0 => usize::MAX,
            1 => self.heads.len(),
            more => self.heads.len().min(self.rest.len() / (more - 1)),
        }
    }

    /// The turns of one prompt, with their tokens.
    pub(super) fn deal(&mut self, turns: usize) -> Vec<(usize, u32)> {
        if turns == 0 {
            return Vec::new();
        }
        let head = self.heads.pop_front();
        let rest = (1..turns).map_while(|_| self.rest.pop_front());
        head.into_iter().chain(rest.collect::<Vec<_>>()).collect()
    }

    /// Another first turn.
    pub(super) fn another_head(&mut self) -> Option<(usize, u32)> {
        self.heads.pop_front()
    }
}

fn both(material: &Material, at: usize) -> String {
    let exchange = &material.exchanges[at];
    format!("{}\n{}", exchange.question, exchange.answer.as_deref().unwrap_or_default())
}
