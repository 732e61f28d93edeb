//! What the load generator costs and how far its times are off: `just bench-client`.
//!
//! The figures come from three programs in turn, which are all this one: the
//! truth server, the floor client and the load generator, each a process of its own.

#[cfg(target_os = "linux")]
mod alone;
#[cfg(target_os = "linux")]
mod busy;
#[cfg(target_os = "linux")]
mod cell;
#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod cpus;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod first_request;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod open;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod role;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod target;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match vllm_bench_bench::TruthRole::of_arguments(std::env::args_os()) {
        Some(role) => vllm_bench_cli::play(|| role.play()),
        None => vllm_bench_cli::main(bench),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    vllm_bench_cli::note("error: the truth server and the floor client are Linux only");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn bench(cli: cli::Cli) -> anyhow::Result<vllm_bench_cli::Exit> {
    use vllm_bench_cli::{Exit, note, print};

    if let Some(cli::Part::Role { role }) = &cli.part {
        role.play()?;
        return Ok(Exit::Success);
    }
    vllm_bench_cli::raise_open_files();
    let cpus = cpus::Cpus::pick();
    if !cli.common.quiet {
        note(cpus.say());
        if cfg!(debug_assertions) {
            note("warning: a debug build; these are not the figures of the release build");
        }
    }
    let figures = measure::measure(&cli, cpus, |line| {
        if !cli.common.quiet {
            note(line);
        }
    })?;
    print(table::table(&figures.rows()))?;
    print(format_args!("{}\n", figures.json()))?;
    Ok(Exit::Success)
}
