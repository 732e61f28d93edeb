//! The report's tables: stages, percentiles, errors.

use serde::Serialize;
use vllm_bench_record::{Level, SloMetric};

use crate::arrivals;
use crate::calibration;
use crate::charts::{count, number};
use crate::report::definitions::definition;
use crate::report::gather;
use crate::slo;
use crate::stage::{StageSummary, WindowSummary};
use crate::stat::{Percentile, Stat};
use crate::summary::Summary;
use crate::text;

/// A table as the templates take it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Table {
    /// What it is called where it is not seen.
    pub(crate) name: &'static str,
    pub(crate) caption: String,
    /// The first column stays in sight when it is scrolled.
    pub(crate) pinned: bool,
    pub(crate) sortable: bool,
    pub(crate) groups: Vec<Head>,
    pub(crate) columns: Vec<Head>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One head.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Head {
    name: String,
    title: String,
    /// Definition to link to; empty: none.
    term: String,
    span: u32,
    text: bool,
}

impl Head {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), span: 1, ..Self::default() }
    }

    pub(crate) fn text(name: &str) -> Self {
        Self { text: true, ..Self::new(name) }
    }

    pub(crate) fn titled(name: &str, title: &str) -> Self {
        Self { title: title.into(), ..Self::new(name) }
    }

    pub(crate) fn term(name: &str, term: &str) -> Self {
        Self { term: term.into(), title: definition(term).to_owned(), ..Self::new(name) }
    }

    pub(crate) fn over(self, span: u32) -> Self {
        Self { span, ..self }
    }
}

/// One cell.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Cell {
    text: String,
    /// What it is sorted by.
    value: String,
    class: &'static str,
    title: String,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { value: text.clone(), text, class: "text", ..Self::default() }
    }

    pub(crate) fn wrapped(text: impl Into<String>) -> Self {
        Self { class: "text wrap", ..Self::text(text) }
    }

    /// A stage's or a probe's name, sorted by its load.
    pub(crate) fn level(name: &str, level: Level) -> Self {
        Self { text: name.to_owned(), value: level.value().to_string(), ..Self::default() }
    }

    pub(crate) fn count(n: u64) -> Self {
        Self { text: count(n), value: n.to_string(), ..Self::default() }
    }

    pub(crate) fn number(v: Option<f64>) -> Self {
        match v {
            Some(v) => Self { text: number(v), value: v.to_string(), ..Self::default() },
            None => Self { text: "–".into(), ..Self::default() },
        }
    }

    pub(crate) fn figure(text: String, value: f64, class: &'static str, title: String) -> Self {
        Self { text, value: value.to_string(), class, title }
    }

    fn titled(self, title: String) -> Self {
        Self { title, ..self }
    }

    pub(crate) fn classed(self, class: &'static str) -> Self {
        Self { class, ..self }
    }

    /// A percentile in milliseconds, marked where samples are too few, interval on hover.
    pub(crate) fn percentile(stat: Option<&Stat>, pick: impl Fn(&Stat) -> Percentile) -> Self {
        Self::latency(stat, None, pick)
    }

    /// The same, with this client's own error on hover.
    fn latency(
        stat: Option<&Stat>,
        client_error_ns: Option<f64>,
        pick: impl Fn(&Stat) -> Percentile,
    ) -> Self {
        let Some(stat) = stat else { return Self::number(None) };
        let p = pick(stat);
        let mut title = match p.low.zip(p.high) {
            Some((low, high)) => {
                format!("95 % interval: {} to {} ms; ", number(low / 1e6), number(high / 1e6))
            }
            None => "too few samples for an interval; ".into(),
        };
        title += &format!("{} samples", count(stat.count));
        if let Some(ns) = client_error_ns {
            title += &format!("; client error p99 ± {}", text::time(ns));
        }
        let cell = Self::number(Some(p.value / 1e6)).titled(title);
        if p.low_samples { cell.classed("few") } else { cell }
    }
}

type Pick = fn(&Stat) -> Percentile;

/// Head, term, metric and the percentiles of it that are shown.
type Group = (&'static str, &'static str, SloMetric, &'static [(&'static str, Pick)]);

const P50: Pick = |s| s.p50;
const P90: Pick = |s| s.p90;
const P95: Pick = |s| s.p95;
const P99: Pick = |s| s.p99;

