//! The summary as Markdown, for issues and wikis.

use vllm_bench_record::{CheckStatus, SearchInfo};

use crate::arrivals::{self, open_stages};
use crate::calibration;
use crate::columns::{LATENCIES, PERCENTILES};
use crate::economy;
use crate::search;
use crate::stage::{FiguresFrom, StageSummary};
use crate::stat::Percentile;
use crate::summary::Summary;
use crate::text::{self, NONE};
use crate::time_split::{PARTS, SUM, UNEQUAL, notes};

/// The whole summary: the run, one table of stages, one of distributions, where the time went, the verdict.
pub fn document(summary: &Summary) -> String {
    let mut out = head(summary);
    if let Some(search) = &summary.run.search {
        out.push_str("\n## Capacity\n\n");
        out.push_str(&format!("**{}** ", escape(&search::sentence(search, &summary.run.slo))));
        out.push_str(&format!("{}\n\n", escape(&search::basis(search))));
        out.push_str(&probes(search));
    }
    out.push_str("\n## Stages\n\n");
    out.push_str(&stages(summary));
    out.push_str("\n`*`: few samples for this percentile. `~`: of the whole stage, full load held too short. ");
    out.push_str("Latencies are of answered requests.\n\n## Distributions, ms\n\n");
    out.push_str(&distributions(summary));
    if let Some(table) = arrivals(summary) {
        out.push_str("\n## Arrivals\n\n");
        out.push_str(&table);
        out.push_str("\nDue: asked for by the schedule. Waited: for the limit of requests in flight. TTFT from sending, and from when due.\n");
        for line in arrivals::told(summary, |stage| stage.label.clone()) {
            out.push_str(&format!("\n- {}", escape(&line)));
        }
        out.push('\n');
    }
    if let Some(table) = time_split(summary) {
        out.push_str("\n## Where the time went, ms\n\n");
        out.push_str(&table);
        for note in notes(summary) {
            out.push_str(&format!("\n{}\n", escape(&note)));
        }
    }
    if let Some(table) = economy(summary) {
        out.push_str("\n## Energy, costs and readers\n\n");
        out.push_str(&table);
        for note in economy::notes(summary) {
            out.push_str(&format!("\n- {}", escape(&note)));
        }
        out.push('\n');
    }
    if !summary.findings.is_empty() {
        out.push_str("\n## Over time\n\n");
        for finding in &summary.findings {
            out.push_str(&format!("- {}\n", escape(&finding.sentence)));
        }
    }
    out.push_str("\n## Verdict\n\n");
    for check in &summary.verdict.checks {
        let word = match check.status {
            CheckStatus::Pass => "pass",
            CheckStatus::Unknown => "not checked",
            CheckStatus::Warn => "**warn**",
            CheckStatus::Fail => "**FAIL**",
        };
        out.push_str(&format!("- {word} · {}: {}", check.kind.title(), escape(&check.figure)));
        if matches!(check.status, CheckStatus::Warn | CheckStatus::Fail) {
            out.push_str(&format!(". {}", escape(&check.meaning)));
        }
        out.push('\n');
    }
    for warning in &summary.warnings {
        out.push_str(&format!("- note: {}\n", escape(warning)));
    }
    out
}

/// The table of stages alone.
pub fn stages(summary: &Summary) -> String {
    let mut rows = vec![
        "stage",
        "requests",
        "failed",
        "success",
        "req/s",
        "output tok/s",
        "total tok/s",
        "TTFT p50 ms",
        "TTFT p95 ms",
        "TTFT p99 ms",
        "TPOT p50 ms",
        "TPOT p95 ms",
        "E2E p50 ms",
        "E2E p95 ms",
        "SLO",
    ]
    .into_iter()
    .map(str::to_owned)
    .map(|name| vec![name])
    .collect::<Vec<_>>();
    for stage in &summary.stages {
        for (column, cell) in rows.iter_mut().zip(cells(stage)) {
            column.push(cell);
        }
    }
    table(&rows)
}

