//! The command as users run it.

use std::path::Path;
use std::process::{Command, Output};

fn prepare(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vllm-bench-prepare"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn datasets(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets").join(name).display().to_string()
}

#[test]
fn the_quick_corpus_and_what_is_said_about_it() {
    let folder = tempfile::tempdir().expect("made");
    let output = prepare(folder.path(), &[&datasets("quick.toml"), "--count", "30", "--json"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let header: serde_json::Value =
        serde_json::from_str(&text(&output.stdout)).expect("the header, as JSON");
    assert_eq!((&header["prompts"], &header["shared_leading_blocks"]), (&30.into(), &0.into()));
    assert_eq!(header["spec"]["prompts"], 30);
    for part in [
        "corpora/quick.jsonl · 30 prompts",
        "mean ",
        "unique   0 shared leading blocks",
        "sha256   ",
        "█",
        "an estimate",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    assert!(
        said.trim_end().ends_with("--corpus corpora/quick.jsonl --url http://localhost:8000"),
        "{said}"
    );

    let again = prepare(
        folder.path(),
        &[&datasets("quick.toml"), "--count", "30", "--out", "b.jsonl", "--threads", "1", "-q"],
    );
    assert!(
        again.status.success() && again.stderr.is_empty() && again.stdout.is_empty(),
        "{}",
        text(&again.stderr)
    );
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).expect("is there");
    assert_eq!(bytes("corpora/quick.jsonl"), bytes("b.jsonl"));
}

#[test]
fn what_prompts_share_is_told_and_predicted() {
    let folder = tempfile::tempdir().expect("made");
    let flags = ["--count", "200", "--block-size", "32", "--cache-blocks", "100", "--json"];
    let shared = datasets("rag-shared.toml");
    let arguments: Vec<&str> = [shared.as_str()].into_iter().chain(flags).collect();
    let output = prepare(folder.path(), &arguments);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let header: serde_json::Value =
        serde_json::from_str(&text(&output.stdout)).expect("the header, as JSON");
    let share = |key: &str| header.pointer(key).and_then(|v| v.as_f64()).expect("a share");
    assert_eq!((&header["block_size"], &header["overlap"]["block_size"]), (&32.into(), &32.into()));
    let (endless, limited) = (share("/overlap/hit_share"), share("/overlap/limited/hit_share"));
    assert!(endless > limited && limited > 0.0 && endless > 0.2, "{endless} {limited}");
    for part in [
        "prompts share a leading block with an earlier one (blocks of 32",
        "are the beginning of an earlier prompt",
        "without an end",
        ", of 100 blocks ",
        "from the ten most popular",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    let output = prepare(folder.path(), &[&datasets("quick-lengths.toml"), "--count", "60"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("of 60 to the token"), "{said}");
}

#[test]
fn what_is_wrong_has_a_place_and_an_exit_code() {
    let folder = tempfile::tempdir().expect("made");
    let check = |spec: &str, arguments: &[&str], code: i32, expected: &str| {
        std::fs::write(folder.path().join("s.toml"), spec).expect("written");
        let all: Vec<&str> = ["s.toml"].iter().chain(arguments).copied().collect();
        let output = prepare(folder.path(), &all);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "expected {expected}\nfound {said}");
    };
    check(
        "name = \"s\"\npromts = 3\n",
        &[],
        2,
        "error: s.toml:2:1: unknown key `promts`\n    did you mean `prompts`?",
    );
    check("name = \"s\"\nprompts = 0\n", &[], 2, "s.toml:2:11: prompts: must be at least 1");
    check(
        "name = \"s\"\n",
        &["--source", "x=y"],
        2,
        "--source x: the spec has no source of this name; it has: encyclopedia",
    );
    check(
        "name = \"s\"\n",
        &["--tokenizer", "./nowhere"],
        2,
        "tokenizer ./nowhere: no such file or folder",
    );
    check("name = \"s\"\n", &["--server", "http://127.0.0.1:9"], 3, "the server does not answer");
    check(
        "name = \"s\"\n[tokens]\ntokenizer = \"own/model\"\n",
        &["--offline"],
        1,
        "downloads are switched off",
    );
    check(
        "name = \"s\"\n[[source]]\nkind = \"encyclopedia\"\ntake = 9\n",
        &[],
        2,
        "suffice for 9 prompts, 1500 are asked",
    );
    let output = prepare(folder.path(), &["missing.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn every_spec_and_manifest_that_is_shipped_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let toml = |folder: &Path| -> Vec<std::path::PathBuf> {
        let all = std::fs::read_dir(folder).expect("is there").flatten().map(|e| e.path());
        all.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect()
    };
    let (specs, manifests) = (toml(&folder), toml(&folder.join("sources")));
    assert!(specs.len() >= 6 && manifests.len() >= 3);
    for path in specs {
        let spec =
            vllm_bench_corpus::CorpusSpec::from_file(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            Some(spec.name.as_str()),
            path.file_stem().and_then(|s| s.to_str()),
            "named after its file"
        );
        for manifest in spec.sources.iter().filter_map(|s| s.manifest.as_ref()) {
            vllm_bench_corpus::SourceManifest::from_file(&folder.join(manifest))
                .unwrap_or_else(|e| panic!("{e}"));
        }
    }
    for path in manifests {
        let manifest =
            vllm_bench_corpus::SourceManifest::from_file(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(manifest.hub.revision.len(), 40, "{}: a commit", path.display());
        assert!(
            manifest.files.iter().all(|f| f.sha256.as_ref().is_some_and(|s| s.len() == 64)),
            "{}",
            path.display()
        );
    }
}
