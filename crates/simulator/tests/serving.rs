//! What a client can rely on beyond the form: the cache, lengths, metrics, aborts, keys and times.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{chat, eventually, fast, get, metric, open, post, read, send, start, steps_of};
use serde_json::{Value, json};
use vllm_bench_protocol::{Endpoint, StreamEvent, TokenFold, parse_event};
use vllm_bench_simulator::{AnswerLength, ApiKey, SimulatorConfig};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

/// Text of a streamed answer, its tokens as a client counts them, and its finish reason.
fn fold(events: &[String]) -> (String, Option<u32>, String) {
    let (mut text, mut fold, mut finish) = (String::new(), TokenFold::new(), String::new());
    for event in events {
        let StreamEvent::Delta(delta) = parse_event(Endpoint::Chat, event).expect(event) else {
            continue;
        };
        fold.fold(&delta);
        for choice in delta.choices {
            text.push_str(&choice.text.unwrap_or_default());
            finish = choice.finish_reason.map_or(finish, String::from);
        }
    }
    (text, fold.total(), finish)
}

#[test]
fn usage_token_ids_and_text_agree() {
    let server = start(fast());
    let continuous = json!({"include_usage": true, "continuous_usage_stats": true});
    for extra in [
        json!({}),
        json!({"return_token_ids": false, "stream_options": continuous}),
        json!({"n": 3}),
    ] {
        let mut request = chat(20);
        request
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        let answer = post(&server, CHAT, &request);
        let events = answer.events();
        let usage: Value =
            serde_json::from_str(&events[events.len() - 2]).expect("the usage chunk");
        let choices = request["n"].as_u64().unwrap_or(1);
        assert_eq!(usage["usage"]["completion_tokens"], 20 * choices, "{request}");
        let (_, counted, finish) = fold(&events);
        assert_eq!((counted.map(u64::from), finish.as_str()), (Some(20 * choices), "length"));
    }
}

#[test]
fn streamed_and_whole_answers_say_the_same() {
    let server = start(fast());
    let mut request = json!({
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 30, "temperature": 0, "stop": ["river", "bridge"],
    });
    let whole = post(&server, CHAT, &request).json();
    request["stream"] = json!(true);
    let (text, _, finish) = fold(&post(&server, CHAT, &request).events());
    assert_eq!(whole["choices"][0]["message"]["content"], text);
    assert_eq!(whole["choices"][0]["finish_reason"], finish);
}

#[test]
fn answers_end_by_themselves_around_the_mean() {
    let answer = AnswerLength { mean_tokens: 12.0, spread: 0.3 };
    let server = start(SimulatorConfig { answer, ..fast() });
    let lengths: Vec<_> = (0..40)
        .map(|_| {
            let body = json!({"prompt": "x", "max_tokens": 200});
            let answer = post(&server, COMPLETIONS, &body).json();
            assert_eq!(answer["choices"][0]["finish_reason"], "stop");
            answer["usage"]["completion_tokens"].as_u64().expect("a count")
        })
        .collect();
    let mean = lengths.iter().sum::<u64>() as f64 / 40.0;
    assert!((9.0..15.0).contains(&mean), "{mean}");
    assert!(lengths.iter().any(|length| *length != lengths[0]), "{lengths:?}");
    let body = json!({"prompt": "x", "max_tokens": 200, "min_tokens": 100});
    let answer = post(&server, COMPLETIONS, &body).json();
    assert_eq!(
        answer["usage"]["completion_tokens"], 101,
        "the end of sequence comes after the minimum"
    );
}

#[test]
fn an_answer_takes_the_room_that_the_prompt_leaves() {
    let server = start(SimulatorConfig { max_model_len: 64, ..fast() });
    for limit in [json!(60), Value::Null] {
        let body = json!({"prompt": [1, 9, 9, 9], "max_tokens": limit, "ignore_eos": true});
        let usage = post(&server, COMPLETIONS, &body).json()["usage"].clone();
        assert_eq!(usage["total_tokens"], 64, "{limit}");
    }
    let body = json!({"prompt": [1, 9, 9, 9], "ignore_eos": true});
    let usage = post(&server, COMPLETIONS, &body).json()["usage"].clone();
    assert_eq!(usage["completion_tokens"], 16, "the default of this endpoint");
}

