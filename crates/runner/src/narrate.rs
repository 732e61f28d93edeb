//! A run's events as lines for people. Pure text: who prints it decides where.

use std::fmt::Write as _;

use vllm_bench_record::{Calibration, Phase};

use crate::brief::BriefFigures;
use crate::event::RunEvent;
use crate::search;

/// What to show for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A stage begins: its live line, and the total it counts to.
    Begin {
        /// The stage's label.
        label: String,
        /// Requests planned; `None` when only a duration bounds it.
        total: Option<u64>,
    },
    /// The live line's new count and text.
    Update {
        /// Requests ended.
        done: u64,
        /// What stands beside it.
        text: String,
    },
    /// The stage's last line.
    End {
        /// What it came to.
        text: String,
    },
    /// A line of its own.
    Note(String),
    /// A line of its own that must not be overlooked.
    Warning(String),
}

/// Remembers what the rates need.
#[derive(Debug, Default)]
pub struct Narrator {
    /// Time and tokens of the last updates, for a rate over the last seconds.
    recent: std::collections::VecDeque<(f64, u64)>,
    /// The longest time of the stage, where a duration bounds it.
    duration_s: Option<f64>,
}

/// The live token rate is over this many seconds.
const RATE_WINDOW_S: f64 = 3.0;

impl Narrator {
    /// What `event` says to people; `None` when nothing.
    pub fn say(&mut self, event: &RunEvent) -> Option<Said> {
        Some(match event {
            RunEvent::Calibrating { elapsed_s, planned_s, streams } => {
                let done = (100.0 * elapsed_s / planned_s).min(99.0) as u64;
                if done == 0 {
                    let label = "client error".into();
                    return Some(Said::Begin { label, total: Some(100) });
                }
                Said::Update { done, text: format!("measured with {}", streams_of(*streams)) }
            }
            RunEvent::Calibrated { calibration } => Said::End { text: calibrated(calibration) },
            RunEvent::StageStarted { stage, planned_requests, duration_s, .. } => {
                self.recent.clear();
                self.duration_s = *duration_s;
                Said::Begin { label: stage.clone(), total: *planned_requests }
            }
            RunEvent::Progress { finished, .. } => {
                Said::Update { done: *finished, text: self.progress(event) }
            }
            RunEvent::StageFinished { phase, elapsed_s, figures, .. } => {
                Said::End { text: finished(*phase, *elapsed_s, figures) }
            }
            RunEvent::SearchStarted {
                over,
                from,
                to,
                objectives,
                prompts_estimated,
                prompts_at_least,
                ..
            } => Said::Note(search::started_line(
                *over,
                (*from, *to),
                objectives,
                *prompts_estimated,
                *prompts_at_least,
            )),
            RunEvent::ProbeFinished { probe, given_up, holds, fails, .. } => {
                Said::Note(format!("  {}", search::probe_line(probe, *given_up, (*holds, *fails))))
            }
            RunEvent::Warning { message } => Said::Warning(message.clone()),
            RunEvent::RunStarted { .. }
            | RunEvent::Verdict { .. }
            | RunEvent::SearchFinished { .. }
            | RunEvent::RunFinished { .. } => return None,
        })
    }

    fn progress(&mut self, event: &RunEvent) -> String {
        let RunEvent::Progress {
            elapsed_s,
            finished,
            failed,
            in_flight,
            tokens,
            ttft_p50_ms,
            ttft_p95_ms,
            ..
        } = event
        else {
            return String::new();
        };
        self.recent.push_back((*elapsed_s, *tokens));
        while self.recent.len() > 2 && elapsed_s - self.recent[0].0 > RATE_WINDOW_S {
            self.recent.pop_front();
        }
        let mut text = String::new();
        if *elapsed_s > 0.0 {
            let _ = write!(text, "{:.1} req/s", *finished as f64 / elapsed_s);
        }
        if let (Some(first), Some(last)) = (self.recent.front(), self.recent.back())
            && last.0 > first.0
        {
            let _ = write!(text, "  {:.0} tok/s", (last.1 - first.1) as f64 / (last.0 - first.0));
        }
        if let (Some(p50), Some(p95)) = (ttft_p50_ms, ttft_p95_ms) {
            let _ = write!(text, "  TTFT p50 {} p95 {}", human_ms(*p50), human_ms(*p95));
        }
        let _ = write!(text, "  in flight {in_flight}  {}", errors(*failed));
        if let Some(left) = self.duration_s.map(|d| d - elapsed_s) {
            let _ = match left > 0.0 {
                true => write!(text, "  {left:.0} s left"),
                false => write!(text, "  draining"),
            };
        }
        text
    }
}

/// One line on the client's own error.
fn calibrated(found: &Calibration) -> String {
    format!(
        "TTFT p99 {}, ITL p99 {} at {} × {:.0} tok/s; this host takes in up to {} tok/s",
        micros(found.ttft_error.p99_ns),
        micros(found.itl_error.p99_ns),
        streams_of(found.streams),
        found.tokens_per_second / f64::from(found.streams.max(1)),
        thousands(found.max_tokens_per_second),
    )
}

fn micros(ns: f64) -> String {
    let us = ns / 1e3;
    if us < 10.0 { format!("{us:.1} µs") } else { format!("{us:.0} µs") }
}

fn streams_of(n: u32) -> String {
    format!("{n} stream{}", if n == 1 { "" } else { "s" })
}

