//! What the documents point at is there: relative links, and the project's own paths in backticks.

use std::path::{Path, PathBuf};

const FOLDERS_OF_DOCUMENTS: [&str; 4] = ["", "docs", "scenarios", "datasets"];

/// Backticked words that begin like this are paths from the project's root.
const ROOTS: [&str; 6] = ["crates/", "bins/", "scripts/", "docs/", "deploy/", ".ci/"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in FOLDERS_OF_DOCUMENTS {
        for entry in std::fs::read_dir(root().join(folder)).expect("the folder is there") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The targets of `[text](target)` that are files of this project.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets =
        text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| {
        !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:")
    })
}

/// The words in backticks that are paths of this project; patterns and placeholders are not.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        ROOTS.iter().any(|root| word.starts_with(root))
            && !word.contains(['<', '*', ' ', '{', '$', '\n'])
    })
}

fn missing(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).expect("UTF-8");
    let folder = document.parent().expect("in a folder");
    let links = links(&text).filter(|target| {
        let file = target.split('#').next().unwrap_or_default();
        !folder.join(file).exists()
    });
    // Fenced blocks have backticks in threes, which would shift the pairs.
    let prose: String = text.split("```").step_by(2).collect();
    let paths = paths(&prose).filter(|path| !root().join(path).exists()).map(str::to_owned);
    links.map(str::to_owned).chain(paths).collect()
}

#[test]
fn links_and_paths_lead_somewhere() {
    let documents = documents();
    assert!(documents.len() >= 5, "{documents:?}");
    for document in documents {
        let missing = missing(&document);
        assert!(
            missing.is_empty(),
            "{} points at what is not there: {missing:?}",
            document.display()
        );
    }
}

#[test]
fn every_scenario_is_listed_with_its_question() {
    let list = std::fs::read_to_string(root().join("scenarios/README.md")).expect("readable");
    let mut scenarios = 0;
    for entry in std::fs::read_dir(root().join("scenarios")).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_name().expect("named").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let question =
                text.lines().find_map(|line| line.strip_prefix("question = \"")?.strip_suffix('"'));
            let row = format!(
                "| [{name}]({name}) | {} |",
                question.unwrap_or_else(|| panic!("{name} asks nothing"))
            );
            assert!(list.contains(&row), "scenarios/README.md lacks the row {row}");
            scenarios += 1;
        }
    }
    assert!(scenarios > 0);
}

#[test]
fn both_readers_find_what_they_should() {
    let text = "See [a](docs/a.md#x), [b](https://b), [c](#c) and `crates/x/src` but not `crates/<noun>` or `x`.";
    assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md#x"]);
    assert_eq!(paths(text).collect::<Vec<_>>(), ["crates/x/src"]);
}