fn cells(stage: &StageSummary) -> Vec<String> {
    let figures = stage.figures();
    let number = |value: Option<f64>| value.map_or_else(|| NONE.into(), text::number);
    let mark = if stage.figures_from == FiguresFrom::Whole && figures.is_some() { "~" } else { "" };
    let (ttft, tpot) = (figures.and_then(|f| f.ttft_ns), figures.and_then(|f| f.tpot_ns));
    let e2e = figures.and_then(|f| f.e2e_ns);
    vec![
        format!("{}{mark}", escape(&stage.label)),
        text::count(stage.requests),
        text::count(stage.failed),
        stage.success_rate.map_or_else(|| NONE.into(), text::percent),
        number(figures.and_then(|f| f.completed_per_s)),
        number(figures.and_then(|f| f.output_tokens_per_s)),
        number(figures.and_then(|f| f.total_tokens_per_s)),
        percentile(ttft.map(|s| s.p50)),
        percentile(ttft.map(|s| s.p95)),
        percentile(ttft.map(|s| s.p99)),
        percentile(tpot.map(|s| s.p50)),
        percentile(tpot.map(|s| s.p95)),
        percentile(e2e.map(|s| s.p50)),
        percentile(e2e.map(|s| s.p95)),
        match stage.slo_met() {
            Some(true) => "ok".into(),
            Some(false) => "miss".into(),
            None => NONE.into(),
        },
    ]
}

fn distributions(summary: &Summary) -> String {
    let names = ["stage", "metric", "n", "mean"]
        .into_iter()
        .chain(PERCENTILES.iter().map(|(name, _)| *name));
    let mut columns: Vec<Vec<String>> = names.map(|name| vec![name.to_owned()]).collect();
    for (stage, figures) in summary.stages.iter().filter_map(|s| Some((s, s.figures()?))) {
        for latency in &LATENCIES {
            let Some(stat) = (latency.of)(figures) else { continue };
            let mut row = vec![
                escape(&stage.label),
                latency.name.into(),
                text::count(stat.count),
                text::ms(stat.mean),
            ];
            row.extend(PERCENTILES.iter().map(|(_, of)| percentile(Some(of(&stat)))));
            columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
        }
    }
    table(&columns)
}

