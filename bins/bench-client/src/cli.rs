//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use vllm_bench_cli::Common;

use crate::peer::Peer;
use crate::role::Role;

/// What the load generator costs and how far its times are off.
///
/// It runs against a server whose writes are known to the nanosecond, in turn with a floor client
/// that only reads and counts. The last line is one JSON object.
#[derive(Debug, Parser)]
#[command(name = "vllm-bench-bench-client", after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// A short run: figures to see that it works, not to quote.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Runs of each client in each measurement [default: 5, quick 2]
    #[arg(long, value_name = "N")]
    pub(crate) repetitions: Option<NonZeroU32>,

    /// Only these measurements.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) only: Vec<What>,

    /// Another client to measure the CPU time of: vllm=PATH_TO_VLLM.
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) peer: Vec<Peer>,

    /// Folder with a tokenizer, for peers that need one.
    #[arg(long, value_name = "DIR")]
    pub(crate) peer_tokenizer: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// CPU time a token at 64, 256 and 1,000 streams, about 6,400 tokens a second in all
    Cpu,
    /// Tokens a second that one core absorbs, 64 streams
    Saturated,
    /// Errors of arrivals, TTFT and ITL at 1, 64, 256 and 512 streams
    Errors,
    /// Errors at 512 streams while the client is stopped 30 ms of every 60 ms
    Stalled,
    /// The same with the load generator's packet capture, of every event
    Capture,
    /// Arrivals at the server against the schedule: constant and Poisson
    Schedule,
    /// Peak memory of 1,000 streams, and whether it grows with the requests
    Memory,
    /// What 600 KB bodies cost 64 other streams
    LongBody,
    /// Errors and client lag at 64 streams while a busy loop shares the client's CPU
    Busy,
    /// From the start of vllm-bench-run to its first request
    FirstRequest,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// One of the processes of a measurement; started by the measurement.
    #[command(hide = true)]
    Role {
        /// Its part, as JSON.
        #[arg(value_parser = Role::parse)]
        role: Box<Role>,
    },
}

impl Cli {
    pub(crate) fn repetitions(&self) -> u32 {
        self.repetitions.map_or(if self.quick { 2 } else { 5 }, NonZeroU32::get)
    }

    pub(crate) fn wants(&self, what: What) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }
}

const EXAMPLES: &str = "Examples:
  vllm-bench-bench-client --quick
  vllm-bench-bench-client --only cpu --peer vllm=.venv/bin/vllm --peer-tokenizer tokenizers/mistral";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["x", "--quick", "--only", "cpu,stalled"]);
        assert_eq!(cli.repetitions(), 2);
        assert!(cli.wants(What::Stalled) && !cli.wants(What::Errors));
        assert!(Cli::parse_from(["x"]).wants(What::Errors));
        assert!(Cli::try_parse_from(["x", "--peer", "wrk=/bin/wrk"]).is_err());
    }
}
