//! Searches the simulator's capacity through the whole path (sockets, load generator, search) and holds it
//! against the one computed from the simulator's cost model. `just bench-capacity`.
//!
//! The last line is one JSON object: `{"over":…,"computed":…,"found":…,"deviation":…,"probes":…}`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that shows what it found"
)]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use vllm_bench_corpus::{BuildOptions, Corpus, CorpusSpec, ServerOptions, build_with};
use vllm_bench_record::SearchAxis;
use vllm_bench_runner::{
    Narrator, RunEvent, RunOptions, Said, Scenario, StopHandle, execute, preflight, search_text,
};
use vllm_bench_simulator::capacity::{Workload, largest_concurrency, largest_rate};
use vllm_bench_simulator::{AnswerLength, Simulator, SimulatorConfig};

const MEAN_PROMPT: u32 = 400;
const MEAN_ANSWER: u32 = 64;
const PROMPTS: u32 = 8_000;

fn main() -> anyhow::Result<()> {
    let over = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => SearchAxis::Rate,
        [flag, axis] if flag == "--over" && axis == "rate" => SearchAxis::Rate,
        [flag, axis] if flag == "--over" && axis == "concurrency" => SearchAxis::Concurrency,
        other => bail!("unknown arguments {other:?}; known are --over rate and --over concurrency"),
    };
    let config = SimulatorConfig {
        max_num_seqs: 32,
        // Its gain would depend on how prompts share their template.
        prefix_caching: false,
        answer: AnswerLength { mean_tokens: f64::from(MEAN_ANSWER), spread: 0.5 },
        ..SimulatorConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("simulator")
        .enable_all()
        .build()?;
    let start = Simulator::start(config.clone(), ([127, 0, 0, 1], 0).into());
    let simulator = runtime.block_on(start)?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("corpus.jsonl");
    build(&simulator.url(), &file)?;
    let mean = Corpus::open(&file)?.header().tokens.mean;

    let limit = Duration::from_millis(15);
    let (search, slo, ignore_eos, computed) = match over {
        SearchAxis::Rate => {
            let load = Workload { prompt_tokens: mean, ..Workload::fixed(0, MEAN_ANSWER) };
            let search =
                "over = \"rate\", from = 2, to = 128, arrivals = \"constant\", warmup = \"5s\"";
            (search, "ttft_p90 = \"500ms\"", true, largest_rate(&config, &load))
        }
        SearchAxis::Concurrency => {
            let load = Workload::answering(mean, &config);
            let most =
                largest_concurrency(&config, &load, limit).context("one user is too many")?;
            let search = "over = \"concurrency\", from = 1, to = 32, warmup = \"4s\"";
            (search, "tpot_mean = \"15ms\"", false, f64::from(most))
        }
    };
    let max_tokens = if ignore_eos { MEAN_ANSWER } else { 2_048 };
    let text = format!(
        "name = \"bench-capacity\"\n[server]\nurl = \"{}\"\n[corpus]\nfile = {file:?}\n\
         [request]\nmax_tokens = {max_tokens}\nignore_eos = {ignore_eos}\n\
         [load]\ncalibrate = false\nsearch = {{ {search}, precision = \"2%\", duration = \"24s\" }}\n\
         [slo]\n{slo}\nerror_rate = \"1%\"\n[telemetry]\ngpu = \"off\"\n",
        simulator.url()
    );
    let scenario = Scenario::parse(&text, Path::new("bench-capacity.toml"), &[])?;
    let options = RunOptions { results_dir: dir.path().join("results"), ..RunOptions::default() };
    let ready = preflight(scenario, options)?;
    eprintln!("{}", ready.headline());
    let mut narrator = Narrator::default();
    let outcome =
        execute(ready, &StopHandle::new(), |event: RunEvent| match narrator.say(&event) {
            Some(Said::Begin { label, .. }) => eprint!("{label}: "),
            Some(Said::End { text } | Said::Note(text)) => eprintln!("{text}"),
            Some(Said::Warning(text)) => eprintln!("warning: {text}"),
            _ => {}
        })?;
    runtime.block_on(simulator.shutdown());
    let search = outcome.manifest.search.context("the scenario asks for a search")?;
    println!("{}", search_text(&search));
    let found = search.answer.context("the search has no answer")?.holds;
    let deviation = found / computed - 1.0;
    println!(
        "computed {computed:.2}, found {found:.2}: {:+.1} % off, {} probes",
        100.0 * deviation,
        search.probes.len()
    );
    let line = serde_json::json!({
        "over": over,
        "computed": computed,
        "found": found,
        "deviation": deviation,
        "probes": search.probes.len(),
    });
    println!("{line}");
    Ok(())
}

/// Prompts of about `MEAN_PROMPT` tokens, counted by the server.
fn build(url: &str, file: &Path) -> anyhow::Result<()> {
    let text = format!(
        "name = \"bench-capacity\"\nprompts = {PROMPTS}\nlength = {{ mean_tokens = {MEAN_PROMPT} }}\n\
         [tokens]\ncounter = \"server\"\n"
    );
    let spec = CorpusSpec::parse(&text, "bench-capacity.toml")?;
    let server = ServerOptions { url: url.to_owned(), ..ServerOptions::default() };
    let options = BuildOptions { server: Some(server), ..BuildOptions::default() };
    build_with(&spec, &options, file, &mut |_| {})?;
    Ok(())
}
