//! The dependency arrows that ARCHITECTURE.md draws are the ones that Cargo sees: no more, no fewer.
//!
//! The document is the table: a new arrow fails here until it is drawn there, and so is argued for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use serde_json::Value;

type Names = BTreeSet<String>;

/// One member of the workspace: what it depends on, as the document names it.
#[derive(Debug, Default)]
struct Member {
    ours: Names,
    ours_in_tests: Names,
    others: Names,
    others_in_tests: Names,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines of the fenced block with this info string, split at `->` into a name and the names it points at.
fn drawn(block: &str) -> BTreeMap<String, String> {
    let document = std::fs::read_to_string(root().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md is readable");
    let fence = format!("```{block}\n");
    let (_, rest) = document.split_once(&fence).unwrap_or_else(|| panic!("no block ```{block}"));
    let (lines, _) = rest.split_once("```").expect("the block ends");
    let arrows = lines.lines().filter_map(|line| line.split_once("->"));
    arrows.map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned())).collect()
}

fn names(list: &str) -> Names {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Every member by its name in the document: `loadgen` for a crate, `bins/run` for a program.
fn members() -> BTreeMap<String, Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> (String, Member) {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let folder = |above: usize| {
        let path = manifest.ancestors().nth(above).expect("members lie two folders deep");
        path.file_name().expect("named").to_string_lossy().into_owned()
    };
    let name = if folder(2) == "bins" { format!("bins/{}", folder(1)) } else { folder(1) };
    let mut member = Member::default();
    for dependency in package["dependencies"].as_array().expect("dependencies") {
        let target = text(&dependency["name"]);
        let in_tests = dependency["kind"].as_str() == Some("dev");
        match (target.strip_prefix("vllm-bench-"), in_tests) {
            (Some(ours), false) => member.ours.insert(ours.to_owned()),
            (Some(ours), true) => member.ours_in_tests.insert(ours.to_owned()),
            (None, false) => member.others.insert(target),
            (None, true) => member.others_in_tests.insert(target),
        };
    }
    (name, member)
}

/// A member's line in the document, after its arrow.
fn line(member: &Member) -> String {
    let list = |names: &Names| names.iter().cloned().collect::<Vec<_>>().join(", ");
    match (list(&member.ours), list(&member.ours_in_tests)) {
        (always, in_tests) if in_tests.is_empty() => always,
        (always, in_tests) => format!("{always}; tests: {in_tests}"),
    }
}

#[test]
fn the_arrows_are_as_drawn() {
    let cargo: BTreeMap<String, String> =
        members().iter().map(|(name, member)| (name.clone(), line(member))).collect();
    let drawn = drawn("arrows");
    let wrong: Vec<String> = cargo
        .iter()
        .filter(|(name, line)| drawn.get(*name) != Some(*line))
        .map(|(name, line)| {
            format!(
                "{name} -> {line}    (drawn: {})",
                drawn.get(name).map_or("not", String::as_str)
            )
        })
        .collect();
    assert!(wrong.is_empty(), "Cargo has\n{}", wrong.join("\n"));
    let gone: Vec<&String> = drawn.keys().filter(|name| !cargo.contains_key(*name)).collect();
    assert!(gone.is_empty(), "drawn but no member: {gone:?}");
}

#[test]
fn each_engine_stays_in_its_crate() {
    let members = members();
    let engines = drawn("engines");
    assert!(engines.len() > 5, "{engines:?}");
    for (engine, homes) in engines {
        let users_by = |dependencies: fn(&Member) -> &Names| -> Names {
            let users = members.iter().filter(|(_, member)| dependencies(member).contains(&engine));
            users.map(|(name, _)| name.clone()).collect()
        };
        // Where only tests use it, as what ours is compared with, those are its home.
        let mut users = users_by(|member| &member.others);
        if users.is_empty() {
            users = users_by(|member| &member.others_in_tests);
        }
        assert_eq!(users, names(&homes), "{engine}: who uses it (left), who is drawn (right)");
    }
}

#[test]
fn measuring_never_links_analysing() {
    let members = members();
    for (program, banned) in [
        ("bins/prepare", &["analysis", "loadgen", "storage", "telemetry", "simulator"][..]),
        ("bins/run", &["analysis", "simulator"]),
        ("bins/report", &["loadgen", "telemetry", "corpus", "runner", "simulator"]),
        ("bins/simulate", &["analysis", "loadgen", "storage", "telemetry", "corpus", "runner"]),
        ("loadgen", &["storage", "telemetry", "analysis", "corpus", "cli"]),
    ] {
        let reached = reached(program, &members);
        assert!(!reached.is_empty(), "{program}");
        for banned in banned {
            assert!(!reached.contains(*banned), "{program} reaches {banned}");
        }
    }
}

/// Everything of ours that a member links, through any number of arrows.
fn reached(from: &str, members: &BTreeMap<String, Member>) -> Names {
    let mut reached = Names::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(name) = open.pop() {
        for next in &members[name].ours {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

#[test]
fn libraries_leave_the_terminal_to_the_programs() {
    for (name, member) in members() {
        if name == "cli" || name.starts_with("bins/") {
            continue;
        }
        for banned in ["anyhow", "clap", "dotenvy", "indicatif", "tracing-subscriber"] {
            assert!(!member.others.contains(banned), "{name} depends on {banned}");
        }
    }
}
