//! All runs of a folder on one page.

use std::path::Path;

use vllm_bench_analysis::report::index_html;
use vllm_bench_analysis::{Index, IndexGroup, json, replace};
use vllm_bench_cli::{Common, Exit, note, print};

use crate::cli::IndexArgs;
use crate::look::{with_exit, word};

pub(crate) fn run(args: &IndexArgs, common: &Common) -> anyhow::Result<Exit> {
    let index = Index::of(&args.results, |dir: &Path| {
        if !common.quiet {
            note(format_args!("reading {}", word(dir)));
        }
    })
    .map_err(with_exit)?;
    let file = args.html.clone().unwrap_or_else(|| args.results.join("index.html"));
    replace(&file, &index_html(&index).map_err(with_exit)?).map_err(with_exit)?;
    if args.json {
        print(json(&index)?)?;
    } else {
        for group in &index.groups {
            print(line(group))?;
        }
    }
    for (folder, why) in &index.left_out {
        note(format_args!("left out {folder}: {why}"));
    }
    if !common.quiet {
        note(format_args!("\nwrote {}", word(&file)));
    }
    Ok(Exit::Success)
}

/// `rag · mistral: 4 runs, the newest 20261125-034447-rag`.
fn line(group: &IndexGroup) -> String {
    let newest = group.runs.last().map_or("", |run| run.run_id.as_str());
    let runs = match group.runs.len() {
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    };
    // Names come from files: nothing in them may steer a terminal.
    let text = format!("{} · {}: {runs}, the newest {newest}", group.scenario, group.model);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>() + "\n"
}
