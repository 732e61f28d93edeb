//! Clients of others, measured by what their process costs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use vllm_bench_bench::{TruthConfig, TruthLog, process};

use crate::cell::Cell;
use crate::children::{Cost, Owned, start_truth, wait};
use crate::cpus::Cpus;

/// A peer and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub kind: Kind,
    program: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `vllm bench serve`.
    Vllm,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
        }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or("must be NAME=PATH")?;
        let kind = match name {
            "vllm" => Kind::Vllm,
            other => return Err(format!("unknown peer {other:?}; known: vllm")),
        };
        Ok(Self { kind, program: path.into() })
    }
}

/// What a peer costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerCost {
    pub cpu_per_token_ns: f64,
    pub peak_rss_bytes: Option<u64>,
}

impl Peer {
    /// CPU time a token in `cell`, from the first request's arrival at the server to the
    /// last token's write: its start and its report are left out.
    pub(crate) fn cost(
        &self,
        cell: &Cell,
        tokenizer: Option<&Path>,
        cpus: Cpus,
    ) -> anyhow::Result<PeerCost> {
        let tokenizer = tokenizer.context("vllm needs --peer-tokenizer DIR")?;
        let dir = tempfile::tempdir()?;
        let config = TruthConfig { pace: cell.pace, ..TruthConfig::default() };
        let truth = start_truth(config, cpus.server())?;
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(dir.path().join("errors"))?);
        command.args(self.arguments(cell, &truth.addr().to_string(), tokenizer));
        let child = Owned::start(command)?;
        if let Some(cpu) = cpus.client() {
            process::pin(Some(child.id()), cpu)?;
        }
        let cost = wait(child, false, Duration::from_secs(600)).with_context(|| {
            let said = std::fs::read_to_string(dir.path().join("errors")).unwrap_or_default();
            let tail: Vec<&str> = said.lines().rev().take(5).collect();
            format!("{}: {}", self.program.display(), tail.join(" / "))
        })?;
        self.per_token(&cost, &truth.finish()?)
    }

    fn per_token(&self, cost: &Cost, truth: &TruthLog) -> anyhow::Result<PeerCost> {
        let tokens = truth.tokens();
        let first = truth.requests.iter().map(|request| request.arrival_ns).min();
        let last = truth.requests.iter().filter_map(|request| request.writes_ns.last()).max();
        let cpu_ns = first.zip(last).and_then(|(from, to)| cost.cpu_ns_between(from, *to));
        let cpu_ns = cpu_ns
            .filter(|_| tokens > 0)
            .with_context(|| format!("{} asked for no tokens", self.program.display()))?;
        let cpu_per_token_ns = cpu_ns / tokens as f64;
        Ok(PeerCost { cpu_per_token_ns, peak_rss_bytes: cost.peak_rss_bytes })
    }

    fn arguments(&self, cell: &Cell, addr: &str, tokenizer: &Path) -> Vec<String> {
        let Kind::Vllm = self.kind;
        let prompts = cell.streams * cell.requests_per_stream;
        let tokenizer = tokenizer.display();
        format!(
            "bench serve --backend openai-chat --endpoint /v1/chat/completions --model truth \
             --base-url http://{addr} --dataset-name random --random-input-len 64 \
             --random-output-len {} --num-prompts {prompts} --max-concurrency {} --ignore-eos \
             --disable-tqdm --ready-check-timeout-sec 0 --tokenizer",
            cell.tokens, cell.streams
        )
        .split_whitespace()
        .map(str::to_owned)
        .chain([tokenizer.to_string()])
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_known_name_and_a_path() {
        let peer: Peer = "vllm=a b/vllm".parse().expect("a peer");
        assert_eq!((peer.kind, peer.program), (Kind::Vllm, PathBuf::from("a b/vllm")));
        assert!("vllm".parse::<Peer>().is_err_and(|e| e.contains("NAME=PATH")));
        assert!("wrk=x".parse::<Peer>().is_err_and(|e| e.contains("known: vllm")));
    }
}
