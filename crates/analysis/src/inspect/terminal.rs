//! Single requests as text for a terminal. Nothing in prompts and answers can steer it.

use super::{InspectedRequest, Inspection, Prompts};
use crate::table::{Look, Tone};
use crate::text::{self, NONE};

/// Characters of a prompt or an answer that are shown unless all are asked for.
const SHORT: usize = 600;

/// The requests one below the other: figures, prompt, answer. Long texts are cut unless `whole`.
///
/// Ends with a line feed. Control characters and bidirectional overrides in texts are shown escaped.
pub fn terminal(inspection: &Inspection, whole: bool, look: &Look<'_>) -> String {
    let mut lines = Vec::new();
    if inspection.simulated {
        lines.push(
            look.paint(Tone::Doubt, "  SIMULATED SERVER: answers and figures are the simulator's"),
        );
    }
    if let Prompts::Missing { why } = &inspection.prompts {
        let note = format!("  no prompts: {}", text::shown(why, false));
        lines.extend(
            text::wrap(&note, look.columns(), 4).iter().map(|l| look.paint(Tone::Doubt, l)),
        );
    }
    for request in &inspection.requests {
        lines.push(String::new());
        lines.extend(one(request, whole, look));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    let shown = inspection.requests.len();
    lines.push(format!(
        "  {} of {} shown",
        text::count(shown as u64),
        text::of(inspection.matching as u64, "matching request", "matching requests")
    ));
    lines.join("\n") + "\n"
}

fn one(request: &InspectedRequest, whole: bool, look: &Look<'_>) -> Vec<String> {
    let shown = |t: &str| text::shown(t, false);
    let title = format!(
        "  {} · {} · prompt {} · user {} · {}",
        shown(&request.request_id),
        shown(&request.stage),
        shown(&request.prompt_id),
        request.user,
        request.outcome
    );
    let tone = if request.outcome == "completed" { Tone::Strong } else { Tone::Bad };
    let mut lines: Vec<String> =
        text::wrap(&title, look.columns(), 4).iter().map(|line| look.paint(tone, line)).collect();
    if let Some(cause) = &request.error_cause {
        let status = request.http_status.map_or_else(String::new, |s| format!(", HTTP {s}"));
        let message = request
            .error_message
            .as_deref()
            .map_or_else(String::new, |m| format!(": {}", shown(m)));
        lines.extend(text::wrap(&format!("    {cause}{status}{message}"), look.columns(), 6));
    }
    let figures = text::wrap_parts(&figures(request), look.columns(), 4, 6);
    lines.extend(figures.iter().map(|line| look.paint(Tone::Faint, line)));
    for message in request.prompt.iter().flatten() {
        lines.extend(block(&shown(&message.role), &message.content, whole, look));
    }
    if let Some(reasoning) = &request.reasoning {
        lines.extend(block("reasoning", reasoning, whole, look));
    }
    match &request.answer {
        Some(answer) => lines.extend(block("answer", answer, whole, look)),
        None => lines.push(look.paint(Tone::Faint, "    no answer kept")),
    }
    lines
}

fn figures(request: &InspectedRequest) -> Vec<String> {
    let time = |ns: Option<u64>| ns.map_or_else(|| NONE.into(), |ns| text::time(ns as f64));
    let tokens = |n: Option<u32>| n.map_or_else(|| NONE.into(), |n| text::count(u64::from(n)));
    let mut parts = vec![
        format!("TTFT {}", time(request.ttft_ns)),
        format!("TPOT {}", time(request.tpot_ns)),
        format!("longest gap {}", time(request.icl_max_ns)),
        format!("E2E {}", time(request.e2e_ns)),
        format!("send lag {}", time(request.send_lag_ns)),
        format!(
            "prompt {} tokens, {} cached",
            tokens(request.prompt_tokens),
            tokens(request.cached_tokens)
        ),
        format!(
            "output {} of {} in {} chunks",
            tokens(request.output_tokens),
            tokens(request.max_tokens),
            request.chunks
        ),
    ];
    parts.extend(
        request.finish_reason.as_ref().map(|r| format!("finished by {}", text::shown(r, false))),
    );
    parts
        .extend(request.server_ttft_ms.map(|ms| format!("server's TTFT {}", text::time(ms * 1e6))));
    parts.extend(request.server_queue_ms.map(|ms| format!("its queue {}", text::time(ms * 1e6))));
    parts
}

/// A text under its name, wrapped and made harmless.
fn block(name: &str, content: &str, whole: bool, look: &Look<'_>) -> Vec<String> {
    let characters = content.chars().count();
    let cut = !whole && characters > SHORT;
    let kept: String = if cut { content.chars().take(SHORT).collect() } else { content.to_owned() };
    let harmless = text::shown(&kept, true).replace('\t', "    ");
    let mut lines = vec![look.paint(Tone::Strong, &format!("    {name}"))];
    for line in harmless.split('\n') {
        lines.extend(
            text::wrap(&format!("      {line}"), look.columns(), 6)
                .iter()
                .map(|l| l.trim_end().to_owned()),
        );
    }
    if cut {
        let left = text::count((characters - SHORT) as u64);
        lines.push(
            look.paint(Tone::Faint, &format!("      … {left} characters more (--whole shows all)")),
        );
    }
    lines
}
