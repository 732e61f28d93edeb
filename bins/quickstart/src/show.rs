//! What quickstart shows while it works, on standard error.

use vllm_bench_cli::progress::{Lines, Progress, Stage};
use vllm_bench_cli::{note, warn};
use vllm_bench_runner::{Narrator, RunEvent, Said};

/// Shows steps and the run's events.
pub(crate) struct Show {
    quiet: bool,
    progress: Progress,
    lines: Lines,
    narrator: Narrator,
}

impl Show {
    pub(crate) fn new(quiet: bool) -> Self {
        let progress = Progress::new(quiet);
        Self { quiet, progress, lines: Lines::new(progress), narrator: Narrator::default() }
    }

    /// A line of its own.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            note(text);
        }
    }

    /// A step that counts to `total`.
    pub(crate) fn step(&self, label: &str, total: u64) -> Stage {
        self.progress.stage(label, Some(total))
    }

    /// One event of the run.
    pub(crate) fn event(&mut self, event: &RunEvent) {
        match self.narrator.say(event) {
            Some(Said::Begin { label, total }) => self.lines.begin(label, total),
            Some(Said::Update { done, text }) => self.lines.update(done, &text),
            Some(Said::End { text }) => self.lines.end(&text),
            Some(Said::Note(text)) if !self.quiet => note(text),
            Some(Said::Warning(text)) => warn(text),
            _ => {}
        }
    }
}
