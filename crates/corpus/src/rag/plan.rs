//! What one prompt is made of, before it is counted.

use super::choose::{Asked, Passages, block, body_at};
use super::cut::{cut, least_left};
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

/// What a prompt begins with when it is planned.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) target: u32,
    pub(super) asked: Asked,
    /// Does the passage that is asked about stand first?
    pub(super) gold_first: bool,
    pub(super) history: Vec<(usize, u32)>,
}

/// Tokens that are in no part's own measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    /// Template, system line, `Context:` and `Question:`, and the frames of earlier turns.
    pub(super) frame: f64,
    /// A passage's number and the line feeds after it.
    pub(super) passage: f64,
}

/// A title and the least that is left of a passage: less room is not worth another one.
pub(super) fn fragment(target: u32) -> f64 {
    f64::from(least_left(target)) + 8.0
}

/// So much may be missing without another try.
const SLACK: f64 = 6.0;

impl Plan {
    /// Fills a prompt with passages up to its target. `None` when the deck has none left.
    pub(super) fn fill(
        wanted: Wanted,
        costs: Costs,
        deck: &mut Deck,
        passages: &mut Passages<'_>,
        dice: &mut Dice,
    ) -> Result<Option<Self>, CorpusError> {
        let Wanted { target, asked, gold_first, history } = wanted;
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
            let mut aside = Vec::new();
            loop {
                let Some(opening) = deck.opening() else { return Ok(None) };
                let before = plan.estimate;
                plan.put(opening, true, costs, passages);
                if aside.len() == 6 || !deck.has_opening() || !plan.gap(costs) {
                    deck.note(opening);
                    break;
                }
                plan.passages.clear();
                plan.estimate = before;
                aside.push(opening);
            }
            deck.give_back_openings(aside);
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
        // Drawn and not used: they go to the next prompt.
        let mut aside = Vec::new();
        let enough = loop {
            if self.cut.is_some() || self.room() - costs.passage < fragment(self.target) {
                break true;
            }
            let mut taken = self.passages.clone();
            taken.extend(self.asked.gold);
            taken.extend(&aside);
            let Some(next) = deck.filler(&taken, passages)? else {
                break self.room() <= f64::from(self.target) * 0.02;
            };
            let before = (self.estimate, self.passages.len());
            let put = self.put(next, false, costs, passages);
            if aside.len() < 6 && (!put || self.gap(costs)) {
                self.estimate = before.0;
                self.passages.truncate(before.1);
                aside.push(next);
            } else if put {
                deck.note(next);
            } else {
                aside.push(next);
                break true;
            }
        };
        deck.give_back(aside);
        Ok(enough)
    }

    /// Too little room for another passage, too much to be left empty: with many such prompts the mean would be too low.
    fn gap(&self, costs: Costs) -> bool {
        self.cut.is_none()
            && self.room() > SLACK
            && self.room() - costs.passage < fragment(self.target)
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
            let least = measure.tokens_before(body_at(passage)) + least_left(self.target);
            let want = (room.max(0.0) as u32).max(if must { least } else { 0 });
            let slack = (self.target / 100).max(3);
            match cut(&text, body_at(passage), measure, want, slack, least) {
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
