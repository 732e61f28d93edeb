//! What a run shows: lines and a table for people on standard error, events for scripts on standard output.

use vllm_bench_cli::progress::Lines;
use vllm_bench_cli::{note, print, style, warn};
use vllm_bench_record::{CheckStatus, Phase};
use vllm_bench_runner::{
    Narrator, Ready, RunEvent, RunOutcome, Said, brief_table, search_text, verdict_text,
};

use crate::cli::Args;

/// Shows a run.
pub(crate) struct Show {
    json: bool,
    quiet: bool,
    lines: Lines,
    narrator: Narrator,
}

impl Show {
    pub(crate) fn new(args: &Args) -> Self {
        Self {
            json: args.json,
            quiet: args.common.quiet,
            lines: Lines::new(args.common.progress()),
            narrator: Narrator::default(),
        }
    }

    /// One line on what is about to run.
    pub(crate) fn ready(&self, ready: &Ready) -> anyhow::Result<()> {
        if !self.quiet {
            note(ready.headline());
            if ready.servers.iter().any(|s| s.simulated) {
                note(style::stderr().yellow(
                    "the server is SIMULATED: no figure of this run speaks of real hardware",
                ));
            }
        }
        Ok(())
    }

    /// One event.
    pub(crate) fn event(&mut self, event: &RunEvent) {
        if self.json {
            // A reader that went away does not stop the measurement.
            if let Ok(line) = serde_json::to_string(event) {
                let _ = print(format_args!("{line}\n"));
            }
        }
        match self.narrator.say(event) {
            Some(Said::Begin { label, total }) => self.lines.begin(label, total),
            Some(Said::Update { done, text }) => self.lines.update(done, &text),
            Some(Said::End { text }) => self.lines.end(&text),
            Some(Said::Note(text)) if !self.quiet => note(text),
            Some(Said::Warning(text)) => warn(text),
            _ => {}
        }
    }

    /// The table and what to do next.
    pub(crate) fn outcome(&self, outcome: &RunOutcome) -> anyhow::Result<()> {
        let measured: Vec<_> = outcome
            .figures
            .iter()
            .filter(|(info, _)| info.phase == Phase::Measure)
            .map(|(_, figures)| figures.clone())
            .collect();
        let dir = outcome.run_dir.path().display();
        // Where it goes decides whether it is painted.
        let paint = if self.json { style::stderr() } else { style::stdout() };
        let verdict = verdict_text(&outcome.verdict, |status, text| match status {
            CheckStatus::Pass => paint.green(text),
            CheckStatus::Unknown => paint.dim(text),
            CheckStatus::Warn => paint.yellow(text),
            CheckStatus::Fail => paint.red(text),
        });
        // A search's stages are its probes, which its own table has with what they were held against.
        let table = match &outcome.manifest.search {
            Some(search) => search_text(search),
            None => brief_table(&measured),
        };
        let text = format!("\n{table}\n{verdict}\n  {dir}\n  next: vllm-bench-report {dir}\n");
        if self.json {
            if !self.quiet {
                note(text.trim_end());
            }
            return Ok(());
        }
        print(text)
    }
}
