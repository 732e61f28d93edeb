//! `vllm-bench-run`: runs a scenario against a server and writes the run directory.

mod cli;
mod environment;
mod show;

use std::process::ExitCode;

use vllm_bench_cli::{Exit, Variables, exit_with, on_interrupt, raise_open_files};
use vllm_bench_record::CheckStatus;
use vllm_bench_runner::{
    ApiKey, Problem, RunError, RunOptions, Scenario, StopHandle, TruthCommand, TruthRole, execute,
    preflight,
};

use crate::cli::Args;
use crate::show::Show;

fn main() -> ExitCode {
    match TruthRole::of_arguments(std::env::args_os()) {
        // This process is the one that `calibrate` measures the load generator with.
        Some(role) => vllm_bench_cli::play(|| role.play()),
        None => vllm_bench_cli::main(run),
    }
}

fn run(args: Args) -> anyhow::Result<Exit> {
    let variables = Variables::read()?;
    let overrides = args.overrides(&variables);
    let scenario =
        Scenario::load(&args.scenario, &overrides).map_err(|e| exit_with(Exit::BadInput, e))?;
    let options = RunOptions {
        results_dir: args.out.clone(),
        api_key: variables
            .secret(&scenario.spec.server.api_key_env, args.api_key_file.as_deref())?
            .map(ApiKey::new),
        truth: std::env::current_exe().ok().map(TruthCommand::new),
    };
    let stop = StopHandle::new();
    let stopper = stop.clone();
    on_interrupt(move || stopper.stop())?;
    raise_open_files();

    let mut show = Show::new(&args);
    let ready = preflight(scenario, options).map_err(with_exit)?;
    show.ready(&ready)?;
    let outcome = execute(ready, &stop, |event| show.event(&event)).map_err(with_exit)?;
    show.outcome(&outcome)?;
    if let Some(problem) = outcome.search_problem().filter(|_| !stop.is_stopped()) {
        return Err(exit_with(
            Exit::Failure,
            anyhow::anyhow!("the search has no answer: {problem}"),
        ));
    }
    Ok(match outcome.verdict.status() {
        _ if stop.is_stopped() => Exit::Interrupted,
        CheckStatus::Fail if args.strict => Exit::Verdict,
        _ => Exit::Success,
    })
}

fn with_exit(error: RunError) -> anyhow::Error {
    let exit = match error.problem() {
        Problem::Input => Exit::BadInput,
        Problem::Server => Exit::Preflight,
        Problem::Run => Exit::Failure,
    };
    exit_with(exit, error)
}
