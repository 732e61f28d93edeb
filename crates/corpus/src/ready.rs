//! Ready-made prompts: counted, those of the asked length chosen, those that begin alike left out.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::build::{Outcome, Workshop};
use crate::dice::Dice;
use crate::spec::SharedOpenings;
use crate::uniqueness::Opening;
use crate::{CorpusError, CorpusSpec, Progress, rag};

/// Chooses among the ready-made prompts, in seeded order.
pub(crate) fn select(shop: &mut Workshop<'_>) -> Result<Outcome, CorpusError> {
    let Workshop { spec, material, counter, pool, sealer, spool, progress } = shop;
    let spec: &CorpusSpec = spec;
    let wanted = spec.prompts() as usize;
    let mut order: Vec<usize> = (0..material.ready.len()).collect();
    Dice::new(spec.seed, "ready-made").shuffle(&mut order);
    let opening = Opening::after(rag::common_head(spec, *counter)?, spec.cache().block_size);
    let bounds = spec.length.as_ref().map(|length| length.bounds());
    let mut built = 0;
    let (mut alike, mut unfit) = (0usize, 0usize);
    let mut seen = HashSet::new();
    for lot in order.chunks(64) {
        let counted: Vec<Vec<u32>> = pool.install(|| {
            lot.par_iter()
                .map(|&at| counter.prompt_ids(&material.ready[at].messages))
                .collect::<Result<_, _>>()
        })?;
        for (&at, ids) in lot.iter().zip(counted) {
            let (tokens, key) = (ids.len() as u32, opening.key(&ids));
            if bounds.is_some_and(|(least, most)| !(least..=most).contains(&tokens)) {
                unfit += 1;
            } else if key.is_some_and(|key| !seen.insert(key))
                && spec.shared_openings == SharedOpenings::Drop
            {
                alike += 1;
            } else if built < wanted {
                let ready = &material.ready[at];
                let (messages, reference) = (ready.messages.clone(), ready.reference.clone());
                spool.put(sealer.seal(built, &ids, key, messages, reference)?)?;
                built += 1;
            }
        }
        progress(Progress::Building { done: built, total: wanted.min(order.len()) });
        if built >= wanted {
            break;
        }
    }
    if alike > 0 {
        progress(Progress::Note(format!(
            "{alike} prompts begin like an earlier one and were left out (shared_openings)"
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
            "of {} prompts {unfit} are not of the asked length and {alike} begin like an earlier one",
            material.ready.len()
        ),
        advice: "ask for fewer (--count), leave out [length], or set shared_openings = \"keep\" and let the header count them"
            .to_owned(),
    })
}
