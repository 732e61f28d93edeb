//! `--set key=value`: changes a scenario's text before it is parsed.

use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, Value};

use crate::scenario_error::{Place, ScenarioError};

/// `text` with every `KEY=VALUE` of `overrides` applied in order. Comments and
/// layout are kept, so that the manifest holds what a person would have written.
pub(crate) fn apply(
    text: &str,
    path: &Path,
    overrides: &[String],
) -> Result<String, ScenarioError> {
    if overrides.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        Place::new(path, text).at(e.span().unwrap_or(0..0), e.message().to_owned())
    })?;
    for given in overrides {
        let fail = |message: &str| ScenarioError::Override {
            given: given.clone(),
            message: message.into(),
        };
        let (key, value) = given
            .split_once('=')
            .ok_or_else(|| fail("write KEY=VALUE, such as request.max_tokens=128"))?;
        let keys: Vec<&str> = key.split('.').map(str::trim).collect();
        if keys.iter().any(|k| k.is_empty()) {
            return Err(fail("the key has an empty part"));
        }
        // What is not TOML is a bare word, as a shell leaves it.
        let value: Value =
            value.trim().parse().unwrap_or_else(|_| Value::from(value.trim().to_owned()));
        set(document.as_table_mut(), &keys, value)
            .map_err(|k| fail(&format!("{k} is a value, not a section")))?;
    }
    Ok(document.to_string())
}

fn set(table: &mut Table, keys: &[&str], value: Value) -> Result<(), String> {
    let Some((last, path)) = keys.split_last() else { return Ok(()) };
    let mut here: &mut dyn toml_edit::TableLike = table;
    for key in path {
        let item = here.entry(key).or_insert_with(|| {
            let mut section = Table::new();
            section.set_implicit(true);
            Item::Table(section)
        });
        here = item.as_table_like_mut().ok_or_else(|| (*key).to_owned())?;
    }
    match here.get_mut(last) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        _ => {
            here.insert(last, Item::Value(value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        apply(text, Path::new("s.toml"), &overrides).expect("applies")
    }

    #[test]
    fn sets_keys_new_and_old_in_tables_of_both_kinds() {
        let text = "name = \"a\" # kept\n[load]\nclosed = { concurrency = [1] }\n";
        let out = with(
            text,
            &[
                "name=b",
                "load.closed.concurrency=[8, 16]",
                "server.url=http://h:1",
                "request.seed=7",
            ],
        );
        let table: toml::Table = toml::from_str(&out).expect("still TOML");
        assert_eq!(table["name"].as_str(), Some("b"));
        assert_eq!(table["load"]["closed"]["concurrency"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["server"]["url"].as_str(), Some("http://h:1"));
        assert_eq!(table["request"]["seed"].as_integer(), Some(7));
        assert!(out.contains("# kept"));
    }

    #[test]
    fn refuses_what_is_no_assignment() {
        for bad in ["name", "=3", "a..b=3", "name.x=3"] {
            let result = apply("name = \"a\"\n", Path::new("s.toml"), &[bad.to_owned()]);
            assert!(result.is_err(), "{bad}");
        }
    }
}