/// The table of stages. `names` are those of all stages of the manifest.
pub(crate) fn stages(summary: &Summary, names: &[String]) -> Table {
    let mut groups: Vec<Group> = vec![
        ("TTFT ms", "ttft", SloMetric::Ttft, &[("p50", P50), ("p95", P95), ("p99", P99)]),
        ("TPOT ms", "tpot", SloMetric::Tpot, &[("p50", P50), ("p95", P95)]),
        ("E2E ms", "e2e", SloMetric::E2e, &[("p50", P50), ("p95", P95)]),
    ];
    // Beside TTFT wherever requests waited to be sent, and always in an open loop.
    let queued = |s: &StageSummary| {
        s.open.is_some() || s.figures().is_some_and(WindowSummary::waits_to_send)
    };
    if summary.stages.iter().any(queued) {
        let of = SloMetric::TtftFromSchedule;
        let name = "TTFT from schedule ms";
        groups.insert(
            1,
            (name, "ttft-from-schedule", of, &[("p50", P50), ("p95", P95), ("p99", P99)]),
        );
    }
    let has_slo = !summary.run.slo.is_empty();
    let mut heads = vec![
        Head::new("").over(if has_slo { 6 } else { 5 }),
        Head::term("tokens per second", "throughput").over(2),
    ];
    let mut columns = vec![Head::text("stage")];
    if has_slo {
        columns.push(Head::titled("SLO", "whether every objective of the scenario is met"));
    }
    columns.extend([
        Head::titled("requests", "recorded in the stage, whatever became of them"),
        Head::titled("failed", "failed requests; they are in no latency"),
        Head::titled("success", "whole answers among completed and failed requests, percent"),
        Head::titled("req/s", "completed requests per second"),
        Head::titled("output", "output tokens that arrived, per second"),
        Head::titled("total", "output tokens and the prompt tokens answered, per second"),
    ]);
    for (name, term, _, percentiles) in &groups {
        heads.push(Head::term(name, term).over(percentiles.len() as u32));
        columns.extend(
            percentiles
                .iter()
                .map(|(p, _)| Head::titled(p, &format!("{name}, {p}: {}", definition(term)))),
        );
    }
    let rows = summary
        .stages
        .iter()
        .map(|stage| {
            let name = names.get(stage.index as usize).unwrap_or(&stage.label);
            let window = stage.figures();
            let rate = |of: fn(&WindowSummary) -> Option<f64>| {
                Cell::number(window.and_then(of)).titled(basis(stage, window))
            };
            let mut row = vec![Cell::level(name, stage.level)];
            if has_slo {
                row.push(slo_cell(stage));
            }
            row.extend([
                Cell::count(stage.requests),
                if stage.failed > 0 {
                    Cell::count(stage.failed).classed("bad")
                } else {
                    Cell::count(0)
                },
                match stage.success_rate {
                    Some(share) => {
                        Cell { text: percent(share), value: share.to_string(), ..Cell::default() }
                    }
                    None => Cell::number(None),
                },
                rate(|w| w.completed_per_s),
                rate(|w| w.output_tokens_per_s),
                rate(|w| w.total_tokens_per_s),
            ]);
            for (_, _, metric, percentiles) in &groups {
                let stat = window.and_then(|w| gather::latency(w, *metric));
                let error = calibration::error_ns(summary.run.calibration.as_ref(), *metric);
                row.extend(percentiles.iter().map(|(_, pick)| Cell::latency(stat, error, pick)));
            }
            row
        })
        .collect();
    Table {
        caption: caption(summary),
        name: "stages",
        pinned: true,
        sortable: true,
        groups: heads,
        columns,
        rows,
    }
}

fn caption(summary: &Summary) -> String {
    let open = summary.stages.iter().any(|s| s.open.is_some());
    let window = match open {
        true => "of the time from the end of the warm-up to the last arrival",
        false => "of the time at full load where that is most of the stage",
    };
    let error = match &summary.run.calibration {
        Some(calibration) => format!(" Client error, {}.", calibration::line(calibration)),
        None => {
            " How far this client's own times are off is not known: it was not calibrated.".into()
        }
    };
    format!("Latencies are of completed requests; rates and percentiles are {window}.{error}")
}

fn basis(stage: &StageSummary, window: Option<&WindowSummary>) -> String {
    let Some(window) = window else { return "nothing was sent".into() };
    let which = match stage.figures_from {
        crate::stage::FiguresFrom::Steady => "steady window",
        crate::stage::FiguresFrom::Whole => "whole stage",
    };
    let mut basis = format!(
        "{which} of {} s, {} completed requests",
        number(window.seconds),
        count(window.completed)
    );
    if let Some(end) = stage.ended {
        basis += &format!("; ended: {}", arrivals::ended(end));
    }
    basis
}

/// A share as percent; never rounded up to 100.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if share < 1.0 && percent > 99.9 {
        format!("{:.3} %", (percent * 1e3).floor() / 1e3)
    } else {
        format!("{percent:.1} %")
    }
}

