//! Whatever a server does becomes one row with its cause, and the run goes on.

mod common;

use std::time::Duration;

use common::{Act, answer, chunk, config, run, run_until, say, serve, stream_head, stream_of};
use vllm_bench_loadgen::{StopHandle, Until};
use vllm_bench_record::{FailureCause, Outcome, RequestRecord, StageEnd, TokenCountSource};

const ROLE: &[u8] = b"data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const HI: &[u8] =
    b"data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const YOU: &[u8] = b"data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" you\"},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &[u8] = b"data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":11,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

fn whole() -> Vec<Act> {
    stream_of(&[ROLE, HI, YOU, USAGE, DONE])
}

/// The first of two requests meets `acts`, the second a whole answer: the run must go on.
#[track_caller]
fn one_bad(acts: Vec<Act>) -> RequestRecord {
    let addr = serve(move |n| if n == 0 { acts.clone() } else { whole() });
    let mut limits = config(addr);
    limits.timeouts.first_token = Duration::from_millis(300);
    limits.timeouts.between_tokens = Duration::from_millis(300);
    let (mut records, report) = run(&limits, 1, 2);
    assert_eq!(report.ended, StageEnd::Requests);
    let good = records.pop().expect("the second request has a row too");
    assert_eq!(good.outcome, Outcome::Completed, "the run goes on");
    records.pop().expect("the first has a row")
}

