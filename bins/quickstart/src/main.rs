//! `cargo quickstart`: the main job in one process, against the embedded simulator.
//!
//! It is also the example of how the crates are composed: simulate, prepare,
//! run, report, each by its own crate.

mod cli;
mod show;
mod steps;

use std::path::Path;
use std::process::ExitCode;

use vllm_bench_cli::{Exit, on_interrupt, print, raise_open_files};
use vllm_bench_runner::{
    RunOptions, Scenario, StopHandle, TruthCommand, TruthRole, execute, preflight,
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
    let mut show = Show::new(args.common.quiet);
    show.say("Everything here runs on a SIMULATED vLLM server in this process:");
    show.say("no figure speaks of real hardware.");
    let stop = StopHandle::new();
    let stopper = stop.clone();
    on_interrupt(move || stopper.stop())?;
    raise_open_files();

    std::fs::create_dir_all(&args.out)?;
    let server = steps::start_simulator()?;
    let corpus = args.out.join("quickstart.jsonl");
    steps::prepare(&server.url, steps::prompts_for(args.seconds), &corpus, &mut show)?;

    let text = steps::scenario(&server.url, &corpus, args.seconds);
    let scenario = Scenario::parse(&text, Path::new("quickstart.toml"), &[])?;
    let options = RunOptions {
        results_dir: args.out.clone(),
        api_key: None,
        truth: std::env::current_exe().ok().map(TruthCommand::new),
    };
    let ready = preflight(scenario, options)?;
    show.say(ready.headline());
    let outcome = execute(ready, &stop, |event| show.event(&event))?;
    server.stop();

    let (table, report) = steps::report(outcome.run_dir.path())?;
    print(format_args!("\n{table}\n"))?;
    print(format_args!("  report: {}\n", report.display()))?;
    print("  next:   vllm-bench-run scenarios/smoke.toml --url http://YOUR-SERVER:8000\n")?;
    Ok(if stop.is_stopped() { Exit::Interrupted } else { Exit::Success })
}
