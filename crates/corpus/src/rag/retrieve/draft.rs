//! One prompt before it is written: which chunks, in which order, and which of them gives way for the length.

use super::collection::Collection;
use super::draw::Draw;
use crate::dice::Dice;
use crate::spec::PassageOrder;

/// A passage of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) chunk: u32,
    /// About this many tokens of it; all where none is said.
    pub(super) tokens: Option<u32>,
    /// It answers the question: it is not cut.
    pub(super) answers: bool,
}

/// A prompt that is to be written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) exchange: usize,
    pub(super) template: usize,
    pub(super) line: Option<u64>,
    pub(super) target: Option<u32>,
    pub(super) passages: Vec<Placed>,
    /// The passage that is cut until the length is right.
    pub(super) flexible: Option<usize>,
}

/// How many passages, and of what size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Of `top_k`.
    pub(super) count: Option<usize>,
    /// Tokens that a passage costs beside its own.
    pub(super) each: f64,
}

/// Less than this of a passage is not worth having.
pub(super) const LEAST: u32 = 16;

/// A cut passage may be so many tokens longer than planned, to end with a sentence.
pub(super) const SLACK: u32 = 8;

/// What the retriever found for certain: the answer, then what stands beside the question.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) answer: Option<u32>,
    pub(super) near: Vec<u32>,
    /// Not to be drawn.
    pub(super) barred: Vec<u32>,
}

impl Sizes {
    /// Chooses the passages of a prompt that has `room` tokens for them; without `room`, as many as `count` says.
    pub(super) fn fill(
        &self,
        found: &Found,
        room: Option<u32>,
        collection: &Collection<'_>,
        draw: &mut Draw,
        dice: &mut Dice,
    ) -> Vec<Placed> {
        let place = |chunk: u32, answers| Placed { chunk, tokens: None, answers };
        let size = |placed: &Placed| {
            f64::from(collection.chunks[placed.chunk as usize].tokens) + self.each
        };
        let mut passages: Vec<Placed> = found.answer.iter().map(|&at| place(at, true)).collect();
        passages.extend(found.near.iter().map(|&at| place(at, false)));
        let mut taken: Vec<u32> = passages.iter().map(|p| p.chunk).collect();
        taken.extend(&found.barred);
        let mut sum: f64 = passages.iter().map(size).sum();
        let most = self.count.unwrap_or(usize::MAX);
        passages.truncate(most);
        // Where the number is given and the length too, short documents leave too little: longer ones are looked for.
        let mut tries = 32;
        loop {
            let enough = match (self.count, room) {
                (Some(count), Some(room)) if passages.len() >= count => {
                    sum = passages.iter().map(size).sum();
                    let shortest = (0..passages.len())
                        .filter(|&i| !passages[i].answers)
                        .min_by(|&a, &b| size(&passages[a]).total_cmp(&size(&passages[b])));
                    match shortest {
                        Some(at) if sum < f64::from(room) + 8.0 && tries > 0 => {
                            tries -= 1;
                            draw.give_back(passages.remove(at).chunk);
                            false
                        }
                        _ => true,
                    }
                }
                (Some(count), None) => passages.len() >= count,
                (None, Some(room)) => sum >= f64::from(room) + 24.0 + f64::from(room) * 0.004,
                _ => false,
            };
            if enough {
                break;
            }
            let Some(chunk) = draw.next(collection, &taken, dice) else { break };
            taken.push(chunk);
            passages.push(place(chunk, false));
            sum += size(&passages[passages.len() - 1]);
        }
        passages
    }

    /// Gives each passage its share of `room`; which one is to be cut to the token. Where the number of passages is free,
    /// all but the last are whole; else the long ones are cut to what the short ones leave.
    pub(super) fn share(
        &self,
        passages: &mut Vec<Placed>,
        room: u32,
        collection: &Collection<'_>,
    ) -> Option<usize> {
        let tokens = |p: &Placed| collection.chunks[p.chunk as usize].tokens;
        if self.count.is_none() {
            return self.cut_last(passages, room, tokens);
        }
        let mut left = f64::from(room) - self.each * passages.len() as f64;
        let mut order: Vec<usize> = (0..passages.len()).collect();
        // The answer first: it stays whole.
        order.sort_by_key(|&i| (!passages[i].answers, tokens(&passages[i]), i));
        for (done, &i) in order.iter().enumerate() {
            let whole = f64::from(tokens(&passages[i]));
            let share = (left / (order.len() - done) as f64).max(f64::from(LEAST));
            let given = if passages[i].answers { whole } else { whole.min(share) };
            passages[i].tokens = (given < whole).then_some(given as u32);
            left -= given;
        }
        // The one with the most text behind its cut.
        (0..passages.len()).filter(|&i| !passages[i].answers).max_by_key(|&i| {
            tokens(&passages[i]) - passages[i].tokens.unwrap_or(tokens(&passages[i]))
        })
    }

    fn cut_last(
        &self,
        passages: &mut Vec<Placed>,
        room: u32,
        tokens: impl Fn(&Placed) -> u32,
    ) -> Option<usize> {
        let size = |p: &Placed| f64::from(p.tokens.unwrap_or(tokens(p))) + self.each;
        let mut sum: f64 = passages.iter().map(size).sum();
        let room = f64::from(room);
        loop {
            let last = passages.iter().rposition(|p| !p.answers)?;
            let rest = sum - size(&passages[last]);
            // With less to spare the one before could not be made longer, should the estimate be too high.
            if rest >= room + 12.0 + room * 0.002 && passages.len() > 1 {
                sum = rest;
                passages.remove(last);
                continue;
            }
            let want = room - rest - self.each;
            if want < f64::from(LEAST) {
                // Too little for a passage: the one before it makes place, or takes what is left.
                let lacking = f64::from(LEAST + SLACK) - want;
                let before = passages[..last].iter().rposition(|p| !p.answers);
                match before.map(|at| (at, size(&passages[at]) - self.each - lacking)) {
                    Some((at, kept)) if kept >= f64::from(LEAST) => {
                        passages[at].tokens = Some(kept as u32);
                    }
                    _ if passages.len() > 1 => {
                        sum = rest;
                        passages.remove(last);
                        continue;
                    }
                    _ => {}
                }
            }
            passages[last].tokens =
                Some((want.max(f64::from(LEAST)) as u32).min(tokens(&passages[last])));
            return Some(last);
        }
    }
}

/// Puts the passages into the order asked for, and gives the new place of the one at `flexible`.
pub(super) fn arrange(
    passages: &mut [Placed],
    flexible: Option<usize>,
    order: PassageOrder,
    dice: &mut Dice,
) -> Option<usize> {
    let marked = flexible.map(|at| passages[at].chunk);
    match order {
        PassageOrder::Relevance => {}
        PassageOrder::Random => dice.shuffle(passages),
        PassageOrder::Fixed => passages.sort_by_key(|p| p.chunk),
    }
    marked.and_then(|chunk| passages.iter().position(|p| p.chunk == chunk))
}
