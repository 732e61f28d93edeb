//! Several runs side by side as a page.

use minijinja::context;
use serde::Serialize;

use crate::charts::{RunPoints, comparison, number};
use crate::compare::{Better, ComparedCell, ComparedMetric, Comparison, compare};
use crate::error::AnalysisError;
use crate::report::gather;
use crate::report::head::{validity, wall_time};
use crate::report::page::{Page, Template, render};
use crate::report::tables::{Cell, Head, Table};
use crate::search;
use crate::summary::Summary;

#[derive(Serialize)]
struct Run {
    name: String,
    simulated: bool,
    model: String,
    server: String,
    gpu: String,
    started: String,
    answer: String,
    verdict: &'static str,
}

/// The runs of `summaries` side by side over load as one HTML file that loads nothing; the
/// first is the baseline.
///
/// # Errors
/// Fewer than two runs; a broken template is a bug of this crate.
pub fn compare_html(summaries: &[Summary]) -> Result<String, AnalysisError> {
    let compared = compare(summaries)?;
    let names = names(summaries);
    let points: Vec<RunPoints> = summaries
        .iter()
        .zip(&names)
        .map(|(summary, run)| {
            let mut stages = gather::stage_points(summary, &[]);
            for stage in &mut stages {
                stage.stage = stage.level.with_unit();
            }
            RunPoints { run: run.clone(), stages }
        })
        .collect();
    let charts = comparison(&points);
    let page = Page {
        title: format!("Comparison: {}", names.join(", ")),
        charts: charts.iter().collect(),
        stages: 5,
        ..Page::default()
    };
    let runs: Vec<Run> = summaries.iter().zip(&names).map(|(s, name)| run(s, name)).collect();
    let question = summaries[0].run.question.clone().unwrap_or_default();
    let found = |m: &&ComparedMetric| m.rows.iter().any(|r| r.cells.iter().any(Option::is_some));
    let measured = compared.metrics.iter().filter(found);
    let content = context! {
        simulated => summaries.iter().any(|s| s.run.any_simulated()),
        question => question,
        searched => summaries.iter().any(|s| s.run.search.is_some()),
        runs => runs,
        differences => differences(&compared, &names),
        charts => charts,
        metrics => measured.map(|m| metric(m, &names)).collect::<Vec<_>>(),
    };
    render(Template::Compare, &page, content)
}

/// Run ids, numbered where two are the same.
fn names(summaries: &[Summary]) -> Vec<String> {
    let id = |s: &Summary| s.run.run_id.clone();
    let name = |(i, s): (usize, &Summary)| {
        let same = summaries.iter().filter(|other| id(other) == id(s)).count();
        if same > 1 { format!("{} #{}", id(s), i + 1) } else { id(s) }
    };
    summaries.iter().enumerate().map(name).collect()
}

fn run(summary: &Summary, name: &str) -> Run {
    let facts = &summary.run;
    let unknown = || "unknown".to_owned();
    Run {
        name: name.to_owned(),
        simulated: facts.any_simulated(),
        model: facts.model.clone().unwrap_or_else(unknown),
        server: facts.servers.first().and_then(|s| s.version.clone()).unwrap_or_else(unknown),
        gpu: if facts.gpus.is_empty() { "not sampled".into() } else { facts.gpus.join(", ") },
        started: wall_time(&facts.started_at),
        answer: facts
            .search
            .as_ref()
            .map_or_else(|| "no search".into(), |s| search::sentence(s, &facts.slo)),
        verdict: validity(summary.verdict.status()),
    }
}

fn differences(compared: &Comparison, names: &[String]) -> Table {
    let rows = compared.differences.iter().map(|d| {
        let values = d.values.iter().map(Cell::wrapped);
        std::iter::once(Cell::text(&d.what)).chain(values).collect()
    });
    Table {
        name: "differences",
        caption: "If more differs here than you meant to change, the figures do not tell which of it made the difference.".into(),
        columns: std::iter::once(Head::text("")).chain(names.iter().map(|n| Head::text(n))).collect(),
        rows: rows.collect(),
        ..Table::default()
    }
}

fn metric(metric: &ComparedMetric, names: &[String]) -> Table {
    // Keys end in their unit; people read milliseconds and percent.
    let scale = match metric.key.as_str() {
        "success_rate" => 100.0,
        key if key.ends_with("_ns") => 1e-6,
        _ => 1.0,
    };
    let name = metric.name.replace(", share", ", %");
    let better = match metric.better {
        Better::Higher => "more is better",
        Better::Lower => "less is better",
    };
    let rows = metric.rows.iter().map(|row| {
        let cells = row.cells.iter().map(|cell| match cell {
            Some(cell) => figure(cell, scale, metric.better),
            None => Cell::number(None),
        });
        std::iter::once(Cell::text(row.level.with_unit())).chain(cells).collect()
    });
    Table {
        name: "figures of one metric",
        caption: format!("{name} ({better})"),
        pinned: true,
        columns: std::iter::once(Head::text(""))
            .chain(names.iter().map(|n| Head::new(n)))
            .collect(),
        rows: rows.collect(),
        ..Table::default()
    }
}

fn figure(cell: &ComparedCell, scale: f64, better: Better) -> Cell {
    let mut text = number(cell.value * scale);
    if let Some(change) = cell.change {
        let percent = change * 100.0;
        let sign = if percent >= 0.0 { "+" } else { "−" };
        text += &format!(" ({sign}{:.1} %)", percent.abs());
    }
    let title = match cell.low.zip(cell.high) {
        Some((low, high)) => {
            format!("95 % interval: {} to {}", number(low * scale), number(high * scale))
        }
        None => String::new(),
    };
    let good = cell.change.map(|c| (c > 0.0) == (better == Better::Higher));
    let class = match (cell.apart, good, cell.low_samples) {
        (Some(true), Some(true), _) => "ok",
        (Some(true), Some(false), _) => "bad",
        (_, _, true) => "few",
        _ => "",
    };
    Cell::figure(text, cell.value, class, title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_carry_their_sign_and_say_when_they_are_apart() {
        let cell = |change, apart| ComparedCell {
            value: 2e8,
            low: Some(1.9e8),
            high: Some(2.1e8),
            low_samples: false,
            change: Some(change),
            apart: Some(apart),
        };
        let json = |cell: &Cell| serde_json::to_value(cell).expect("plain");
        let worse = json(&figure(&cell(0.25, true), 1e-6, Better::Lower));
        assert_eq!(worse["text"], "200 (+25.0 %)");
        assert_eq!(
            (&worse["class"], &worse["title"]),
            (&"bad".into(), &"95 % interval: 190 to 210".into())
        );
        let same = json(&figure(&cell(-0.01, false), 1e-6, Better::Lower));
        assert_eq!((&same["text"], &same["class"]), (&"200 (−1.0 %)".into(), &"".into()));
    }
}
