//! A search in words: its probes as they end, its answer, its table.

use std::fmt::Write as _;

use vllm_bench_record::{
    Capacity, Level, Probe, ProbeObjective, ProbeOutcome, SearchAxis, SearchInfo, SloTarget, words,
};

use super::machine::{Search, SearchEnd};
use super::spec::SearchSpec;

/// Why a search that has an answer ended.
pub(crate) fn found(search: &Search, found: Capacity) -> String {
    let mut text = match found.fails {
        Some(_) => "the bracket is narrow enough and its answer was repeated".to_owned(),
        None => "the objectives hold up to the upper bound".to_owned(),
    };
    if search.by_estimate() > 0 {
        let _ = write!(
            text,
            "; {} whose interval straddled a limit, or was too wide to tell, went by the figure itself",
            words::of(u64::from(search.by_estimate()), "probe", "probes")
        );
    }
    text
}

/// Why a search that came to its end has no answer.
pub(crate) fn not_found(
    search: &Search,
    end: SearchEnd,
    spec: &SearchSpec,
    last: Option<&Probe>,
) -> String {
    match end {
        SearchEnd::LowerBoundFails => {
            let from = level(spec.over, *spec.from.get_ref()).with_unit();
            let broken: Vec<String> = last
                .map(|probe| probe.objectives.iter().filter(|o| !o.holds).map(missed).collect())
                .unwrap_or_default();
            let figures = match broken.as_slice() {
                [] => String::new(),
                some => format!(": {}", some.join(", ")),
            };
            format!("the lower bound {from} already fails{figures}; lower `from`")
        }
        SearchEnd::MaxProbes => {
            cut_short(search, spec, &format!("{} probes did not suffice", search.probes()))
        }
        SearchEnd::NoFigures(at) => cut_short(
            search,
            spec,
            &format!(
                "no request of two probes at {} counted: make them longer, or their warm-up shorter",
                at.with_unit()
            ),
        ),
        SearchEnd::Found(capacity) => found(search, capacity),
    }
}

/// A search that ended before its answer: `why`, and the bracket so far.
pub(crate) fn cut_short(search: &Search, spec: &SearchSpec, why: &str) -> String {
    let name = |value| level(spec.over, value).with_unit();
    match search.bracket() {
        (None, None) => format!("{why}; no probe was complete"),
        (None, Some(high)) => format!("{why}; {} did not hold", name(high)),
        (Some(low), None) => format!("{why}; {} held, more was not tried", name(low)),
        (Some(low), Some(high)) => {
            format!("{why}; {} held and {} did not", name(low), name(high))
        }
    }
}

/// What is about to be searched.
pub(crate) fn started_line(
    over: SearchAxis,
    bounds: (f64, f64),
    objectives: &[String],
    prompts: u64,
    at_least: bool,
) -> String {
    format!(
        "search: {} to {} with {}; {} {} prompts",
        level(over, bounds.0),
        level(over, bounds.1).with_unit(),
        objectives.join(", "),
        if at_least { "at least" } else { "about" },
        words::count(prompts)
    )
}

/// One line on a probe: its outcome, what decided, the bracket.
pub(crate) fn probe_line(
    probe: &Probe,
    given_up: bool,
    bracket: (Option<f64>, Option<f64>),
) -> String {
    let mut text = outcome(probe).to_owned();
    if given_up {
        text += ", ended early";
    }
    // What does not hold, or else a latency: no errors is no news.
    let broken: Vec<&ProbeObjective> = probe.objectives.iter().filter(|o| !o.holds).collect();
    let latency = |o: &&ProbeObjective| {
        matches!(SloTarget::parse(parts(&o.slo).0), Some(SloTarget::Latency(..)))
    };
    let shown = if broken.is_empty() {
        let first = probe.objectives.first();
        probe.objectives.iter().find(latency).or(first).into_iter().collect()
    } else {
        broken
    };
    for objective in shown {
        let _ = write!(text, ": {}", measured(objective));
    }
    let number = |value: f64| match probe.level {
        Level::Rate(_) => Level::Rate(value).number(),
        Level::Concurrency(_) => format!("{value}"),
    };
    match bracket {
        (Some(low), Some(high)) => {
            let _ = write!(text, "; between {} and {}", number(low), number(high));
        }
        (Some(low), None) => {
            let _ = write!(text, "; at least {}", number(low));
        }
        _ => {}
    }
    text
}

