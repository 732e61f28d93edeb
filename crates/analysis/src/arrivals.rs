//! An open loop's arrivals in words, for every surface.

use vllm_bench_record::{OpenLoad, StageEnd};

use crate::stage::StageSummary;
use crate::summary::Summary;
use crate::text;

/// `poisson arrivals, ramp 1 to 8 req/s, at most 64 in flight`.
pub(crate) fn words(open: &OpenLoad) -> String {
    let mut words = match open.is_trace() {
        true => open.arrivals.clone(),
        false => format!("{} arrivals", open.arrivals),
    };
    if let Some(profile) = &open.profile {
        words += &format!(", {profile}");
    }
    if let Some(cap) = open.max_in_flight {
        words += &format!(", at most {} in flight", text::count(cap.into()));
    }
    words
}

/// The open-loop stages of `summary` with their load.
pub(crate) fn open_stages(summary: &Summary) -> impl Iterator<Item = (&StageSummary, &OpenLoad)> {
    summary.stages.iter().filter_map(|stage| Some((stage, stage.open.as_ref()?)))
}

/// How requests arrived and what is to be known of it, a line each. What holds for several stages is
/// said once, with the names that `name` gives them unless it holds for all.
pub(crate) fn told(summary: &Summary, name: impl Fn(&StageSummary) -> String) -> Vec<String> {
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    let mut stages = 0;
    for (stage, open) in open_stages(summary) {
        stages += 1;
        for text in std::iter::once(words(open)).chain(notes(open)) {
            match told.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(name(stage)),
                None => told.push((text, vec![name(stage)])),
            }
        }
    }
    let line = |(text, names): (String, Vec<String>)| match names.len() == stages {
        true => format!("{}.", text::capital(&text)),
        false => format!("{}: {text}.", names.join(", ")),
    };
    told.into_iter().map(line).collect()
}

/// What a reader must know of a stage's arrivals, a sentence each.
pub(crate) fn notes(open: &OpenLoad) -> Vec<String> {
    let mut notes = Vec::new();
    if open.capped > 0 {
        let cap = open.max_in_flight.map_or_else(String::new, |cap| format!(" of {cap} in flight"));
        notes.push(format!(
            "{} for the limit{cap}: it is in latency from schedule only",
            text::of(open.capped, "request waited", "requests waited")
        ));
    }
    notes.extend(open.left_out.iter().map(|note| note.trim_end_matches('.').to_owned()));
    notes
}

/// Why a stage ended.
pub(crate) const fn ended(end: StageEnd) -> &'static str {
    match end {
        StageEnd::Requests => "all planned requests were sent",
        StageEnd::Duration => "its time was over",
        StageEnd::Prompts => "the corpus had no prompt left",
        StageEnd::Precise => "precise enough",
        StageEnd::Decided => "its objectives could not hold any more",
        StageEnd::Interrupted => "interrupted",
        // A later version's reason.
        _ => "for a reason that this version does not know",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn arrivals_are_told_with_their_limits() {
        let mut open = OpenLoad {
            rate: 4.0,
            arrivals: "poisson".into(),
            profile: None,
            warmup: Duration::ZERO,
            max_in_flight: None,
            last_arrival: None,
            capped: 0,
            left_out: Vec::new(),
        };
        assert_eq!((words(&open), notes(&open)), ("poisson arrivals".into(), Vec::new()));
        open.profile = Some("ramp 1 to 7 req/s".into());
        open.max_in_flight = Some(64);
        open.capped = 1;
        open.left_out.push("3 requests ask for no output.".into());
        assert_eq!(words(&open), "poisson arrivals, ramp 1 to 7 req/s, at most 64 in flight");
        let told = [
            "1 request waited for the limit of 64 in flight: it is in latency from schedule only",
            "3 requests ask for no output",
        ];
        assert_eq!(notes(&open), told);
        open.arrivals = "trace conv.csv".into();
        assert!(words(&open).starts_with("trace conv.csv, "));
        assert_eq!(ended(StageEnd::Precise), "precise enough");
    }
}
