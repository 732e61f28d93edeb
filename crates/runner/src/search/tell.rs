//! A search in words: its probes as they end, its answer, its table.

use std::fmt::Write as _;

use vllm_bench_record::{
    Capacity, Level, Probe, ProbeObjective, ProbeOutcome, SearchAxis, SearchInfo, Slo, SloTarget,
    words,
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
    // What does not hold, or else what comes nearest to its limit.
    let broken: Vec<&ProbeObjective> = probe.objectives.iter().filter(|o| !o.holds).collect();
    let shown = if broken.is_empty() { probe.objectives.iter().take(1).collect() } else { broken };
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
    let _ = writeln!(out, "  {:>5} {unit:>8}  {:<8} {}", "probe", "", "figures");
    for (number, probe) in probes {
        let figures: Vec<String> = probe.objectives.iter().map(short).collect();
        let line = format!(
            "  {number:>5} {:>8}  {:<8} {}",
            probe.level.number(),
            outcome(probe),
            figures.join("  ")
        );
        let _ = writeln!(out, "{}", line.chars().take(80).collect::<String>().trim_end());
    }
    let _ = writeln!(out, "  {}", answer(search));
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

/// `ttft_p99 412 ms`, with a mark where it does not hold.
fn short(objective: &ProbeObjective) -> String {
    let (name, ..) = parts(&objective.slo);
    let value = objective.value.map_or_else(|| "-".into(), |value| figure(name, value));
    format!("{name} {value}{}", if objective.holds { "" } else { "!" })
}

fn figure(name: &str, value: f64) -> String {
    // Any limit will do: what is wanted is what the name bounds.
    match Slo::parse(name, "1s").map(|slo| slo.target) {
        Ok(SloTarget::Latency(..)) => words::time(value),
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
