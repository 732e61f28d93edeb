//! How long `vllm-bench-run` takes from its start to its first request.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use vllm_bench_bench::{Pace, TruthConfig, monotonic_ns};

use crate::children::{Owned, start_truth, wait};
use crate::cpus::Cpus;

/// A prepared corpus, a scenario, and the program.
pub(crate) struct FirstRequest {
    run: PathBuf,
    dir: TempDir,
}

/// As many prompts of as many tokens as the rag scenario's.
const SPEC: &str = "name = \"first\"\nprompts = 1236\nlength = { mean_tokens = 1371 }\n";

/// The count of a chunk's tokens is not asked for: the truth server tells none, and a
/// vLLM answers the first short request, as this one does.
const SCENARIO: &str = "name = \"first\"\ncorpus = { file = \"first.jsonl\" }\n\
    request = { max_tokens = 4, token_counts = \"assumed\" }\n\
    [load]\nclosed = { concurrency = 1, requests = 1 }\n";

/// A program of this build.
fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(
        program.is_file(),
        "{} is not there; build it: cargo build --release -p {name}",
        program.display()
    );
    Ok(program)
}

impl FirstRequest {
    /// Prepares the corpus.
    pub(crate) fn prepare() -> anyhow::Result<Self> {
        let (run, prepare) = (sibling("vllm-bench-run")?, sibling("vllm-bench-prepare")?);
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("spec.toml"), SPEC)?;
        std::fs::write(dir.path().join("first.toml"), SCENARIO)?;
        let mut command = Command::new(prepare);
        command.args(["spec.toml", "--out", "first.jsonl", "--quiet"]);
        let output = command.current_dir(dir.path()).output().context("cannot prepare a corpus")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "vllm-bench-prepare failed: {said}");
        Ok(Self { run, dir })
    }

    /// Milliseconds from the process's start to the kernel's arrival of its first
    /// request at the server, preflight's own short ones not counted.
    pub(crate) fn measure(&self, cpus: Cpus) -> anyhow::Result<f64> {
        let config = TruthConfig { pace: Pace::SATURATED, ..TruthConfig::default() };
        let truth = start_truth(config, cpus.server())?;
        let mut command = Command::new(&self.run);
        let url = format!("http://{}", truth.addr());
        command.args([
            "first.toml",
            "--url",
            &url,
            "--no-calibrate",
            "--quiet",
            "--out",
            "results",
        ]);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let said = self.dir.path().join("said");
        command.stderr(std::fs::File::create(&said)?);
        for name in ["MODEL", "PORT", "VLLM_API_KEY"] {
            command.env_remove(name);
        }
        let started_ns = monotonic_ns();
        let child = Owned::start(command)?;
        wait(child, false, Duration::from_secs(60)).with_context(|| {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            format!("vllm-bench-run said: {}", said.trim().replace('\n', " / "))
        })?;
        let log = truth.finish()?;
        let measured = log.requests.iter().filter(|request| !request.id.starts_with("preflight"));
        let first_ns = measured.map(|request| request.arrival_ns).min();
        let first_ns = first_ns.context("vllm-bench-run sent no request")?;
        Ok(first_ns.saturating_sub(started_ns) as f64 / 1e6)
    }
}
