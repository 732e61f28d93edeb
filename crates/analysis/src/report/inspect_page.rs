//! Single requests as a page: prompt, answer, figures, chunk arrivals.

use std::collections::HashMap;
use std::time::Duration;

use minijinja::context;
use serde::Serialize;

use crate::charts::{count, duration_ms, seconds};
use crate::dataset::Dataset;
use crate::error::AnalysisError;
use crate::inspect::{InspectedRequest, Inspection, Message, Prompts};
use crate::report::head::Fact;
use crate::report::names::plural;
use crate::report::page::{Page, Template, render};
use crate::report::waterfall::Waterfall;
use crate::rows::RequestRow;

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    outcome: String,
    facts: Vec<Fact>,
    waterfall: Waterfall,
    span: String,
    error: Option<&'a str>,
    prompt: Vec<&'a Message>,
    reasoning: Option<&'a str>,
    answer: Option<&'a str>,
}

/// The requests of `inspection`, which were selected from `dataset`, as one HTML file that loads
/// nothing.
///
/// # Errors
/// A broken template, which is a bug of this crate.
pub fn inspect_html(dataset: &Dataset, inspection: &Inspection) -> Result<String, AnalysisError> {
    let rows: HashMap<&str, &RequestRow> =
        dataset.requests().iter().map(|r| (r.request_id.as_str(), r)).collect();
    let requests: Vec<Shown<'_>> = inspection
        .requests
        .iter()
        .filter_map(|r| Some(shown(r, rows.get(r.request_id.as_str())?, dataset)))
        .collect();
    let shown = match (inspection.matching, requests.len()) {
        (matching, n) if matching > n => {
            format!("{} of {} that match.", count(n as u64), plural(matching as u64, "request"))
        }
        (matching, _) => format!("{}.", plural(matching as u64, "request")),
    };
    let page = Page { title: format!("Requests of {}", inspection.run_id), ..Page::default() };
    let content = context! {
        simulated => inspection.simulated,
        run_id => inspection.run_id,
        shown => shown,
        prompts_note => note(&inspection.prompts),
        requests => requests,
    };
    render(Template::Inspect, &page, content)
}

fn note(prompts: &Prompts) -> String {
    match prompts {
        Prompts::Corpus { file } => {
            format!("Prompts from {}, the corpus that was sent.", file.display())
        }
        Prompts::Missing { why } => format!("Prompts are not shown: {why}."),
    }
}

fn shown<'a>(request: &'a InspectedRequest, row: &RequestRow, dataset: &Dataset) -> Shown<'a> {
    let chunks = dataset.chunks(row);
    let end = [row.finished_at, row.last_token_at, row.sent_at].into_iter().flatten().max();
    let span = end.map_or(Duration::ZERO, |end| end.since(row.scheduled_at));
    let error = request.error_message.as_deref();
    Shown {
        id: &request.request_id,
        outcome: match request.outcome.as_str() {
            "completed" => String::new(),
            outcome => match &request.error_cause {
                Some(cause) => format!("{outcome}: {}", cause.replace('_', " ")),
                None => outcome.to_owned(),
            },
        },
        facts: facts(request),
        waterfall: Waterfall::of(row, chunks, span.as_secs_f64(), true),
        span: format!("The bar is {} long.", duration_ms(span.as_secs_f64() * 1e3)),
        error,
        prompt: request.prompt.iter().flatten().collect(),
        reasoning: request.reasoning.as_deref(),
        answer: request.answer.as_deref(),
    }
}

fn facts(request: &InspectedRequest) -> Vec<Fact> {
    let ms = |ns: Option<u64>| ns.map(|ns| duration_ms(ns as f64 / 1e6));
    let tokens = |n: Option<u32>| n.map(|n| count(n.into()));
    let known = [
        ("stage", Some(format!("{} ({})", request.stage, request.level.with_unit()))),
        (
            "sent",
            request.sent_at_ns.map(|t| format!("{} after run start", seconds(t.as_secs_f64()))),
        ),
        ("prompt", Some(request.prompt_id.clone())),
        ("prompt tokens", tokens(request.prompt_tokens)),
        ("cached", tokens(request.cached_tokens)),
        ("output tokens", tokens(request.output_tokens)),
        ("max_tokens", tokens(request.max_tokens)),
        ("chunks", Some(count(request.chunks as u64))),
        ("TTFT", ms(request.ttft_ns)),
        ("TPOT", ms(request.tpot_ns)),
        ("longest gap", ms(request.icl_max_ns)),
        ("E2E", ms(request.e2e_ns)),
        ("send lag", ms(request.send_lag_ns)),
        ("server's TTFT", request.server_ttft_ms.map(duration_ms)),
        ("server's queue", request.server_queue_ms.map(duration_ms)),
        ("HTTP status", request.http_status.map(|s| s.to_string())),
        ("finish reason", request.finish_reason.clone()),
        ("turn", (request.turn > 0).then(|| (request.turn + 1).to_string())),
    ];
    known.into_iter().filter_map(|(name, value)| Some(Fact::new(name, value?))).collect()
}
