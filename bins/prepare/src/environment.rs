//! How to reach the Hub, by the variables that Hugging Face's own tools obey. Nothing of them is written anywhere.

use std::path::{Path, PathBuf};

use vllm_bench_cli::Variables;
use vllm_bench_corpus::HubOptions;

/// The Hub as the environment and `.env` say. `None` without any place for a cache.
pub(crate) fn hub(variables: &Variables, offline: bool) -> Option<HubOptions> {
    let path = |name: &str| variables.get(name).map(|value| PathBuf::from(value.trim()));
    let home = path("HF_HOME").or_else(|| {
        let cache = path("XDG_CACHE_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("huggingface"))
    });
    let cache = path("HF_HUB_CACHE").or_else(|| home.as_ref().map(|home| home.join("hub")))?;
    let mut hub = HubOptions::new(cache);
    if let Some(endpoint) = variables.get("HF_ENDPOINT") {
        hub.endpoint = endpoint.trim().to_owned();
    }
    let token_file = path("HF_TOKEN_PATH").or_else(|| home.map(|home| home.join("token")));
    let token = variables.get("HF_TOKEN").map(|token| token.trim().to_owned());
    hub.token = token.or_else(|| token_file.and_then(|file| token_of(&file)));
    let off = |value: String| ["0", "false", "no", "off"].contains(&value.trim().to_lowercase().as_str());
    hub.offline = offline || variables.get("HF_HUB_OFFLINE").is_some_and(|value| !off(value));
    Some(hub)
}

/// What `hf auth login` wrote.
fn token_of(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_found_as_its_own_tools_find_it() {
        let mirror = [("HF_HOME", "/hf"), ("HF_TOKEN", " hf_x "), ("HF_ENDPOINT", "https://mirror")];
        let found = hub(&Variables::of(mirror), false).expect("has a home");
        assert_eq!(found.cache, Path::new("/hf/hub"));
        assert_eq!((found.endpoint.as_str(), found.token.as_deref()), ("https://mirror", Some("hf_x")));
        assert!(!found.offline && !format!("{found:?}").contains("hf_x"));
        let elsewhere = [("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", "1")];
        let found = hub(&Variables::of(elsewhere), false).expect("has a cache");
        assert_eq!((found.cache.as_path(), found.offline), (Path::new("/c"), true));
        assert!(hub(&Variables::of([("HF_HOME", "/hf")]), true).expect("has a home").offline);
        assert!(!hub(&Variables::of([("HF_HOME", "/hf"), ("HF_HUB_OFFLINE", "0")]), false).expect("has a home").offline);
    }

    #[test]
    fn a_token_may_lie_in_a_file() {
        let folder = tempfile::tempdir().expect("made");
        std::fs::write(folder.path().join("token"), "hf_y\n").expect("written");
        let home = folder.path().display().to_string();
        let found = hub(&Variables::of([("HF_HOME", home.as_str())]), false).expect("has a home");
        assert_eq!(found.token.as_deref(), Some("hf_y"));
    }
}