/// To two digits that say something: `190,000`.
fn thousands(figure: f64) -> String {
    let unit = 10_f64.powf((figure.max(1.0).log10().floor() - 1.0).max(0.0));
    let digits = format!("{:.0}", (figure / unit).round() * unit);
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn finished(phase: Phase, elapsed_s: f64, figures: &BriefFigures) -> String {
    let done = figures.completed + figures.failed + figures.cancelled;
    let mut text = format!("{done} requests in {elapsed_s:.1} s");
    if phase == Phase::Measure {
        if let Some(rate) = figures.output_tokens_per_s {
            let _ = write!(text, "  {rate:.0} tok/s");
        }
        if let (Some(p50), Some(p95)) = (figures.ttft_p50_ms, figures.ttft_p95_ms) {
            let _ = write!(text, "  TTFT p50 {} p95 {}", human_ms(p50), human_ms(p95));
        }
    }
    let _ = write!(text, "  {}", errors(figures.failed));
    if figures.cancelled > 0 {
        let _ = write!(text, "  {} cancelled", figures.cancelled);
    }
    text
}

fn errors(n: u64) -> String {
    format!("{n} error{}", if n == 1 { "" } else { "s" })
}

fn human_ms(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}

/// The short table of a run, at most 80 columns wide: measured stages only.
pub fn brief_table(stages: &[BriefFigures]) -> String {
    let with_slo = stages.iter().any(|s| s.slo_met.is_some());
    let mut out = String::new();
    let _ = writeln!(
        out,
        "  {:<7} {:>5} {:>4} {:>6} {:>9} {:>11} {:>6} {:>11} {:>6}{}",
        "stage",
        "req",
        "err",
        "req/s",
        "out tok/s",
        "TTFT ms p50",
        "p95",
        "TPOT ms p50",
        "p95",
        if with_slo { " SLO" } else { "" }
    );
    for s in stages {
        let slo = match s.slo_met {
            Some(true) => " ok",
            Some(false) => " miss",
            None => "",
        };
        let _ = writeln!(
            out,
            "  {:<7} {:>5} {:>4} {:>6} {:>9} {:>11} {:>6} {:>11} {:>6}{slo}",
            s.stage,
            s.completed + s.failed + s.cancelled,
            s.failed,
            number(s.request_rate, 1),
            number(s.output_tokens_per_s, 0),
            number(s.ttft_p50_ms, 0),
            number(s.ttft_p95_ms, 0),
            number(s.tpot_p50_ms, 1),
            number(s.tpot_p95_ms, 1),
        );
    }
    for s in stages {
        for error in s.errors.iter().take(3) {
            let line = format!(
                "  {}: {}× {}: {}",
                s.stage,
                error.count,
                error.cause,
                plain(&error.example)
            );
            let _ = writeln!(out, "{}", line.chars().take(80).collect::<String>());
        }
    }
    out
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |v| format!("{v:.digits$}"))
}

/// Server text as one harmless line.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::BriefError;

    fn figures() -> BriefFigures {
        BriefFigures {
            stage: "cc 1024".into(),
            completed: 12345,
            failed: 67,
            cancelled: 0,
            request_rate: Some(1234.56),
            output_tokens_per_s: Some(1_234_567.0),
            ttft_p50_ms: Some(123_456.0),
            ttft_p95_ms: Some(234_567.0),
            tpot_p50_ms: Some(1234.5),
            tpot_p95_ms: None,
            prompt_tokens: 0,
            output_tokens: 0,
            cached_tokens: None,
            errors: vec![BriefError {
                cause: "cut",
                count: 67,
                example: "\u{1b}[31mx\ny".repeat(40),
            }],
            slo_met: Some(false),
        }
    }

    #[test]
    fn the_client_error_is_one_line() {
        let quantiles =
            |p99_ns| vllm_bench_record::ErrorQuantiles { count: 9, p50_ns: 1.0, p99_ns };
        let calibration = Calibration {
            streams: 64,
            tokens_per_second: 6_400.0,
            events: 12_800,
            coalesced: 3,
            arrival_error: quantiles(1.0),
            ttft_error: quantiles(9_240.0),
            itl_error: quantiles(12_400.0),
            max_tokens_per_second: 187_654.0,
            cpu_ns_per_token: 5_000.0,
            seconds: 2.9,
        };
        let mut narrator = Narrator::default();
        let calibrating =
            |elapsed_s| RunEvent::Calibrating { elapsed_s, planned_s: 2.7, streams: 1 };
        let begun = narrator.say(&calibrating(0.0));
        assert!(matches!(begun, Some(Said::Begin { total: Some(100), .. })), "{begun:?}");
        let done = Some(Said::Update { done: 50, text: "measured with 1 stream".into() });
        assert_eq!(narrator.say(&calibrating(1.35)), done);
        assert_eq!(
            narrator.say(&RunEvent::Calibrated { calibration }),
            Some(Said::End {
                text: "TTFT p99 9.2 µs, ITL p99 12 µs at 64 streams × 100 tok/s; this host takes \
                       in up to 190,000 tok/s"
                    .into()
            })
        );
        for (figure, text) in [(0.4, "0"), (7.0, "7"), (999.0, "1,000"), (1_234_567.0, "1,200,000")]
        {
            assert_eq!(thousands(figure), text);
        }
    }

    #[test]
    fn the_table_fits_80_columns_and_shows_no_control_characters() {
        let table = brief_table(&[figures()]);
        for line in table.lines() {
            assert!(line.chars().count() <= 80, "{line}");
            assert!(!line.contains('\u{1b}'));
        }
        assert!(table.contains("67× cut"), "{table}");
    }
}
