//! Ready-made prompts: counted, those of the asked length chosen, those that begin alike left out.

use std::collections::HashSet;

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::build::Built;
use crate::dice::Dice;
use crate::source::Material;
use crate::spec::SharedOpenings;
use crate::uniqueness::Opening;
use crate::{CorpusError, CorpusSpec, Progress, TokenCounter, rag};

/// Chooses among the ready-made prompts, in seeded order.
pub(crate) fn select(
    spec: &CorpusSpec,
    material: &Material,
    counter: &dyn TokenCounter,
    pool: &ThreadPool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Built>, CorpusError> {
    let wanted = spec.prompts() as usize;
    let mut order: Vec<usize> = (0..material.ready.len()).collect();
    Dice::new(spec.seed, "ready-made").shuffle(&mut order);
    let opening = Opening::after(rag::common_head(spec, counter)?);
    let bounds = spec.length.map(|length| length.bounds());
    let mut built: Vec<Built> = Vec::new();
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
            } else if built.len() < wanted {
                let ready = &material.ready[at];
                let (messages, reference) = (ready.messages.clone(), ready.reference.clone());
                built.push(Built { messages, tokens, key, reference, reuses: 0 });
            }
        }
        progress(Progress::Building { done: built.len(), total: wanted.min(order.len()) });
        if built.len() >= wanted {
            break;
        }
    }
    if alike > 0 {
        progress(Progress::Note(format!(
            "{alike} prompts begin like an earlier one and were left out (shared_openings)"
        )));
    }
    let asked = spec.prompts.map_or(1, |n| n as usize);
    if built.len() >= asked {
        return Ok(built);
    }
    Err(CorpusError::TooFew {
        wanted: asked,
        possible: built.len(),
        lacking: format!(
            "of {} prompts {unfit} are not of the asked length and {alike} begin like an earlier one",
            material.ready.len()
        ),
        advice: "ask for fewer (--count), leave out [length], or set shared_openings = \"keep\" and let the header count them"
            .to_owned(),
    })
}