/// One line an open-loop stage; `None` without any.
fn arrivals(summary: &Summary) -> Option<String> {
    let names = [
        "stage",
        "arrivals",
        "due req/s",
        "sent req/s",
        "completed req/s",
        "in flight mean",
        "in flight max",
        "waited",
        "send lag p50 ms",
        "send lag p99 ms",
        "TTFT p95 ms",
        "TTFT from schedule p95 ms",
    ];
    let mut columns: Vec<Vec<String>> = names.map(|name| vec![name.to_owned()]).into();
    let number = |value: Option<f64>| value.map_or_else(|| NONE.into(), text::number);
    for (stage, open) in open_stages(summary) {
        let figures = stage.figures();
        let lag = figures.and_then(|f| f.send_lag_ns);
        let row = [
            escape(&stage.label),
            escape(&arrivals::words(open)),
            number(figures.and_then(|f| f.due_per_s)),
            number(figures.and_then(|f| f.sent_per_s)),
            number(figures.and_then(|f| f.completed_per_s)),
            number(figures.and_then(|f| f.in_flight_mean)),
            figures.map_or_else(|| NONE.into(), |f| text::count(f.in_flight_max.into())),
            text::count(open.capped),
            number(lag.map(|s| s.p50.value / 1e6)),
            number(lag.map(|s| s.p99.value / 1e6)),
            percentile(figures.and_then(|f| f.ttft_ns).map(|s| s.p95)),
            percentile(figures.and_then(|f| f.ttft_from_schedule_ns).map(|s| s.p95)),
        ];
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    (columns[0].len() > 1).then(|| table(&columns))
}

/// One line a stage; `None` where no stage has a figure.
fn economy(summary: &Summary) -> Option<String> {
    let told = economy::told(summary);
    let mut columns = vec![vec!["stage".to_owned()]];
    columns[0].extend(summary.stages.iter().map(|stage| escape(&stage.label)));
    columns.extend(told.iter().map(|column| {
        let values = summary.stages.iter().map(|stage| {
            let value = stage.economy.as_ref().and_then(column.of);
            value.map_or_else(|| NONE.into(), text::number)
        });
        [column.long.to_owned()].into_iter().chain(values).collect()
    }));
    (!told.is_empty()).then(|| table(&columns))
}

/// One line a probe.
fn probes(search: &SearchInfo) -> String {
    let names = ["probe", "load", "outcome", "objectives"];
    let mut columns: Vec<Vec<String>> = names.map(|name| vec![name.to_owned()]).into();
    for (n, probe) in (1..).zip(&search.probes) {
        let again = if probe.confirms { " again" } else { "" };
        let found: Vec<String> = probe.objectives.iter().map(search::objective).collect();
        let row: [String; 4] = [
            text::count(n),
            format!("{}{again}", probe.level.with_unit()),
            search::outcome(probe.outcome).into(),
            escape(&found.join("; ")),
        ];
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    table(&columns)
}

/// A line for the means and, where there are any, one for the medians of each stage; `None` without any.
fn time_split(summary: &Summary) -> Option<String> {
    let parts = || PARTS.iter().chain([&SUM]);
    let names = ["stage", "of", "told by", "n"].into_iter().chain(parts().map(|p| p.name));
    let beside = ["front end alone", "outside the server", "decode seen by the client"];
    let mut columns: Vec<Vec<String>> =
        names.chain(beside).map(|name| vec![name.to_owned()]).collect();
    for stage in &summary.stages {
        let Some(split) = &stage.time_split else { continue };
        let mark = if split.difference().is_some() { UNEQUAL } else { "" };
        let ms = |ns: Option<f64>| ns.map_or_else(|| NONE.into(), text::ms);
        for (statistic, of) in split.statistics() {
            let mut row = vec![
                escape(&stage.label),
                statistic.into(),
                split.source.as_str().into(),
                format!("{}{mark}", text::count(split.requests)),
            ];
            row.extend(parts().map(|part| ms(of((part.of)(split)))));
            row.push(ms(split.front_end_ns.and_then(of)));
            row.push(ms(split.outside_ns.and_then(of)));
            row.push(ms(of(split.client_decode_ns)));
            columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
        }
    }
    (columns[0].len() > 1).then(|| table(&columns))
}

fn percentile(percentile: Option<Percentile>) -> String {
    percentile.map_or_else(
        || NONE.into(),
        |p| format!("{}{}", text::ms(p.value), if p.low_samples { "\\*" } else { "" }),
    )
}

/// Columns, each with its head first, as a table; all but the first align right.
pub(crate) fn table(columns: &[Vec<String>]) -> String {
    let width = |column: &Vec<String>| {
        column.iter().map(|cell| text::width(cell)).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = columns.iter().map(width).collect();
    let mut out = String::new();
    let mut line = |cells: Vec<String>| out.push_str(&format!("| {} |\n", cells.join(" | ")));
    let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
    for row in 0..rows {
        let cell = |(i, column): (usize, &Vec<String>)| {
            let padding = " ".repeat(widths[i] - text::width(&column[row]));
            if i == 0 {
                format!("{}{padding}", column[row])
            } else {
                format!("{padding}{}", column[row])
            }
        };
        line(columns.iter().enumerate().map(cell).collect());
        if row == 0 {
            let rule = |(i, width): (usize, &usize)| {
                if i == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) }
            };
            line(widths.iter().enumerate().map(rule).collect());
        }
    }
    out
}

fn head(summary: &Summary) -> String {
    let run = &summary.run;
    let mut out = format!("# {}\n\n", escape(&run.run_id));
    if run.simulated {
        out.push_str("**Simulated server: no figure of this run speaks of real hardware.**\n\n");
    }
    let mut item =
        |name: &str, value: String| out.push_str(&format!("- {name}: {}\n", escape(&value)));
    item("scenario", run.scenario.clone());
    if let Some(question) = &run.question {
        item("question", question.clone());
    }
    for server in &run.servers {
        let version = server.version.as_deref().unwrap_or("unknown version");
        item("server", format!("{} ({version}) at {}", server.model, server.url));
    }
    if let Some(gpu) = run.gpus.first() {
        item(
            "GPU",
            format!("{} × {gpu}, by {}", run.gpus.len(), run.gpu_source.as_deref().unwrap_or(NONE)),
        );
    }
    item("started", run.started_at.clone());
    item("corpus", format!("{} ({} prompts)", run.corpus.file, text::count(run.corpus.prompts)));
    if let Some(words) = run.asked_slo_words() {
        item("objectives", words);
    }
    item("clock", run.clock_words());
    let error =
        run.calibration.as_ref().map_or_else(|| calibration::ABSENT.into(), calibration::line);
    item("client error", error);
    item("vllm-bench", run.tool_version.clone());
    out
}

/// Text that is not ours, so that it stays text: no table cell, markup or HTML comes of it.
pub(crate) fn escape(foreign: &str) -> String {
    let mut out = String::new();
    for c in text::shown(foreign, false).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '!' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(escape("a|b<img src=x>*c*\n"), "a\\|b&lt;img src=x&gt;\\*c\\*\\\\n");
    }

    #[test]
    fn a_table_is_aligned() {
        let columns = [vec!["stage".into(), "cc 1".into()], vec!["n".into(), "1,234".into()]];
        assert_eq!(table(&columns), "| stage |     n |\n| ----- | ----: |\n| cc 1  | 1,234 |\n");
    }
}
