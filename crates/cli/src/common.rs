//! The flags that every program has.

use clap::{ArgAction, Args};
use clap_complete::Shell;

use crate::progress::Progress;

/// Set on each flag: a heading for the whole struct would leak to what follows it in the program's own arguments.
const HEADING: &str = "Common options";

/// Flags common to all programs; flatten it into the program's arguments.
///
/// `--completions` and `--man` are answered by [`main`](crate::main) before anything else is parsed, so they work
/// where positional arguments are required; they are fields only to be listed and completed.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Print results and errors only: no progress, no advice
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Log more to stderr: -v info, -vv debug, -vvv everything (RUST_LOG, where set, wins)
    #[arg(short, long, global = true, help_heading = HEADING, action = ArgAction::Count)]
    pub verbose: u8,

    /// Print a completion script for this shell and exit
    #[arg(long, global = true, help_heading = HEADING, value_name = "SHELL", value_enum)]
    completions: Option<Shell>,

    /// Print the manual page (roff) and exit
    #[arg(long, global = true, help_heading = HEADING)]
    man: bool,
}

impl Common {
    /// The progress display that these flags ask for.
    pub fn progress(&self) -> Progress {
        Progress::new(self.quiet)
    }
}
