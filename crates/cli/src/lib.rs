//! What every program of the workspace shares: common flags, exit codes, error text, logging, completions and progress.
//!
//! A program derives its arguments with clap, flattens [`Common`] into them and hands the rest to [`main`], which
//! parses, installs the log, runs, prints an error if there is one and turns the outcome into an [`Exit`] code.
//! This crate is the programs' side of the workspace: unlike the other libraries it prints and reads the environment.
//!
//! ```
//! use clap::Parser;
//! use vllm_bench_cli::{Common, Exit, exit_with};
//!
//! #[derive(Parser)]
//! #[command(name = "greet")]
//! struct Args {
//!     who: String,
//!     #[command(flatten)]
//!     common: Common,
//! }
//!
//! fn greet(args: Args) -> anyhow::Result<Exit> {
//!     if args.who.is_empty() {
//!         return Err(exit_with(Exit::BadInput, anyhow::anyhow!("nobody to greet")));
//!     }
//!     vllm_bench_cli::print(format_args!("hello {}\n", args.who))?;
//!     Ok(Exit::Success)
//! }
//!
//! // A program's `main` is: fn main() -> std::process::ExitCode { vllm_bench_cli::main(greet) }
//! let error = greet(Args::parse_from(["greet", ""])).unwrap_err();
//! assert_eq!(Exit::of(&error), Exit::BadInput);
//! ```

mod app;
mod common;
mod error;
mod exit;
mod interrupt;
mod log;
mod open_files;
mod output;
pub mod progress;
pub mod style;
mod suggest;
mod variables;

pub use app::{command, main, play};
pub use common::Common;
pub use error::describe;
pub use exit::{Exit, OrExit, exit_with};
pub use interrupt::on_interrupt;
pub use open_files::raise_open_files;
pub use output::{note, print, warn};
pub use suggest::nearest;
pub use variables::Variables;
