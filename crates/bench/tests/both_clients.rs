//! The floor and the load generator see the same tokens of the same server,
//! and their errors are errors of microseconds, not of pacing.
#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use vllm_bench_bench::{
    ClientLog, ClientPlan, ClientRequest, Pace, TruthConfig, TruthLog, TruthServer, compare,
    percentile, run_clock_origin_ns, run_floor,
};
use vllm_bench_loadgen::{
    ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target, Until, run_stage,
};
use vllm_bench_record::RunClock;

/// Runs `client` against a truth server.
fn against(
    config: TruthConfig,
    client: impl FnOnce(SocketAddr) -> ClientLog,
) -> (ClientLog, TruthLog) {
    let server =
        TruthServer::bind(config, "127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let addr = server.addr();
    let (stop, stopped) = UnixStream::pair().expect("a pair");
    let serving = thread::spawn(move || server.serve(&stopped));
    let log = client(addr);
    drop(stop);
    (log, serving.join().expect("no panic").expect("served"))
}

fn plan(addr: SocketAddr) -> ClientPlan {
    ClientPlan { streams: 8, requests_per_stream: 3, tokens: 12, ..ClientPlan::to(addr) }
}

fn load(plan: &ClientPlan) -> ClientLog {
    let clock = RunClock::start();
    let origin = run_clock_origin_ns(&clock);
    let config =
        ClientConfig::new(Target::resolve(&format!("http://{}", plan.addr)).expect("a URL"));
    let requests = (0..plan.requests()).map(|n| PreparedRequest {
        request_id: plan.request_id(n),
        prompt_id: "p".into(),
        session: n as u32,
        turn: 0,
        body: plan.body().into(),
        prompt_tokens: None,
        max_tokens: Some(plan.tokens),
        due: None,
    });
    let until = Until { requests: Some(plan.requests()), ..Until::default() };
    let stage = Stage { index: 0, load: Load::Closed { concurrency: plan.streams }, until };
    let mut log = ClientLog::default();
    run_stage(&config, stage, requests.collect::<Vec<_>>(), clock, &StopHandle::new(), |event| {
        if let LoadEvent::RequestFinished(record) = event {
            log.add(&record);
            log.kept.extend(ClientRequest::from_record(&record, origin));
        }
    })
    .expect("a stage");
    log
}

#[test]
fn both_clients_count_the_same_tokens() {
    let config = || TruthConfig { pace: Pace::of_ms(20, 4), ..TruthConfig::default() };
    let (floor, floor_truth) = against(config(), |addr| run_floor(&plan(addr)).expect("a run"));
    let (ours, our_truth) = against(config(), |addr| load(&plan(addr)));
    for (log, truth) in [(&floor, &floor_truth), (&ours, &our_truth)] {
        log.check().expect("no failure");
        assert_eq!((log.requests, log.tokens), (24, 24 * 12));
        assert_eq!(truth.tokens(), log.tokens);
        let unfinished: Vec<_> = truth.requests.iter().filter(|r| !r.finished).collect();
        assert!(unfinished.is_empty(), "{unfinished:?}");
        let unstamped: Vec<_> = truth.requests.iter().filter(|r| !r.arrival_by_kernel).collect();
        assert!(unstamped.is_empty(), "{} {unstamped:?}", unstamped.len());
        let mut found = compare(log, truth).expect("the same run");
        assert_eq!(found.chunks, 24 * 12);
        // A machine under load delays a write after its clock was read, and has
        // clients find many events in a read; the pacing itself (4 ms, 20 ms)
        // must not show in those that are left, nor a stamp before its write.
        let median = percentile(&mut found.arrival_us, 0.5).expect("not all are censored");
        assert!(median < 2_000.0, "{median} µs");
        assert!(found.earliest_us.is_some_and(|us| us > -1_000.0), "{:?}", found.earliest_us);
        assert!(found.ttft_p99_us().is_some() && found.itl_p99_us().is_some());
    }
}

#[test]
fn no_write_comes_before_its_deadline() {
    let pace = Pace::of_ms(10, 3);
    let config = TruthConfig { pace, ..TruthConfig::default() };
    let (_, truth) = against(config, |addr| run_floor(&plan(addr)).expect("a run"));
    for request in &truth.requests {
        let phase = pace.phase_ns(request.connection);
        assert!(request.arrival_ns <= request.read_ns + 1_000_000);
        for (step, &at) in request.writes_ns.iter().enumerate() {
            let due = pace.deadline_ns(request.arrival_ns, phase, step as u32);
            assert!(at >= due, "{} step {step}: {} ns early", request.id, due - at);
        }
    }
}

#[test]
fn saturated_streams_are_whole_too() {
    let config = || TruthConfig { pace: Pace::SATURATED, log_writes: false, ..Default::default() };
    let plan = |addr| ClientPlan { tokens: 3_000, keep_arrivals: false, ..plan(addr) };
    let (floor, truth) = against(config(), |addr| run_floor(&plan(addr)).expect("a run"));
    let (ours, _) = against(config(), |addr| load(&plan(addr)));
    ours.check().expect("no failure");
    assert_eq!((floor.tokens, ours.tokens), (24 * 3_000, 24 * 3_000));
    assert!(floor.kept.is_empty() && truth.tokens() == 0);
    assert!(floor.tokens_per_second().is_some_and(|rate| rate > 1_000.0));
    assert!(floor.cpu_per_token_ns().is_some_and(|ns| ns > 0.0));
}

#[test]
fn the_small_answers_are_there_and_the_rest_is_refused() {
    let ask = |addr: SocketAddr, request: &str| {
        let mut socket = TcpStream::connect(addr).expect("open");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut buffer = [0; 4096];
        let read = socket.read(&mut buffer).expect("an answer");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    };
    let post = |body: &str| {
        let length = body.len();
        format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    against(TruthConfig::default(), |addr| {
        for (request, status, words) in [
            ("GET /v1/models HTTP/1.1\r\n\r\n".to_owned(), "200", "\"id\":\"truth\""),
            ("GET /version HTTP/1.1\r\n\r\n".to_owned(), "200", "truth"),
            ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), "404", "only chat completions"),
            (post("{}"), "400", "set stream"),
            ("nonsense\r\n\r\n".to_owned(), "400", "not HTTP/1.1"),
        ] {
            let answer = ask(addr, &request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            assert!(answer.contains(words), "{request}: {answer}");
        }
        ClientLog::default()
    });
}

#[test]
fn a_client_that_leaves_is_logged_as_not_finished() {
    let config = TruthConfig { pace: Pace::of_ms(1, 5), ..TruthConfig::default() };
    let (_, truth) = against(config, |addr| {
        let plan = ClientPlan { tokens: 1000, ..ClientPlan::to(addr) };
        let mut socket = TcpStream::connect(addr).expect("open");
        let body = plan.body();
        let length = body.len();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nx-request-id: gone\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).expect("sent");
        let mut buffer = [0; 4096];
        assert!(socket.read(&mut buffer).expect("the first token") > 0);
        ClientLog::default()
    });
    let [request] = &truth.requests[..] else { panic!("one request: {truth:?}") };
    assert_eq!((request.id.as_str(), request.tokens, request.finished), ("gone", 1000, false));
    assert!(!request.writes_ns.is_empty() && request.writes_ns.len() < 1000);
}
