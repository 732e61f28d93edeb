//! Passages in seeded order: each is dealt once before any is dealt again.

use std::collections::{HashSet, VecDeque};

use super::choose::Passages;
use crate::CorpusError;
use crate::dice::Dice;

/// Deals passages to prompts.
pub(super) struct Deck {
    /// All that may fill contexts.
    all: Vec<usize>,
    order: VecDeque<usize>,
    /// First passages: no two begin alike, and none is dealt twice as such.
    openings: VecDeque<usize>,
    reuse: bool,
    dealt: HashSet<usize>,
    pub(super) reused: HashSet<usize>,
    dice: Dice,
}

impl Deck {
    /// `all` are the passages that fill, `openings` those of them that are kept for first places.
    pub(super) fn new(all: Vec<usize>, openings: Vec<usize>, reuse: bool, mut dice: Dice) -> Self {
        let kept: HashSet<usize> = openings.iter().copied().collect();
        let mut order: Vec<usize> = all.iter().copied().filter(|at| !kept.contains(at)).collect();
        dice.shuffle(&mut order);
        Self {
            all,
            order: order.into(),
            openings: openings.into(),
            reuse,
            dealt: HashSet::new(),
            reused: HashSet::new(),
            dice,
        }
    }

    /// A passage for the first place; to be [noted](Self::note) or given back.
    pub(super) fn opening(&mut self) -> Option<usize> {
        self.openings.pop_front()
    }

    /// Whether there is another one.
    pub(super) fn has_opening(&self) -> bool {
        !self.openings.is_empty()
    }

    /// Puts first passages back, the first of them uppermost.
    pub(super) fn give_back_openings(&mut self, passages: Vec<usize>) {
        for at in passages.into_iter().rev() {
            self.openings.push_front(at);
        }
    }

    /// A passage for a later place, none of `taken`; `None` when there is no other. `passages` measures ahead of need. It is
    /// dealt when it is [noted](Self::note), or [given back](Self::give_back).
    pub(super) fn filler(
        &mut self,
        taken: &[usize],
        passages: &mut Passages<'_>,
    ) -> Result<Option<usize>, CorpusError> {
        let mut passed_over = Vec::new();
        let mut refilled = false;
        let found = loop {
            match self.order.pop_front() {
                Some(at) if taken.contains(&at) => passed_over.push(at),
                Some(at) => break Some(at),
                None if self.reuse && !refilled => {
                    refilled = true;
                    let mut again = self.all.clone();
                    self.dice.shuffle(&mut again);
                    self.order = again.into();
                }
                None => break None,
            }
        };
        self.give_back(passed_over);
        if let Some(at) = found {
            passages.measure_ahead(at, &self.order)?;
        }
        Ok(found)
    }

    /// Puts passages back on top, the first of them uppermost.
    pub(super) fn give_back(&mut self, passages: Vec<usize>) {
        for at in passages.into_iter().rev() {
            self.order.push_front(at);
        }
    }

    /// A passage stands in a prompt, drawn or because the question is about it.
    pub(super) fn note(&mut self, at: usize) {
        if !self.dealt.insert(at) {
            self.reused.insert(at);
        }
    }
}