fn slo_cell(stage: &StageSummary) -> Cell {
    let parts: Vec<String> = stage
        .slo
        .iter()
        .map(|r| {
            let verdict = match (r.met, r.certain) {
                (Some(true), true) => "met",
                (Some(true), false) => "met, but the limit lies inside its interval",
                (Some(false), true) => "not met",
                (Some(false), false) => "not met, but the limit lies inside its interval",
                (None, _) => "not measured",
            };
            format!("{}: {verdict}", slo::limit_words(&r.name, &r.limit_text))
        })
        .collect();
    let certain = stage.slo.iter().all(|r| r.certain);
    let (text, class, value) = match (stage.slo_met(), certain) {
        (Some(true), true) => ("met", "ok", "2"),
        (Some(true), false) => ("met?", "unsure", "2"),
        (Some(false), true) => ("missed", "bad", "0"),
        (Some(false), false) => ("missed?", "unsure", "0"),
        (None, _) => ("–", "", ""),
    };
    Cell { text: text.into(), value: value.into(), class, title: parts.join("; ") }
}

/// Every percentile with its count and interval, one row a stage and metric.
pub(crate) fn percentiles(summary: &Summary, names: &[String]) -> Table {
    let metrics = [
        ("TTFT", SloMetric::Ttft),
        ("TTFT from schedule", SloMetric::TtftFromSchedule),
        ("TPOT", SloMetric::Tpot),
        ("ITL", SloMetric::Itl),
        ("E2E", SloMetric::E2e),
    ];
    let mut rows = Vec::new();
    for stage in &summary.stages {
        let Some(window) = stage.figures() else { continue };
        for (name, metric) in metrics {
            let Some(stat) = gather::latency(window, metric) else { continue };
            let error = calibration::error_ns(summary.run.calibration.as_ref(), metric);
            let mean = Cell::number(Some(stat.mean / 1e6)).titled(
                match stat.mean_low.zip(stat.mean_high) {
                    Some((l, h)) => {
                        format!("95 % interval: {} to {} ms", number(l / 1e6), number(h / 1e6))
                    }
                    None => "too few samples for an interval".into(),
                },
            );
            let label = names.get(stage.index as usize).unwrap_or(&stage.label);
            let mut row = vec![
                Cell::text(label.clone()),
                Cell::text(name),
                Cell::count(stat.count),
                mean,
                Cell::number(stat.std_dev.map(|s| s / 1e6)),
                Cell::number(Some(stat.min / 1e6)),
            ];
            for pick in [P50, P90, P95, P99] {
                let p = pick(stat);
                row.push(Cell::latency(Some(stat), error, pick));
                row.push(match p.low.zip(p.high) {
                    Some((l, h)) => Cell {
                        text: format!("{}–{}", number(l / 1e6), number(h / 1e6)),
                        ..Cell::default()
                    },
                    None => Cell::number(None),
                });
            }
            row.push(Cell::number(Some(stat.max / 1e6)));
            rows.push(row);
        }
    }
    let columns = [
        "n", "mean", "std dev", "min", "p50", "95 %", "p90", "95 %", "p95", "95 %", "p99", "95 %",
        "max",
    ];
    Table {
        name: "percentiles",
        caption: format!(
            "Milliseconds. Percentiles: {}. Intervals: {}.",
            summary.methods.percentile, summary.methods.percentile_interval
        ),
        columns: [Head::text("stage"), Head::text("metric")]
            .into_iter()
            .chain(columns.map(Head::new))
            .collect(),
        rows,
        ..Table::default()
    }
}

/// Failures by stage, cause and status, with the most frequent message.
pub(crate) fn errors(summary: &Summary, names: &[String]) -> Table {
    let mut rows = Vec::new();
    for stage in &summary.stages {
        for error in &stage.errors {
            let label = names.get(stage.index as usize).unwrap_or(&stage.label);
            let mut cause = error.cause.as_str().replace('_', " ");
            if let Some(status) = error.http_status {
                cause += &format!(" {status}");
            }
            rows.push(vec![
                Cell::text(label.clone()),
                Cell::text(cause),
                Cell::count(error.count),
                Cell::text(percent(error.count as f64 / stage.requests.max(1) as f64)).classed(""),
                Cell::wrapped(error.example.clone().unwrap_or_else(|| "–".into())),
            ]);
        }
    }
    Table {
        name: "errors",
        caption: "Failed requests of measured stages by cause, with the most frequent message in the server's own words.".into(),
        columns: vec![
            Head::text("stage"),
            Head::text("cause"),
            Head::new("requests"),
            Head::new("of the stage"),
            Head::text("message"),
        ],
        rows,
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_below_one_never_reads_as_all() {
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(percent(0.999_96), "99.996 %");
        assert_eq!(percent(0.985), "98.5 %");
    }

    #[test]
    fn few_samples_are_marked_and_say_so() {
        let stat = Stat::of([1e6, 2e6, 3e6]).expect("samples");
        let cell = Cell::percentile(Some(&stat), P99);
        assert_eq!((cell.class, cell.text.as_str()), ("few", "2.98"));
        assert!(cell.title.ends_with("3 samples"), "{}", cell.title);
        assert_eq!(Cell::percentile(None, P50).text, "–");
    }
}
