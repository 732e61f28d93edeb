//! A capacity search in words: its answer, and what each probe showed.

use std::collections::BTreeMap;

use vllm_bench_record::{
    Capacity, Level, Probe, ProbeObjective, ProbeOutcome, SearchAxis, SearchInfo,
};

use crate::slo;
use crate::text;

/// `Holds 12.3 req/s within TTFT p99 ≤ 500ms (confirmed; 12.9 do not).`
pub(crate) fn sentence(search: &SearchInfo, slo: &BTreeMap<String, String>) -> String {
    let limits = limits(search, slo);
    let Some(Capacity { holds, fails }) = search.answer else {
        return match &search.ended {
            Some(ended) => format!("No load was found that holds {limits}: {}.", full_stop(ended)),
            None => format!("The search for the load that holds {limits} did not come to its end."),
        };
    };
    let asked = |number: &str| match search.over {
        SearchAxis::Rate => format!("{number} req/s"),
        SearchAxis::Concurrency if holds == 1.0 => "1 concurrent user".into(),
        SearchAxis::Concurrency => format!("{number} concurrent users"),
    };
    let held = level(search.over, holds);
    match fails {
        Some(fails) => {
            let (holds, fails) = apart(held, level(search.over, fails));
            format!("Holds {} within {limits} (confirmed; {fails} do not).", asked(&holds))
        }
        None => format!(
            "Holds at least {}, the most that was tried, within {limits} (confirmed).",
            asked(&held.number())
        ),
    }
}

/// How the answer was found: probes, bracket, why it ended.
pub(crate) fn basis(search: &SearchInfo) -> String {
    let unit = match search.over {
        SearchAxis::Rate => "req/s",
        SearchAxis::Concurrency => "users",
    };
    let mut basis = format!(
        "{} between {} and {} {unit}",
        text::of(search.probes.len() as u64, "probe", "probes"),
        level(search.over, search.from),
        level(search.over, search.to),
    );
    if let Some(Capacity { holds, fails: Some(fails) }) = search.answer
        && holds > 0.0
    {
        basis += &format!(
            "; what holds and what does not lie {} apart, asked for were {}",
            text::percent((fails - holds) / holds),
            text::percent(search.precision)
        );
    }
    basis.push('.');
    if let Some(ended) = search.ended.as_ref().filter(|_| search.answer.is_some()) {
        basis += &format!(" Ended: {}.", full_stop(ended));
    }
    basis
}

/// The highest load that holds; `None` without an answer.
pub(crate) fn answer_level(search: &SearchInfo) -> Option<Level> {
    search.answer.map(|answer| level(search.over, answer.holds))
}

/// One probe's outcome as a word.
pub(crate) const fn outcome(outcome: ProbeOutcome) -> &'static str {
    match outcome {
        ProbeOutcome::Holds => "holds",
        ProbeOutcome::Fails => "fails",
        ProbeOutcome::Unclear => "unclear",
    }
}

/// The probe of `stage`, with its number from 1 on.
pub(crate) fn probe_of(search: &SearchInfo, stage: u32) -> Option<(usize, &Probe)> {
    (1..).zip(&search.probes).find(|(_, probe)| probe.stage == stage)
}

/// `TTFT p99 412 ms (380 to 455 ms), limit 500ms`.
pub(crate) fn objective(found: &ProbeObjective) -> String {
    format!("{}, limit {}", figure(found), parts(&found.slo).1)
}

/// `TTFT p99 412 ms (380 to 455 ms)`.
pub(crate) fn figure(found: &ProbeObjective) -> String {
    let (name, _) = parts(&found.slo);
    let show = |value: f64| slo::figure_words(name, value);
    let figure = match (found.value, found.interval) {
        (Some(value), Some((low, high))) => {
            format!("{} ({})", show(value), range(&show(low), &show(high)))
        }
        (Some(value), None) => show(value),
        (None, _) => "not measured".into(),
    };
    format!("{} {figure}", slo::words(name))
}

