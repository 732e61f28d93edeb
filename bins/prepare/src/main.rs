//! `vllm-bench-prepare`: makes a corpus of prompts from a spec.

mod cli;
mod hub;
mod progress;
mod summary;

use std::process::ExitCode;
use std::time::Instant;

use vllm_bench_cli::{Exit, Variables, exit_with, note, print};
use vllm_bench_corpus::{Corpus, CorpusError, CorpusSpec, build_with};

use crate::cli::Args;
use crate::progress::Shown;

fn main() -> ExitCode {
    vllm_bench_cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Exit> {
    let variables = Variables::read()?;
    let mut spec = CorpusSpec::from_file(&args.spec).map_err(bad_spec)?;
    args.override_spec(&mut spec);
    let options = args.options(&variables)?;
    let out = args.out(&spec);

    let started = Instant::now();
    let mut shown = Shown::new(args.common.progress());
    let header =
        build_with(&spec, &options, &out, &mut |step| shown.step(step)).map_err(with_exit)?;
    shown.finish();
    // Read back as a run will read it: what is told below is of the file, not of memory.
    let corpus = Corpus::open(&out).map_err(with_exit)?;
    if args.json {
        print(format_args!("{}\n", serde_json::to_string(&header)?))?;
    }
    if !args.common.quiet {
        note(summary::text(&corpus, started.elapsed(), args.server.as_deref())?);
    }
    Ok(Exit::Success)
}

/// A spec that cannot even be read is the user's to mend.
fn bad_spec(error: CorpusError) -> anyhow::Error {
    exit_with(Exit::BadInput, error)
}

fn with_exit(error: CorpusError) -> anyhow::Error {
    let exit = match &error {
        CorpusError::Server { .. } => Exit::Preflight,
        error if error.is_bad_input() => Exit::BadInput,
        _ => Exit::Failure,
    };
    exit_with(exit, error)
}
