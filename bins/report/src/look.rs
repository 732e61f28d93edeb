//! From what a text says to its colour on this terminal, and paths as the shell takes them.

use std::path::{Path, PathBuf};

use vllm_bench_analysis::table::{Look, Tone};
use vllm_bench_analysis::{AnalysisError, Dataset, newest_run, run_dir};
use vllm_bench_cli::style::{self, Paint};
use vllm_bench_cli::{Exit, exit_with};

/// Calls `show` with the look of standard output.
pub(crate) fn on_stdout(show: impl FnOnce(&Look<'_>) -> String) -> String {
    let paint = style::stdout();
    show(&Look { width: Look::MIN_WIDTH, paint: &|tone, text| painted(paint, tone, text) })
}

fn painted(paint: Paint, tone: Tone, text: &str) -> String {
    match tone {
        Tone::Strong => paint.bold(text),
        Tone::Good => paint.green(text),
        Tone::Doubt => paint.yellow(text),
        Tone::Bad => paint.red(text),
        Tone::Faint => paint.dim(text),
    }
}

/// The run that is named, else the newest of `results`.
pub(crate) fn open(named: Option<&PathBuf>, results: &Path) -> anyhow::Result<Dataset> {
    let found = match named {
        Some(path) => run_dir(path),
        None => newest_run(results),
    };
    found.and_then(Dataset::open).map_err(with_exit)
}

/// Attaches the exit code that fits.
pub(crate) fn with_exit(error: AnalysisError) -> anyhow::Error {
    exit_with(if error.is_bad_input() { Exit::BadInput } else { Exit::Failure }, error)
}

/// `path` as one word of a shell command.
pub(crate) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word() {
        assert_eq!(word(Path::new("results/rag-1")), "results/rag-1");
        assert_eq!(word(Path::new("my runs/it's")), "'my runs/it'\\''s'");
    }
}
