//! Scripted conversations: each turn of a person is a prompt, with the turns before it and their given answers.

use std::collections::HashSet;

use rayon::prelude::*;
use vllm_bench_protocol::{ChatMessage, Role};

use crate::build::{Outcome, Workshop};
use crate::dice::Dice;
use crate::source::Ready;
use crate::spec::SharedOpenings;
use crate::uniqueness::Opening;
use crate::{CorpusError, Progress, TokenCounter, rag};

/// One turn: the messages up to it, its tokens, and what was answered.
struct Turn {
    messages: Vec<ChatMessage>,
    ids: Vec<u32>,
    answer: Option<String>,
}

/// Chooses conversations in seeded order and takes their turns, until there are as many prompts as asked for.
pub(crate) fn select(shop: &mut Workshop<'_>) -> Result<Outcome, CorpusError> {
    let (spec, material, counter) = (shop.spec, shop.material, shop.counter);
    let wanted = spec.prompts() as usize;
    let mut order: Vec<usize> = (0..material.ready.len()).collect();
    Dice::new(spec.seed, "conversations").shuffle(&mut order);
    let opening = Opening::after(rag::common_head(spec, counter)?, spec.cache().block_size);
    let bounds = spec.length.as_ref().map_or((1, u32::MAX), |length| length.bounds());
    let (mut built, mut conversations) = (0, 0u32);
    let (mut alike, mut unfit) = (0usize, 0usize);
    let mut seen = HashSet::new();
    for lot in order.chunks(64) {
        let all: Vec<Vec<Turn>> = shop.pool.install(|| {
            lot.par_iter()
                .map(|&at| turns(&material.ready[at], bounds.1, counter))
                .collect::<Result<_, CorpusError>>()
        })?;
        for turns in all {
            let Some(first) = turns.first().filter(|turn| turn.ids.len() as u32 >= bounds.0) else {
                unfit += 1;
                continue;
            };
            let key = opening.key(&first.ids);
            if key.is_some_and(|key| !seen.insert(key))
                && spec.shared_openings == SharedOpenings::Drop
            {
                alike += 1;
                continue;
            }
            for (number, turn) in turns.into_iter().enumerate().take(wanted - built) {
                let Turn { messages, ids, answer } = turn;
                // That later turns begin like earlier ones of their conversation is what they are for.
                let key = key.filter(|_| number == 0);
                let place = Some((conversations, number as u32 + 1));
                shop.spool
                    .put(shop.sealer.seal_turn(built, &ids, key, messages, answer, place)?)?;
                built += 1;
            }
            conversations += 1;
            if built == wanted {
                break;
            }
        }
        (shop.progress)(Progress::Building { done: built, total: wanted.min(order.len()) });
        if built == wanted {
            break;
        }
    }
    if alike > 0 {
        (shop.progress)(Progress::Note(format!(
            "{alike} conversations begin like an earlier one and were left out (shared_openings)"
        )));
    }
    let asked = spec.prompts.map_or(1, |n| n as usize);
    if built >= asked {
        return Ok(Outcome::default());
    }
    Err(CorpusError::TooFew {
        wanted: asked,
        possible: built,
        lacking: format!(
            "of {} conversations {unfit} do not begin with a turn of the asked length and {alike} begin like an earlier one",
            material.ready.len()
        ),
        advice: "ask for fewer (--count), leave out [length], or add a source".to_owned(),
    })
}

/// The turns of one conversation, up to the first that has more than `most` tokens.
fn turns(ready: &Ready, most: u32, counter: &dyn TokenCounter) -> Result<Vec<Turn>, CorpusError> {
    let all = &ready.messages;
    let mut turns = Vec::new();
    for at in (0..all.len()).filter(|&at| all[at].role == Role::User) {
        // Two turns of a person in a row are one prompt: the answer is asked for behind the second.
        if all.get(at + 1).is_some_and(|next| next.role == Role::User) {
            continue;
        }
        let messages = all[..=at].to_vec();
        let ids = counter.prompt_ids(&messages)?;
        if ids.len() as u64 > u64::from(most) {
            break;
        }
        let next = all.get(at + 1).filter(|next| next.role == Role::Assistant);
        let answer = match next {
            Some(next) => Some(next.content.clone()),
            None => ready.reference.clone().filter(|_| at + 1 == all.len()),
        };
        turns.push(Turn { messages, ids, answer });
    }
    Ok(turns)
}
