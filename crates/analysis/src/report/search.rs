//! The report's section on a capacity search: its table, and what its chart is drawn from.

use vllm_bench_record::{Probe, ProbeOutcome, SearchInfo};

use crate::charts::{ProbePoint, SearchPoints};
use crate::report::tables::{Cell, Head, Table};
use crate::search::{answer_level, objective, outcome};

/// The points of the chart.
pub(crate) fn points(search: &SearchInfo) -> SearchPoints {
    let point = |(n, probe): (usize, &Probe)| {
        let mut lines = vec![format!("probe {n}: {}", probe.level.with_unit())];
        lines.push(words(probe));
        lines.extend(probe.objectives.iter().map(objective));
        ProbePoint { level: probe.level, outcome: probe.outcome, lines }
    };
    SearchPoints {
        probes: (1..).zip(&search.probes).map(point).collect(),
        answer: answer_level(search),
    }
}

fn words(probe: &Probe) -> String {
    let again = if probe.confirms { ", confirming" } else { "" };
    format!("{}{again}", outcome(probe.outcome))
}

/// One line a probe, in order.
pub(crate) fn table(search: &SearchInfo) -> Table {
    let rows = (1u64..).zip(&search.probes).map(|(n, probe)| {
        let class = match probe.outcome {
            ProbeOutcome::Holds => "text ok",
            ProbeOutcome::Fails => "text bad",
            ProbeOutcome::Unclear => "text unsure",
        };
        let found: Vec<String> = probe.objectives.iter().map(objective).collect();
        vec![
            Cell::count(n),
            Cell::level(&probe.level.with_unit(), probe.level),
            Cell::text(words(probe)).classed(class),
            Cell::wrapped(if found.is_empty() { "–".into() } else { found.join("; ") }),
        ]
    });
    Table {
        name: "probes",
        caption: "Every probe in the order in which it was made; each is a stage of its own below."
            .into(),
        columns: vec![
            Head::new("probe"),
            Head::new("load"),
            Head::text("outcome"),
            Head::text("objectives, with the 95 % interval"),
        ],
        rows: rows.collect(),
        ..Table::default()
    }
}