#[test]
fn the_prefix_cache_shows_in_usage_and_metrics() {
    let server = start(fast());
    let text = (0..300).map(|i| format!("word{i} ")).collect::<String>();
    let ask = |extra: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": text}], "max_tokens": 1});
        body.as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        post(&server, CHAT, &body).json()["usage"].clone()
    };
    let cold = ask(json!({}));
    let prompt = cold["prompt_tokens"].as_u64().expect("a count");
    let details = |usage: &Value| {
        let details = &usage["prompt_tokens_details"];
        (details["cached_tokens"].as_u64(), details["created_cache_tokens"].as_u64())
    };
    let full = prompt / 16 * 16;
    assert_eq!(details(&cold), (Some(0), Some(full)));
    let most = (prompt - 1) / 16 * 16;
    assert_eq!(details(&ask(json!({}))), (Some(most), Some(full - most)));
    assert_eq!(details(&ask(json!({"cache_salt": "a"}))), (Some(0), Some(full)));
    assert_eq!(metric(&server, "vllm:prefix_cache_queries_total"), 3.0 * prompt as f64);
    assert_eq!(metric(&server, "vllm:prefix_cache_hits_total"), most as f64);
    let reset = send(&server, "POST", "/reset_prefix_cache", "", "");
    assert_eq!(reset.json(), json!({"success": true}));
    assert_eq!(details(&ask(json!({}))), (Some(0), Some(full)));
}

#[test]
fn histograms_hold_the_times_of_the_answers() {
    let server = start(fast());
    let (mut queue, mut prefill, mut decode) = (0.0, 0.0, 0.0);
    for tokens in [2, 7, 20] {
        let body = json!({"prompt": "Tell me", "max_tokens": tokens, "ignore_eos": true});
        let metrics = post(&server, COMPLETIONS, &body).json()["metrics"].clone();
        let seconds = |name: &str| metrics[name].as_f64().expect("a time") / 1e3;
        queue += seconds("queue_time_ms");
        prefill += seconds("time_to_first_token_ms");
        decode += seconds("generation_time_ms");
    }
    assert!(prefill > 0.0 && decode > 0.0);
    for (name, sum) in [
        ("request_queue_time_seconds", queue),
        ("request_prefill_time_seconds", prefill),
        ("request_decode_time_seconds", decode),
        ("request_inference_time_seconds", prefill + decode),
        // Both from the arrival, so with the queue.
        ("time_to_first_token_seconds", queue + prefill),
        ("e2e_request_latency_seconds", queue + prefill + decode),
    ] {
        assert_eq!(metric(&server, &format!("vllm:{name}_count")), 3.0, "{name}");
        let told = metric(&server, &format!("vllm:{name}_sum"));
        assert!((told - sum).abs() < 1e-6, "{name}: {told} is not {sum}");
    }
}

#[test]
fn counters_agree_with_the_answers() {
    let server = start(fast());
    let (mut prompt, mut completion) = (0, 0);
    for tokens in [1, 7, 20] {
        let body = json!({"prompt": "Tell me", "max_tokens": tokens, "ignore_eos": true});
        let usage = post(&server, COMPLETIONS, &body).json()["usage"].clone();
        prompt += usage["prompt_tokens"].as_u64().expect("a count");
        completion += usage["completion_tokens"].as_u64().expect("a count");
    }
    for (name, value) in [
        ("vllm:prompt_tokens_total", prompt as f64),
        ("vllm:generation_tokens_total", completion as f64),
        ("vllm:request_success_total", 3.0),
        ("vllm:time_to_first_token_seconds_count", 3.0),
        ("vllm:inter_token_latency_seconds_count", completion as f64 - 3.0),
        ("vllm:e2e_request_latency_seconds_count", 3.0),
        ("vllm:num_requests_running", 0.0),
        ("vllm:kv_cache_usage_perc", 0.0),
    ] {
        assert_eq!(metric(&server, name), value, "{name}");
    }
}

