//! `Arrivals::Capture`: every event's arrival lies between the server's clock before
//! its write and this program's read, also where one read brought several.
//!
//! Needs the capability `NET_RAW`; where it is missing the tests say so.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]
#![expect(clippy::print_stdout, reason = "a test that cannot run here says so")]

#[expect(dead_code, reason = "the other tests use the rest of it")]
mod common;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{Act, answer, chunk, config, request, say, serve, stream_head, stream_of};
use vllm_bench_loadgen::{
    Arrivals, ClientConfig, Load, LoadError, LoadEvent, Stage, StageReport, StopHandle, Target,
    Until, check_capture, run_stage,
};
use vllm_bench_record::{FailureCause, Outcome, RequestRecord, RunClock, Timestamp};

const EVENT: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// The clock's offset to the kernel's is measured; this is more than it errs.
const OFFSET: Duration = Duration::from_millis(1);

fn captured(addr: SocketAddr) -> Option<ClientConfig> {
    let config = ClientConfig { arrivals: Arrivals::Capture, ..config(addr) };
    match check_capture(&config.targets) {
        Ok(()) => Some(config),
        Err(LoadError::CapturePermission(_)) => {
            println!("not run: packets may not be captured here (NET_RAW)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn run(
    config: &ClientConfig,
    clock: RunClock,
    users: u32,
    total: usize,
) -> (Vec<RequestRecord>, StageReport) {
    let until = Until { requests: Some(total as u64), ..Until::default() };
    let stage = Stage { index: 0, load: Load::Closed { concurrency: users }, until };
    let mut records = Vec::new();
    let report =
        run_stage(config, stage, (0..total).map(request), clock, &StopHandle::new(), |event| {
            if let LoadEvent::RequestFinished(record) = event {
                records.push(*record);
            }
        })
        .unwrap();
    (records, report)
}

/// When the server wrote: just before and after the write of each event.
type Writes = Arc<Mutex<HashMap<String, Vec<(Timestamp, Timestamp)>>>>;

const BURSTS: usize = 12;

/// Each answer is [`BURSTS`] bursts of 5 events, some milliseconds apart: four
/// writes one after the other, and the last with two events, their chunks cut where it hurts.
fn serve_bursts(host: &str, clock: RunClock) -> Option<(SocketAddr, Writes)> {
    let listener = match TcpListener::bind((host, 0)) {
        Ok(listener) => listener,
        Err(error) => {
            println!("not run at {host}: {error}");
            return None;
        }
    };
    let addr = listener.local_addr().unwrap();
    let writes = Writes::default();
    let log = Arc::clone(&writes);
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let log = Arc::clone(&log);
            thread::spawn(move || while answer_in_bursts(&tcp, clock, &log).is_some() {});
        }
    });
    Some((addr, writes))
}

fn answer_in_bursts(mut tcp: &TcpStream, clock: RunClock, log: &Writes) -> Option<()> {
    tcp.set_nodelay(true).ok()?;
    let mut read = vec![0; 8192];
    let mut length = 0;
    // Every request here ends with its body's brace.
    while length == 0 || read[length - 1] != b'}' {
        length += tcp.read(&mut read[length..]).ok().filter(|&n| n > 0)?;
    }
    let text = String::from_utf8_lossy(&read[..length]).to_ascii_lowercase();
    let id = text.split("x-request-id: ").nth(1)?.lines().next()?.to_owned();
    tcp.write_all(stream_head().as_bytes()).ok()?;
    let mut times = Vec::new();
    for burst in 0..BURSTS {
        thread::sleep(Duration::from_millis(2 + burst as u64 % 3));
        for _ in 0..3 {
            let before = clock.now();
            tcp.write_all(&chunk(EVENT)).ok()?;
            times.push((before, clock.now()));
        }
        // Two events in two chunks of which the second begins within an event.
        let both = [EVENT, EVENT].concat();
        let (a, b) = both.split_at(EVENT.len() + 1 + burst);
        let before = clock.now();
        tcp.write_all(&[chunk(a), chunk(b)].concat()).ok()?;
        times.extend([(before, clock.now()); 2]);
    }
    tcp.write_all(&[&chunk(DONE)[..], b"0\r\n\r\n"].concat()).ok()?;
    log.lock().unwrap().insert(id, times);
    Some(())
}

