//! The head of a page: what was run, on what, and whether to believe it.

use serde::Serialize;
use vllm_bench_record::{Check, CheckStatus, RunStatus, Verdict};

use crate::calibration;
use crate::charts::{count, number, seconds};
use crate::report::names::plural;
use crate::summary::{RunFacts, Summary};

/// The head of a report.
#[derive(Debug, Serialize)]
pub(crate) struct Head {
    pub(crate) title: String,
    question: String,
    pub(crate) simulated: bool,
    simulated_note: String,
    facts: Vec<Fact>,
    verdict: VerdictBox,
    warnings: Vec<String>,
}

/// A name and a value.
#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    name: &'static str,
    value: String,
    badge: &'static str,
}

impl Fact {
    pub(crate) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), badge: "" }
    }

    fn badged(self, badge: &'static str) -> Self {
        Self { badge, ..self }
    }
}

#[derive(Debug, Serialize)]
struct VerdictBox {
    class: &'static str,
    headline: String,
    doubts: Vec<CheckLine>,
    /// What is folded away: checks that passed and those without data.
    others: Vec<CheckLine>,
    others_title: String,
}

#[derive(Debug, Serialize)]
struct CheckLine {
    class: &'static str,
    word: &'static str,
    title: &'static str,
    figure: Vec<Piece>,
    meaning: Vec<Piece>,
    advice: Vec<Piece>,
}

/// A stretch of text; code stands between backticks.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Piece {
    code: bool,
    text: String,
}

fn pieces(text: &str) -> Vec<Piece> {
    let piece = |(i, text): (usize, &str)| Piece { code: i % 2 == 1, text: text.to_owned() };
    text.split('`').enumerate().map(piece).filter(|p| !p.text.is_empty()).collect()
}

impl Head {
    pub(crate) fn of(summary: &Summary) -> Self {
        let run = &summary.run;
        let question = match &run.question {
            Some(question) => question.clone(),
            None => format!("Scenario {}", run.scenario),
        };
        let gpu_simulated = run.gpu_source.as_deref() == Some("simulated");
        let simulated_note = match (run.simulated, gpu_simulated) {
            (true, true) => {
                "The server and the GPU were simulated: no figure here speaks of real hardware."
            }
            (true, false) => "The server was simulated: no figure here speaks of real hardware.",
            (false, true) => {
                "The GPU samples are made up by the simulated source; everything else was measured."
            }
            (false, false) => "",
        };
        Self {
            title: run.model.clone().unwrap_or_else(|| run.scenario.clone()),
            question,
            simulated: run.any_simulated(),
            simulated_note: simulated_note.into(),
            facts: facts(run),
            verdict: verdict_box(&summary.verdict),
            warnings: summary.warnings.clone(),
        }
    }
}

fn facts(run: &RunFacts) -> Vec<Fact> {
    let mut facts = Vec::new();
    for server in &run.servers {
        let version = server.version.as_deref().unwrap_or("of unknown version");
        let name = if server.simulated { "simulator" } else { "vLLM" };
        let fact = Fact::new("server", format!("{name} {version} at {}", server.url));
        facts.push(if server.simulated { fact.badged("SIMULATED") } else { fact });
    }
    let mut gpus = run.gpus.clone();
    gpus.dedup();
    let gpu = match (gpus.len(), run.gpus.len()) {
        (0, _) => Fact::new("GPU", "not sampled"),
        (1, n) if n > 1 => Fact::new("GPU", format!("{n} × {}", gpus[0])),
        _ => Fact::new("GPU", gpus.join(", ")),
    };
    facts.push(if run.gpu_source.as_deref() == Some("simulated") {
        gpu.badged("SIMULATED")
    } else {
        gpu
    });
    facts.push(Fact::new("scenario", run.scenario.clone()));
    facts.push(Fact::new("started", wall_time(&run.started_at)));
    if let Some(s) = run.seconds {
        facts.push(Fact::new("took", seconds(s)));
    }
    let status = match run.status {
        RunStatus::Complete => None,
        RunStatus::Running => Some("did not come to its end"),
        RunStatus::Interrupted => Some("was interrupted"),
        RunStatus::Failed => Some("could not go on"),
    };
    facts.extend(status.map(|s| Fact::new("run", s)));
    let mut corpus = format!("{}, {} prompts", run.corpus.file, count(run.corpus.prompts));
    if let Some(mean) = run.corpus.mean_tokens {
        corpus += &format!(", {} tokens mean", number(mean));
    }
    facts.push(Fact::new("corpus", corpus));
    let mut request =
        format!("{}, {}", run.endpoint, if run.stream { "streamed" } else { "not streamed" });
    if let Some(max) = run.max_tokens {
        request += &format!(", max_tokens {}", count(max.into()));
    }
    if run.ignore_eos {
        request += ", ignore_eos";
    }
    facts.push(Fact::new("requests", request));
    facts.extend(run.asked_slo_words().map(|words| Fact::new("objectives", words)));
    facts.push(Fact::new("clock", run.clock_words()));
    facts.push(Fact::new(
        "client error",
        run.calibration.as_ref().map_or_else(|| calibration::ABSENT.to_owned(), calibration::line),
    ));
    facts
}