#[test]
fn a_client_that_leaves_frees_its_request() {
    let server = start(fast());
    for stream in [true, false] {
        let mut body = chat(8000);
        if !stream {
            body = json!({"messages": body["messages"], "max_tokens": 8000, "ignore_eos": true});
        }
        let before = metric(&server, "vllm_bench_simulator_aborted_sequences_total");
        let left = open(&server, "POST", CHAT, "", &body.to_string());
        eventually("running", || metric(&server, "vllm:num_requests_running") == 1.0);
        assert!(metric(&server, "vllm:kv_cache_usage_perc") > 0.0);
        assert_eq!(get(&server, "/load").json(), json!({"server_load": 1}));
        drop(left);
        eventually("freed", || metric(&server, "vllm:num_requests_running") == 0.0);
        assert_eq!(metric(&server, "vllm:kv_cache_usage_perc"), 0.0);
        assert_eq!(metric(&server, "vllm_bench_simulator_aborted_sequences_total"), before + 1.0);
        // As recorded: vLLM 0.32 counts an abort nowhere.
        assert_eq!(metric(&server, "vllm:request_success_total"), 0.0);
        eventually("answered", || get(&server, "/load").json() == json!({"server_load": 0}));
    }
}

#[test]
fn a_stop_string_frees_the_request_and_counts_as_stop() {
    let server = start(fast());
    let body = json!({"prompt": "x", "max_tokens": 8000, "ignore_eos": true, "stop": "bridge"});
    let answer = post(&server, COMPLETIONS, &body).json();
    assert_eq!(answer["choices"][0]["stop_reason"], "bridge");
    assert!(!answer["choices"][0]["text"].as_str().expect("a text").contains("bridge"));
    eventually("ended", || metric(&server, "vllm:num_requests_running") == 0.0);
    assert_eq!(metric(&server, "vllm:request_success_total"), 1.0);
    assert_eq!(metric(&server, "vllm_bench_simulator_aborted_sequences_total"), 0.0);
}

