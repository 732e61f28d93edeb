//! A simulated vLLM server on a port: for a first look without a GPU, and for tests of clients.

mod cli;
mod settings;

use std::process::ExitCode;

use anyhow::Context as _;
use vllm_bench_cli::{Exit, OrExit as _, exit_with, print};
use vllm_bench_simulator::{Simulator, SimulatorError};

use crate::cli::Cli;

fn main() -> ExitCode {
    vllm_bench_cli::main(simulate)
}

fn simulate(cli: Cli) -> anyhow::Result<Exit> {
    let config = settings::read(&cli).or_exit(Exit::BadInput)?;
    let model = config.model.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let started = Simulator::start(config, cli.address()).await;
        let simulator = started.map_err(|problem| match problem {
            SimulatorError::Config { .. } => exit_with(Exit::BadInput, problem),
            other => other.into(),
        })?;
        if !cli.common.quiet {
            print(cli::welcome(&simulator.url(), &model))?;
        }
        told_to_stop().await.context("cannot wait for a signal to stop")?;
        simulator.shutdown().await;
        Ok(Exit::Success)
    })
}

/// Returns at Ctrl-C and, on Unix, at SIGTERM, which containers are stopped with.
async fn told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
