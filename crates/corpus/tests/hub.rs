//! Downloads, against a stand-in for the Hub on this machine.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::server::{Answer, Asked, Server};
use common::{Bench, byte_tokenizer};
use sha2::{Digest, Sha256};
use vllm_bench_corpus::{
    BuildOptions, Corpus, CorpusError, CorpusHeader, CorpusSpec, Encyclopedia, HubOptions,
    Progress, build_with,
};

const SPEC: &str = "name = \"s\"\nprompts = 10\n[length]\nmean_tokens = 400\n[[source]]\nname = \"d\"\nmanifest = \"m.toml\"\n";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn dolly() -> Vec<u8> {
    let book = Encyclopedia::new(5);
    let line = |i| {
        let a = book.article(i);
        serde_json::json!({"instruction": a.question, "context": a.text, "response": a.answer})
            .to_string()
            + "\n"
    };
    (0..200).map(line).collect::<String>().into_bytes()
}

/// Answers as the Hub does for one file: metadata in the headers, ranges obeyed.
fn file(asked: &Asked, content: &[u8], etag: &str) -> Answer {
    let range = asked
        .header("range")
        .and_then(|r| r.strip_prefix("bytes="))
        .expect("hf-hub asks for ranges");
    let (from, to) = range.split_once('-').expect("from-to");
    let from: usize = from.parse().expect("a number");
    if from >= content.len() {
        return Answer::new(416, "");
    }
    let to = to.parse().unwrap_or(content.len() - 1);
    Answer::new(206, &content[from..=to])
        .with("Content-Range", format!("bytes {from}-{to}/{}", content.len()))
        .with("x-repo-commit", "abc123")
        .with("x-linked-etag", format!("\"{etag}\""))
        .with("etag", format!("\"{etag}\""))
}

fn bench(pin: &str) -> Bench {
    let bench = Bench::new();
    bench.write(
        "m.toml",
        format!("title = \"D\"\nkind = \"dolly\"\nlicence = \"L\"\n[hub]\nrepo = \"owner/name\"\nrevision = \"abc123\"\n[[file]]\npath = \"dir/d.jsonl\"\n{pin}"),
    );
    bench
}

fn options(bench: &Bench, server: &Server) -> BuildOptions {
    let mut hub = HubOptions::new(bench.path("hf/hub"));
    hub.endpoint = server.url() + "/";
    hub.token = Some("hf_secret".to_owned());
    BuildOptions { hub: Some(hub), ..bench.options() }
}

fn build(
    bench: &Bench,
    options: &BuildOptions,
) -> (Result<CorpusHeader, CorpusError>, Vec<Progress>) {
    let spec = CorpusSpec::parse(SPEC, "spec.toml").expect("right");
    let mut steps = Vec::new();
    let result =
        build_with(&spec, options, &bench.path("corpus.jsonl"), &mut |step| steps.push(step));
    (result, steps)
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let content = dolly();
    let sum = sha256(&content);
    let bench = bench(&format!("sha256 = \"{sum}\"\n"));
    let (cuts, served, etag) = (AtomicUsize::new(0), content.clone(), sum.clone());
    let server = Server::start(move |asked| {
        assert_eq!(asked.path, "/datasets/owner/name/resolve/abc123/dir/d.jsonl");
        let mut answer = file(asked, &served, &etag);
        // The first two real transfers break off.
        if answer.body.len() > 1 && cuts.fetch_add(1, Ordering::SeqCst) < 2 {
            answer.cut = Some(40_000);
        }
        answer
    });
    let options = options(&bench, &server);
    let (header, steps) = build(&bench, &options);
    let header = header.expect("builds");
    assert_eq!(header.sources[0].file, "owner/name@abc123:dir/d.jsonl");
    assert_eq!(
        (header.sources[0].as_pinned, header.sources[0].sha256.as_deref()),
        (Some(true), Some(sum.as_str()))
    );
    let ranges: Vec<String> = server
        .asked()
        .iter()
        .filter_map(|a| a.header("range").map(str::to_owned))
        .filter(|r| r != "bytes=0-0")
        .collect();
    assert_eq!(ranges, ["bytes=0-", "bytes=40000-", "bytes=80000-"]);
    let total = content.len() as u64;
    assert!(steps.iter().any(|s| matches!(s, Progress::Downloading { done, total: t, .. } if *done == total && *t == total)));
    assert!(server.asked().iter().all(|a| a.header("authorization") == Some("Bearer hf_secret")));

    // It is here now: nothing is asked again, with or without network, and the bytes are the same.
    let before = (
        server.asked().len(),
        Corpus::open(bench.path("corpus.jsonl")).expect("whole").sha256().to_owned(),
    );
    let mut offline = options.clone();
    offline.hub.as_mut().expect("given").offline = true;
    build(&bench, &offline).0.expect("builds from the cache");
    assert_eq!(
        (
            server.asked().len(),
            Corpus::open(bench.path("corpus.jsonl")).expect("whole").sha256().to_owned()
        ),
        before
    );
    // The token is nowhere.
    for entry in walk(bench.folder.path()) {
        let bytes = std::fs::read(&entry).expect("a file");
        assert!(!String::from_utf8_lossy(&bytes).contains("hf_secret"), "{}", entry.display());
    }
}

