//! How to reach the Hub, by the variables that Hugging Face's own tools obey.

use std::path::{Path, PathBuf};

use vllm_bench_cli::Variables;
use vllm_bench_corpus::HubOptions;

/// How to reach the Hub, by the variables that Hugging Face's own tools obey. `None` without any place for a cache.
pub(crate) fn hub(variables: &Variables, offline: bool) -> Option<HubOptions> {
    let get = |name| variables.get(name).map(|v| v.trim().to_owned());
    let home = get("HF_HOME").map(PathBuf::from).or_else(|| {
        let cache = get("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
        cache.map(|cache| cache.join("huggingface"))
    });
    let cache = get("HF_HUB_CACHE")
        .map(PathBuf::from)
        .or_else(|| home.as_ref().map(|home| home.join("hub")))?;
    let mut hub = HubOptions::new(cache);
    if let Some(endpoint) = get("HF_ENDPOINT") {
        hub.endpoint = endpoint;
    }
    let token_file =
        get("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| home.map(|home| home.join("token")));
    hub.token = get("HF_TOKEN").or_else(|| token_file.and_then(|path| token_of(&path)));
    hub.offline = offline
        || get("HF_HUB_OFFLINE")
            .is_some_and(|v| !["0", "false", "no", "off"].contains(&v.as_str()));
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
        let options = hub(
            &Variables::of([
                ("HF_HOME", "/hf"),
                ("HF_TOKEN", " hf_x "),
                ("HF_ENDPOINT", "https://mirror"),
            ]),
            false,
        )
        .expect("has a home");
        assert_eq!(
            (options.cache.as_path(), options.endpoint.as_str(), options.token.as_deref()),
            (Path::new("/hf/hub"), "https://mirror", Some("hf_x"))
        );
        assert!(!options.offline && !format!("{options:?}").contains("hf_x"));
        let options = hub(
            &Variables::of([("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", "1")]),
            false,
        )
        .expect("has a cache");
        assert_eq!((options.cache.as_path(), options.offline), (Path::new("/c"), true));
        assert!(hub(&Variables::of([("HF_HOME", "/hf")]), true).expect("has a home").offline);
    }
}
