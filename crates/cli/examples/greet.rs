//! The smallest program on this frame: a positional argument that is required, common flags, exit codes.

use std::process::ExitCode;

use clap::Parser;
use vllm_bench_cli::{Common, Exit, OrExit as _, note, print};

/// Greets somebody
#[derive(Parser)]
#[command(name = "greet", after_help = "Examples:\n  greet Ada\n  greet Ada --times 3")]
struct Args {
    /// Whom to greet
    who: String,

    /// How often
    #[arg(long, default_value = "1", value_name = "N")]
    times: String,

    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    vllm_bench_cli::main(greet)
}

fn greet(args: Args) -> anyhow::Result<Exit> {
    let times: u32 = args.times.parse().or_exit(Exit::BadInput)?;
    for _ in 0..times {
        print(format_args!("hello {}\n", args.who))?;
    }
    tracing::info!(target: "vllm_bench_greet", times, "greeted");
    if !args.common.quiet {
        note("next: greet somebody else");
    }
    Ok(Exit::Success)
}