#[test]
fn a_whole_part_file_is_not_asked_beyond_its_end_for_ever() {
    let content = dolly();
    let sum = sha256(&content);
    let bench = bench(&format!("sha256 = \"{sum}\"\n"));
    let (served, etag) = (content.clone(), sum.clone());
    let server = Server::start(move |asked| file(asked, &served, &etag));
    // As a program leaves it that is killed after the last byte and before the renaming.
    bench.write(&format!("hf/hub/datasets--owner--name/blobs/{sum}.part"), &content);
    build(&bench, &options(&bench, &server)).0.expect("builds");
}

#[test]
fn another_file_than_the_pinned_one_is_refused_and_taken_away() {
    let content = dolly();
    let wrong = "0".repeat(64);
    let bench = bench(&format!("sha256 = \"{wrong}\"\n"));
    let etag = sha256(&content);
    let server = Server::start(move |asked| file(asked, &content, &etag));
    let error =
        build(&bench, &options(&bench, &server)).0.expect_err("not the pinned one").to_string();
    assert!(error.contains(&format!("expected {wrong} (from m.toml)")), "{error}");
    assert!(
        walk(&bench.path("hf"))
            .iter()
            .all(|p| p.extension().is_some_and(|e| e == "lock") || p.ends_with("refs/abc123"))
    );
}

#[test]
fn without_a_pin_the_hub_s_own_sha256_counts() {
    let content = dolly();
    let bench = bench("");
    let etag = sha256(b"something else");
    let server = Server::start(move |asked| file(asked, &content, &etag));
    let error =
        build(&bench, &options(&bench, &server)).0.expect_err("damaged on the way").to_string();
    assert!(error.contains("(from the Hub)"), "{error}");
}

#[test]
fn refusals_are_told_at_once() {
    let check = |status: u16, expected: &str| {
        let bench = bench("");
        let server = Server::start(move |_| Answer::new(status, "no"));
        let error = build(&bench, &options(&bench, &server)).0.expect_err("refused").to_string();
        assert!(error.contains(expected), "{status}: expected {expected}\nfound {error}");
        assert_eq!(server.asked().len(), 1, "{status}: not asked again");
    };
    check(401, "HTTP 401: it is gated, or there is no such repository");
    check(404, "the repository has no such file at this revision");
    check(400, "HTTP 400");
    check(200, "does not answer as the Hub does");
}

#[test]
fn a_cache_of_python_s_is_used() {
    let bench = bench("");
    bench.write("hf/hub/datasets--owner--name/snapshots/abc123/dir/d.jsonl", dolly());
    let mut hub = HubOptions::new(bench.path("hf/hub"));
    hub.offline = true;
    let options = BuildOptions { hub: Some(hub), ..bench.options() };
    assert_eq!(build(&bench, &options).0.expect("builds").sources[0].records, 200);
    // Offline and not there.
    std::fs::remove_dir_all(bench.path("hf")).expect("removed");
    let error = build(&bench, &options).0.expect_err("not there").to_string();
    assert!(
        error.starts_with("dir/d.jsonl of owner/name is not here and downloads are switched off"),
        "{error}"
    );
}

#[test]
fn a_tokenizer_of_the_hub_comes_with_its_template() {
    let bench = Bench::new();
    let tokenizer = byte_tokenizer();
    let config = "{\"bos_token\": \"<s>\", \"chat_template\": \"{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}\"}";
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |asked| {
        calls.fetch_add(1, Ordering::SeqCst);
        match asked.path.strip_prefix("/own/model/resolve/v1/") {
            Some("tokenizer.json") => {
                file(asked, tokenizer.as_bytes(), &sha256(tokenizer.as_bytes()))
            }
            Some("tokenizer_config.json") => file(asked, config.as_bytes(), "not-a-sha"),
            _ => Answer::new(404, ""),
        }
    });
    let spec = "name = \"s\"\nprompts = 3\n[length]\nmean_tokens = 3000\n[tokens]\ntokenizer = \"own/model\"\nrevision = \"v1\"\n";
    let (header, corpus) = bench.try_build(spec, &options(&bench, &server)).expect("builds");
    assert_eq!(
        (header.tokenizer.as_str(), header.chat_template.as_str()),
        ("own/model@v1", "tokenizer_config.json")
    );
    let prompt = corpus.prompt(0).expect("is there");
    assert_eq!(
        prompt.tokens as usize,
        1 + prompt.messages.iter().map(|m| m.content.len()).sum::<usize>()
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files.extend(walk(&entry.path()))
        } else {
            files.push(entry.path())
        }
    }
    files
}
