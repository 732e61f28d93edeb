//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use vllm_bench_cli::Common;

/// A simulated vLLM server: its wire, its batching and its metrics, no GPU and no model.
///
/// The speed is that of a cost model: a step takes a base time, and more for each prompt token, each
/// sequence and each token of context in it. Its answers are English words without a meaning, and say
/// that they are simulated (Server header, /version).
#[derive(Debug, Parser)]
#[command(name = "vllm-bench-simulate", after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Port to listen on; 0 picks a free one.
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,

    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,

    /// Settings as TOML (the keys of `SimulatorConfig`); flags win over it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Name of the served model.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,

    /// Time to the first token of a 1,000-token prompt on an idle server: sets the cost of a prompt token.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) ttft: Option<Duration>,

    /// Time between tokens of a single stream: sets the base cost of a step.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) itl: Option<Duration>,

    /// Divides all times: 2 is a server twice as fast.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) speed: Option<f64>,

    /// Mean length of answers that end by themselves.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) answer_tokens: Option<f64>,

    /// Environment variable that holds the key clients must send.
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) api_key_env: Option<String>,

    #[command(flatten)]
    pub(crate) common: Common,
}

const EXAMPLES: &str = "Examples:
  vllm-bench-simulate --port 8000
  vllm-bench-simulate --model mistral --ttft 80ms --itl 12ms";

impl Cli {
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// What a person sees once the server is up.
pub(crate) fn welcome(url: &str, model: &str) -> String {
    format!(
        "Simulated vLLM server at {url}, model {model} (no GPU, no model: figures are a cost model's)\n\
         \n  try    curl {url}/v1/models\n\
         \x20 bench  vllm-bench-run scenarios/smoke.toml --url {url}\n\
         \x20 stop   Ctrl-C\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        vllm_bench_cli::command::<Cli>().debug_assert();
    }
}
