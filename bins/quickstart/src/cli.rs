//! The command line of `cargo quickstart`.

use std::path::PathBuf;

use clap::Parser;
use vllm_bench_cli::Common;

/// The main job without a GPU: a simulated vLLM server in this process, a
/// corpus from the built-in text source, a sweep over concurrency, a report.
#[derive(Parser, Debug)]
#[command(
    name = "vllm-bench-quickstart",
    version,
    before_help = "Examples:\n  cargo quickstart\n  cargo quickstart --seconds 20 --out /tmp/results"
)]
pub(crate) struct Args {
    /// Seconds of load, over all four levels of concurrency.
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u64).range(4..=3600))]
    pub seconds: u64,
    /// Folder for the corpus and the run directory.
    #[arg(long, value_name = "DIR", default_value = "results/quickstart")]
    pub out: PathBuf,
    #[command(flatten)]
    pub common: Common,
}