/// `371 to 453 ms`: a unit that both have is written once.
fn range(low: &str, high: &str) -> String {
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

/// The objectives that were searched with: as the probes have them, else as the scenario does.
fn limits(search: &SearchInfo, slo: &BTreeMap<String, String>) -> String {
    let of_probes = search.probes.iter().find(|p| !p.objectives.is_empty());
    let texts: Vec<String> = match of_probes {
        Some(probe) => probe
            .objectives
            .iter()
            .map(|o| parts(&o.slo))
            .map(|(name, limit)| slo::limit_words(name, limit))
            .collect(),
        None => slo.iter().map(|(name, limit)| slo::limit_words(name, limit)).collect(),
    };
    if texts.is_empty() { "the objectives".into() } else { texts.join(" and ") }
}

/// `ttft_p99 <= 500ms`, `goodput >= 95%` as its name and its limit.
fn parts(slo: &str) -> (&str, &str) {
    let found = slo.split_once("<=").or_else(|| slo.split_once(">="));
    found.map_or((slo, "?"), |(name, limit)| (name.trim(), limit.trim()))
}

fn level(axis: SearchAxis, value: f64) -> Level {
    match axis {
        SearchAxis::Rate => Level::Rate(value),
        SearchAxis::Concurrency => Level::Concurrency(value.round().max(0.0) as u32),
    }
}

/// Two levels with as many digits as tell them apart.
fn apart(a: Level, b: Level) -> (String, String) {
    let (short, other) = (a.number(), b.number());
    if short != other || a.value() == b.value() {
        return (short, other);
    }
    let long = |level: Level| format!("{:.4}", level.value());
    (long(a), long(b))
}

fn full_stop(sentence: &str) -> &str {
    sentence.trim_end().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(answer: Option<Capacity>) -> SearchInfo {
        let objective = ProbeObjective {
            slo: "ttft_p99 <= 500ms".into(),
            value: Some(412e6),
            interval: Some((380e6, 455e6)),
            holds: true,
        };
        SearchInfo {
            over: SearchAxis::Rate,
            from: 1.0,
            to: 64.0,
            precision: 0.05,
            probes: vec![Probe {
                stage: 1,
                level: Level::Rate(12.3),
                confirms: false,
                outcome: ProbeOutcome::Holds,
                objectives: vec![objective],
            }],
            answer,
            ended: Some("the bracket is narrow enough.".into()),
        }
    }

    #[test]
    fn the_answer_is_a_bracket() {
        let slo = BTreeMap::new();
        let told = |answer| sentence(&search(answer), &slo);
        assert_eq!(
            told(Some(Capacity { holds: 12.3, fails: Some(12.9) })),
            "Holds 12.3 req/s within TTFT p99 ≤ 500ms (confirmed; 12.9 do not)."
        );
        assert_eq!(
            told(Some(Capacity { holds: 12.301, fails: Some(12.302) })),
            "Holds 12.3010 req/s within TTFT p99 ≤ 500ms (confirmed; 12.3020 do not)."
        );
        assert_eq!(
            told(Some(Capacity { holds: 64.0, fails: None })),
            "Holds at least 64 req/s, the most that was tried, within TTFT p99 ≤ 500ms (confirmed)."
        );
        assert_eq!(
            told(None),
            "No load was found that holds TTFT p99 ≤ 500ms: the bracket is narrow enough."
        );
        let found = search(Some(Capacity { holds: 12.0, fails: Some(12.6) }));
        assert_eq!(
            basis(&found),
            "1 probe between 1 and 64 req/s; what holds and what does not lie 5.00 % apart, asked for were 5.00 %. \
             Ended: the bracket is narrow enough."
        );
        let users = SearchInfo { over: SearchAxis::Concurrency, ..found };
        assert!(sentence(&users, &slo).starts_with("Holds 12 concurrent users within "));
        assert_eq!(probe_of(&users, 1).map(|p| p.0), Some(1));
        assert!(probe_of(&users, 2).is_none());
    }

    #[test]
    fn a_probe_tells_its_figure_with_interval_and_limit() {
        let search = search(None);
        assert_eq!(
            objective(&search.probes[0].objectives[0]),
            "TTFT p99 412 ms (380 to 455 ms), limit 500ms"
        );
        let errors = ProbeObjective {
            slo: "error_rate <= 1%".into(),
            value: Some(0.02),
            interval: None,
            holds: false,
        };
        assert_eq!(objective(&errors), "error rate 2.00 %, limit 1%");
    }
}
