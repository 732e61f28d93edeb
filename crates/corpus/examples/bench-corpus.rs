//! How fast a large corpus is written, and in how little memory: `just bench-corpus`.
//!
//! Builds the corpus of a spec twice, half of the prompts and all of them, each in a process of its own so that each has
//! its own peak memory. The last line is JSON: `{"prompts", "seconds", "mb_per_s", "peak_rss_mb"}` of the whole one;
//! `mb_per_s` is the corpus file over the time from the spec to the renamed file, sources read and tokens counted included.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows figures")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use vllm_bench_corpus::{BuildOptions, CorpusSpec, build_with};

const USAGE: &str = "bench-corpus [--prompts N] [--tokens N] [--threads N] [--spec FILE] [--tokenizer FOLDER] [--source NAME=PATH]... [--dir FOLDER]";

struct Args {
    prompts: u32,
    tokens: Option<u32>,
    threads: usize,
    spec: PathBuf,
    tokenizer: Option<String>,
    sources: Vec<(String, PathBuf)>,
    dir: PathBuf,
    /// Build once, here: what the other process does.
    once: bool,
}

fn main() -> ExitCode {
    let outcome = parse(std::env::args().skip(1)).and_then(|args| {
        if args.once { once(&args).map(|line| println!("{line}")) } else { both(&args) }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}\n  {USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut given: impl Iterator<Item = String>) -> Result<Args, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut args = Args {
        prompts: 10_000,
        tokens: None,
        threads: 2,
        spec: root.join("datasets/rag-volume.toml"),
        tokenizer: None,
        sources: Vec::new(),
        dir: root.join("target/tmp"),
        once: false,
    };
    while let Some(flag) = given.next() {
        if flag == "--once" {
            args.once = true;
            continue;
        }
        let value = given.next().ok_or(format!("{flag} needs a value"))?;
        let number = || value.parse::<u32>().map_err(|_| format!("{flag}: `{value}` is no number"));
        match flag.as_str() {
            "--prompts" => args.prompts = number()?.max(1),
            "--tokens" => args.tokens = Some(number()?),
            "--threads" => args.threads = number()?.max(1) as usize,
            "--spec" => args.spec = value.into(),
            "--tokenizer" => args.tokenizer = Some(value),
            "--dir" => args.dir = value.into(),
            "--source" => {
                let (name, path) = value.split_once('=').ok_or("--source needs NAME=PATH")?;
                args.sources.push((name.to_owned(), path.into()));
            }
            _ => return Err(format!("unknown flag {flag}")),
        }
    }
    Ok(args)
}

fn both(args: &Args) -> Result<(), String> {
    let me = std::env::current_exe().map_err(|e| e.to_string())?;
    for prompts in [(args.prompts / 2).max(1), args.prompts] {
        let mut command = Command::new(&me);
        command.arg("--once").args(["--prompts", &prompts.to_string()]);
        command.args(["--threads", &args.threads.to_string()]);
        command.arg("--spec").arg(&args.spec).arg("--dir").arg(&args.dir);
        if let Some(tokens) = args.tokens {
            command.args(["--tokens", &tokens.to_string()]);
        }
        if let Some(tokenizer) = &args.tokenizer {
            command.args(["--tokenizer", tokenizer]);
        }
        for (name, path) in &args.sources {
            command.arg("--source").arg(format!("{name}={}", path.display()));
        }
        let status = command.status().map_err(|e| format!("cannot start again: {e}"))?;
        if !status.success() {
            return Err(format!("the run of {prompts} prompts failed"));
        }
    }
    Ok(())
}

fn once(args: &Args) -> Result<String, String> {
    let mut spec = CorpusSpec::from_file(&args.spec).map_err(|e| e.to_string())?;
    spec.prompts = Some(args.prompts);
    if let Some(tokens) = args.tokens {
        let mut length = spec.length();
        length.mean_tokens = tokens;
        spec.length = Some(length);
    }
    let options = BuildOptions {
        base_dir: args.spec.parent().unwrap_or(Path::new("")).to_owned(),
        tokenizer: args.tokenizer.clone(),
        source_paths: args.sources.iter().cloned().collect(),
        threads: Some(args.threads),
        ..BuildOptions::default()
    };
    let out = args.dir.join(format!("bench-corpus-{}.jsonl", std::process::id()));
    let started = Instant::now();
    let header = build_with(&spec, &options, &out, &mut |_| {}).map_err(|e| e.to_string())?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(&out).map_err(|e| e.to_string())?.len();
    std::fs::remove_file(&out).map_err(|e| e.to_string())?;
    if let Some(aims) = &header.aims {
        eprintln!(
            "{} prompts of {:.0} tokens by {}, {:.0} MB; {} have their length to the token, {} off at most; {} shared leading blocks",
            header.prompts,
            header.tokens.mean,
            header.tokenizer,
            bytes as f64 / 1e6,
            aims.exact,
            aims.most_off,
            header.shared_leading_blocks
        );
    }
    let figures = serde_json::json!({
        "prompts": header.prompts,
        "seconds": (seconds * 100.0).round() / 100.0,
        "mb_per_s": (bytes as f64 / seconds / 1e5).round() / 10.0,
        "peak_rss_mb": peak_rss_mb(),
    });
    Ok(figures.to_string())
}

/// The most memory that this process had, where the system tells it.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some((kib * 1024.0 / 1e5).round() / 10.0)
}
