//! What was not the same all along.

use crate::summary::Summary;
use crate::table::{Look, Tone};
use crate::text;

/// A line a finding; nothing without one.
pub(super) fn lines(summary: &Summary, look: &Look<'_>) -> Vec<String> {
    let lines = summary.findings.iter().flat_map(|finding| {
        let text = format!("  over time  {}", text::shown(&finding.sentence, false));
        text::wrap(&text, look.columns(), 13)
    });
    lines.map(|line| look.paint(Tone::Doubt, &line)).collect()
}
