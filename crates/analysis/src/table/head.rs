//! What stands above and below the tables: the run, its errors, the verdict, the warnings.

use vllm_bench_record::{Check, CheckStatus, RunStatus};

use crate::calibration;
use crate::stage::ErrorCount;
use crate::summary::Summary;
use crate::table::{Look, Tone};
use crate::text;

pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let run = &summary.run;
    let mut title = text::shown(&run.scenario, false);
    if let Some(model) = &run.model {
        title.push_str(&format!(" · {}", text::shown(model, false)));
    }
    if let Some(server) = run.servers.first() {
        let version = server
            .version
            .as_deref()
            .map_or_else(String::new, |v| format!(" {}", text::shown(v, false)));
        let name = if server.simulated { "the simulator" } else { "vLLM" };
        title.push_str(&format!(" on {name}{version} at {}", text::shown(&server.url, false)));
        if run.servers.len() > 1 {
            title.push_str(&format!(" and {} more", run.servers.len() - 1));
        }
    }
    let mut lines = paint(&title, look, Tone::Strong, 2);
    if run.simulated {
        let text = "SIMULATED SERVER: no figure of this run speaks of real hardware";
        lines.extend(paint(text, look, Tone::Doubt, 2));
    }
    let mut facts = vec![format!(
        "{} in {}",
        text::of(summary.totals.requests, "request", "requests"),
        text::of(summary.stages.len() as u64, "stage", "stages")
    )];
    if summary.totals.warmup_requests > 0 {
        facts.push(format!(
            "{} more of warm-up, in no figure",
            text::count(summary.totals.warmup_requests)
        ));
    }
    facts.extend(run.seconds.map(|s| format!("{} in all", text::time(s * 1e9))));
    facts.extend(
        run.corpus.mean_tokens.map(|mean| format!("{} prompt tokens mean", text::number(mean))),
    );
    facts.extend(run.gpus.first().map(|gpu| {
        let source =
            if run.gpu_source.as_deref() == Some("simulated") { " (simulated)" } else { "" };
        format!("{} × {}{source}", run.gpus.len(), text::shown(gpu, false))
    }));
    facts.push(format!("clock: {}", run.clock_words()));
    facts.push(to_the_second(&text::shown(&run.started_at, false)));
    if run.status != RunStatus::Complete {
        facts.push("not complete".into());
    }
    let wrapped = text::wrap_parts(&facts, look.columns(), 0, 2);
    lines.extend(wrapped.iter().map(|line| look.paint(Tone::Faint, line)));
    if let Some(words) = run.asked_slo_words() {
        lines.extend(paint(&format!("objectives: {words}"), look, Tone::Doubt, 2));
    }
    let error = match &run.calibration {
        Some(calibration) => calibration::line(calibration),
        None => calibration::ABSENT.to_owned(),
    };
    lines.extend(paint(&format!("client error: {error}"), look, Tone::Faint, 2));
    lines
}

/// An RFC 3339 time without its fraction of a second.
fn to_the_second(time: &str) -> String {
    let Some((whole, fraction)) = time.split_once('.') else { return time.to_owned() };
    format!("{whole}{}", fraction.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Causes shown.
const TOP: usize = 3;

pub(super) fn errors(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let errors = &summary.totals.errors;
    if errors.is_empty() {
        return Vec::new();
    }
    let head = match errors.len() {
        n if n > TOP => format!("  errors, the {TOP} most frequent of {n} causes"),
        _ => "  errors".into(),
    };
    let mut lines = vec![look.paint(Tone::Strong, &head)];
    for error in errors.iter().take(TOP) {
        lines.extend(text::wrap(&format!("    {}", error_line(error)), look.columns(), 6));
    }
    lines
}

fn error_line(error: &ErrorCount) -> String {
    let status = error.http_status.map_or_else(String::new, |s| format!(" {s}"));
    let example = error
        .example
        .as_deref()
        .map_or_else(String::new, |e| format!(": {}", text::cut(&text::shown(e, false), 200)));
    format!("{} × {}{status}{example}", text::count(error.count), error.cause.as_str())
}

pub(super) fn verdict(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let verdict = &summary.verdict;
    let passed = verdict.with(CheckStatus::Pass).count() as u64;
    let mut lines = Vec::new();
    for check in verdict.with(CheckStatus::Fail).chain(verdict.with(CheckStatus::Warn)) {
        lines.extend(check_lines(check, look));
    }
    if lines.is_empty() {
        let line = format!("  ✓ nothing to doubt: {} passed", text::of(passed, "check", "checks"));
        lines.extend(paint(&line, look, Tone::Good, 4));
    }
    let unknown: Vec<&str> = verdict.with(CheckStatus::Unknown).map(|c| c.kind.title()).collect();
    if !unknown.is_empty() {
        lines.extend(paint(
            &format!("  not checked, no data: {}", unknown.join(", ")),
            look,
            Tone::Faint,
            4,
        ));
    }
    lines
}

fn check_lines(check: &Check, look: &Look<'_>) -> Vec<String> {
    let (word, tone) = match check.status {
        CheckStatus::Fail => ("FAIL", Tone::Bad),
        _ => ("WARN", Tone::Doubt),
    };
    let first = format!("  {word} {}: {}", check.kind.title(), text::shown(&check.figure, false));
    let mut lines = text::wrap(&first, look.columns(), 7);
    if let Some(line) = lines.first_mut() {
        *line = line.replacen(word, &look.paint(tone, word), 1);
    }
    lines.extend(text::wrap(&format!("       {}", check.meaning), look.columns(), 7));
    if let Some(advice) = &check.advice {
        lines.extend(text::wrap(&format!("       → {advice}"), look.columns(), 9));
    }
    lines
}

pub(super) fn warnings(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let warning =
        |w: &String| paint(&format!("  note: {}", text::shown(w, false)), look, Tone::Doubt, 8);
    summary.warnings.iter().flat_map(warning).collect()
}

fn paint(text: &str, look: &Look<'_>, tone: Tone, indent: usize) -> Vec<String> {
    text::wrap(text, look.columns(), indent).iter().map(|line| look.paint(tone, line)).collect()
}
