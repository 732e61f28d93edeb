//! databricks-dolly-15k: instructions written by people, some about a passage of Wikipedia.

use std::path::Path;

use super::clean::tidy;
use super::jsonl;
use super::load::{Reading, Request};
use super::material::{Exchange, Material};
use crate::CorpusError;

/// Reads Dolly's JSON Lines.
///
/// Its 8 repeated records are left out; a last line without a line feed is a line; instructions too long to be a question
/// are left out later, when lengths are known.
pub(super) fn read(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    let (records, sha256) = jsonl::for_each(path, request.take(), |line, row| {
        let Some(instruction) = jsonl::text(&row, &["instruction"]) else {
            let message = format!(
                "no text under `instruction`; found {}: not a Dolly file",
                jsonl::keys(&row)
            );
            return Err(CorpusError::line(path, line, message));
        };
        let context =
            tidy(jsonl::text(&row, &["context"]).unwrap_or_default(), request.footnotes());
        let answer = tidy(
            jsonl::text(&row, &["response", "output"]).unwrap_or_default(),
            request.footnotes(),
        );
        let about = material.passage(None, &context, request.passages());
        if !request.questions() && !request.history() {
            return Ok(());
        }
        material.exchange(Exchange {
            question: tidy(instruction, request.footnotes()),
            // «Summarise this paragraph» makes no sense as an earlier turn, where its paragraph is not seen.
            as_history: request.history() && about.is_none() && !answer.is_empty(),
            as_question: request.questions(),
            answer: (!answer.is_empty()).then_some(answer),
            passage: about,
            near: Vec::new(),
        });
        Ok(())
    })?;
    Ok(Reading { records, sha256: Some(sha256) })
}