#[test]
fn a_key_guards_the_api_and_nothing_else() {
    let server = start(SimulatorConfig { api_key: Some(ApiKey::from("secret")), ..fast() });
    for headers in ["", "Authorization: Bearer wrong\r\n"] {
        let answer = send(&server, "GET", "/v1/models", headers, "");
        assert_eq!((answer.status, answer.text()), (401, r#"{"error":"Unauthorized"}"#));
    }
    let answer = send(&server, "GET", "/v1/models", "Authorization: Bearer secret\r\n", "");
    assert_eq!(answer.status, 200);
    assert_eq!(get(&server, "/health").status, 200);
    assert_eq!(get(&server, "/metrics").status, 200);
}

#[test]
fn an_idle_connection_is_closed_after_its_answer_and_not_before() {
    let server = start(SimulatorConfig { keep_alive: Duration::from_millis(100), ..fast() });
    let mut stream = TcpStream::connect(server.addr()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
    let mut buffer = [0; 4096];
    // A new connection may wait as long as it likes.
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..2 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").expect("open still");
        assert!(stream.read(&mut buffer).expect("an answer") > 0);
    }
    let began = Instant::now();
    assert_eq!(stream.read(&mut buffer).expect("an orderly end"), 0);
    assert!(began.elapsed() >= Duration::from_millis(90), "{:?}", began.elapsed());
}

#[test]
fn seeds_and_zero_temperature_repeat_answers() {
    let server = start(fast());
    let ask = |extra: Value| {
        let mut body = json!({"prompt": "x", "max_tokens": 12, "ignore_eos": true});
        body.as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        post(&server, COMPLETIONS, &body).json()["choices"][0]["text"].clone()
    };
    assert_eq!(ask(json!({"seed": 1})), ask(json!({"seed": 1})));
    assert_ne!(ask(json!({"seed": 1})), ask(json!({"seed": 2})));
    assert_eq!(ask(json!({"temperature": 0})), ask(json!({"temperature": 0})));
    assert_ne!(ask(json!({})), ask(json!({})));
}

#[test]
fn a_forced_tool_call_has_arguments_that_fit() {
    let server = start(SimulatorConfig { tool_calls: true, ..fast() });
    let schema = json!({"type": "object", "properties": {"city": {"enum": ["Oslo", "Paris"]}}});
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": schema}});
    for (choice, finish) in [
        (json!("required"), "tool_calls"),
        (json!({"type": "function", "function": {"name": "weather"}}), "stop"),
    ] {
        let body = json!({
            "messages": [{"role": "user", "content": "x"}], "tools": [tool], "tool_choice": choice,
            "max_tokens": 100,
        });
        let choice = post(&server, CHAT, &body).json()["choices"][0].clone();
        assert_eq!(choice["finish_reason"], finish);
        let call = &choice["message"]["tool_calls"][0]["function"];
        assert_eq!(
            (&call["name"], &call["arguments"]),
            (&json!("weather"), &json!(r#"{"city":"Oslo"}"#))
        );
    }
}

#[test]
fn steps_are_never_early() {
    let step = Duration::from_millis(10);
    let server = start(SimulatorConfig { cost: steps_of(step), ..SimulatorConfig::default() });
    let mut stream = open(&server, "POST", CHAT, "", &chat(50).to_string());
    let began = Instant::now();
    let answer = read(&mut stream).expect("an answer");
    let took = began.elapsed();
    assert!(took >= 50 * step, "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let events = answer.events();
    let last: Value = serde_json::from_str(&events[events.len() - 2]).expect("the usage chunk");
    let itl = last["metrics"]["mean_itl_ms"].as_f64().expect("a time");
    assert!(itl >= 9.999, "{itl}");
}

#[test]
fn many_streams_share_steps() {
    let server = start(SimulatorConfig {
        cost: steps_of(Duration::from_millis(10)),
        ..SimulatorConfig::default()
    });
    let began = Instant::now();
    let mut streams: Vec<_> =
        (0..200).map(|_| open(&server, "POST", CHAT, "", &chat(20).to_string())).collect();
    for stream in &mut streams {
        let answer = read(stream).expect("an answer");
        assert_eq!(fold(&answer.events()).1, Some(20));
    }
    // Alone they would take 200 × 200 ms.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let steps = metric(&server, "vllm:iteration_tokens_total_count");
    assert!(steps < 400.0, "{steps} steps for 4,000 tokens");
}

#[test]
fn too_many_requests_wait_and_too_few_blocks_preempt() {
    let server = start(SimulatorConfig {
        max_num_seqs: 4,
        num_blocks: 33,
        max_model_len: 512,
        max_num_batched_tokens: 512,
        cost: steps_of(Duration::from_millis(5)),
        ..SimulatorConfig::default()
    });
    let body = |i: u32| json!({"prompt": format!("{i} {}", "a b ".repeat(50)), "max_tokens": 100, "ignore_eos": true});
    let mut streams: Vec<_> =
        (0..6).map(|i| open(&server, "POST", COMPLETIONS, "", &body(i).to_string())).collect();
    for stream in &mut streams {
        let answer = read(stream).expect("an answer");
        assert_eq!(answer.json()["usage"]["completion_tokens"], 100);
    }
    assert!(metric(&server, "vllm:num_preemptions_total") > 0.0);
    assert_eq!(
        metric(&server, "vllm:request_num_preemptions_sum"),
        metric(&server, "vllm:num_preemptions_total")
    );
    assert_eq!(metric(&server, "vllm:kv_cache_usage_perc"), 0.0);
}

#[test]
fn tokenize_and_detokenize_are_inverse_and_count_like_prompts() {
    let server = start(fast());
    let text = "Grüße from the river 🎉";
    let tokens = post(&server, "/tokenize", &json!({"prompt": text})).json();
    let back = post(&server, "/detokenize", &json!({"tokens": tokens["tokens"]})).json();
    assert_eq!(back, json!({"prompt": text}));
    let usage =
        post(&server, COMPLETIONS, &json!({"prompt": text, "max_tokens": 1})).json()["usage"]
            .clone();
    assert_eq!(usage["prompt_tokens"], tokens["count"]);
    let messages = json!([{"role": "user", "content": text}]);
    let count = post(&server, "/tokenize", &json!({"messages": messages})).json()["count"].clone();
    let usage =
        post(&server, CHAT, &json!({"messages": messages, "max_tokens": 1})).json()["usage"]
            .clone();
    assert_eq!(usage["prompt_tokens"], count);
}

#[test]
fn a_server_that_stops_frees_its_port_and_ends_its_streams() {
    let server = start(fast());
    let mut stream = open(&server, "POST", CHAT, "", &chat(8000).to_string());
    eventually("running", || metric(&server, "vllm:num_requests_running") == 1.0);
    let addr = server.addr();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(server.shutdown());
    assert!(read(&mut stream).expect("the beginning").cut);
    std::net::TcpListener::bind(addr).expect("the port is free");
}