/// The answer and the table of the probes, ascending by load, at most 80 columns.
pub fn search_text(search: &SearchInfo) -> String {
    let mut out = String::new();
    let mut probes: Vec<(usize, &Probe)> = (1..).zip(&search.probes).collect();
    probes.sort_by(|a, b| a.1.level.total_cmp(b.1.level).then(a.0.cmp(&b.0)));
    let unit = match search.over {
        SearchAxis::Rate => "req/s",
        SearchAxis::Concurrency => "streams",
    };
    // As many objectives as there is room for; the run directory and the report have all.
    let names: Vec<&str> = search.probes.first().map_or_else(Vec::new, |probe| {
        let names = probe.objectives.iter().map(|objective| parts(&objective.slo).0);
        let mut used = 25;
        names
            .take_while(|name| {
                used += column(name) + 1;
                used <= 80
            })
            .collect()
    });
    let _ = write!(out, "  {:>5} {unit:>8} {:<7}", "probe", "");
    for name in &names {
        let _ = write!(out, " {name:>width$}", width = column(name));
    }
    for (number, probe) in probes {
        let _ = write!(out, "\n  {number:>5} {:>8} {:<7}", probe.level.number(), outcome(probe));
        for (name, objective) in names.iter().zip(&probe.objectives) {
            let cell = short(name, objective);
            let _ = write!(out, " {cell:>width$}", width = column(name));
        }
    }
    out.push('\n');
    let mut width = 0;
    for word in answer(search).split(' ') {
        // The first line and those that follow are indented alike.
        let new_line = width == 0 || width + 1 + word.chars().count() > 78;
        let (before, start) = match (new_line, width) {
            (true, 0) => ("  ", 0),
            (true, _) => ("\n  ", 0),
            (false, width) => (" ", width + 1),
        };
        let _ = write!(out, "{before}{word}");
        width = start + word.chars().count();
    }
    out.push('\n');
    out
}

/// The answer, or why there is none, as one sentence.
pub(crate) fn answer(search: &SearchInfo) -> String {
    let ended = search.ended.as_deref().unwrap_or("it did not come to its end");
    match search.answer {
        Some(Capacity { holds, fails: Some(fails) }) => format!(
            "holds {}, not {} ({ended})",
            level(search.over, holds).with_unit(),
            level(search.over, fails)
        ),
        Some(Capacity { holds, fails: None }) => {
            format!("holds {} ({ended})", level(search.over, holds).with_unit())
        }
        None => format!("no answer: {ended}"),
    }
}

fn outcome(probe: &Probe) -> &'static str {
    match (probe.outcome, probe.objectives.iter().all(|o| o.holds)) {
        (ProbeOutcome::Holds, _) => "holds",
        (ProbeOutcome::Fails, _) => "fails",
        (ProbeOutcome::Unclear, true) => "holds?",
        (ProbeOutcome::Unclear, false) => "fails?",
    }
}

/// `ttft_p99 612 ms > 500ms`.
fn missed(objective: &ProbeObjective) -> String {
    let (name, relation, limit) = parts(&objective.slo);
    let against = if relation == ">=" { "<" } else { ">" };
    match objective.value {
        Some(value) => format!("{name} {} {against} {limit}", figure(name, value)),
        None => format!("{name} has no figure, since no request completed"),
    }
}

