//! The built-in encyclopedia as a source: as much of it as is needed.

use rayon::ThreadPool;
use rayon::prelude::*;

use super::Encyclopedia;
use super::load::Request;
use super::material::{Exchange, Material};
use crate::spec::{Reuse, SourceSpec};
use crate::{CorpusSpec, SourceRecord};

/// Articles of a collection whose documents come again.
const COLLECTION: u64 = 20_000;

/// As many articles as the prompts need, each with its question, and the exchanges of earlier turns.
pub(super) fn read(
    spec: &CorpusSpec,
    source: &SourceSpec,
    mean_tokens: u32,
    request: &Request<'_>,
    pool: &ThreadPool,
    material: &mut Material,
) -> SourceRecord {
    let prompts = u64::from(spec.prompts());
    // An article has some 150 tokens.
    let mut needed = prompts * (u64::from(mean_tokens) / 90 + 2);
    if spec.rag.reuse == Some(Reuse::Documents) {
        // A collection, of which each prompt has a part: it does not grow with the corpus.
        needed = needed.min(COLLECTION);
    }
    let count = source.take.unwrap_or(needed);
    let book = Encyclopedia::new(spec.seed);
    let articles: Vec<_> =
        pool.install(|| (0..count).into_par_iter().map(|i| book.article(i)).collect());
    for article in articles {
        let about = material.passage(Some(&article.title), &article.text, request.passages());
        if request.questions() {
            material.exchange(Exchange {
                question: article.question,
                answer: Some(article.answer),
                passage: about,
                near: Vec::new(),
                as_question: true,
                as_history: false,
            });
        }
    }
    if request.history() {
        let turns = prompts * u64::from(spec.rag.history_turns);
        // A tenth more, for those that turn out too long.
        let count = turns + turns / 10 + 8;
        let exchanges: Vec<_> =
            pool.install(|| (0..count).into_par_iter().map(|i| book.exchange(i)).collect());
        for (question, answer) in exchanges {
            material.exchange(Exchange {
                question,
                answer: Some(answer),
                passage: None,
                near: Vec::new(),
                as_question: false,
                as_history: true,
            });
        }
    }
    SourceRecord {
        name: source.name(),
        file: "built-in encyclopedia 1".to_owned(),
        sha256: None,
        as_pinned: None,
        licence: None,
        attribution: None,
        records: count,
        left_out: 0,
    }
}
