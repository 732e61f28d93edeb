//! What the environment and `.env` say. The environment itself comes first.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use vllm_bench_cli::{Exit, exit_with};
use vllm_bench_runner::ApiKey;

use crate::cli::toml_string;

/// The variables of the process and of the nearest `.env`.
pub(crate) struct Environment {
    dot_env: HashMap<String, String>,
    use_process: bool,
}

impl Environment {
    /// Reads `.env` in the working directory or above it, if there is one.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let dot_env = match dotenvy::dotenv_iter() {
            Ok(entries) => entries.collect::<Result<_, _>>().map_err(|e| {
                exit_with(Exit::BadInput, anyhow::anyhow!(".env: {}", hide_value(&e)))
            })?,
            Err(error) if error.not_found() => HashMap::new(),
            Err(error) => {
                return Err(exit_with(
                    Exit::BadInput,
                    anyhow::anyhow!(".env: {}", hide_value(&error)),
                ));
            }
        };
        Ok(Self { dot_env, use_process: true })
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(entries: [(&str, &str); N]) -> Self {
        let dot_env = entries.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Self { dot_env, use_process: false }
    }

    fn get(&self, name: &str) -> Option<String> {
        let process = self.use_process.then(|| std::env::var(name).ok()).flatten();
        process.or_else(|| self.dot_env.get(name).cloned()).filter(|v| !v.trim().is_empty())
    }

    /// `MODEL` and `PORT` as overrides, where neither flag nor scenario says otherwise.
    pub(crate) fn overrides(&self, scenario: &Path, url: bool, model: bool) -> Vec<String> {
        // An unreadable or broken scenario is reported by its own reader.
        let text = std::fs::read_to_string(scenario).unwrap_or_default();
        let table: toml::Table = toml::from_str(&text).unwrap_or_default();
        let named = |key: &str| table.get("server").and_then(|s| s.get(key)).is_some();
        let mut overrides = Vec::new();
        if let Some(name) = self.get("MODEL").filter(|_| model && !named("model")) {
            overrides.push(format!("server.model={}", toml_string(&name)));
        }
        if let Some(port) = self.get("PORT").filter(|_| url && !named("url")) {
            let url = format!("http://localhost:{}", port.trim());
            overrides.push(format!("server.url={}", toml_string(&url)));
        }
        overrides
    }

    /// The server's key, from `file` or from the variable the scenario names.
    pub(crate) fn api_key(
        &self,
        variable: &str,
        file: Option<&Path>,
    ) -> anyhow::Result<Option<ApiKey>> {
        let key = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the key file {}", path.display()))
                    .map_err(|e| exit_with(Exit::BadInput, e))?;
                Some(text)
            }
            None => self.get(variable),
        };
        Ok(key.map(|k| ApiKey::new(k.trim())))
    }
}

/// A parse error of `.env` quotes the line, and the line may hold a secret.
fn hide_value(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(line, at) => {
            let name = line.split('=').next().unwrap_or_default();
            format!(
                "cannot read the line of {name:?} (at character {at}); write NAME=value, quoted where it has spaces"
            )
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_does_not_show_its_value() {
        let error = dotenvy::Error::LineParse("HF_TOKEN=hf secret".into(), 12);
        assert!(!hide_value(&error).contains("secret"));
    }
}
