//! What one prompt is made of, before it is counted.

use super::choose::{Asked, Passages, block, body_at};
use super::cut::{LEAST, cut};
use super::deck::Deck;
use crate::CorpusError;
use crate::dice::Dice;

/// The parts of one prompt.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) target: u32,
    /// Earlier turns with their tokens.
    pub(super) history: Vec<(usize, u32)>,
    pub(super) asked: Asked,
    /// Passages in their order.
    pub(super) passages: Vec<usize>,
    /// Which of them is cut, and at which byte.
    pub(super) cut: Option<(usize, usize)>,
    /// Tokens by estimate.
    pub(super) estimate: f64,
}

/// Tokens that are in no part's own measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    /// Template, system line, `Context:` and `Question:`, and the frames of earlier turns.
    pub(super) frame: f64,
    /// A passage's number and the line feeds after it.
    pub(super) passage: f64,
}

/// Less than this is not worth another passage.
const FRAGMENT: f64 = LEAST as f64 + 8.0;

impl Plan {
    /// Fills a prompt with passages up to its target. `None` when the deck has none left.
    pub(super) fn fill(
        target: u32,
        asked: Asked,
        gold_first: bool,
        history: Vec<(usize, u32)>,
        costs: Costs,
        deck: &mut Deck,
        passages: &mut Passages<'_>,
        dice: &mut Dice,
    ) -> Result<Option<Self>, CorpusError> {
        let fixed = costs.frame
            + f64::from(asked.tokens)
            + history.iter().map(|h| f64::from(h.1)).sum::<f64>();
        let mut plan =
            Self { target, history, asked, passages: Vec::new(), cut: None, estimate: fixed };
        if let Some(gold) = asked.gold {
            deck.note(gold);
            plan.estimate += f64::from(passages.measure(gold).tokens()) + costs.passage;
            if gold_first {
                plan.passages.push(gold);
            }
        }
        if plan.passages.is_empty() {
            let Some(opening) = deck.opening() else { return Ok(None) };
            plan.put(opening, true, costs, passages);
        }
        if !plan.top_up(costs, deck, passages)? {
            return Ok(None);
        }
        if let Some(gold) = asked.gold.filter(|_| !gold_first) {
            let at = 1 + dice.index(plan.passages.len().min(2));
            plan.passages.insert(at, gold);
            if let Some((cut, _)) = plan.cut.as_mut().filter(|(cut, _)| *cut >= at) {
                *cut += 1;
            }
        }
        Ok(Some(plan))
    }

    /// Adds passages until the target is reached; false when there are not enough.
    pub(super) fn top_up(
        &mut self,
        costs: Costs,
        deck: &mut Deck,
        passages: &mut Passages<'_>,
    ) -> Result<bool, CorpusError> {
        let mut unfit = 0;
        while self.cut.is_none() && self.room() - costs.passage >= FRAGMENT {
            let mut taken = self.passages.clone();
            taken.extend(self.asked.gold);
            let Some(next) = deck.filler(&taken, passages)? else {
                return Ok(self.room() <= f64::from(self.target) * 0.02);
            };
            if !self.put(next, false, costs, passages) {
                // Its title alone is longer than the room that is left.
                unfit += 1;
                if unfit == 8 {
                    break;
                }
            }
        }
        Ok(true)
    }

    fn room(&self) -> f64 {
        f64::from(self.target) - self.estimate
    }

    /// Adds a passage, cut if it is too long; false when nothing worth having would be left of it, unless it must be taken.
    fn put(&mut self, at: usize, must: bool, costs: Costs, passages: &Passages<'_>) -> bool {
        let measure = passages.measure(at);
        let room = self.room() - costs.passage;
        let mut tokens = measure.tokens();
        if f64::from(tokens) > room {
            let passage = &passages.list[at];
            let text = block(passage);
            let least = measure.tokens_before(body_at(passage)) + LEAST;
            let want = (room.max(0.0) as u32).max(if must { least } else { 0 });
            let slack = (self.target / 100).max(3);
            match cut(&text, body_at(passage), measure, want, slack) {
                Some(end) if end < text.len() => {
                    tokens = measure.tokens_before(end);
                    self.cut = Some((self.passages.len(), end));
                }
                None if !must => return false,
                _ => {}
            }
        }
        self.passages.push(at);
        self.estimate += f64::from(tokens) + costs.passage;
        true
    }
}
