//! Shows what the library says it is doing.

use std::time::Instant;

use vllm_bench_cli::note;
use vllm_bench_cli::progress::{Progress as Display, Stage};
use vllm_bench_corpus::Progress;

/// One line a step.
pub(crate) struct Shown {
    display: Display,
    stage: Option<(String, Stage, Instant)>,
    /// Where the stage stands and where it began: a resumed download does not begin at 0.
    done: (u64, u64),
}

impl Shown {
    pub(crate) fn new(display: Display) -> Self {
        Self { display, stage: None, done: (0, 0) }
    }

    /// Shows a step.
    pub(crate) fn step(&mut self, step: Progress) {
        match step {
            Progress::Downloading { file, done, total } => {
                let megabytes = |bytes: u64| bytes as f64 / 1e6;
                self.at(&format!("download {file}"), "download", done, total, |rate| {
                    format!(
                        "{file} {:.1}/{:.1} MB, {:.1} MB/s",
                        megabytes(done),
                        megabytes(total),
                        rate / 1e6
                    )
                });
            }
            Progress::Building { done, total } => {
                self.at("prompts", "prompts", done as u64, total as u64, |rate| {
                    format!("{rate:.0} prompts/s")
                });
            }
            Progress::Reading { source, file } => {
                self.finish();
                let mut stage = self.display.stage("reading", None);
                stage.set(0, &file);
                self.stage = Some((source, stage, Instant::now()));
            }
            Progress::Loaded { source, passages, questions, prompts } => {
                let text = if prompts > 0 {
                    format!("{source}: {prompts} prompts")
                } else {
                    format!("{source}: {passages} passages, {questions} questions")
                };
                match self.stage.take() {
                    Some((name, stage, _)) if name == source => stage.finish(&text),
                    _ => self.display.stage("reading", None).finish(&text),
                }
            }
            Progress::Note(text) => note(format_args!("  {text}")),
            _ => {}
        }
    }

    /// Ends what is shown.
    pub(crate) fn finish(&mut self) {
        if let Some((_, stage, started)) = self.stage.take() {
            let seconds = started.elapsed().as_secs_f64();
            stage.finish(&format!("{} in {seconds:.1} s", self.done.0));
        }
    }

    fn at(&mut self, key: &str, label: &str, done: u64, total: u64, text: impl Fn(f64) -> String) {
        if self.stage.as_ref().is_none_or(|(current, ..)| current != key) {
            self.finish();
            self.stage =
                Some((key.to_owned(), self.display.stage(label, Some(total)), Instant::now()));
            self.done.1 = done;
        }
        self.done.0 = done;
        if let Some((_, stage, started)) = &mut self.stage {
            let seconds = started.elapsed().as_secs_f64().max(0.001);
            stage.set(done, &text(done.saturating_sub(self.done.1) as f64 / seconds));
        }
    }
}
