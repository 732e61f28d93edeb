//! The `/metrics` of vLLM: recordings of 0.32.0, several engines, servers that misbehave.

mod common;

use std::time::{Duration, Instant};

use common::{Answer, serve};
use vllm_bench_record::{EngineSample, HistogramTotals, RunClock, Timestamp};
use vllm_bench_telemetry::{EngineSource, Source, TelemetryError, parse_engine_sample};

const FRESH: &str = include_str!("fixtures/vllm-0.32/metrics-fresh.body");
const DURING: &str = include_str!("fixtures/vllm-0.32/metrics-during.body");
const AFTER: &str = include_str!("fixtures/vllm-0.32/metrics-after.body");
const PREEMPT: [&str; 3] = [
    include_str!("fixtures/vllm-0.32/v2-metrics-before-preempt.body"),
    include_str!("fixtures/vllm-0.32/v2-metrics-during-preempt.body"),
    include_str!("fixtures/vllm-0.32/v2-metrics-after-preempt.body"),
];
const LONG: Duration = Duration::from_secs(20);

fn totals(sum_s: f64, count: u64) -> Option<HistogramTotals> {
    Some(HistogramTotals { sum_s, count })
}

fn parse(text: &str) -> EngineSample {
    parse_engine_sample(text, Timestamp::from_nanos(9), 3).expect("well formed")
}

#[test]
fn recordings_of_vllm_0_32() {
    assert_eq!(
        parse(AFTER),
        EngineSample {
            at: Timestamp::from_nanos(9),
            server_index: 3,
            running: Some(0.0),
            waiting: Some(0.0),
            kv_cache_usage: Some(0.0),
            prefix_cache_queries: Some(3153),
            prefix_cache_hits: Some(1280),
            preemptions: Some(0),
            prompt_tokens: Some(3153),
            generation_tokens: Some(4796),
            requests_stop: Some(4),
            requests_length: Some(28),
            requests_abort: Some(0),
            requests_error: Some(0),
            process_start_unix_s: Some(1_795_541_003.33),
            queue_time: totals(0.011753401999158086, 32),
            prefill_time: totals(28.41307300199969, 32),
            decode_time: totals(2.697741419000522, 32),
            inference_time: totals(31.110814421000214, 32),
            // Two more: clients that left after the first token.
            ttft: totals(28.767871856689453, 34),
            e2e_latency: totals(31.436928749084473, 32),
        }
    );
    let after = parse(AFTER);
    let sum = |histogram: Option<HistogramTotals>| histogram.expect("exported").sum_s;
    let parts = sum(after.prefill_time) + sum(after.decode_time);
    assert!((parts - sum(after.inference_time)).abs() < 1e-9, "inference is prefill and decode");
    let (fresh, during) = (parse(FRESH), parse(DURING));
    assert_eq!(fresh.queue_time, Some(HistogramTotals::default()));
    assert_eq!((fresh.prompt_tokens, fresh.generation_tokens), (Some(0), Some(0)));
    assert!(during.running > Some(0.0) && during.kv_cache_usage > Some(0.0), "{during:?}");
    assert!(during.kv_cache_usage <= Some(1.0), "a share: {during:?}");
    assert_eq!(fresh.process_start_unix_s, during.process_start_unix_s);

    let [before, _, after] = PREEMPT.map(parse);
    assert!(after.preemptions > before.preemptions, "{before:?} {after:?}");
}

#[test]
fn engines_are_added_up_and_the_fullest_cache_counts() {
    let text = r#"
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:generation_tokens_total{engine="0",model_name="m"} 1e3
vllm:generation_tokens_total{engine="1",model_name="m"} 24.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 5.0
vllm:request_success_total{engine="1",finished_reason="stop",model_name="m"} 6.0
vllm:request_success_total{engine="1",finished_reason="length",model_name="m"} 1.0
vllm:request_queue_time_seconds_count{engine="0",model_name="m"} 3.0
vllm:request_queue_time_seconds_sum{engine="0",model_name="m"} 1.5
vllm:request_queue_time_seconds_count{engine="1",model_name="m"} 4.0
vllm:request_queue_time_seconds_sum{engine="1",model_name="m"} 0.25
vllm:request_decode_time_seconds_count{engine="0",model_name="m"} 3.0
"#;
    assert_eq!(
        parse(text),
        EngineSample {
            at: Timestamp::from_nanos(9),
            server_index: 3,
            running: Some(7.0),
            kv_cache_usage: Some(0.75),
            generation_tokens: Some(1024),
            requests_stop: Some(11),
            requests_length: Some(1),
            queue_time: totals(1.75, 7),
            ..EngineSample::default()
        }
    );
}

#[test]
fn older_names_and_absent_or_impossible_values() {
    let text = "vllm:prompt_tokens{model_name=\"m\"} 12\nvllm:gpu_cache_usage_perc 0.5\n\
                vllm:generation_tokens_total NaN\nvllm:num_preemptions_total -1\nvllm:num_requests_waiting +Inf\n";
    let sample = parse(text);
    assert_eq!((sample.prompt_tokens, sample.kv_cache_usage), (Some(12), Some(0.5)));
    assert_eq!((sample.generation_tokens, sample.preemptions, sample.waiting), (None, None, None));
    assert_eq!((sample.running, sample.process_start_unix_s), (None, None));
}

