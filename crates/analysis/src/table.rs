//! The summary as text for a terminal.

mod arrivals;
mod detail;
mod economy;
pub(crate) mod grid;
mod head;
mod over_time;
mod overview;
mod search;
mod time_split;

use crate::summary::Summary;

/// How a terminal text looks.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Columns that no line passes; at least [`Look::MIN_WIDTH`].
    pub width: usize,
    /// Paints a piece of text, without changing the columns it takes.
    pub paint: &'a dyn Fn(Tone, &str) -> String,
}

impl Look<'static> {
    /// Unpainted, 80 columns.
    pub const PLAIN: Self = Self { width: 80, paint: &|_, text| text.to_owned() };
}

impl Look<'_> {
    /// The narrowest text: tables do not get narrower on a narrower terminal.
    pub const MIN_WIDTH: usize = 80;

    pub(crate) fn columns(&self) -> usize {
        self.width.max(Self::MIN_WIDTH)
    }

    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        (self.paint)(tone, text)
    }
}

/// What a piece of text says, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What to look at first.
    Strong,
    /// What holds.
    Good,
    /// What to doubt.
    Doubt,
    /// What does not hold.
    Bad,
    /// What may be skipped.
    Faint,
}

/// The whole summary: head, the answer of a search, one line a stage, arrivals of open loops, the distributions, where the time
/// went, errors, the verdict, warnings.
///
/// Ends with a line feed. No line takes more columns than `look.width`, whatever the figures.
pub fn terminal(summary: &Summary, look: &Look<'_>) -> String {
    joined([
        head::lines(summary, look),
        search::lines(summary, look),
        overview::lines(summary, look),
        arrivals::lines(summary, look),
        detail::lines(summary, look),
        time_split::lines(summary, look),
        economy::lines(summary, look),
        over_time::lines(summary, look),
        head::errors(summary, look),
        head::verdict(summary, look),
        head::warnings(summary, look),
    ])
}

/// As [`terminal`], without the distributions.
pub fn short(summary: &Summary, look: &Look<'_>) -> String {
    joined([
        head::lines(summary, look),
        search::lines(summary, look),
        overview::lines(summary, look),
        arrivals::lines(summary, look),
        head::errors(summary, look),
        head::verdict(summary, look),
        head::warnings(summary, look),
    ])
}

fn joined<const N: usize>(parts: [Vec<String>; N]) -> String {
    let parts: Vec<String> =
        parts.into_iter().filter(|p| !p.is_empty()).map(|p| p.join("\n")).collect();
    parts.join("\n\n") + "\n"
}
