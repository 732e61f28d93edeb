//! A simulator on a free port, a corpus for it and a place for results.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::path::Path;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use vllm_bench_corpus::{BuildOptions, CorpusSpec, ServerOptions, build_with};
use vllm_bench_record::RequestRecord;
use vllm_bench_runner::{
    ApiKey, RunError, RunEvent, RunOptions, RunOutcome, Scenario, StopHandle, execute, preflight,
};
use vllm_bench_simulator::{Simulator, SimulatorConfig};
use vllm_bench_storage::read;

pub struct World {
    pub dir: TempDir,
    pub runtime: Runtime,
    pub simulator: Option<Simulator>,
    pub key: Option<&'static str>,
}

pub const KEY: &str = "sk-very-secret-key";

impl World {
    /// A simulator and a corpus of `prompts`, counted by it.
    pub fn new(config: SimulatorConfig, prompts: u32) -> Self {
        let key = config.api_key.is_some().then_some(KEY);
        let runtime = Runtime::new().unwrap();
        let start = Simulator::start(config, ([127, 0, 0, 1], 0).into());
        let simulator = runtime.block_on(start).unwrap();
        let dir = TempDir::new().unwrap();
        let world = Self { dir, runtime, simulator: Some(simulator), key };
        let text = format!(
            "name = \"t\"\nprompts = {prompts}\nlength = {{ mean_tokens = 400 }}\n[tokens]\ncounter = \"server\"\n"
        );
        let spec = CorpusSpec::parse(&text, "t.toml").unwrap();
        let server = ServerOptions {
            url: world.url(),
            api_key: key.map(Into::into),
            ..ServerOptions::default()
        };
        let options = BuildOptions { server: Some(server), ..BuildOptions::default() };
        build_with(&spec, &options, &world.corpus(), &mut |_| {}).unwrap();
        world
    }

    pub fn url(&self) -> String {
        self.simulator.as_ref().unwrap().url()
    }

    pub fn corpus(&self) -> std::path::PathBuf {
        self.dir.path().join("corpus.jsonl")
    }

    pub fn scenario(&self, load: &str, set: &[&str]) -> Scenario {
        let text = format!(
            "name = \"t\"\n[server]\nurl = \"{}\"\n[corpus]\nfile = {:?}\n[request]\nmax_tokens = 8\nignore_eos = true\n[load]\n{load}\n[telemetry]\ngpu_interval = \"50ms\"\nengine_interval = \"50ms\"\n",
            self.url(),
            self.corpus(),
        );
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        Scenario::parse(&text, Path::new("t.toml"), &set).unwrap()
    }

    pub fn options(&self) -> RunOptions {
        RunOptions {
            truth: None,
            results_dir: self.dir.path().join("results"),
            api_key: self.key.map(ApiKey::new),
        }
    }

    pub fn run(&self, load: &str, set: &[&str]) -> (RunOutcome, Vec<RequestRecord>, Vec<RunEvent>) {
        let mut events = Vec::new();
        let ready = preflight(self.scenario(load, set), self.options()).unwrap();
        let outcome = execute(ready, &StopHandle::new(), |e| events.push(e)).unwrap();
        let records = read::requests(&outcome.run_dir).unwrap();
        (outcome, records, events)
    }

    #[track_caller]
    pub fn refused(&self, load: &str, set: &[&str]) -> RunError {
        preflight(self.scenario(load, set), self.options()).expect_err("must be refused")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(simulator) = self.simulator.take() {
            self.runtime.block_on(simulator.shutdown());
        }
    }
}
