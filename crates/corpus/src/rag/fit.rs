//! From a plan to a prompt of the right length: write it out, count the whole, move the cut, count again.

use vllm_bench_protocol::ChatMessage;

use super::choose::{Passages, block, body_at};
use super::cut::{cut, least_left};
use super::plan::Plan;
use crate::source::Exchange;
use crate::uniqueness::Opening;
use crate::{CorpusError, TokenCounter};

/// What prompts are written with.
pub(super) struct Writer<'a> {
    pub(super) system: &'a str,
    pub(super) exchanges: &'a [Exchange],
    pub(super) passages: &'a Passages<'a>,
    pub(super) counter: &'a dyn TokenCounter,
    pub(super) opening: Opening,
    /// A prompt may miss its target by so many tokens.
    pub(super) tolerance: u32,
}

/// A prompt that was counted.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    pub(super) messages: Vec<ChatMessage>,
    pub(super) ids: Vec<u32>,
    pub(super) key: Option<[u8; 32]>,
}

impl Writer<'_> {
    /// Writes and counts a prompt, and moves its cut until it fits or cannot be bettered.
    pub(super) fn fit(&self, plan: &mut Plan) -> Result<Fitted, CorpusError> {
        let mut best: Option<(Plan, Fitted)> = None;
        for _ in 0..8 {
            let fitted = self.count(plan)?;
            let off = fitted.ids.len() as i64 - i64::from(plan.target);
            let better = best.as_ref().is_none_or(|(_, b)| {
                off.abs() < (b.ids.len() as i64 - i64::from(plan.target)).abs()
            });
            if better {
                best = Some((plan.clone(), fitted));
            }
            if off.unsigned_abs() <= u64::from(self.tolerance) || !self.adjust(plan, -off) {
                break;
            }
        }
        let (chosen, fitted) = best.expect("counted at least once");
        *plan = chosen;
        Ok(fitted)
    }

    /// Writes and counts a prompt as it is.
    pub(super) fn count(&self, plan: &Plan) -> Result<Fitted, CorpusError> {
        let messages = self.messages(plan);
        let ids = self.counter.prompt_ids(&messages)?;
        let key = self.opening.key(&ids);
        Ok(Fitted { messages, ids, key })
    }

    /// The conversation that a plan stands for.
    pub(super) fn messages(&self, plan: &Plan) -> Vec<ChatMessage> {
        let mut messages = Vec::with_capacity(2 + 2 * plan.history.len());
        if !self.system.is_empty() {
            messages.push(ChatMessage::system(self.system));
        }
        for &(at, _) in &plan.history {
            let exchange = &self.exchanges[at];
            messages.push(ChatMessage::user(exchange.question.as_str()));
            messages.push(ChatMessage::assistant(exchange.answer.as_deref().unwrap_or_default()));
        }
        let mut text = String::from("Context:\n");
        for (i, &at) in plan.passages.iter().enumerate() {
            let block = block(&self.passages.list[at]);
            let end = plan.cut.filter(|&(cut, _)| cut == i).map_or(block.len(), |(_, end)| end);
            text.push_str(&format!("[{}] {}\n\n", i + 1, block[..end].trim_end()));
        }
        text.push_str("Question: ");
        text.push_str(&self.exchanges[plan.asked.exchange].question);
        messages.push(ChatMessage::user(text));
        messages
    }

    /// Makes a plan longer or shorter by about `by` tokens; false when that cannot be done by cutting.
    fn adjust(&self, plan: &mut Plan, by: i64) -> bool {
        let gold = plan.asked.gold;
        let last_but_gold =
            || (0..plan.passages.len()).rev().find(|&i| Some(plan.passages[i]) != gold);
        let Some(index) = plan.cut.map(|(index, _)| index).or_else(last_but_gold) else {
            return false;
        };
        let passage = &self.passages.list[plan.passages[index]];
        let measure = self.passages.measure(plan.passages[index]);
        let block = block(passage);
        let now = plan.cut.map_or(block.len(), |(_, end)| end);
        let want = i64::from(measure.tokens_before(now)) + by;
        let least = measure.tokens_before(body_at(passage)) + least_left(plan.target);
        if want < i64::from(least) && index > 0 {
            // Nothing of it would be left: the one before it is cut next.
            plan.passages.remove(index);
            plan.cut = None;
            return true;
        }
        let want = want.max(i64::from(least)) as u32;
        let end = cut(&block, body_at(passage), measure, want, self.tolerance / 2, least);
        match end {
            Some(end) if end != now => {
                plan.cut = (end < block.len()).then_some((index, end));
                true
            }
            _ => false,
        }
    }
}
