//! Variables of the environment and of `.env`; the environment itself comes first.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;

use crate::{Exit, exit_with};

/// The variables of the process and of the nearest `.env`. Their values are
/// shown nowhere: any of them may be a secret.
pub struct Variables {
    dot_env: HashMap<String, String>,
    use_process: bool,
}

impl Variables {
    /// Reads `.env` in the working directory or the nearest above it, if there is one.
    ///
    /// # Errors
    /// A `.env` that cannot be read, with file and line, as [`Exit::BadInput`].
    pub fn read() -> anyhow::Result<Self> {
        let directory = std::env::current_dir().context("no working directory")?;
        let file = directory.ancestors().map(|d| d.join(".env")).find(|f| f.is_file());
        let dot_env = match file {
            Some(file) => read_dot_env(&file).map_err(|e| exit_with(Exit::BadInput, e))?,
            None => HashMap::new(),
        };
        Ok(Self { dot_env, use_process: true })
    }

    /// These and no others, for tests.
    pub fn of<const N: usize>(entries: [(&str, &str); N]) -> Self {
        let dot_env = entries.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Self { dot_env, use_process: false }
    }

    /// The value of `name`; `None` where it is not set or blank.
    pub fn get(&self, name: &str) -> Option<String> {
        let process = self.use_process.then(|| std::env::var(name).ok()).flatten();
        process.or_else(|| self.dot_env.get(name).cloned()).filter(|v| !v.trim().is_empty())
    }

    /// A secret from `file` where one is given, else from the variable `name`; trimmed.
    ///
    /// # Errors
    /// A file that cannot be read, as [`Exit::BadInput`].
    pub fn secret(&self, name: &str, file: Option<&Path>) -> anyhow::Result<Option<String>> {
        let secret = match file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the key file {}", path.display()))
                    .map_err(|e| exit_with(Exit::BadInput, e))?,
            ),
            None => self.get(name),
        };
        Ok(secret.map(|s| s.trim().to_owned()))
    }
}

/// The entries of `file`. An error names the line and never shows it.
fn read_dot_env(file: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    match dotenvy::from_read_iter(text.as_bytes()).collect() {
        Ok(entries) => Ok(entries),
        Err(_) => {
            let unreadable =
                |line: &str| dotenvy::from_read_iter(line.as_bytes()).any(|e| e.is_err());
            let line = text.lines().position(unreadable).map_or(0, |n| n + 1);
            anyhow::bail!(
                "{}:{line}: cannot read this line; write NAME=value, in quotes where the value has spaces",
                file.display()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_and_not_shown() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join(".env");
        std::fs::write(&file, "PORT=1\nHF_TOKEN=hf secret here\n").expect("written");
        let error = read_dot_env(&file).expect_err("bad").to_string();
        assert!(error.contains(".env:2:") && !error.contains("secret"), "{error}");
        std::fs::write(&file, "# note\nPORT=1\nMODEL=\"a b\"\n").expect("written");
        let entries = read_dot_env(&file).expect("good");
        assert_eq!(entries["MODEL"], "a b");
    }

    #[test]
    fn blank_is_not_set() {
        let variables = Variables::of([("A", " "), ("B", "x ")]);
        assert_eq!(variables.get("A"), None);
        assert_eq!(variables.secret("B", None).expect("no file"), Some("x".into()));
    }
}
