//! Drawing documents: by popularity and again, or each chunk once.

use std::collections::VecDeque;

use super::collection::Collection;
use crate::dice::Dice;

/// Where passages that were not asked for come from.
#[derive(Debug)]
pub(super) enum Draw {
    /// Documents by Zipf's law, any of their chunks, for each prompt anew.
    Popular {
        /// Documents by rank.
        ranked: Vec<u32>,
        /// Sums of the weights up to each rank.
        sums: Vec<u64>,
    },
    /// Chunks in seeded order, each once before any comes again.
    Once { all: Vec<u32>, order: VecDeque<u32>, again: bool },
}

impl Draw {
    /// Documents of `collection` that may fill, with Zipf's exponent.
    pub(super) fn popular(collection: &Collection<'_>, exponent: f64, dice: &mut Dice) -> Self {
        let mut ranked: Vec<u32> =
            (0..collection.documents() as u32).filter(|&d| collection.fills(d)).collect();
        dice.shuffle(&mut ranked);
        let mut sum = 0;
        let weight = |rank: usize| {
            // Whole numbers: the same on every machine, and never 0.
            (1e12 * libm::pow((rank + 1) as f64, -exponent)).round().max(1.0) as u64
        };
        let sums = (0..ranked.len())
            .map(|rank| {
                sum += weight(rank);
                sum
            })
            .collect();
        Self::Popular { ranked, sums }
    }

    /// Chunks of `collection` that may fill, but for `kept`.
    pub(super) fn once(
        collection: &Collection<'_>,
        kept: impl Fn(u32) -> bool,
        again: bool,
        dice: &mut Dice,
    ) -> Self {
        let mut all: Vec<u32> = (0..collection.chunks.len() as u32)
            .filter(|&at| collection.fills(collection.chunks[at as usize].document) && !kept(at))
            .collect();
        dice.shuffle(&mut all);
        Self::Once { order: all.clone().into(), all, again }
    }

    /// A chunk that is none of `taken`; `None` when there is no other, or none was found in many tries.
    pub(super) fn next(
        &mut self,
        collection: &Collection<'_>,
        taken: &[u32],
        dice: &mut Dice,
    ) -> Option<u32> {
        match self {
            Self::Popular { ranked, sums } => {
                let whole = *sums.last()?;
                for _ in 0..64 {
                    let at = dice.below(whole);
                    let document = ranked[sums.partition_point(|&sum| sum <= at)];
                    if let Some(chunk) = one_of(collection, document, taken, dice) {
                        return Some(chunk);
                    }
                }
                // The popular ones are all here: the next in rank that is not.
                ranked.iter().find_map(|&document| one_of(collection, document, taken, dice))
            }
            Self::Once { all, order, again } => {
                if order.is_empty() && *again {
                    dice.shuffle(all);
                    order.extend(all.iter());
                }
                let at = order.iter().position(|chunk| !taken.contains(chunk))?;
                order.remove(at)
            }
        }
    }

    /// Gives back what was drawn last and is not used.
    pub(super) fn give_back(&mut self, chunk: u32) {
        if let Self::Once { order, .. } = self {
            order.push_front(chunk);
        }
    }
}

/// Any chunk of a document that is not taken.
fn one_of(
    collection: &Collection<'_>,
    document: u32,
    taken: &[u32],
    dice: &mut Dice,
) -> Option<u32> {
    let chunks = collection.of(document);
    let count = chunks.len() as u32;
    let first = dice.small(count);
    (0..count).map(|i| chunks.start + (first + i) % count).find(|chunk| !taken.contains(chunk))
}
