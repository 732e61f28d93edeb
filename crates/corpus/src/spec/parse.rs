//! Reading TOML with errors that say where, and what was probably meant.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{CorpusSpec, locate};
use crate::CorpusError;

impl CorpusSpec {
    /// Reads and checks a spec file.
    ///
    /// # Errors
    /// The file cannot be read, or [`CorpusError::Spec`] with line and column.
    pub fn from_file(path: &Path) -> Result<Self, CorpusError> {
        let text = std::fs::read_to_string(path).map_err(CorpusError::io("read", path))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads and checks the text of a spec; `file` is what errors call it.
    ///
    /// # Errors
    /// [`CorpusError::Spec`]: not TOML, an unknown key, a wrong type, a value that makes no sense.
    pub fn parse(text: &str, file: &str) -> Result<Self, CorpusError> {
        let spec: Self = parse_toml(text, file)?;
        match spec.faults() {
            None => Ok(spec),
            Some(fault) => {
                let path: Vec<&str> = fault.key.split('.').collect();
                let span = locate::span_of(text, &path);
                Err(at(
                    text,
                    file,
                    span.start,
                    format!("{}: {}", fault.key, fault.message),
                    fault.help,
                ))
            }
        }
    }
}

/// Parses TOML into `T`; `file` is what errors call it.
pub(crate) fn parse_toml<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, CorpusError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let (message, help) = explain(error.message());
        at(text, file, start, message, help)
    })
}

fn at(text: &str, file: &str, offset: usize, message: String, help: Option<String>) -> CorpusError {
    let (line, column) = locate::line_and_column(text, offset);
    CorpusError::Spec { file: file.to_owned(), line, column, message, help }
}

/// Puts serde's words for unknown keys and words into ours, with the nearest known one.
fn explain(message: &str) -> (String, Option<String>) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let what = if message.starts_with("unknown field") {
        "key"
    } else if message.starts_with("unknown variant") {
        "word"
    } else {
        return (message.to_owned(), None);
    };
    let Some((&unknown, known)) = quoted.split_first() else { return (message.to_owned(), None) };
    let help = match nearest(unknown, known) {
        Some(near) => format!("did you mean `{near}`? known here: {}", known.join(", ")),
        None => format!("known here: {}", known.join(", ")),
    };
    (format!("unknown {what} `{unknown}`"), Some(help))
}

/// The known word that `word` is probably a slip of.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|&k| (k, strsim::jaro_winkler(word, k)))
        .filter(|&(_, likeness)| likeness > 0.75)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(k, _)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let error = CorpusSpec::parse(text, "spec.toml").expect_err("must be refused").to_string();
        assert!(error.starts_with(expected), "expected {expected}\nfound {error}");
    }

    #[test]
    fn errors_have_a_place_and_a_hint() {
        check(
            "name = \"a\"\npromts = 3\n",
            "spec.toml:2:1: unknown key `promts`\n  did you mean `prompts`? known here: name,",
        );
        check(
            "name = \"a\"\n[length]\nmean = 3\n",
            "spec.toml:3:1: unknown key `mean`\n  did you mean `mean_tokens`?",
        );
        check(
            "name = \"a\"\n[[source]]\nkind = \"doly\"\n",
            "spec.toml:3:8: unknown word `doly`\n  did you mean `dolly`?",
        );
        check(
            "name = \"a\"\nprompts = \"many\"\n",
            "spec.toml:2:11: invalid type: string \"many\", expected u32",
        );
        check("name = \"a\"\nprompts = 0\n", "spec.toml:2:11: prompts: must be at least 1");
        check(
            "name = \"a\"\n[length]\nmean_tokens = 9\nwithin = 2\n",
            "spec.toml:4:10: length.within:",
        );
        check("name = \"a\"\nprompts = \n", "spec.toml:2:");
        check("prompts = 4\n", "spec.toml:1:1: missing field `name`");
    }

    #[test]
    fn a_spec_reads_back_what_it_writes() {
        let spec = CorpusSpec::default();
        let text = toml::to_string(&spec).expect("serialises");
        assert_eq!(CorpusSpec::parse(&text, "x").expect(&text), spec);
    }
}
