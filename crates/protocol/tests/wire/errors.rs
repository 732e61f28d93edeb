//! What servers say when they refuse.

use crate::common::{names, read, read_text, value};
use vllm_bench_protocol::{
    ApiError, Endpoint, ErrorCode, MAX_EXCERPT_CHARS, MAX_MESSAGE_CHARS, ParseError, StreamEvent,
    parse_event,
};

#[test]
fn recorded_errors_keep_the_servers_words() {
    let mut recorded = names(".body");
    recorded.retain(|name| name.starts_with("err-"));
    recorded.extend(["chat-stream-tool-named", "chat-tool-auto-not-enabled"].map(str::to_owned));
    assert_eq!(recorded.len(), 19);
    for name in recorded {
        let text = read_text(&format!("{name}.body"));
        let error = ApiError::from_body(text.as_bytes());
        let json = value(&text);
        if let Some(detail) = json["detail"].as_str() {
            assert_eq!(error, ApiError::new(detail), "{name}");
            continue;
        }
        let fields = &json["error"];
        assert_eq!(Some(error.message.as_str()), fields["message"].as_str(), "{name}");
        assert_eq!(error.kind.as_deref(), fields["type"].as_str(), "{name}");
        assert_eq!(error.param.as_deref(), fields["param"].as_str(), "{name}");
        let status = read_text(&format!("{name}.headers"));
        let status: i64 = status.split(' ').nth(1).expect("a status").parse().expect("a number");
        assert_eq!(error.code, Some(ErrorCode::Number(status)), "{name}");
        assert_eq!(error.to_body(), text, "{name}: written as it was read");
    }
    assert!(read("err-404.body").starts_with(b"{\"detail\""));
}

#[test]
fn bodies_of_any_kind_become_a_message() {
    let cases: [(&[u8], &str); 17] = [
        (br#"{"error":{"message":"no","type":"x","code":"bad_key"}}"#, "no"),
        (br#"{"error":"no"}"#, "no"),
        (br#"{"error":{"code":5}}"#, r#"{"code":5}"#),
        (br#"{"error":7}"#, "7"),
        (br#"{"object":"error","message":"no","type":"x","code":400}"#, "no"),
        (br#"{"message":"no"}"#, "no"),
        (br#"{"message":["a","b"]}"#, r#"["a","b"]"#),
        (br#"{"detail":"no"}"#, "no"),
        (
            br#"{"detail":[{"loc":["body","n",0],"msg":"Bad","type":"t"},{"msg":"Worse"}]}"#,
            "body.n.0: Bad; Worse",
        ),
        (br#"{"detail":{"message":"no"}}"#, "no"),
        (br#"{"detail":{"a":1}}"#, r#"{"a":1}"#),
        (br#"{"a":1}"#, r#"{"a":1}"#),
        (b"  upstream is away\r\n", "upstream is away"),
        (b"<html>502</html>", "<html>502</html>"),
        (b"bad \xff byte", "bad \u{fffd} byte"),
        (b"", "empty body"),
        (b" \n", "empty body"),
    ];
    for (body, message) in cases {
        let error = ApiError::from_body(body);
        assert_eq!(error.message, message, "{}", String::from_utf8_lossy(body));
        assert_eq!(error.to_string(), message);
    }
    let word = ApiError::from_body(cases[0].0).code;
    assert_eq!(word, Some(ErrorCode::Word("bad_key".to_owned())));
    assert_eq!(ApiError::from_body(cases[8].0).param.as_deref(), Some("body.n.0"));
    assert_eq!(ApiError::from_body(cases[4].0).code, Some(ErrorCode::Number(400)));
}

#[test]
fn long_words_are_cut() {
    let long = "ß".repeat(5_000_000);
    let cut = |error: ApiError| {
        assert_eq!(error.message.chars().count(), MAX_MESSAGE_CHARS + 1);
        assert!(error.message.ends_with("ß…"), "{}", error.message);
    };
    cut(ApiError::from_body(long.as_bytes()));
    cut(ApiError::from_body(format!("{{\"error\":{{\"message\":\"{long}\"}}}}").as_bytes()));
    let error = parse_event(Endpoint::Chat, &long).expect_err("not JSON");
    let ParseError::Malformed { excerpt, .. } = error else { panic!("{error}") };
    assert_eq!(excerpt.chars().count(), MAX_EXCERPT_CHARS + 1);
}

#[test]
fn errors_inside_a_stream_are_events() {
    let cases = [
        r#"{"error":{"message":"engine died","type":"InternalServerError","param":null,"code":500}}"#,
        r#"{"object":"error","message":"engine died","type":"InternalServerError","code":500}"#,
        r#"{"id":"x","choices":[],"error":{"message":"engine died","type":"InternalServerError","code":500}}"#,
    ];
    for data in cases {
        for endpoint in [Endpoint::Chat, Endpoint::Completions] {
            let event = parse_event(endpoint, data).expect(data);
            let expected = ApiError::vllm("engine died", "InternalServerError", None, 500);
            assert_eq!(event, StreamEvent::Error(expected), "{data}");
        }
    }
}

#[test]
fn what_is_neither_chunk_nor_error_is_refused() {
    let cases = [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        "[DONE",
        r#"{"choices":null}"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[{"index":-1,"delta":{}}]}"#,
        r#"{"choices":[{"index":0}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":7}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"token_ids":7}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
        r#"{"choices":[]} x"#,
    ];
    for data in cases {
        let error = parse_event(Endpoint::Chat, data).expect_err(data);
        assert!(error.to_string().contains(data), "quotes it: {error}");
    }
    // Deep nesting is refused, not followed.
    let deep = format!("{{\"choices\":[],\"x\":{}", "[".repeat(1_000_000));
    parse_event(Endpoint::Chat, &deep).expect_err("too deep");
}
