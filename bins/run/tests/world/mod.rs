//! A simulated server, a corpus, a scenario, and the command.

#![allow(dead_code, reason = "every test file uses its part")]

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use vllm_bench_corpus::{BuildOptions, CorpusSpec, ServerOptions, build_with};
use vllm_bench_simulator::{Simulator, SimulatorConfig};

pub(crate) struct World {
    pub(crate) dir: TempDir,
    _runtime: Runtime,
    pub(crate) simulator: Simulator,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let start = Simulator::start(SimulatorConfig::default(), ([127, 0, 0, 1], 0).into());
        let simulator = runtime.block_on(start).unwrap();
        let dir = TempDir::new().unwrap();
        let text = "name = \"c\"\nprompts = 12\nlength = { mean_tokens = 400 }\n[tokens]\ncounter = \"server\"\n";
        let spec = CorpusSpec::parse(text, "c.toml").unwrap();
        let server = ServerOptions { url: simulator.url(), ..ServerOptions::default() };
        let options = BuildOptions { server: Some(server), ..BuildOptions::default() };
        build_with(&spec, &options, &dir.path().join("c.jsonl"), &mut |_| {}).unwrap();
        let scenario = "name = \"cmd\"\ncorpus = { file = \"c.jsonl\" }\nrequest = { max_tokens = 8 }\n\
            [load]\ncalibrate = false\nclosed = { concurrency = [1, 2], requests = [3, 6] }\n";
        std::fs::write(dir.path().join("s.toml"), scenario).unwrap();
        Self { dir, _runtime: runtime, simulator }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vllm-bench-run"))
            .current_dir(self.dir.path())
            .env_remove("MODEL")
            .env_remove("PORT")
            .env_remove("VLLM_API_KEY")
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn latest(&self) -> PathBuf {
        self.dir.path().join("results/latest")
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
