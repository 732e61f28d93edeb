//! What the environment and `.env` say. The environment itself comes first; nothing of it is written anywhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use vllm_bench_cli::{Exit, exit_with};
use vllm_bench_corpus::HubOptions;

/// The variables of the process and of the nearest `.env`.
pub(crate) struct Environment {
    dot_env: HashMap<String, String>,
    process: fn(&str) -> Option<String>,
}

impl Environment {
    /// Reads `.env` in the working directory or above it, if there is one.
    pub(crate) fn read() -> anyhow::Result<Self> {
        // Only the variable's name of a bad line is told: its value may be a secret.
        let wrong = |error: &dotenvy::Error| {
            let text = match error {
                dotenvy::Error::LineParse(line, _) => {
                    let name = line.split('=').next().unwrap_or_default();
                    format!(
                        "cannot read the line of {name:?}; write NAME=value, quoted where it has spaces"
                    )
                }
                other => other.to_string(),
            };
            exit_with(Exit::BadInput, anyhow::anyhow!(".env: {text}"))
        };
        let dot_env = match dotenvy::dotenv_iter() {
            Ok(entries) => entries.collect::<Result<_, _>>().map_err(|e| wrong(&e))?,
            Err(error) if error.not_found() => HashMap::new(),
            Err(error) => return Err(wrong(&error)),
        };
        Ok(Self { dot_env, process: |name| std::env::var(name).ok() })
    }

    /// A variable that is set to something.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.process)(name)
            .filter(|v| !v.trim().is_empty())
            .or_else(|| self.dot_env.get(name).cloned())
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// How to reach the Hub, by the variables that Hugging Face's own tools obey. `None` without any place for a cache.
    pub(crate) fn hub(&self, offline: bool) -> Option<HubOptions> {
        let home = self.get("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = self.get("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
            cache.map(|cache| cache.join("huggingface"))
        });
        let cache = self
            .get("HF_HUB_CACHE")
            .map(PathBuf::from)
            .or_else(|| home.as_ref().map(|home| home.join("hub")))?;
        let mut hub = HubOptions::new(cache);
        if let Some(endpoint) = self.get("HF_ENDPOINT") {
            hub.endpoint = endpoint;
        }
        let token_file = self
            .get("HF_TOKEN_PATH")
            .map(PathBuf::from)
            .or_else(|| home.map(|home| home.join("token")));
        hub.token = self.get("HF_TOKEN").or_else(|| token_file.and_then(|path| token_of(&path)));
        hub.offline = offline
            || self
                .get("HF_HUB_OFFLINE")
                .is_some_and(|v| !["0", "false", "no", "off"].contains(&v.as_str()));
        Some(hub)
    }
}

/// What `hf auth login` wrote.
fn token_of(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, &str)]) -> Environment {
        let dot_env = entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment { dot_env, process: |_| None }
    }

    #[test]
    fn the_hub_is_found_as_its_own_tools_find_it() {
        let hub =
            of(&[("HF_HOME", "/hf"), ("HF_TOKEN", " hf_x "), ("HF_ENDPOINT", "https://mirror")])
                .hub(false)
                .expect("has a home");
        assert_eq!(
            (hub.cache.as_path(), hub.endpoint.as_str(), hub.token.as_deref()),
            (Path::new("/hf/hub"), "https://mirror", Some("hf_x"))
        );
        assert!(!hub.offline && !format!("{hub:?}").contains("hf_x"));
        let hub = of(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", "1")])
            .hub(false)
            .expect("has a cache");
        assert_eq!((hub.cache.as_path(), hub.offline), (Path::new("/c"), true));
        assert!(of(&[("HF_HOME", "/hf")]).hub(true).expect("has a home").offline);
    }
}
