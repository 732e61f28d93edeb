//! The steps around the run: server, corpus, scenario, report.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::runtime::Runtime;
use vllm_bench_analysis::{Dataset, Summary, report, table};
use vllm_bench_corpus::{BuildOptions, CorpusSpec, Progress, ServerOptions, build_with};
use vllm_bench_simulator::{Simulator, SimulatorConfig};

use crate::show::Show;

/// The concurrency of the four levels.
const LEVELS: [u64; 4] = [1, 4, 16, 32];

/// The simulator in this process.
pub(crate) struct Server {
    pub url: String,
    simulator: Simulator,
    runtime: Runtime,
}

impl Server {
    pub(crate) fn stop(self) {
        self.runtime.block_on(self.simulator.shutdown());
    }
}

/// Starts it on a free port.
pub(crate) fn start_simulator() -> anyhow::Result<Server> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("simulator")
        .enable_all()
        .build()?;
    let start = Simulator::start(SimulatorConfig::default(), ([127, 0, 0, 1], 0).into());
    let simulator = runtime.block_on(start)?;
    Ok(Server { url: simulator.url(), simulator, runtime })
}

/// Prompts that the levels cannot use up: the simulator's cost model answers
/// at most 13 requests a second of this kind.
pub(crate) const fn prompts_for(seconds: u64) -> u64 {
    seconds * 9 + 64
}

/// Writes the corpus, counted by the server's own tokenizer.
pub(crate) fn prepare(url: &str, prompts: u64, out: &Path, show: &mut Show) -> anyhow::Result<()> {
    let text = format!(
        "name = \"quickstart\"\nprompts = {prompts}\nlength = {{ mean_tokens = 1371 }}\n\
         [tokens]\ncounter = \"server\"\n"
    );
    let spec = CorpusSpec::parse(&text, "quickstart-corpus.toml")?;
    let server = ServerOptions { url: url.to_owned(), ..ServerOptions::default() };
    let options = BuildOptions { server: Some(server), ..BuildOptions::default() };
    let mut stage = show.step("corpus", prompts);
    let header = build_with(&spec, &options, out, &mut |step| {
        if let Progress::Building { done, .. } = step {
            stage.set(done as u64, "prompts from the built-in encyclopedia");
        }
    })?;
    stage.finish(&format!(
        "{} prompts, {:.0} tokens mean, {} shared leading blocks",
        header.prompts, header.tokens.mean, header.shared_leading_blocks
    ));
    Ok(())
}

/// The scenario: equal time for each level, warm-up beside it.
pub(crate) fn scenario(url: &str, corpus: &Path, seconds: u64) -> String {
    let each_ms = seconds * 1000 / LEVELS.len() as u64;
    format!(
        r#"name = "quickstart"
question = "What does the whole tool chain show, from corpus to report?"

[server]
url = "{url}"

[corpus]
file = {corpus:?}

[request]
max_tokens = 64
ignore_eos = true

[load]
warmup = {{ requests = 4 }}
closed = {{ concurrency = {LEVELS:?}, duration = "{each_ms}ms" }}

[slo]
ttft_p95 = "500ms"
tpot_p95 = "30ms"

[telemetry]
gpu_interval = "250ms"
engine_interval = "500ms"
"#
    )
}

/// Reads the run directory back: the terminal's summary, and where the page is.
pub(crate) fn report(run_dir: &Path) -> anyhow::Result<(String, PathBuf)> {
    let dataset = Dataset::open(run_dir)?;
    let summary = Summary::of(&dataset)?;
    let page = report::html(&dataset, &summary)?;
    let path = run_dir.join("report.html");
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((table::short(&summary, &table::Look::PLAIN), path))
}
