//! The verdict as a run ends with it: one line if all is well, else only what is not.

use vllm_bench_record::{Check, CheckStatus, Verdict, words};

use crate::narrate::plain;

/// Columns of the terminal that lines keep to.
const WIDTH: usize = 80;

/// One line when nothing fails or warns; else each check that does, its figure and what to do.
/// Checks without data are named. `paint` colours a word or a line by its status.
pub fn verdict_text(verdict: &Verdict, paint: impl Fn(CheckStatus, &str) -> String) -> String {
    let mut lines = Vec::new();
    for check in verdict.with(CheckStatus::Fail).chain(verdict.with(CheckStatus::Warn)) {
        lines.extend(check_lines(check, &paint));
    }
    if lines.is_empty() {
        let passed = verdict.with(CheckStatus::Pass).count() as u64;
        let text = format!("  ✓ nothing to doubt: {} passed", words::of(passed, "check", "checks"));
        lines.push(paint(CheckStatus::Pass, &text));
    }
    let unknown: Vec<&str> = verdict.with(CheckStatus::Unknown).map(|c| c.kind.title()).collect();
    if !unknown.is_empty() {
        let text = format!("  not checked, no data: {}", unknown.join(", "));
        lines.extend(wrap(&text, 4).iter().map(|line| paint(CheckStatus::Unknown, line)));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn check_lines(check: &Check, paint: &impl Fn(CheckStatus, &str) -> String) -> Vec<String> {
    let word = if check.status == CheckStatus::Fail { "FAIL" } else { "WARN" };
    let first = format!("  {word} {}: {}", check.kind.title(), plain(&check.figure));
    let mut lines = wrap(&first, 7);
    if let Some(line) = lines.first_mut() {
        *line = line.replacen(word, &paint(check.status, word), 1);
    }
    if let Some(advice) = &check.advice {
        lines.extend(wrap(&format!("       → {advice}"), 9));
    }
    lines
}

/// `text` in lines of at most [`WIDTH`] columns, broken at spaces; what stands before its first
/// word stays, further lines are indented by `indent`.
fn wrap(text: &str, indent: usize) -> Vec<String> {
    let margin = text.len() - text.trim_start().len();
    let mut lines = vec![" ".repeat(margin)];
    let mut begun = false;
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if !begun {
            line.push_str(word);
            begun = true;
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("{}{word}", " ".repeat(indent)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::CheckKind;

    use super::*;

    fn check(kind: CheckKind, status: CheckStatus, figure: &str, advice: &str) -> Check {
        let advice = (status != CheckStatus::Pass).then(|| advice.to_owned());
        Check { kind, status, figure: figure.into(), meaning: "It means.".into(), advice }
    }

    fn bare(checks: Vec<Check>) -> String {
        verdict_text(&Verdict { checks }, |_, text| text.to_owned())
    }

    #[test]
    fn one_line_when_all_passed() {
        let passed = check(CheckKind::Errors, CheckStatus::Pass, "0 of 9", "");
        let verdict = Verdict { checks: vec![passed.clone(), passed] };
        let painted = verdict_text(&verdict, |status, text| format!("<{}>{text}", status.as_str()));
        assert_eq!(painted, "<pass>  ✓ nothing to doubt: 2 checks passed\n");
    }

    #[test]
    fn failures_come_first_each_with_its_figure_and_advice() {
        let text = bare(vec![
            check(CheckKind::Errors, CheckStatus::Pass, "0 of 9", ""),
            check(CheckKind::Samples, CheckStatus::Warn, "p99 of 1", "More requests."),
            check(CheckKind::Calibrated, CheckStatus::Unknown, "not calibrated", "Do."),
            check(
                CheckKind::ClientLag,
                CheckStatus::Fail,
                "p99 2 ms",
                &"fewer streams ".repeat(12),
            ),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  FAIL client lag: p99 2 ms");
        assert!(lines[1].starts_with("       → fewer streams"), "{text}");
        assert!(text.contains("  WARN samples: p99 of 1\n       → More requests.\n"), "{text}");
        assert!(text.ends_with("  not checked, no data: client error\n"), "{text}");
        assert!(!text.contains("errors"), "what passed is not shown: {text}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn hostile_labels_steer_no_terminal() {
        let figure = "too short in 1 stage: \u{1b}[2Jx";
        let text = bare(vec![check(CheckKind::SteadyWindow, CheckStatus::Warn, figure, "More.")]);
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
