//! Single requests of a run.

use std::path::PathBuf;

use vllm_bench_analysis::inspect::{select, terminal};
use vllm_bench_analysis::report::inspect_html;
use vllm_bench_analysis::{json, replace};
use vllm_bench_cli::{Common, Exit, note, print};

use crate::cli::Inspect;
use crate::look::{on_stdout, open, with_exit, word};

pub(crate) fn run(args: &Inspect, common: &Common) -> anyhow::Result<Exit> {
    let dataset = open(args.run_dir.as_ref(), &args.results)?;
    let inspection = select(&dataset, &args.filter(), args.corpus.as_deref()).map_err(with_exit)?;
    if args.json {
        print(json(&inspection)?)?;
    } else if let Some(file) = &args.html {
        // `--html` alone: beside the report.
        let beside = || dataset.run_dir().join("inspect.html");
        let file: PathBuf = file.clone().unwrap_or_else(beside);
        replace(&file, &inspect_html(&dataset, &inspection)?)?;
        if !common.quiet {
            note(format_args!("wrote {}", word(&file)));
        }
    } else {
        print(on_stdout(|look| terminal(&inspection, args.whole, look)))?;
    }
    Ok(Exit::Success)
}
