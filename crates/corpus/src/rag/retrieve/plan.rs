//! The whole corpus: planned one prompt after the other, written in parallel, put into the spool in order.

use rayon::prelude::*;

use super::draft::Draft;
use super::fit::Writer;
use super::planner::Planner;
use crate::build::{Outcome, Workshop};
use crate::file::{Sealed, Sealer};
use crate::header::Aims;
use crate::lengths::Lengths;
use crate::source::Material;
use crate::spec::Leading;
use crate::{CorpusError, Progress, TokenCounter};

/// Prompts that are in memory at a time.
const LOT: usize = 64;
/// Times that a prompt gets another beginning.
const MENDS: usize = 16;

/// Makes the prompts of a retrieval plan.
pub(crate) fn retrieve(shop: &mut Workshop<'_>, lengths: &Lengths) -> Result<Outcome, CorpusError> {
    let (count, spec) = (shop.spec.prompts() as usize, shop.spec);
    let mut planner = Planner::new(shop, lengths)?;
    let press = Press { material: shop.material, counter: shop.counter, sealer: shop.sealer };
    let leading = spec.rag.leading.unwrap_or_default();
    let mut aims = Vec::with_capacity(count);
    let mut done = 0;
    while done < count {
        let mut drafts = Vec::with_capacity(LOT);
        for index in done..count.min(done + LOT) {
            let Some(draft) = planner.draft(index)? else {
                return Err(too_few(count, index));
            };
            drafts.push(draft);
        }
        let sealed: Vec<Sealed> = {
            let write = |(i, draft): (usize, &Draft)| press.seal(&planner, done + i, draft);
            shop.pool
                .install(|| drafts.par_iter().enumerate().map(write).collect::<Result<_, _>>())?
        };
        for (i, (mut draft, mut sealed)) in drafts.into_iter().zip(sealed).enumerate() {
            let mut mends = 0;
            while leading != Leading::Free && !planner.ledger.lead(sealed.key) && mends < MENDS {
                if !planner.mend(&mut draft) {
                    break;
                }
                mends += 1;
                sealed = press.seal(&planner, done + i, &draft)?;
            }
            if let Some(target) = draft.target {
                aims.push((target, sealed.tokens));
            }
            planner.note(&draft);
            shop.spool.put(sealed)?;
        }
        done = count.min(done + LOT);
        (shop.progress)(Progress::Building { done, total: count });
    }
    let aims =
        Aims::of(aims.iter().copied()).map(|of_all| Aims { raised: planner.raised, ..of_all });
    check(&aims, lengths.mean())?;
    Ok(Outcome {
        reuses: planner.ledger.repeated,
        aims,
        retrieval: spec.rag.is_plan().then(|| planner.ledger.figures(&planner.collection)),
        head_tokens: planner.templates.iter().map(|t| t.opening.head_tokens).max(),
    })
}

/// What threads write prompts with.
struct Press<'a> {
    material: &'a Material,
    counter: &'a dyn TokenCounter,
    sealer: &'a Sealer,
}

impl Press<'_> {
    fn seal(
        &self,
        planner: &Planner<'_>,
        index: usize,
        draft: &Draft,
    ) -> Result<Sealed, CorpusError> {
        let exchanges = &self.material.exchanges;
        let writer = Writer {
            templates: &planner.templates,
            exchanges,
            collection: &planner.collection,
            counter: self.counter,
        };
        let written = writer.write(draft)?;
        let reference = exchanges[draft.exchange].answer.clone();
        self.sealer.seal(index, &written.ids, written.key, written.messages, reference)
    }
}

/// Single prompts may be off where the text does not allow more; the corpus may not.
fn check(aims: &Option<Aims>, mean: u32) -> Result<(), CorpusError> {
    let Some(aims) = aims.as_ref().filter(|a| a.mean_off > 2.0 + f64::from(mean) * 0.02) else {
        return Ok(());
    };
    Err(CorpusError::Length {
        message: format!(
            "prompts are {} tokens off their length on average, up to {}",
            aims.mean_off, aims.most_off
        ),
        advice: "the documents are too short or too few for rag.top_k passages of this length: leave top_k out, or add sources"
            .to_owned(),
    })
}

fn too_few(wanted: usize, possible: usize) -> CorpusError {
    CorpusError::TooFew {
        wanted,
        possible,
        lacking: "each prompt takes a question of fitting length and passages of its own".to_owned(),
        advice: "set rag.reuse = \"documents\" to let questions and documents come again, ask for fewer (--count), raise `take` of a source, or add one"
            .to_owned(),
    }
}
