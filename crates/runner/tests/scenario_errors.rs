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

const CLOSED: &str = "closed = { concurrency = [1, 4], requests_per_user = 5 }";

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
    assert_eq!(RunPlan::of(&scenario).expect("a plan").prompts_needed().counted, 25);
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
        ("closed =", "opened =", "s.toml:9:1", "did you mean `open`?"),
        ("closed =", "open =", "s.toml:9:10", "unknown field `concurrency`"),
        (CLOSED, "", "s.toml:8:1", "load needs one of closed"),
        (CLOSED, "open = { rate = 2 }", "s.toml:9:8", "open needs an end"),
        (
            CLOSED,
            "search = { over = \"rate\", from = 0, to = 9 }",
            "s.toml:9:34",
            "must be above 0",
        ),
        (CLOSED, "search = { over = \"rate\", from = nan, to = 9 }", "s.toml:9:34", "from = NaN"),
        (CLOSED, "search = { over = \"rate\", from = 9, to = 9 }", "s.toml:9:34", "not below to"),
        (CLOSED, "search = { over = \"users\", from = 1, to = 9 }", "s.toml:9:", "`concurrency`"),
        (CLOSED, "search = { over = \"rate\", from = 1 }", "s.toml:9:", "missing field `to`"),
        (
            CLOSED,
            "search = { over = \"concurrency\", from = 1.5, to = 9 }",
            "s.toml:9:41",
            "whole number",
        ),
        (
            CLOSED,
            "search = { over = \"rate\", from = 1, to = 9, precision = \"0%\" }",
            "s.toml:9:57",
            "from \"0.1%\" to \"50%\"",
        ),
        (
            CLOSED,
            "search = { over = \"rate\", from = 1, to = 9, precision = \"5\" }",
            "s.toml:9:",
            "a share such as",
        ),
        (
            CLOSED,
            "search = { over = \"rate\", from = 1, to = 9, warmup = \"30s\" }",
            "s.toml:9:54",
            "leaves nothing of a probe of 30s",
        ),
        ("ttft_p95 = \"2s\"", "goodput = \"2s\"", "s.toml:11:11", "write a percentage"),
        (CLOSED, "open = { rate = 0, requests = 3 }", "s.toml:9:17", "must be above 0"),
        (CLOSED, "open = { rate = [1, nan], requests = 3 }", "s.toml:9:17", "a rate of NaN"),
        (CLOSED, "open = { rate = -1.5, requests = 3 }", "s.toml:9:17", "a rate of -1.5"),
        (CLOSED, "open = { rate = [], requests = 3 }", "s.toml:9:17", "requests a second"),
        (CLOSED, "open = { rate = \"2\", requests = 3 }", "s.toml:9:17", "requests a second"),
        (
            CLOSED,
            "open = { rate = { linear = { from = 1, to = 9 } }, requests = 3 }",
            "s.toml:9:8",
            "linear.over",
        ),
        (
            CLOSED,
            "warmup = { duration = \"9s\" }\nopen = { rate = 1, duration = \"9s\" }",
            "s.toml:10:8",
            "leaves nothing",
        ),
        ("closed =", "warmup = { duration = \"9s\" }\nclosed =", "s.toml:9:10", "by itself"),
        ("closed =", "warmup = { concurrency = 2 }\nclosed =", "s.toml:9:10", "needs requests"),
        ("closed =", "max_in_flight = 9\nclosed =", "s.toml:9:17", "max_in_flight is for open"),
        (
            "closed =",
            "trace = { file = \"t.csv\", format = \"azure\" }\nclosed =",
            "s.toml:9:9",
            "load takes closed or trace, not both",
        ),
        (
            CLOSED,
            "trace = { file = \"t.csv\", format = \"azure\", speed = 0 }",
            "s.toml:9:",
            "speed",
        ),
        (CLOSED, "trace = { file = \"t.csv\", format = \"azur\" }", "s.toml:9:", "`azure`?"),
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
    assert_eq!(RunPlan::of(&scenario).expect("a plan").prompts_needed().counted, 120);
    assert!(scenario.text.contains("[8,16]"));
}

#[test]
fn a_missing_file_is_named() {
    let error = Scenario::load(Path::new("nowhere/s.toml"), &[]).expect_err("not there");
    assert!(error.to_string().contains("nowhere/s.toml"));
}

#[test]
fn a_trace_is_read_before_anything_is_sent() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("t.csv");
    let load = format!("trace = {{ file = {:?}, format = \"azure\" }}", file.display().to_string());
    let scenario = Scenario::parse(&GOOD.replace(CLOSED, &load), Path::new("s.toml"), &[]);
    let scenario = scenario.expect("a good scenario");
    let words = || {
        let error = RunPlan::of(&scenario).expect_err("no such trace");
        let source = std::error::Error::source(&error).expect("a cause");
        (error.to_string(), source.to_string())
    };
    let (error, source) = words();
    assert!(error.starts_with("s.toml:9:9  trace = "), "{error}");
    assert!(source.starts_with("cannot read trace"), "{source}");

    let head = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let row = "2023-11-16 18:17:03.9799600,4808,10\n";
    std::fs::write(&file, format!("{head}{row}2023-11-16 18:17:02.0000000,10,-4\n"))
        .expect("written");
    let (_, source) = words();
    assert!(source.contains("t.csv:3:"), "{source}");

    std::fs::write(&file, format!("{head}{row}2023-11-16 18:17:05.9799600,180,27\n"))
        .expect("written");
    let plan = RunPlan::of(&scenario).expect("a plan");
    assert_eq!(plan.prompts_needed().sum, "2");
    assert_eq!(plan.stages[0].longest_answer, Some(27));
    let open = plan.stages[0].info.load.open().expect("an open loop");
    assert_eq!((open.rate, open.arrivals.as_str()), (0.5, "trace t.csv"));
}

#[test]
fn a_search_without_objectives_says_so() {
    let text = GOOD
        .replace(CLOSED, "search = { over = \"rate\", from = 1, to = 9 }")
        .replace("[slo]\nttft_p95 = \"2s\"\n", "");
    let error = error_of(&text, &[]);
    assert!(error.contains("s.toml:9:10") && error.contains("write [slo]"), "{error}");
}
