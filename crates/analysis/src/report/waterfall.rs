//! One request over time as bars, drawn into the page as SVG.

use serde::Serialize;

use crate::charts::{duration_ms, seconds};
use crate::rows::{Chunks, RequestRow};

/// Most chunk marks of one bar.
const MARKS: usize = 160;

/// The bars of one request on a plane of 1000 by 100.
#[derive(Debug, Serialize)]
pub(crate) struct Waterfall {
    bars: Vec<Bar>,
    alt: String,
}

#[derive(Debug, Serialize)]
struct Bar {
    class: &'static str,
    x: f64,
    y: u32,
    width: f64,
    height: u32,
}

impl Waterfall {
    /// `row` from when it was due, on an axis that ends `span_s` later.
    /// Chunks are marked where `marks`: small bars have no room for them.
    pub(crate) fn of(row: &RequestRow, chunks: Chunks<'_>, span_s: f64, marks: bool) -> Self {
        let scale = 1_000.0 / span_s.max(1e-9);
        let at = |t: vllm_bench_record::Timestamp| t.since(row.scheduled_at).as_secs_f64() * scale;
        let mut bars = Vec::new();
        let (y, height) = if marks { (38, 62) } else { (10, 80) };
        let mut bar = |class, from: f64, to: f64| {
            let round = |v: f64| (v * 100.0).round() / 100.0;
            if to > from {
                bars.push(Bar {
                    class,
                    x: round(from),
                    y,
                    width: round(to - from).max(0.5),
                    height,
                });
            }
        };
        let end = row.last_token_at.or(row.finished_at);
        if let Some(sent) = row.sent_at {
            bar("queue", 0.0, at(sent));
            let first = row.first_token_at.or(end).unwrap_or(sent);
            bar("wait", at(sent), at(first));
            if let (Some(first), Some(last)) = (row.first_token_at, row.last_token_at) {
                bar("stream", at(first), at(last).max(at(first) + 1.0));
            }
        }
        let stride = chunks.at.len().div_ceil(MARKS).max(1);
        if marks {
            bars.extend(chunks.at.iter().step_by(stride).map(|&t| Bar {
                class: "chunk",
                x: (at(t) * 100.0).round() / 100.0,
                y: 0,
                width: 1.0,
                height: 30,
            }));
        }
        Self { bars, alt: alt(row, chunks) }
    }
}

fn alt(row: &RequestRow, chunks: Chunks<'_>) -> String {
    let ms = |d: Option<std::time::Duration>| {
        d.map_or_else(|| "unknown".into(), |d| duration_ms(d.as_secs_f64() * 1e3))
    };
    format!(
        "Sent {} s after run start; first token after {}, last after {}, in {} chunks.",
        seconds(row.sent_at.unwrap_or(row.scheduled_at).as_secs_f64()).trim_end_matches(" s"),
        ms(row.ttft),
        ms(row.e2e),
        chunks.at.len()
    )
}
