//! The report of one run.

use vllm_bench_analysis::{Dataset, ReportFiles, Summary, json, table};
use vllm_bench_cli::{Common, Exit, note, print};
use vllm_bench_record::CheckStatus;

use crate::charts;
use crate::cli::Report;
use crate::look::{on_stdout, open, with_exit, word};

pub(crate) fn run(args: &Report, common: &Common) -> anyhow::Result<Exit> {
    let dataset = open(args.run_dir.as_ref(), &args.results)?;
    let summary = Summary::asked(&dataset, &args.asked()).map_err(with_exit)?;
    if args.json {
        print(json(&summary)?)?;
    } else {
        print(on_stdout(|look| table::terminal(&summary, look)))?;
    }
    let files = ReportFiles::write(&dataset, &summary).map_err(with_exit)?;
    let drawn = match &args.charts {
        Some(folder) => Some((folder, charts::write(&dataset, &summary, folder, args.format)?)),
        None => None,
    };
    if !common.quiet {
        note(format_args!("\nwrote {}", word(&files.html)));
        note("      summary.json, summary.csv and summary.md beside it");
        if let Some((folder, count)) = drawn {
            note(format_args!("      {count} charts in {}", word(folder)));
        }
        note(next(&dataset, &summary));
    }
    Ok(if args.check && !holds(&summary) { Exit::Verdict } else { Exit::Success })
}

/// Whether no check fails and no objective is missed.
fn holds(summary: &Summary) -> bool {
    summary.verdict.status() != CheckStatus::Fail
        && summary.stages.iter().all(|s| s.slo_met() != Some(false))
}

/// The exact command that one may want next.
fn next(dataset: &Dataset, summary: &Summary) -> String {
    let run = word(dataset.run_dir());
    if summary.totals.failed > 0 {
        return format!("next: vllm-bench-report inspect {run} --outcome failed");
    }
    format!("next: vllm-bench-report inspect {run} --slowest 5")
}
