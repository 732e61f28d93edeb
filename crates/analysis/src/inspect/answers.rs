//! The texts of chosen requests, read from disk only for these.

use std::collections::HashMap;

use polars::prelude::{NamedFrom as _, Series, col, lit};
use vllm_bench_record::columns::requests as r;
use vllm_bench_record::layout;

use crate::dataset::Dataset;
use crate::error::AnalysisError;
use crate::frame::Frame;
use crate::read;
use crate::rows::RequestRow;

/// What one answer said.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) answer: Option<String>,
    pub(super) reasoning: Option<String>,
    pub(super) model: Option<String>,
}

/// The texts of `rows` by request id. A part that could not be read has already been warned of.
pub(super) fn of(
    dataset: &Dataset,
    rows: &[&RequestRow],
) -> Result<HashMap<String, Kept>, AnalysisError> {
    let mut kept = HashMap::new();
    if rows.is_empty() {
        return Ok(kept);
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.request_id.as_str()).collect();
    let ids = lit(Series::new("ids".into(), ids)).implode(false);
    for path in read::parts(dataset.run_dir(), layout::REQUESTS)? {
        let columns = [r::REQUEST_ID, r::ANSWER, r::REASONING, r::MODEL];
        let keep = col(r::REQUEST_ID).is_in(ids.clone(), false);
        let Ok(frame) = Frame::read(&path, &columns, &[], Some(keep)) else { continue };
        let texts = frame.text(r::ANSWER)?.into_iter().zip(frame.text(r::REASONING)?);
        for (id, ((answer, reasoning), model)) in
            frame.text(r::REQUEST_ID)?.into_iter().zip(texts.zip(frame.text(r::MODEL)?))
        {
            kept.insert(id.unwrap_or_default(), Kept { answer, reasoning, model });
        }
    }
    Ok(kept)
}
