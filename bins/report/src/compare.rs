//! Runs side by side.

use vllm_bench_analysis::compare::{compare, terminal};
use vllm_bench_analysis::report::compare_html;
use vllm_bench_analysis::{Dataset, Summary, json, replace, run_dir};
use vllm_bench_cli::{Common, Exit, note, print};

use crate::cli::Compare;
use crate::look::{on_stdout, with_exit, word};

pub(crate) fn run(args: &Compare, common: &Common) -> anyhow::Result<Exit> {
    // One run's rows at a time: only summaries are kept.
    let summaries = args.run_dirs.iter().map(|dir| Summary::of(&Dataset::open(run_dir(dir)?)?));
    let summaries: Vec<Summary> = summaries.collect::<Result<_, _>>().map_err(with_exit)?;
    let comparison = compare(&summaries).map_err(with_exit)?;
    if args.json {
        print(json(&comparison)?)?;
    } else {
        print(on_stdout(|look| terminal(&comparison, look)))?;
    }
    if let Some(file) = &args.html {
        replace(file, &compare_html(&summaries)?)?;
    }
    if !common.quiet {
        match &args.html {
            Some(file) => note(format_args!("\nwrote {}", word(file))),
            None => {
                let dirs: Vec<String> = args.run_dirs.iter().map(|dir| word(dir)).collect();
                note(format_args!(
                    "\nwith charts: vllm-bench-report compare {} --html compare.html",
                    dirs.join(" ")
                ));
            }
        }
    }
    Ok(Exit::Success)
}