#[track_caller]
fn cause(acts: Vec<Act>) -> (FailureCause, String, RequestRecord) {
    let record = one_bad(acts);
    match &record.outcome {
        Outcome::Failed(f) => (f.cause, f.message.clone(), record),
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[test]
fn a_whole_answer() {
    let record = one_bad(whole());
    assert_eq!(record.outcome, Outcome::Completed);
    assert_eq!(record.answer.as_deref(), Some("Hi you"));
    assert_eq!((record.prompt_tokens, record.cached_tokens), (Some(9), Some(4)));
    let tokens = record.output_tokens.expect("the usage tells");
    assert_eq!((tokens.count, tokens.source), (2, TokenCountSource::Usage));
    assert_eq!((record.chunks.len(), record.finish_reason.as_deref()), (2, Some("stop")));
    assert_eq!((record.stage_index, record.http_status, record.connect), (3, Some(200), None));
    let instants = [
        Some(record.scheduled_at),
        record.sent_at,
        record.headers_at,
        record.first_token_at(),
        record.last_token_at(),
        record.finished_at,
    ];
    assert!(instants.iter().all(Option::is_some) && instants.is_sorted(), "{instants:?}");
    // The write's return is beside them: the answer may arrive before this
    // program is told that its request has left.
    assert!(record.written_at >= record.sent_at && record.written_at.is_some());
}

#[test]
fn split_at_every_byte_it_is_the_same_answer() {
    let body: Vec<u8> = [ROLE, HI, YOU, USAGE, DONE].concat();
    let length = body.len();
    let addr = serve(move |n| {
        let (a, b) = body.split_at(n + 1);
        // Two chunks, in two writes: often two reads, always a split event.
        vec![say(stream_head()), say(chunk(a)), say(chunk(b)), say("0\r\n\r\n")]
    });
    let (records, _) = run(&config(addr), 1, length - 1);
    assert_eq!(records.len(), length - 1);
    for record in records {
        assert_eq!(record.outcome, Outcome::Completed);
        assert_eq!(record.answer.as_deref(), Some("Hi you"));
        assert_eq!(record.chunks.len(), 2);
    }
}

#[test]
fn events_of_one_read_are_marked_all_but_the_last() {
    let one = [ROLE, HI, YOU, USAGE].concat();
    let record = one_bad(stream_of(&[&one, DONE]));
    let marks: Vec<bool> = record.chunks.iter().map(|c| c.coalesced).collect();
    assert_eq!(marks, [true, true], "the usage event came last");
    let two = one_bad(vec![
        say(stream_head()),
        say(chunk(&[HI, YOU].concat())),
        Act::Wait(Duration::from_millis(30)),
        say(chunk(USAGE)),
        say(chunk(DONE)),
        say("0\r\n\r\n"),
    ]);
    let marks: Vec<bool> = two.chunks.iter().map(|c| c.coalesced).collect();
    assert_eq!(marks, [true, false]);
    assert_eq!(two.chunks[0].at, two.chunks[1].at);
}

#[test]
fn arrivals_are_not_earlier_than_the_server_wrote() {
    let gap = Duration::from_millis(40);
    let record = one_bad(vec![
        Act::Wait(gap),
        say(stream_head()),
        say(chunk(ROLE)),
        Act::Wait(gap),
        say(chunk(HI)),
        Act::Wait(gap),
        say(chunk(YOU)),
        say(chunk(USAGE)),
        say(chunk(DONE)),
        say("0\r\n\r\n"),
    ]);
    // The role chunk is not the first token.
    assert!(record.ttft().expect("answered") >= 2 * gap);
    assert!(record.itl().next().expect("two chunks") >= gap - Duration::from_millis(5));
}

/// On Linux each read carries the kernel's stamp; with `Userland` none does.
#[test]
#[cfg(target_os = "linux")]
fn the_kernel_stamps_arrivals() {
    let addr = serve(|_| whole());
    let (records, _) = run(&config(addr), 2, 20);
    let chunks: Vec<_> = records.iter().flat_map(|r| &r.chunks).collect();
    assert!(chunks.len() == 40 && chunks.iter().all(|c| c.client_lag.is_some()), "{chunks:?}");
    let userland = vllm_bench_loadgen::ClientConfig {
        arrivals: vllm_bench_loadgen::Arrivals::Userland,
        ..config(addr)
    };
    let (records, _) = run(&userland, 2, 20);
    assert!(records.iter().flat_map(|r| &r.chunks).all(|c| c.client_lag.is_none()));
}

#[test]
fn statuses_keep_the_servers_words() {
    let body = r#"{"error":{"message":"overloaded, come back","type":"x","code":503}}"#;
    let (c, message, record) = cause(answer("503 Service Unavailable", "retry-after: 7\r\n", body));
    assert_eq!((c, record.http_status), (FailureCause::HttpStatus, Some(503)));
    assert!(message.contains("503") && message.contains("overloaded, come back"), "{message}");
    let Outcome::Failed(failure) = record.outcome else { unreachable!("checked") };
    assert_eq!(failure.retry_after_s, Some(7));

    let (c, message, _) = cause(answer("429 Too Many Requests", "", ""));
    assert_eq!(c, FailureCause::HttpStatus);
    assert!(message.contains("429"), "{message}");
    let (c, message, _) =
        cause(answer("500 Internal Server Error", "", "<html>\u{fffd} boom</html>"));
    assert_eq!(c, FailureCause::HttpStatus);
    assert!(message.contains("boom"), "{message}");
}

#[test]
fn broken_streams_have_their_causes() {
    let error: &[u8] =
        b"data: {\"error\":{\"message\":\"engine died\",\"type\":\"E\",\"code\":500}}\n\n";
    let (c, message, record) = cause(stream_of(&[HI, error, DONE]));
    assert_eq!((c, record.chunks.len()), (FailureCause::ErrorInStream, 1));
    assert!(message.contains("engine died"), "{message}");

    let (c, _, record) = cause(stream_of(&[ROLE, HI, YOU]));
    assert_eq!((c, record.output_tokens.map(|t| t.count)), (FailureCause::NoDone, Some(2)));

    let (c, ..) = cause(stream_of(&[HI, b"data: \xff\xfe\n\n", DONE]));
    assert_eq!(c, FailureCause::NotUtf8);

    let (c, message, _) = cause(stream_of(&[HI, b"data: {\"choices\":"]));
    assert_eq!(c, FailureCause::Malformed, "{message}");

    let (c, ..) = cause(stream_of(&[HI, b"data: {nonsense}\n\n", DONE]));
    assert_eq!(c, FailureCause::Malformed);

    let json = r#"{"object":"chat.completion","choices":[]}"#;
    let (c, message, _) = cause(answer("200 OK", "content-type: application/json\r\n", json));
    assert_eq!(c, FailureCause::Malformed);
    assert!(message.contains("application/json"), "{message}");
}

#[test]
fn cut_connections_have_their_causes() {
    let (c, _, record) = cause(vec![say(stream_head()), say(chunk(HI)), Act::Close]);
    assert_eq!((c, record.chunks.len()), (FailureCause::Cut, 1));
    let (c, ..) = cause(vec![
        say(stream_head()),
        say(chunk(HI)),
        Act::Wait(Duration::from_millis(20)),
        Act::Reset,
    ]);
    assert_eq!(c, FailureCause::Cut);
    let (c, _, record) = cause(vec![Act::Close]);
    assert_eq!((c, record.headers_at), (FailureCause::Http, None));
    let (c, ..) = cause(vec![say("garbage without end\r\n\r\n"), Act::Close]);
    assert_eq!(c, FailureCause::Http);
}

#[test]
fn limits_have_their_causes() {
    let long = Act::Wait(Duration::from_secs(2));
    let (c, ..) = cause(vec![say(stream_head()), say(chunk(ROLE)), long.clone()]);
    assert_eq!(c, FailureCause::FirstTokenTimeout);
    let (c, _, record) = cause(vec![say(stream_head()), say(chunk(HI)), long.clone()]);
    assert_eq!((c, record.chunks.len()), (FailureCause::BetweenTokensTimeout, 1));

    let addr = serve(move |_| vec![say(stream_head()), say(chunk(HI)), long.clone()]);
    let mut limits = config(addr);
    limits.timeouts.total = Duration::from_millis(200);
    let (records, _) = run(&limits, 1, 1);
    assert!(
        matches!(&records[0].outcome, Outcome::Failed(f) if f.cause == FailureCause::TotalTimeout)
    );
}

#[test]
fn nobody_there_is_a_row_each() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    drop(listener);
    let (records, report) = run(&config(addr), 2, 4);
    assert_eq!((records.len(), report.ended), (4, StageEnd::Requests));
    for record in records {
        assert!(matches!(&record.outcome, Outcome::Failed(f) if f.cause == FailureCause::Connect));
        assert!(record.sent_at.is_none() && record.connect.is_some());
    }
}

#[test]
fn a_server_that_closes_idle_connections_costs_a_connect_not_a_request() {
    let addr = serve(|_| {
        let mut acts = whole();
        acts.push(Act::Close);
        acts
    });
    let (records, _) = run(&config(addr), 1, 3);
    // hyper may notice only when it writes: then the row says so. Nothing is retried.
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].connect, None);
    for record in &records[1..] {
        match &record.outcome {
            Outcome::Completed => assert!(record.connect.is_some()),
            Outcome::Failed(f) => assert_eq!(f.cause, FailureCause::Http),
            Outcome::Cancelled => panic!("nobody cancelled"),
        }
    }
}

