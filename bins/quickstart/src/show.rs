//! What quickstart shows while it works, on standard error.

use vllm_bench_cli::progress::{Progress, Stage};
use vllm_bench_cli::{note, style};
use vllm_bench_runner::{Narrator, RunEvent, Said};

/// Shows steps and the run's events.
pub(crate) struct Show {
    quiet: bool,
    progress: Progress,
    narrator: Narrator,
    stage: Option<Stage>,
}

impl Show {
    pub(crate) fn new(quiet: bool) -> Self {
        let (progress, narrator) = (Progress::new(quiet), Narrator::default());
        Self { quiet, progress, narrator, stage: None }
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
            Some(Said::Begin { label, total }) => {
                self.stage = Some(self.progress.stage(label, total));
            }
            Some(Said::Update { done, text }) => {
                if let Some(stage) = &mut self.stage {
                    stage.set(done, &text);
                }
            }
            Some(Said::End { text }) => {
                if let Some(stage) = self.stage.take() {
                    stage.finish(&text);
                }
            }
            Some(Said::Warning(text)) => {
                note(format_args!("{} {text}", style::stderr().yellow("warning:")));
            }
            _ => {}
        }
    }
}