/// `ttft_p99 412 ms (380 ms to 455 ms) <= 500ms`, the relation as it was found.
fn measured(objective: &ProbeObjective) -> String {
    let (name, relation, limit) = parts(&objective.slo);
    let Some(value) = objective.value else { return missed(objective) };
    let mut text = format!("{name} {}", figure(name, value));
    if let Some((low, high)) = objective.interval {
        let _ = write!(text, " ({} to {})", figure(name, low), figure(name, high));
    }
    let found = match (objective.holds, relation) {
        (true, relation) => relation,
        (false, ">=") => "<",
        (false, _) => ">",
    };
    let _ = write!(text, " {found} {limit}");
    text
}

/// `412 ms`, with a mark where it does not hold.
fn short(name: &str, objective: &ProbeObjective) -> String {
    let value = objective.value.map_or_else(|| "-".into(), |value| figure(name, value));
    format!("{value}{}", if objective.holds { "" } else { "!" })
}

/// Width of an objective's column.
fn column(name: &str) -> usize {
    name.chars().count().max(9)
}

fn figure(name: &str, value: f64) -> String {
    match SloTarget::parse(name) {
        Some(SloTarget::Latency(..)) => words::time(value),
        _ if value < 0.0 => format!("-{}", words::percent(-value)),
        _ => words::percent(value),
    }
}

fn parts(slo: &str) -> (&str, &str, &str) {
    let mut parts = slo.splitn(3, ' ');
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

fn level(over: SearchAxis, value: f64) -> Level {
    match over {
        SearchAxis::Rate => Level::Rate(value),
        SearchAxis::Concurrency => Level::Concurrency(value as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(slo: &str, value: f64, holds: bool) -> ProbeObjective {
        let interval = Some((value * 0.9, value * 1.1));
        ProbeObjective { slo: slo.into(), value: Some(value), interval, holds }
    }

    fn probe(rate: f64, ttft_ms: f64) -> Probe {
        let holds = ttft_ms <= 500.0;
        Probe {
            stage: 0,
            level: Level::Rate(rate),
            confirms: false,
            outcome: if holds { ProbeOutcome::Holds } else { ProbeOutcome::Fails },
            objectives: vec![
                objective("ttft_p99 <= 500ms", ttft_ms * 1e6, holds),
                objective("goodput >= 95%", 0.97, true),
                objective("in_flight_growth <= 5%", -0.012, true),
            ],
        }
    }

    #[test]
    fn a_probe_is_one_line_and_says_what_decided() {
        assert_eq!(
            probe_line(&probe(8.0, 400.0), false, (Some(8.0), None)),
            "holds: ttft_p99 400 ms (360 ms to 440 ms) <= 500ms; at least 8"
        );
        assert_eq!(
            probe_line(&probe(16.0, 612.0), true, (Some(8.0), Some(16.0))),
            "fails, ended early: ttft_p99 612 ms (551 ms to 673 ms) > 500ms; between 8 and 16"
        );
        let unclear = Probe { outcome: ProbeOutcome::Unclear, ..probe(8.0, 490.0) };
        assert!(probe_line(&unclear, false, (None, None)).starts_with("holds?: "));
        assert_eq!(missed(&objective("goodput >= 95%", 0.5, false)), "goodput 50.0 % < 95%");
    }

    #[test]
    fn the_table_is_ascending_and_fits_80_columns() {
        let search = SearchInfo {
            over: SearchAxis::Rate,
            from: 8.0,
            to: 64.0,
            precision: 0.05,
            probes: vec![probe(8.0, 400.0), probe(16.0, 612.0), probe(11.31, 450.0)],
            answer: Some(Capacity { holds: 11.31, fails: Some(11.8) }),
            ended: Some("the bracket is narrow enough and its answer was repeated; 3 probes went by the figure itself".into()),
        };
        let text = search_text(&search);
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        let rows: Vec<&str> = text.lines().skip(1).take(3).map(str::trim).collect();
        assert_eq!(rows[1], "3     11.3 holds      450 ms    97.0 %          -1.20 %");
        assert!(rows[2].contains("fails     612 ms!"), "{text}");
        let answer = text.lines().nth(4).unwrap_or_default();
        assert!(answer.starts_with("  holds 11.3 req/s, not 11.8 (the bracket"), "{text}");
    }
}