#[test]
fn a_stop_cancels_what_is_in_flight_and_keeps_its_tokens() {
    let addr =
        serve(|_| vec![say(stream_head()), say(chunk(HI)), Act::Wait(Duration::from_secs(30))]);
    let stop = StopHandle::new();
    let stopper = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stopper.stop();
    });
    let until = Until { requests: Some(50), ..Until::default() };
    let (records, report) = run_until(&config(addr), 4, until, 50, &stop);
    assert_eq!((records.len(), report.ended), (4, StageEnd::Interrupted));
    assert!(records.iter().all(|r| r.outcome == Outcome::Cancelled && r.chunks.len() == 1));
    assert_eq!(report.unsent.len() + records.len(), 50, "no prompt is lost");
}

#[test]
fn a_duration_ends_a_stage_and_the_rest_comes_back() {
    let addr = serve(|_| {
        let mut acts = vec![Act::Wait(Duration::from_millis(20))];
        acts.extend(whole());
        acts
    });
    let until = Until { duration: Some(Duration::from_millis(200)), ..Until::default() };
    let (records, report) = run_until(&config(addr), 2, until, 1000, &StopHandle::new());
    assert_eq!(report.ended, StageEnd::Duration);
    assert!(records.iter().all(|r| r.outcome == Outcome::Completed));
    let mut ids: Vec<_> = records.iter().map(|r| r.prompt_id.clone()).collect();
    ids.extend(report.unsent.iter().map(|u| u.prompt_id.clone()));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), records.len() + report.unsent.len(), "each prompt once");

    let few = Until { requests: Some(10), ..Until::default() };
    let (records, report) = run_until(&config(addr), 2, few, 5, &StopHandle::new());
    assert_eq!((records.len(), report.ended), (5, StageEnd::Prompts));
}

#[test]
fn never_more_in_flight_than_users_and_each_user_its_share() {
    let addr = serve(|_| {
        let mut acts = vec![Act::Wait(Duration::from_millis(5))];
        acts.extend(whole());
        acts
    });
    let until = Until { requests_per_user: Some(6), ..Until::default() };
    let (records, report) = run_until(&config(addr), 5, until, 100, &StopHandle::new());
    assert_eq!((records.len(), report.ended), (30, StageEnd::Requests));
    for user in 0..5 {
        let mut own: Vec<_> = records.iter().filter(|r| r.user == user).collect();
        own.sort_by_key(|r| r.scheduled_at);
        assert_eq!(own.len(), 6);
        for pair in own.windows(2) {
            assert!(pair[0].finished_at <= pair[1].sent_at, "one request at a time");
            assert_eq!(
                pair[0].finished_at,
                Some(pair[1].scheduled_at),
                "due when the slot is free"
            );
        }
    }
}
