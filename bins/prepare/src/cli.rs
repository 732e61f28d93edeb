//! The command line of `vllm-bench-prepare`.

use std::path::{Path, PathBuf};

use clap::Parser;
use vllm_bench_cli::{Common, Variables};
use vllm_bench_corpus::{BuildOptions, CorpusSpec, ServerOptions};

use crate::hub::hub;

/// Makes a corpus: unique prompts of a known length, from a spec (see datasets/README.md).
///
/// The same spec, sources and tokenizer give the same bytes. HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are read
/// from the environment and from .env, the server's key from VLLM_API_KEY.
#[derive(Parser, Debug)]
#[command(
    name = "vllm-bench-prepare",
    version,
    before_help = "Examples:\n  vllm-bench-prepare datasets/quick.toml\n  vllm-bench-prepare datasets/rag.toml --server http://localhost:8000 --out corpora/rag.jsonl"
)]
pub(crate) struct Args {
    /// The spec, a TOML file
    pub spec: PathBuf,
    /// The corpus file; corpora/NAME.jsonl where it is not given
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How many prompts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
    /// The seed of every choice
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Mean length of a whole prompt, in tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub mean_tokens: Option<u32>,
    /// Tokens of a block of the server's prefix cache: 16 on GPUs, 128 on CPUs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub block_size: Option<u32>,
    /// Blocks that this cache has, to predict its hits too; its end is far away where it is not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 28))]
    pub cache_blocks: Option<u64>,
    /// Count by this tokenizer: a Hub model id, a folder, or a tokenizer.json
    #[arg(long, value_name = "MODEL-OR-PATH", conflicts_with = "server")]
    pub tokenizer: Option<String>,
    /// Count by this server's /tokenize
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// The server's model, where it has several
    #[arg(long, value_name = "NAME", requires = "server")]
    pub model: Option<String>,
    /// File that holds the server's bearer key, instead of VLLM_API_KEY
    #[arg(long, value_name = "FILE", requires = "server")]
    pub api_key_file: Option<PathBuf>,
    /// Use this local file or folder for a source of the spec; repeatable
    #[arg(long, value_name = "NAME=PATH", value_parser = name_and_path)]
    pub source: Vec<(String, PathBuf)>,
    /// Download nothing: local copies and the Hub's cache only
    #[arg(long)]
    pub offline: bool,
    /// Threads; one a core where it is not given. The corpus does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print the corpus header as JSON on standard output
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// What flags change in the spec.
    pub(crate) fn override_spec(&self, spec: &mut CorpusSpec) {
        spec.prompts = self.count.or(spec.prompts);
        spec.seed = self.seed.unwrap_or(spec.seed);
        if let Some(mean_tokens) = self.mean_tokens {
            let mut length = spec.length();
            length.mean_tokens = mean_tokens;
            spec.length = Some(length);
        }
        if self.block_size.is_some() || self.cache_blocks.is_some() {
            let mut cache = spec.cache();
            cache.block_size = self.block_size.unwrap_or(cache.block_size);
            cache.blocks = self.cache_blocks.or(cache.blocks);
            spec.cache = Some(cache);
        }
    }

    /// What differs from machine to machine.
    pub(crate) fn options(&self, variables: &Variables) -> anyhow::Result<BuildOptions> {
        let api_key = variables.secret("VLLM_API_KEY", self.api_key_file.as_deref())?;
        let server = self.server.as_ref().map(|url| ServerOptions {
            url: url.clone(),
            model: self.model.clone(),
            api_key: api_key.clone(),
            ..ServerOptions::default()
        });
        Ok(BuildOptions {
            base_dir: self.spec.parent().unwrap_or(Path::new("")).to_owned(),
            hub: hub(variables, self.offline),
            server,
            tokenizer: self.tokenizer.clone(),
            source_paths: self.source.iter().cloned().collect(),
            threads: self.threads.map(usize::from),
        })
    }

    /// Where the corpus goes.
    pub(crate) fn out(&self, spec: &CorpusSpec) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| Path::new("corpora").join(format!("{}.jsonl", spec.name)))
    }
}

fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected NAME=PATH, such as dolly=databricks-dolly-15k.jsonl".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_spec() {
        let args =
            parse("prepare datasets/x.toml --count 7 --mean-tokens 500 --seed 9").expect("fine");
        let mut spec = CorpusSpec { name: "x".into(), ..CorpusSpec::default() };
        args.override_spec(&mut spec);
        assert_eq!((spec.prompts(), spec.length().mean_tokens, spec.seed), (7, 500, 9));
        assert_eq!(args.out(&spec), Path::new("corpora/x.jsonl"));
    }

    #[test]
    fn the_cache_is_looked_at_as_asked() {
        let args = parse("prepare x.toml --block-size 128 --cache-blocks 9000").expect("fine");
        let mut spec = CorpusSpec { name: "x".into(), ..CorpusSpec::default() };
        assert_eq!((spec.cache().block_size, spec.cache().blocks), (16, None));
        args.override_spec(&mut spec);
        assert_eq!((spec.cache().block_size, spec.cache().blocks), (128, Some(9000)));
    }

    #[test]
    fn bad_flags_are_refused() {
        for line in [
            "prepare x.toml --count 0",
            "prepare x.toml --source dolly",
            "prepare x.toml --model m",
            "prepare x.toml --block-size 0",
            "prepare",
        ] {
            parse(line).expect_err(line);
        }
        let both = parse("prepare x.toml --server http://a --tokenizer b");
        both.expect_err("two counters");
    }
}