#[test]
fn what_is_no_vllm_is_said() {
    let error = parse_engine_sample("process_start_time_seconds 1\n", Timestamp::ZERO, 0);
    assert!(matches!(error, Err(TelemetryError::NoMetrics { metrics: "vllm:", .. })), "{error:?}");
    let error = parse_engine_sample("vllm:x 1\n{\"detail\"", Timestamp::ZERO, 0).expect_err("JSON");
    assert!(error.chain().contains("line 2"), "{}", error.chain());
}

#[test]
fn the_key_is_sent_and_shown_nowhere() {
    let key = "sk-very-secret";
    let refusal = format!("{{\"error\": \"bad key\n {key}\"}}");
    let server = serve(vec![Answer::Body(200, AFTER.into()), Answer::Body(401, refusal.into())]);
    let url = format!("http://{}/", server.addr);
    let source = EngineSource::new([&url], Some(key.into())).expect("a URL").timeout(LONG);
    let clock = RunClock::start();
    let before = clock.now();
    let sample = source.read_once(0, &clock).expect("it answers");
    assert!(sample.at >= before && sample.at <= clock.now());
    let head = server.heads.recv().expect("one request").to_ascii_lowercase();
    assert!(head.starts_with("get /metrics http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: bearer {key}\r\n")), "{head}");

    let error = source.read_once(0, &clock).expect_err("401");
    let all = format!("{error} {error:?} {} {source:?}", error.chain());
    assert!(matches!(error, TelemetryError::Status { status: 401, .. }), "{all}");
    assert!(all.contains("bad key") && !all.contains(key), "{all}");

    // A key that no header can carry.
    let source = EngineSource::new([&url], Some("two\nlines-secret".into())).expect("a URL");
    let error = source.read_once(0, &clock).expect_err("a bad header");
    assert!(!format!("{error:?} {}", error.chain()).contains("secret"), "{error:?}");
}

#[test]
fn user_info_is_used_and_shown_nowhere() {
    let server = serve(vec![Answer::Body(500, b"oops".to_vec())]);
    let url = format!("http://user:hidden@{}", server.addr);
    let source = EngineSource::new([&url], None).expect("a URL").timeout(LONG);
    let error = source.read_once(0, &RunClock::start()).expect_err("500");
    let head = server.heads.recv().expect("one request").to_ascii_lowercase();
    assert!(head.contains("authorization: basic "), "{head}");
    let all = format!("{error} {error:?} {source:?}");
    assert!(!all.contains("hidden") && all.contains(&server.addr), "{all}");
}

#[test]
fn a_silent_server_costs_its_timeout_and_the_others_are_read() {
    let good = serve(vec![Answer::Body(200, AFTER.into())]);
    let silent = serve(vec![Answer::Silence(LONG)]);
    let urls = [&good, &silent, &good].map(|s| format!("http://{}", s.addr));
    let timeout = Duration::from_secs(2);
    let mut source = EngineSource::new(&urls, None).expect("URLs").timeout(timeout);
    let (start, mut out) = (Instant::now(), Vec::new());
    let error = source.sample(&RunClock::start(), &mut out).expect_err("one is silent");
    assert!((timeout..LONG).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(out.iter().map(|s| s.server_index).collect::<Vec<_>>(), [0, 2]);
    assert!(error.to_string().contains(&silent.addr), "{error}");
}

#[test]
fn nobody_there_a_missing_page_and_an_endless_one() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let urls = [format!("http://{}", closed.expect("bound"))];
    let clock = RunClock::start();
    let error = EngineSource::new(&urls, None).expect("a URL").read_once(0, &clock);
    assert!(matches!(error, Err(TelemetryError::Http { .. })), "{error:?}");
    let error = EngineSource::new(&urls, None).expect("a URL").read_once(1, &clock);
    assert!(matches!(error, Err(TelemetryError::NoServer { server_index: 1, servers: 1 })));

    let large = vec![b'#'; 17 << 20];
    let server = serve(vec![
        Answer::Body(404, b"{\"detail\":\"Not Found\"}".to_vec()),
        Answer::Body(200, large),
    ]);
    let source =
        EngineSource::new([format!("http://{}", server.addr)], None).expect("a URL").timeout(LONG);
    let error = source.read_once(0, &clock).expect_err("404").to_string();
    assert!(error.ends_with("answered 404: {\"detail\":\"Not Found\"}"), "{error}");
    let error = source.read_once(0, &clock).expect_err("17 MiB");
    assert!(matches!(error, TelemetryError::Http { .. }), "{error:?}");
}

#[test]
fn a_whole_page_for_the_cache_configuration() {
    let server = serve(vec![Answer::Body(200, AFTER.into())]);
    let source =
        EngineSource::new([format!("http://{}", server.addr)], None).expect("a URL").timeout(LONG);
    let page = source.scrape(0).expect("it answers");
    let labels = page.labels("vllm:cache_config_info").expect("vLLM tells");
    assert!(labels.get("block_size").is_some(), "{labels:?}");
}
