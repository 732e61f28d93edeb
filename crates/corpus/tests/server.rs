//! Counting by a server's `/tokenize`.

mod common;

use common::server::{Answer, Asked, Server};
use common::{Bench, prompts};
use vllm_bench_corpus::{BuildOptions, CorpusError, ServerOptions};

const SPEC: &str = "name = \"s\"\nprompts = 40\n[length]\nmean_tokens = 700\n";

/// A server whose tokens are the three-byte pieces of a text, behind a begin token; its template marks each message.
fn tokenize(asked: &Asked) -> Answer {
    let body: serde_json::Value = serde_json::from_str(&asked.body).expect("JSON");
    assert_eq!(body["model"], "tiny");
    let (text, mut tokens) = match body["messages"].as_array() {
        Some(messages) => {
            assert_eq!(body["add_generation_prompt"], true);
            let contents: Vec<&str> =
                messages.iter().map(|m| m["content"].as_str().expect("a text")).collect();
            (format!("##{}##", contents.join("####")), vec![1])
        }
        None => {
            let special = body["add_special_tokens"].as_bool().unwrap_or(true);
            (
                body["prompt"].as_str().expect("a text").to_owned(),
                if special { vec![1] } else { vec![] },
            )
        }
    };
    tokens.extend(
        text.as_bytes()
            .chunks(3)
            .map(|c| c.iter().fold(2u32, |n, b| n * 256 + u32::from(*b)) % 1_000_003),
    );
    let answer = serde_json::json!({"count": tokens.len(), "max_model_len": 8192, "tokens": tokens, "token_strs": null});
    Answer::new(200, answer.to_string())
}

fn vllm(asked: &Asked) -> Answer {
    if asked.header("authorization") != Some("Bearer key-1") {
        return Answer::new(401, "{\"error\":\"Unauthorized\"}");
    }
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/v1/models") => Answer::new(
            200,
            "{\"object\":\"list\",\"data\":[{\"id\":\"tiny\",\"object\":\"model\"}]}",
        ),
        ("POST", "/tokenize") => tokenize(asked),
        _ => Answer::new(404, "{\"detail\":\"Not Found\"}"),
    }
}

fn options(bench: &Bench, server: &Server) -> BuildOptions {
    let options = ServerOptions {
        url: server.url() + "/v1/",
        api_key: Some("key-1".into()),
        threads: 3,
        ..ServerOptions::default()
    };
    BuildOptions { server: Some(options), ..bench.options() }
}

#[test]
fn the_server_s_own_tokens_count() {
    let bench = Bench::new();
    let server = Server::start(vllm);
    let (header, corpus) = bench.try_build(SPEC, &options(&bench, &server)).expect("builds");
    assert_eq!(
        (header.tokenizer.as_str(), header.chat_template.as_str(), header.exact),
        ("/tokenize of tiny", "the server's", true)
    );
    assert!((header.tokens.mean - 700.0).abs() <= 14.0, "{:?}", header.tokens);
    assert!(header.tokens.min >= 595 && header.tokens.max <= 805, "{:?}", header.tokens);
    assert_eq!(header.shared_leading_blocks, 0);
    for prompt in prompts(&corpus) {
        let contents: Vec<&str> = prompt.messages.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(prompt.tokens as usize, 1 + (contents.join("####").len() + 4).div_ceil(3));
    }
    let first = std::fs::read(corpus.path()).expect("is there");
    let mut other = options(&bench, &server);
    other.server.as_mut().expect("given").threads = 1;
    let (_, again) = bench.try_build(SPEC, &other).expect("builds");
    assert_eq!(
        first,
        std::fs::read(again.path()).expect("is there"),
        "the same bytes with any number of threads"
    );
}

fn fault(
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    change: impl Fn(&mut ServerOptions),
) -> String {
    let bench = Bench::new();
    let server = Server::start(answer);
    let mut options = options(&bench, &server);
    change(options.server.as_mut().expect("given"));
    match bench.try_build(SPEC, &options) {
        Ok(_) => panic!("must fail"),
        Err(error) => {
            assert!(matches!(error, CorpusError::Server { .. }), "{error:?}");
            error.to_string().replace(&server.url(), "URL")
        }
    }
}

#[test]
fn what_a_server_refuses_is_told_in_its_words() {
    let none = |_: &mut ServerOptions| {};
    let check = |error: String, expected: &str| {
        assert!(error.starts_with(expected), "expected {expected}\nfound {error}")
    };
    check(
        fault(vllm, |o| o.api_key = None),
        "URL/v1/models: HTTP 401: Unauthorized\n  give the key",
    );
    check(
        fault(vllm, |o| o.model = Some("huge".into())),
        "URL/v1/models: no model `huge`; it serves: tiny",
    );
    let no_tokenize = |a: &Asked| {
        if a.path == "/tokenize" { Answer::new(404, "{\"detail\":\"Not Found\"}") } else { vllm(a) }
    };
    check(
        fault(no_tokenize, none),
        "URL/tokenize: HTTP 404: Not Found\n  this server has no /tokenize",
    );
    check(
        fault(|_| Answer::new(200, "<html>"), none),
        "URL/v1/models: not the answer of a vLLM server",
    );
    let cut = |a: &Asked| Answer { cut: Some(10), ..vllm(a) };
    check(fault(cut, none), "URL/v1/models: its answer breaks off");
    let several = |a: &Asked| match a.path.as_str() {
        "/v1/models" => {
            Answer::new(200, "{\"object\":\"list\",\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}")
        }
        _ => vllm(a),
    };
    check(fault(several, none), "URL/v1/models: it serves several models, name one of: a, b");
    check(
        fault(vllm, |o| o.url = "http://127.0.0.1:9".into()),
        "http://127.0.0.1:9/v1/models: the server does not answer",
    );
    let too_long = |a: &Asked| {
        if a.body.contains("\"messages\"") {
            Answer::new(
                400,
                "{\"error\":{\"message\":\"too long for tiny\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}",
            )
        } else {
            vllm(a)
        }
    };
    check(fault(too_long, none), "URL/tokenize: HTTP 400: too long for tiny");
}

#[test]
fn the_key_is_not_shown() {
    let options = ServerOptions { api_key: Some("key-1".into()), ..ServerOptions::default() };
    assert!(!format!("{options:?}").contains("key-1"));
}
