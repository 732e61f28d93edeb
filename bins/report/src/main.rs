//! `vllm-bench-report`: tables, charts and the report of a run; single requests; runs side by side.

mod charts;
mod cli;
mod compare;
mod index;
mod inspect;
mod look;
mod report;

use std::process::ExitCode;

use vllm_bench_cli::Exit;

use crate::cli::{Args, Command};

fn main() -> ExitCode {
    vllm_bench_cli::main(run)
}

fn run(args: Args) -> anyhow::Result<Exit> {
    match &args.command {
        None => report::run(&args.report, &args.common),
        Some(Command::Inspect(inspect)) => inspect::run(inspect, &args.common),
        Some(Command::Compare(compare)) => compare::run(compare, &args.common),
        Some(Command::Index(index)) => index::run(index, &args.common),
    }
}
