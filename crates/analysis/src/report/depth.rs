//! Single requests in the report: the slowest ones.

use serde::Serialize;

use crate::charts::{count, duration_ms, seconds};
use crate::dataset::Dataset;
use crate::report::waterfall::Waterfall;
use crate::rows::RequestRow;

const SLOWEST: usize = 12;

/// One row of the table of slowest requests.
#[derive(Debug, Serialize)]
pub(crate) struct Slow {
    id: String,
    stage: String,
    sent: String,
    prompt_tokens: String,
    output_tokens: String,
    ttft: String,
    e2e: String,
    waterfall: Waterfall,
}

/// The completed measured requests with the longest E2E latency.
pub(crate) fn slowest(dataset: &Dataset, names: &[String]) -> Vec<Slow> {
    let mut rows: Vec<&RequestRow> =
        dataset.measured().filter(|r| r.completed() && r.e2e.is_some()).collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.e2e));
    rows.truncate(SLOWEST);
    let span =
        rows.iter().filter_map(|r| r.e2e_from_schedule).max().unwrap_or_default().as_secs_f64();
    let ms = |d: Option<std::time::Duration>| {
        d.map_or_else(|| "–".to_owned(), |d| duration_ms(d.as_secs_f64() * 1e3))
    };
    let tokens = |n: Option<u32>| n.map_or_else(|| "–".to_owned(), |n| count(n.into()));
    rows.into_iter()
        .map(|row| Slow {
            id: row.request_id.clone(),
            stage: names.get(row.stage_index as usize).cloned().unwrap_or_default(),
            sent: seconds(row.sent_at.unwrap_or(row.scheduled_at).as_secs_f64()),
            prompt_tokens: tokens(row.prompt_tokens),
            output_tokens: tokens(row.output_tokens),
            ttft: ms(row.ttft),
            e2e: ms(row.e2e),
            waterfall: Waterfall::of(row, dataset.chunks(row), span, false),
        })
        .collect()
}
