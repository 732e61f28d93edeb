//! Progress of long work on standard error: one line a stage.
//!
//! On a terminal the line is live; elsewhere a plain line appears every few seconds; with `--quiet` there is nothing.
//! A finished stage stays as one line in both.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::note;

/// How often a stage says where it is when nobody can watch a live line.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

const COUNTED: &str = "  {prefix:<12} {human_pos}/{human_len} ▕{bar:20}▏ {wide_msg} ETA {eta}";
const UNCOUNTED: &str = "  {prefix:<12} {human_pos} {spinner} {wide_msg}";

/// All live lines of the process, so that whoever writes to the terminal can take them away first.
static LIVE: OnceLock<MultiProgress> = OnceLock::new();

/// Runs `write` with the live lines taken off the terminal. It must not come back here: the lines are locked.
pub(crate) fn suspended<T>(write: impl FnOnce() -> T) -> T {
    match LIVE.get() {
        Some(live) => live.suspend(write),
        None => write(),
    }
}

/// Shows the stages of a program's work.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Hidden,
    Plain,
    Live,
}

impl Progress {
    /// Live on a terminal, plain elsewhere, hidden when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let mode = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Mode::Hidden,
            (false, true) => Mode::Live,
            (false, false) => Mode::Plain,
        };
        Self { mode }
    }

    /// Begins a stage; `total` is how much there is to do, `None` where that is not known.
    pub fn stage(&self, label: impl Into<String>, total: Option<u64>) -> Stage {
        let label = label.into();
        let bar = (self.mode == Mode::Live).then(|| {
            let live =
                LIVE.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
            let bar = live.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
            bar.set_style(bar_style(total).progress_chars("█▉▊▋▌▍▎▏ "));
            bar.set_prefix(label.clone());
            bar
        });
        Stage { label, total, mode: self.mode, bar, last_plain: Instant::now() }
    }
}

fn bar_style(total: Option<u64>) -> ProgressStyle {
    let template = if total.is_some() { COUNTED } else { UNCOUNTED };
    ProgressStyle::with_template(template).expect("the templates are constants that a test parses")
}

/// One stage under way. Dropped without [`finish`](Self::finish), its live line goes and nothing stays.
#[derive(Debug)]
pub struct Stage {
    label: String,
    total: Option<u64>,
    mode: Mode,
    bar: Option<ProgressBar>,
    last_plain: Instant,
}

impl Stage {
    /// Sets how much is done and a short text beside it.
    pub fn set(&mut self, done: u64, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
            bar.set_position(done);
        } else if self.mode == Mode::Plain && self.last_plain.elapsed() >= PLAIN_INTERVAL {
            self.last_plain = Instant::now();
            note(line(&self.label, Some((done, self.total)), text));
        }
    }

    /// Ends the stage; `text` is the line that stays.
    pub fn finish(self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.mode != Mode::Hidden {
            note(line(&self.label, None, text));
        }
    }
}

/// Work that goes stage after stage: what begins, moves and ends is the one under way.
#[derive(Debug)]
pub struct Lines {
    progress: Progress,
    stage: Option<Stage>,
}

impl Lines {
    /// Shown by `progress`.
    pub const fn new(progress: Progress) -> Self {
        Self { progress, stage: None }
    }

    /// A stage begins; the one before it, if it had no end, leaves nothing.
    pub fn begin(&mut self, label: impl Into<String>, total: Option<u64>) {
        self.stage = Some(self.progress.stage(label, total));
    }

    /// [`Stage::set`] of the one under way.
    pub fn update(&mut self, done: u64, text: &str) {
        if let Some(stage) = &mut self.stage {
            stage.set(done, text);
        }
    }

    /// [`Stage::finish`] of the one under way.
    pub fn end(&mut self, text: &str) {
        if let Some(stage) = self.stage.take() {
            stage.finish(text);
        }
    }
}

fn line(label: &str, done: Option<(u64, Option<u64>)>, text: &str) -> String {
    match done {
        Some((done, Some(total))) => format!("  {label:<12} {done}/{total}  {text}"),
        Some((done, None)) => format!("  {label:<12} {done}  {text}"),
        None => format!("  {label:<12} {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_templates_parse() {
        bar_style(Some(3));
        bar_style(None);
    }

    #[test]
    fn plain_lines_read_alike() {
        assert_eq!(
            line("cc 8", Some((57, Some(80))), "2.9 req/s"),
            "  cc 8         57/80  2.9 req/s"
        );
        assert_eq!(line("reading", Some((57, None)), ""), "  reading      57  ");
        assert_eq!(line("cc 8", None, "80 requests in 27 s"), "  cc 8         80 requests in 27 s");
    }

    #[test]
    fn a_stage_begins_and_ends_once() {
        let mut lines = Lines::new(Progress::new(true));
        lines.update(1, "before any begins, nothing");
        lines.begin("cc 8", Some(3));
        lines.update(2, "");
        assert!(lines.stage.is_some());
        lines.end("done");
        assert!(lines.stage.is_none());
        lines.end("nothing under way");
    }

    #[test]
    fn quiet_is_hidden_whatever_the_stream() {
        assert_eq!(Progress::new(true).mode, Mode::Hidden);
    }
}