/// Threads that take the processors from the client, until dropped.
struct Busy(Arc<AtomicBool>, Vec<thread::JoinHandle<()>>);

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = 2 * thread::available_parallelism().unwrap().get();
        let spin = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let all = (0..threads).map(spin).collect();
        Self(stop, all)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn every_event_is_exact(host: &str) {
    let clock = RunClock::start();
    let Some((addr, writes)) = serve_bursts(host, clock) else { return };
    let Some(config) = captured(addr) else { return };
    let busy = Busy::start();
    let (records, report) = run(&config, clock, 4, 16);
    drop(busy);
    assert_eq!(records.len(), 16);
    let (mut chunks, mut prompt) = (0, 0);
    for record in &records {
        assert_eq!(record.outcome, Outcome::Completed);
        let writes = &writes.lock().unwrap()[&record.request_id];
        assert_eq!(record.chunks.len(), writes.len());
        assert!(record.chunks.is_sorted_by_key(|c| c.at), "events arrive in order");
        for (n, (chunk, (before, after))) in record.chunks.iter().zip(writes).enumerate() {
            chunks += 1;
            assert!(!chunk.coalesced, "event {n} is exact");
            let read = chunk.at + chunk.client_lag.expect("the kernel stamped it");
            assert!(
                *before - OFFSET <= chunk.at && chunk.at <= read,
                "event {n}: written {before:?} to {after:?}, arrived {:?}, read {read:?}",
                chunk.at
            );
            prompt += u64::from(chunk.at <= *after + OFFSET);
        }
        let instants =
            [record.sent_at, record.headers_at, record.first_token_at(), record.last_token_at()];
        assert!(instants.iter().all(Option::is_some) && instants.is_sorted(), "{instants:?}");
        assert!(record.finished_at >= record.last_token_at());
        assert!(record.finished_at <= writes.last().map(|w| w.1 + Duration::from_secs(1)));
    }
    // A write can return before its segment leaves (no room in the congestion
    // window until an acknowledgement comes). Mostly it does not.
    assert!(prompt > chunks / 2, "{prompt} of {chunks} arrived with their write");
    let capture = report.capture.expect("it was asked for");
    assert_eq!((capture.resolved_chunks, capture.unresolved_chunks), (chunks, 0));
    assert!(capture.segments >= chunks / 2 && capture.lost == 0, "{capture:?}");
}

#[test]
fn every_event_is_exact_while_the_client_is_kept_busy() {
    every_event_is_exact("127.0.0.1");
    every_event_is_exact("::1");
}

#[test]
fn answers_of_every_kind_are_followed() {
    const WHOLE: &str = r#"{"choices":[{"index":0,"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"total_tokens":2,"completion_tokens":1}}"#;
    let addr = serve(|n| match n {
        0 => answer("503 Service Unavailable", "", "{}"),
        // Cut in the middle of an event.
        1 => vec![say(stream_head()), say(chunk(EVENT)), say(&chunk(EVENT)[..20]), Act::Close],
        _ => stream_of(&[EVENT, EVENT, DONE]),
    });
    let Some(config) = captured(addr) else { return };
    let (records, report) = run(&config, RunClock::start(), 1, 4);
    let causes: Vec<_> = records
        .iter()
        .map(|r| match &r.outcome {
            Outcome::Failed(failure) => Some(failure.cause),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [Some(FailureCause::HttpStatus), Some(FailureCause::Cut), None, None]);
    let capture = report.capture.expect("it was asked for");
    assert_eq!((capture.resolved_chunks, capture.unresolved_chunks), (5, 0));
    assert!(records.iter().all(|r| r.chunks.iter().all(|c| !c.coalesced)));

    // Not streamed: the body is one chunk, and it arrives with its last byte.
    let addr = serve(|_| answer("200 OK", "content-type: application/json\r\n", WHOLE));
    let Some(config) = captured(addr) else { return };
    let config = ClientConfig { stream: false, ..config };
    let (records, report) = run(&config, RunClock::start(), 2, 6);
    assert_eq!(report.capture.map(|c| (c.resolved_chunks, c.unresolved_chunks)), Some((6, 0)));
    for record in records {
        assert_eq!(record.chunks.len(), 1);
        assert_eq!(record.finished_at, Some(record.chunks[0].at));
    }
}

#[test]
fn other_clocks_capture_nothing() {
    let addr = serve(|_| stream_of(&[EVENT, DONE]));
    let (_, report) = run(&config(addr), RunClock::start(), 1, 1);
    assert_eq!(report.capture, None);
}

#[test]
fn https_is_refused() {
    let target = Target::resolve("https://127.0.0.1:1").unwrap();
    let error = check_capture(std::slice::from_ref(&target)).unwrap_err().to_string();
    assert!(error.contains("https://127.0.0.1:1") && error.contains("not of https"), "{error}");
    let config = ClientConfig { arrivals: Arrivals::Capture, ..ClientConfig::new(target) };
    let until = Until { requests: Some(1), ..Until::default() };
    let stage = Stage { index: 0, load: Load::Closed { concurrency: 1 }, until };
    let stop = StopHandle::new();
    let result = run_stage(&config, stage, [request(0)], RunClock::start(), &stop, |_| {});
    assert!(matches!(result, Err(LoadError::CaptureTls { .. })), "{result:?}");
}
