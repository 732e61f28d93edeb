//! The answer in one sentence: what the run says about its question.

use serde::Serialize;
use vllm_bench_record::{Level, ProbeOutcome, SearchInfo};

use crate::charts::{Goal, StagePoint, duration_ms, number};
use crate::report::names::plural;
use crate::search;
use crate::slo;
use crate::stage::StageSummary;
use crate::summary::Summary;
use crate::text;

/// The sentence and what it rests on.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    sentence: String,
    basis: String,
}

/// Reads the answer from the stages; `points` are the same stages for the charts.
pub(crate) fn answer(summary: &Summary, points: &[StagePoint], goal: &Goal) -> Answer {
    let mut stages: Vec<&StageSummary> = summary.stages.iter().collect();
    stages.sort_by(|a, b| a.level.total_cmp(b.level));
    let best = points.iter().filter(|p| p.requests > 0 && p.output_tokens_per_s.is_some()).max_by(
        |a, b| {
            a.output_tokens_per_s
                .partial_cmp(&b.output_tokens_per_s)
                .unwrap_or(std::cmp::Ordering::Equal)
        },
    );
    let Some(best) = best else {
        return Answer {
            sentence: "No answer: no request of a measured stage was completed.".into(),
            basis: "The errors below say why.".into(),
        };
    };
    if let Some(search) = &summary.run.search {
        return searched(summary, search);
    }
    if summary.run.slo.is_empty() {
        return without_objective(best, points, goal);
    }
    let limits = limits(summary);
    let held = stages.iter().take_while(|s| s.slo_met() == Some(true)).last();
    let next = stages.iter().find(|s| s.slo_met() != Some(true));
    let users = |s: &StageSummary| asked(s.level);
    let sentence = match (held, next) {
        (Some(held), None) => {
            format!("Holds at least {}, the most that was tried, within {limits}.", users(held))
        }
        (Some(held), Some(next)) if next.slo_met() == Some(false) => {
            let too_much = match next.level {
                Level::Concurrency(users) => format!("{users} are too many"),
                Level::Rate(_) => format!("{} is too much", next.level.number()),
            };
            format!("Holds {} within {limits}; {too_much}.", users(held))
        }
        (Some(held), Some(next)) => format!(
            "Holds {} within {limits}; with {} it cannot be told.",
            users(held),
            next.level.number()
        ),
        (None, Some(next)) if next.slo_met() == Some(false) => {
            format!("Does not hold {}, the least that was tried, within {limits}.", users(next))
        }
        (None, _) => format!("Cannot be told: too little was measured to judge {limits}."),
    };
    let mut basis: Vec<String> = [held, next].into_iter().flatten().map(|s| evidence(s)).collect();
    let doubtful = [held, next].into_iter().flatten().filter(|s| s.slo.iter().any(|r| !r.certain));
    for stage in doubtful {
        basis.push(format!(
            "{} the limit lies inside the 95 % interval: another run may say otherwise.",
            at(stage.level)
        ));
    }
    Answer { sentence, basis: basis.join(" ") }
}

/// The answer of a capacity search, with the figures of the probe that confirmed it.
fn searched(summary: &Summary, search: &SearchInfo) -> Answer {
    let mut basis = vec![search::basis(search)];
    let confirmed = search.answer.and_then(|answer| {
        let mut probes = search.probes.iter().rev();
        probes.find(|p| p.outcome == ProbeOutcome::Holds && p.level.value() == answer.holds)
    });
    if let Some(probe) = confirmed {
        let stage = summary.stages.iter().find(|s| s.index == probe.stage);
        let mut parts: Vec<String> = stage.and_then(output).into_iter().collect();
        parts.extend(probe.objectives.iter().map(search::figure));
        basis.push(format!("{}: {}.", at(probe.level), parts.join(", ")));
    }
    Answer { sentence: search::sentence(search, &summary.run.slo), basis: basis.join(" ") }
}

fn without_objective(best: &StagePoint, points: &[StagePoint], goal: &Goal) -> Answer {
    let rate = best.output_tokens_per_s.map_or_else(|| "–".into(), number);
    let with = |p: &StagePoint| match p.level {
        Level::Concurrency(_) => format!("with {}", p.stage),
        Level::Rate(_) => format!("at {}", p.stage),
    };
    let sentence = format!("Delivers up to {rate} output tokens per second, {}.", with(best));
    let read = |p: &StagePoint| p.goal_ms.map(|f| format!("{} is {}", goal.name, interval(f)));
    let mut basis: Vec<String> =
        read(best).map(|text| format!("There {text}.")).into_iter().collect();
    if let Some(first) = points.first().filter(|p| p.level.total_cmp(best.level).is_lt()) {
        basis.extend(read(first).map(|text| format!("{} {text}.", text::capital(&with(first)))));
    }
    basis.push("The scenario sets no objective; with one in [slo], or asked for by --slo, this sentence says how much load holds within it.".into());
    Answer { sentence, basis: basis.join(" ") }
}

/// `8 concurrent users`, `12.5 req/s`.
fn asked(level: Level) -> String {
    match level {
        Level::Concurrency(users) => plural(users.into(), "concurrent user"),
        Level::Rate(_) => level.with_unit(),
    }
}

/// `With 8`, `At 12.5 req/s`.
fn at(level: Level) -> String {
    match level {
        Level::Concurrency(users) => format!("With {users}"),
        Level::Rate(_) => format!("At {}", level.with_unit()),
    }
}

fn interval(figure: crate::charts::Figure) -> String {
    let value = duration_ms(figure.value);
    match figure.interval {
        Some((low, high)) => format!("{value} ({} to {})", duration_ms(low), duration_ms(high)),
        None => value,
    }
}

/// `TTFT p95 ≤ 2s, error rate ≤ 0.1%`.
fn limits(summary: &Summary) -> String {
    let texts: Vec<String> =
        summary.run.slo.iter().map(|(name, limit)| slo::limit_words(name, limit)).collect();
    texts.join(" and ")
}

/// `1,240 output tok/s`.
fn output(stage: &StageSummary) -> Option<String> {
    let rate = stage.figures()?.output_tokens_per_s?;
    Some(format!("{} output tok/s", number(rate)))
}

fn evidence(stage: &StageSummary) -> String {
    let mut parts: Vec<String> = output(stage).into_iter().collect();
    for result in &stage.slo {
        let Some(figure) = result.figure else { continue };
        let text = |v: f64| {
            if slo::is_share(&result.name) {
                format!("{} %", number(v * 100.0))
            } else {
                duration_ms(v / 1e6)
            }
        };
        let range = match (result.low, result.high) {
            (Some(low), Some(high)) => format!(" ({} to {})", text(low), text(high)),
            _ => String::new(),
        };
        parts.push(format!("{} {}{range}", slo::words(&result.name), text(figure)));
    }
    if parts.is_empty() {
        parts.push("nothing was measured".into());
    }
    format!("{}: {}.", at(stage.level), parts.join(", "))
}
