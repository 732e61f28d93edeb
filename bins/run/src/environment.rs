//! What `MODEL` and `PORT` change in a scenario that does not name them itself.

use std::path::Path;

use vllm_bench_cli::Variables;

use crate::cli::toml_string;

/// `MODEL` and `PORT` as overrides. `url` and `model`: whether they may be
/// set, because no flag does.
pub(crate) fn overrides(
    variables: &Variables,
    scenario: &Path,
    url: bool,
    model: bool,
) -> Vec<String> {
    // An unreadable or broken scenario is reported by its own reader.
    let text = std::fs::read_to_string(scenario).unwrap_or_default();
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    let named = |key: &str| table.get("server").and_then(|s| s.get(key)).is_some();
    let mut overrides = Vec::new();
    if let Some(name) = variables.get("MODEL").filter(|_| model && !named("model")) {
        overrides.push(format!("server.model={}", toml_string(&name)));
    }
    if let Some(port) = variables.get("PORT").filter(|_| url && !named("url")) {
        let url = format!("http://localhost:{}", port.trim());
        overrides.push(format!("server.url={}", toml_string(&url)));
    }
    overrides
}