/// A verdict in few words, for tables of runs.
pub(crate) const fn validity(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Pass => "valid",
        CheckStatus::Unknown => "valid as far as can be told",
        CheckStatus::Warn => "valid with doubts",
        CheckStatus::Fail => "not to be used as it is",
    }
}

/// An RFC 3339 instant for people, to the second.
pub(crate) fn wall_time(rfc3339: &str) -> String {
    let Some((date, time)) = rfc3339.split_once('T') else { return rfc3339.to_owned() };
    let Some(time) = time.strip_suffix('Z') else { return rfc3339.to_owned() };
    let whole = time.split_once('.').map_or(time, |(whole, _)| whole);
    format!("{date} {whole} UTC")
}

fn verdict_box(verdict: &Verdict) -> VerdictBox {
    let line = |c: &Check| CheckLine {
        class: c.status.as_str(),
        word: match c.status {
            CheckStatus::Pass => "ok",
            CheckStatus::Unknown => "no data",
            CheckStatus::Warn => "doubt",
            CheckStatus::Fail => "failed",
        },
        title: c.kind.title(),
        figure: pieces(c.figure.trim_end_matches('.')),
        meaning: pieces(&c.meaning),
        advice: pieces(c.advice.as_deref().unwrap_or_default()),
    };
    let of = |status| verdict.with(status).map(line).collect::<Vec<_>>();
    let mut doubts = of(CheckStatus::Fail);
    let failed = doubts.len() as u64;
    doubts.extend(of(CheckStatus::Warn));
    let warned = doubts.len() as u64 - failed;
    let mut others = of(CheckStatus::Unknown);
    let unknown = others.len() as u64;
    others.extend(of(CheckStatus::Pass));
    let passed = others.len() as u64 - unknown;
    let others_title = match (passed, unknown) {
        (n, 0) => format!("{} passed", plural(n, "check")),
        (0, m) => format!("{} had no data", plural(m, "check")),
        (n, m) => format!("{} passed, {m} had no data", plural(n, "check")),
    };
    let (class, headline) = match (failed, warned, unknown) {
        (0, 0, 0) if passed == 0 => ("", "Nothing was checked.".to_owned()),
        (0, 0, 0) => ("pass", format!("Valid: {}.", all_passed(passed))),
        (0, 0, n) => {
            ("pass", format!("Valid as far as can be told: {} had no data.", plural(n, "check")))
        }
        (0, n, _) => ("warn", format!("Valid with {}.", plural(n, "doubt"))),
        (n, _, _) => ("fail", format!("Not to be used as it is: {} failed.", plural(n, "check"))),
    };
    VerdictBox { class, headline, doubts, others, others_title }
}

fn all_passed(n: u64) -> String {
    if n == 1 { "the one check passed".into() } else { format!("all {n} checks passed") }
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::CheckKind;

    use super::*;

    fn check(status: CheckStatus) -> Check {
        Check {
            kind: CheckKind::Errors,
            status,
            figure: "2 of 80.".into(),
            meaning: "m".into(),
            advice: None,
        }
    }

    #[test]
    fn backticks_are_code() {
        let piece = |code, text: &str| Piece { code, text: text.into() };
        let expected = [piece(false, "set "), piece(true, "a = 1"), piece(false, " there")];
        assert_eq!(pieces("set `a = 1` there"), expected);
        assert!(pieces("").is_empty());
    }

    #[test]
    fn wall_times_are_read_to_the_second() {
        assert_eq!(wall_time("2026-11-24T22:51:32.8255706Z"), "2026-11-24 22:51:32 UTC");
        assert_eq!(wall_time("2026-11-24T22:51:32Z"), "2026-11-24 22:51:32 UTC");
        assert_eq!(wall_time("yesterday"), "yesterday");
    }

    #[test]
    fn the_headline_says_the_worst() {
        let headline = |statuses: &[CheckStatus]| {
            let checks = statuses.iter().map(|&s| check(s)).collect();
            let shown = verdict_box(&Verdict { checks });
            (shown.class, shown.headline)
        };
        use CheckStatus::{Fail, Pass, Unknown, Warn};
        assert_eq!(headline(&[Pass, Pass]), ("pass", "Valid: all 2 checks passed.".into()));
        assert_eq!(
            headline(&[Pass, Unknown]).1,
            "Valid as far as can be told: 1 check had no data."
        );
        assert_eq!(headline(&[Warn, Warn, Pass]), ("warn", "Valid with 2 doubts.".into()));
        assert_eq!(headline(&[Fail, Warn]).1, "Not to be used as it is: 1 check failed.");
        assert_eq!(headline(&[]).1, "Nothing was checked.");
    }
}
