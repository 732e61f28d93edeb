//! The command line of `vllm-bench-run`.

use std::path::PathBuf;

use clap::Parser;
use vllm_bench_cli::{Common, Variables};

use crate::environment;

/// Runs a scenario against a vLLM server and writes a run directory.
///
/// Every key of the scenario can be set with --set; the run directory keeps the
/// scenario as it was run. MODEL and PORT are read from the environment and from
/// .env, where neither a flag nor the scenario names them.
#[derive(Parser, Debug)]
#[command(
    name = "vllm-bench-run",
    version,
    before_help = "Examples:\n  vllm-bench-run scenarios/rag.toml --url http://gpu-box:8000\n  vllm-bench-run scenarios/smoke.toml --set load.closed.concurrency=[8,16] --set request.max_tokens=64"
)]
pub(crate) struct Args {
    /// The scenario, a TOML file (see scenarios/README.md).
    pub scenario: PathBuf,
    /// Base URL of the server; several times for replicas.
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Model to ask for; "auto" is the only one of the server.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Corpus to send, instead of the scenario's.
    #[arg(long, value_name = "FILE")]
    pub corpus: Option<PathBuf>,
    /// Folder in which the run directory is made.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub out: PathBuf,
    /// Sets a key of the scenario, such as request.max_tokens=128. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// File that holds the server's bearer key, instead of an environment variable.
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// How arrivals are stamped: "capture" is exact where several events come in one read.
    #[arg(long, value_name = "CLOCK", value_parser = ["auto", "userland", "capture"])]
    pub clock: Option<String>,
    /// Measure the client's own error before the run, whatever the scenario says. It is the default.
    #[arg(long, overrides_with = "no_calibrate")]
    pub calibrate: bool,
    /// Do not: the run begins seconds sooner, and has no error bar of its own.
    #[arg(long, overrides_with = "calibrate")]
    pub no_calibrate: bool,
    /// Exit with 4 when a line of the verdict fails.
    #[arg(long)]
    pub strict: bool,
    /// One event a line as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// What flags and environment change in the scenario. Flags come last and win.
    pub(crate) fn overrides(&self, variables: &Variables) -> Vec<String> {
        let quoted = |text: &str| toml_string(text);
        let mut overrides = environment::overrides(
            variables,
            &self.scenario,
            self.url.is_empty(),
            self.model.is_none(),
        );
        overrides.extend(self.set.iter().cloned());
        match self.url.as_slice() {
            [] => {}
            [one] => overrides.push(format!("server.url={}", quoted(one))),
            many => {
                let list: Vec<String> = many.iter().map(|u| quoted(u)).collect();
                overrides.push(format!("server.url=[{}]", list.join(", ")));
            }
        }
        if let Some(model) = &self.model {
            overrides.push(format!("server.model={}", quoted(model)));
        }
        if let Some(corpus) = &self.corpus {
            overrides.push(format!("corpus.file={}", quoted(&corpus.display().to_string())));
        }
        if let Some(clock) = &self.clock {
            overrides.push(format!("load.clock={}", quoted(clock)));
        }
        if self.calibrate || self.no_calibrate {
            overrides.push(format!("load.calibrate={}", self.calibrate));
        }
        overrides
    }
}

/// `text` as a TOML string.
pub(crate) fn toml_string(text: &str) -> String {
    // JSON's escapes of a string are TOML's.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_set_and_set_over_the_environment() {
        let args = Args::parse_from([
            "run",
            "missing.toml",
            "--set",
            "server.url=\"http://b\"",
            "--url",
            "http://c",
            "--model",
            "m\"q",
            "--clock",
            "capture",
            "--calibrate",
            "--no-calibrate",
        ]);
        let environment = Variables::of([("PORT", "9"), ("MODEL", "e")]);
        let overrides = args.overrides(&environment);
        assert_eq!(
            overrides,
            [
                "server.url=\"http://b\"",
                "server.url=\"http://c\"",
                "server.model=\"m\\\"q\"",
                "load.clock=\"capture\"",
                "load.calibrate=false"
            ]
        );
        let plain = Args::parse_from(["run", "missing.toml"]);
        assert_eq!(
            plain.overrides(&environment),
            ["server.model=\"e\"", "server.url=\"http://localhost:9\""]
        );
    }
}
