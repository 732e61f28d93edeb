//! What is wrong with a scenario, and where.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read scenario {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is not right.
    #[error("{}:{line}:{column}: {message}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
        /// 1-based column, characters.
        column: usize,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Its arrivals make no schedule, or its trace cannot be replayed.
    #[error("{place}")]
    Schedule {
        /// Where the scenario says so.
        place: String,
        /// What is wrong, with the trace's own line and column.
        #[source]
        source: Box<vllm_bench_loadgen::ScheduleError>,
    },
    /// An override is not right.
    #[error("--set {given}: {message}")]
    Override {
        /// The override, as given.
        given: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl ScenarioError {
    /// Says that overrides were applied: the place is in the text after them.
    pub(crate) fn with_overrides(self, overrides: &[String]) -> Self {
        match self {
            Self::At { message, .. } => {
                Self::Override { given: overrides.join(" --set "), message }
            }
            other => other,
        }
    }
}

/// Turns byte offsets of a text into lines and columns.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Place<'a> {
    pub(crate) const fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    /// An error at `span`.
    pub fn at(&self, span: Range<usize>, message: String) -> ScenarioError {
        let (line, column) = line_column(self.text, span.start);
        ScenarioError::At { path: self.path.to_owned(), line, column, message }
    }

    /// `file:line:column` of `span` and its line's text, for errors of other kinds.
    pub fn point(&self, span: Range<usize>) -> String {
        let (line, column) = line_column(self.text, span.start);
        let text = self.text.lines().nth(line - 1).unwrap_or_default().trim();
        format!("{}:{line}:{column}  {text}", self.path.display())
    }

    pub(crate) fn toml(&self, error: &toml::de::Error) -> ScenarioError {
        self.at(error.span().unwrap_or(0..0), with_hint(error.message()))
    }
}

fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Adds the nearest known key to serde's "unknown field" and "unknown variant".
fn with_hint(message: &str) -> String {
    let message = message.trim_end();
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return message.to_owned();
    }
    let Some(unknown) = quoted.next() else { return message.to_owned() };
    let nearest = quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
    match nearest {
        Some((_, known)) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let text = "a = 1\nü = x";
        assert_eq!(line_column(text, 0), (1, 1));
        assert_eq!(line_column(text, text.find('x').expect("in it")), (2, 5));
    }

    #[test]
    fn unknown_keys_get_a_neighbour() {
        let hint =
            with_hint("unknown field `concurency`, expected one of `concurrency`, `requests`");
        assert!(hint.ends_with("did you mean `concurrency`?"), "{hint}");
        let far = with_hint("unknown field `zzz`, expected one of `concurrency`, `requests`");
        assert!(!far.contains("did you mean"), "{far}");
    }
}
