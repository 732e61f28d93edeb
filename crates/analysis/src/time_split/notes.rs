//! What is to be said beside the split: who tells it, what is marked, why there is none.

use super::{TimeSplit, TimeSplitSource, UNEQUAL};
use crate::summary::Summary;
use crate::text;

/// Who tells the split, and what its marks mean; none when no stage has a split.
pub(crate) fn notes(summary: &Summary) -> Vec<String> {
    let splits: Vec<(&str, TimeSplit)> =
        summary.stages.iter().filter_map(|s| Some((s.label.as_str(), s.time_split?))).collect();
    let by = |source: TimeSplitSource| splits.iter().filter(move |(_, s)| s.source == source);
    let (answers, histograms) =
        (by(TimeSplitSource::Answers).count(), by(TimeSplitSource::Histograms).count());
    let mut notes = Vec::new();
    if answers > 0 {
        notes.push(
            "Of the completed requests behind the figures above whose answers carry the server's own timings. Means add up, medians do not."
                .to_owned(),
        );
    }
    if histograms > 0 {
        let of = match answers {
            0 => "By the server's histograms".to_owned(),
            _ => {
                let labels: Vec<String> = by(TimeSplitSource::Histograms)
                    .map(|(label, _)| text::shown(label, false))
                    .collect();
                format!("{}: by the server's histograms", labels.join(", "))
            }
        };
        notes.push(format!(
            "{of}, as they grew over the whole stage, and this program's means of all its completed requests: answers carry no timings. There are no medians."
        ));
    }
    for (label, split) in &splits {
        let Some(difference) = split.difference() else { continue };
        let more = if difference > 0 { "more" } else { "fewer" };
        notes.push(format!(
            "{UNEQUAL} {}: the server's histograms hold {} {more} than the {} completed here{}.",
            text::shown(label, false),
            text::of(difference.unsigned_abs(), "request", "requests"),
            text::count(split.completed),
            if difference > 0 {
                " (others', or ours that failed on the way back); its times are of all of them"
            } else {
                "; its times are of those alone"
            }
        ));
    }
    notes
}

/// Why no stage tells where the time went, and what to do about it; `None` when one does.
pub(crate) fn absence(summary: &Summary) -> Option<&'static str> {
    if summary.stages.iter().any(|s| s.time_split.is_some()) {
        return None;
    }
    Some(if !summary.run.stream {
        "Not known: answers were not streamed, so that the client saw no first token."
    } else if summary.totals.completed == 0 {
        "Not known: no request of a measured stage was completed."
    } else {
        "Not known: no answer carries the server's own timings, and its histograms of queue, prefill and decode were not read around the stages. vLLM sends the timings when it is started with --enable-per-request-metrics, and exports the histograms at /metrics."
    })
}
