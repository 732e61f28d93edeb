//! The index of many runs as a page.

use minijinja::context;
use serde::Serialize;
use vllm_bench_record::Level;

use crate::charts::{Figure, NamedChart, TrendLine, Trended, Unit, number, trend};
use crate::error::AnalysisError;
use crate::index::{Index, IndexGroup, IndexRun, IndexStage};
use crate::report::head::{validity, wall_time};
use crate::report::page::{Page, Template, render};
use crate::stat::Percentile;

/// The runs of `index` as one HTML file that loads nothing; reports are linked where they are.
///
/// # Errors
/// A broken template is a bug of this crate.
pub fn index_html(index: &Index) -> Result<String, AnalysisError> {
    let groups: Vec<Group> = index.groups.iter().enumerate().map(group).collect();
    let charts: Vec<&NamedChart> = groups.iter().flat_map(|group| &group.charts).collect();
    let runs: usize = groups.iter().map(|group| group.runs.len()).sum();
    let page = Page { title: format!("{runs} runs"), charts, stages: LINES, ..Page::default() };
    render(
        Template::Index,
        &page,
        context! { groups => groups, runs => runs, left_out => index.left_out },
    )
}

/// Most levels that are drawn.
const LINES: usize = 6;

#[derive(Serialize)]
struct Group {
    id: String,
    scenario: String,
    model: String,
    runs: Vec<Row>,
    charts: Vec<NamedChart>,
}

/// One run of the table.
#[derive(Serialize)]
struct Row {
    number: usize,
    name: String,
    /// The report, relative to the page; empty: none.
    link: String,
    simulated: bool,
    started: String,
    server: String,
    gpu: String,
    best: String,
    answer: String,
    verdict: &'static str,
    class: &'static str,
}

fn group((n, group): (usize, &IndexGroup)) -> Group {
    Group {
        id: format!("group-{}", n + 1),
        scenario: group.scenario.clone(),
        model: group.model.clone(),
        // The newest first, as one looks for it; numbered as the charts do.
        runs: group.runs.iter().enumerate().rev().map(row).collect(),
        charts: if group.runs.len() > 1 { charts(group, n) } else { Vec::new() },
    }
}

fn row((i, run): (usize, &IndexRun)) -> Row {
    let best = run
        .stages
        .iter()
        .filter_map(|stage| Some((stage.output_tokens_per_s?, stage.level)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Row {
        number: i + 1,
        name: run.run_id.clone(),
        link: if run.has_report { relative(&run.folder) } else { String::new() },
        simulated: run.simulated,
        started: wall_time(&run.started_at),
        server: run.server_version.clone().unwrap_or_else(|| "unknown".into()),
        gpu: if run.gpus.is_empty() { "not sampled".into() } else { run.gpus.join(", ") },
        best: best.map_or_else(
            || "–".into(),
            |(rate, level)| format!("{} tok/s at {}", number(rate), level.with_unit()),
        ),
        answer: run.answer.clone().unwrap_or_default(),
        verdict: validity(run.verdict),
        class: run.verdict.as_str(),
    }
}

/// A path that a page beside `folder` links by: a folder's name is text of the file system.
fn relative(folder: &str) -> String {
    let mut link = String::from("./");
    for byte in folder.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            link.push(char::from(byte));
        } else {
            link.push_str(&format!("%{byte:02X}"));
        }
    }
    link + "/report.html"
}

fn charts(group: &IndexGroup, n: usize) -> Vec<NamedChart> {
    let runs: Vec<String> = group
        .runs
        .iter()
        .zip(1..)
        .map(|(run, i)| {
            let server = run.server_version.as_deref().unwrap_or("unknown version");
            format!("{i}: {} ({server})", run.run_id)
        })
        .collect();
    let levels = drawn(group);
    let line = |of: fn(&IndexStage) -> Option<Figure>| -> Vec<TrendLine> {
        let line = |level: &Level| TrendLine {
            level: level.with_unit(),
            figures: group.runs.iter().map(|run| run.at(*level).and_then(of)).collect(),
        };
        levels.iter().map(line).collect()
    };
    let wanted: [(Trended, Vec<TrendLine>); 3] = [
        (
            Trended {
                id: "trend-throughput",
                name: "output throughput",
                unit: Unit::TokensPerS,
                note: "Higher is better. A step between two runs may be a version, a flag, another machine, or chance: compare them.",
            },
            line(|stage| stage.output_tokens_per_s.map(Figure::new)),
        ),
        (
            Trended {
                id: "trend-ttft",
                name: "TTFT p95",
                unit: Unit::Ms,
                note: "Lower is better. Point at a run for its interval: a change within it may be chance.",
            },
            line(|stage| stage.ttft_p95_ns.map(milliseconds)),
        ),
        (
            Trended {
                id: "trend-tpot",
                name: "TPOT p95",
                unit: Unit::Ms,
                note: "Lower is better: the pace of the text once it has begun.",
            },
            line(|stage| stage.tpot_p95_ns.map(milliseconds)),
        ),
    ];
    let charts = wanted.into_iter().map(|(of, lines)| {
        let mut chart = trend(of, &runs, &lines);
        // Every group has its own.
        chart.id = format!("{}-{}", chart.id, n + 1);
        chart
    });
    charts.collect()
}

/// The levels that most runs have, at most [`LINES`], ascending.
fn drawn(group: &IndexGroup) -> Vec<Level> {
    let mut levels = group.levels();
    let having = |level: &Level| group.runs.iter().filter(|run| run.at(*level).is_some()).count();
    levels.sort_by_key(|level| std::cmp::Reverse(having(level)));
    levels.truncate(LINES);
    levels.sort_by(|a, b| a.total_cmp(*b));
    levels
}

fn milliseconds(p: Percentile) -> Figure {
    Figure {
        value: p.value / 1e6,
        interval: p.low.zip(p.high).map(|(low, high)| (low / 1e6, high / 1e6)),
        few: p.low_samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_path_and_nothing_else() {
        assert_eq!(relative("20261125-rag"), "./20261125-rag/report.html");
        assert_eq!(relative("a b\"<é"), "./a%20b%22%3C%C3%A9/report.html");
    }
}
