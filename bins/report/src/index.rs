//! All runs of a folder on one page.

use vllm_bench_analysis::index::terminal;
use vllm_bench_analysis::report::index_html;
use vllm_bench_analysis::{Index, json, replace};
use vllm_bench_cli::progress::{Lines, Progress};
use vllm_bench_cli::{Common, Exit, note, print};

use crate::cli::IndexArgs;
use crate::look::{with_exit, word};

pub(crate) fn run(args: &IndexArgs, common: &Common) -> anyhow::Result<Exit> {
    let mut progress = Lines::new(Progress::new(common.quiet));
    let index = Index::of(&args.results, |dir, number, of| {
        if number == 0 {
            progress.begin("reading runs", Some(of));
        }
        progress.update(number, &word(dir));
    })
    .map_err(with_exit)?;
    progress.end("done");
    let file = args.html.clone().unwrap_or_else(|| args.results.join("index.html"));
    replace(&file, &index_html(&index).map_err(with_exit)?).map_err(with_exit)?;
    print(if args.json { json(&index)? } else { terminal(&index) })?;
    if !common.quiet {
        note(format_args!("\nwrote {}", word(&file)));
    }
    Ok(Exit::Success)
}
