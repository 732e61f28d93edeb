//! Questions in seeded order: those about a passage first, each once before any comes again.

use std::collections::VecDeque;

use crate::dice::Dice;
use crate::source::Material;
use crate::{CorpusError, TokenCounter};

/// Those that were passed over for this many others are looked at first the next time, and no more are kept.
const ASIDE: usize = 512;

/// Asks.
pub(super) struct Questions<'a> {
    material: &'a Material,
    counter: &'a dyn TokenCounter,
    all: Vec<u32>,
    order: VecDeque<u32>,
    aside: VecDeque<u32>,
    /// Tokens of each question, once they are known.
    tokens: Vec<Option<u32>>,
    again: bool,
    dice: Dice,
}

impl<'a> Questions<'a> {
    pub(super) fn new(
        material: &'a Material,
        counter: &'a dyn TokenCounter,
        again: bool,
        mut dice: Dice,
    ) -> Self {
        let of = |about: bool| -> Vec<u32> {
            let all = material.exchanges.iter().enumerate();
            let about = move |e: &crate::source::Exchange| {
                (e.passage.is_some() || !e.near.is_empty()) == about
            };
            all.filter(|(_, e)| e.as_question && about(e)).map(|(at, _)| at as u32).collect()
        };
        let (mut all, mut alone) = (of(true), of(false));
        dice.shuffle(&mut all);
        dice.shuffle(&mut alone);
        all.extend(alone);
        let order = all.iter().copied().collect();
        let tokens = vec![None; material.exchanges.len()];
        Self { material, counter, all, order, aside: VecDeque::new(), tokens, again, dice }
    }

    /// The next ones, in their order.
    pub(super) fn ahead(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        self.order.iter().take(count).map(|&at| at as usize)
    }

    /// Tokens of a question.
    pub(super) fn tokens(&mut self, exchange: usize) -> Result<u32, CorpusError> {
        if let Some(tokens) = self.tokens[exchange] {
            return Ok(tokens);
        }
        let tokens = self.counter.measure(&self.material.exchanges[exchange].question)?.tokens();
        self.tokens[exchange] = Some(tokens);
        Ok(tokens)
    }

    /// The first question that `fits`, by its number and tokens; `None` when there is none.
    pub(super) fn next(
        &mut self,
        fits: impl Fn(usize, u32) -> bool,
    ) -> Result<Option<usize>, CorpusError> {
        for at in 0..self.aside.len() {
            let exchange = self.aside[at] as usize;
            if fits(exchange, self.tokens(exchange)?) {
                self.aside.remove(at);
                return Ok(Some(exchange));
            }
        }
        let mut refilled = false;
        loop {
            let Some(exchange) = self.order.pop_front() else {
                if !self.again || refilled || self.all.is_empty() {
                    return Ok(None);
                }
                refilled = true;
                self.aside.clear();
                self.dice.shuffle(&mut self.all);
                self.order.extend(&self.all);
                continue;
            };
            let exchange = exchange as usize;
            if fits(exchange, self.tokens(exchange)?) {
                return Ok(Some(exchange));
            }
            if self.aside.len() < ASIDE {
                self.aside.push_back(exchange as u32);
            }
        }
    }
}
