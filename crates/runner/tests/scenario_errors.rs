//! Bad scenarios are refused with file, line, column and what would be right.

use std::path::Path;

use vllm_bench_runner::{RunPlan, Scenario};

const GOOD: &str = r#"name = "t"
[server]
url = "http://localhost:1"
[corpus]
file = "c.jsonl"
[request]
max_tokens = 8
[load]
closed = { concurrency = [1, 4], requests_per_user = 5 }
[slo]
ttft_p95 = "2s"
"#;

#[track_caller]
fn error_of(text: &str, overrides: &[&str]) -> String {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    match Scenario::parse(text, Path::new("s.toml"), &overrides) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_good_one_is_accepted() {
    let scenario = Scenario::parse(GOOD, Path::new("s.toml"), &[]).expect("good");
    assert_eq!(RunPlan::of(&scenario).prompts_needed().counted, 25);
    assert_eq!(scenario.slos.len(), 1);
}

#[test]
fn mistakes_are_shown_at_their_place() {
    let cases = [
        ("max_tokens = 8", "max_tokens = \"8\"", "s.toml:7:14", "expected"),
        ("max_tokens = 8", "max_tokens = 0", "s.toml:7:14", "nonzero"),
        ("max_tokens", "max_token", "s.toml:7:1", "did you mean `max_tokens`?"),
        ("[1, 4]", "[1, 0]", "s.toml:9:", "nonzero"),
        ("[1, 4]", "0", "s.toml:9:", "at least 1"),
        ("concurrency", "concurency", "s.toml:9:", "did you mean `concurrency`?"),
        (", requests_per_user = 5", "", "s.toml:9:10", "needs an end"),
        ("requests_per_user = 5", "requests = [1, 2, 3]", "s.toml:9:10", "3 numbers for 2 levels"),
        ("requests_per_user = 5", "requests = 3, requests_per_user = 5", "s.toml:9:10", "not both"),
        ("requests_per_user = 5", "duration = \"5\"", "s.toml:9:", "a duration with its unit"),
        ("\"2s\"", "\"2\"", "s.toml:11:12", "unit"),
        ("ttft_p95", "ttft_p96", "s.toml:11:", "unknown objective"),
        ("file = \"c.jsonl\"", "", "s.toml:4:1", "missing field `file`"),
        ("[load]", "[load", "s.toml:8:", ""),
        ("name = \"t\"", "name = \"a/b\"", "s.toml:1:1", "letters"),
        ("closed =", "open =", "s.toml:9:1", "unknown field `open`"),
    ];
    for (old, new, place, words) in cases {
        assert!(GOOD.contains(old), "{old}");
        let error = error_of(&GOOD.replacen(old, new, 1), &[]);
        assert!(error.starts_with(place), "{new}: {error}");
        assert!(error.contains(words), "{new}: {error}");
    }
}

#[test]
fn overrides_are_named_when_they_are_wrong() {
    let error = error_of(GOOD, &["load.closed.concurency=[8]"]);
    assert!(error.starts_with("--set load.closed.concurency=[8]"), "{error}");
    assert!(error.contains("did you mean `concurrency`?"), "{error}");
    let error = error_of(GOOD, &["request.max_tokens"]);
    assert!(error.contains("KEY=VALUE"), "{error}");
    let scenario =
        Scenario::parse(GOOD, Path::new("s.toml"), &["load.closed.concurrency=[8,16]".into()])
            .expect("good");
    assert_eq!(RunPlan::of(&scenario).prompts_needed().counted, 120);
    assert!(scenario.text.contains("[8,16]"));
}

#[test]
fn a_missing_file_is_named() {
    let error = Scenario::load(Path::new("nowhere/s.toml"), &[]).expect_err("not there");
    assert!(error.to_string().contains("nowhere/s.toml"));
}
