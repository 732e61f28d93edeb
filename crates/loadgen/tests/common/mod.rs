//! A server that says exactly what a test wants, byte for byte.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use vllm_bench_loadgen::{
    ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StageReport, StopHandle, Target, Until,
    run_stage,
};
use vllm_bench_record::{RequestRecord, RunClock};

/// What the server does after it has read a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Writes bytes.
    Say(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Closes the connection.
    Close,
    /// Closes it with a reset.
    Reset,
}

pub(crate) fn say(bytes: impl AsRef<[u8]>) -> Act {
    Act::Say(bytes.as_ref().to_vec())
}

/// Head and chunked body of a stream that ends in order.
pub(crate) fn stream_of(pieces: &[&[u8]]) -> Vec<Act> {
    let mut acts = vec![say(stream_head())];
    acts.extend(pieces.iter().map(|p| say(chunk(p))));
    acts.push(say("0\r\n\r\n"));
    acts
}

pub(crate) fn stream_head() -> &'static str {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
}

pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<Act> {
    vec![say(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))]
}

/// Starts a server that answers its `n`-th request (over all connections) with `script(n)`.
pub(crate) fn serve(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let script = std::sync::Arc::new(script);
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let (script, count) = (script.clone(), count.clone());
            thread::spawn(move || connection(tcp, &*script, &count));
        }
    });
    addr
}

fn connection(
    mut tcp: TcpStream,
    script: &(dyn Fn(usize) -> Vec<Act> + Send + Sync),
    count: &std::sync::atomic::AtomicUsize,
) {
    tcp.set_nodelay(true).unwrap();
    while read_request(&mut tcp) {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        for act in script(n) {
            match act {
                Act::Say(bytes) => {
                    if tcp.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Act::Wait(time) => thread::sleep(time),
                Act::Close => return,
                Act::Reset => {
                    let socket = socket2::SockRef::from(&tcp);
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                    return;
                }
            }
        }
    }
}

fn read_request(tcp: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    let mut byte = [0; 4096];
    loop {
        match tcp.read(&mut byte) {
            Ok(0) | Err(_) => return false,
            Ok(n) => request.extend_from_slice(&byte[..n]),
        }
        let text = String::from_utf8_lossy(&request);
        let Some(head_end) = text.find("\r\n\r\n") else { continue };
        let length: usize = text[..head_end]
            .lines()
            .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned))
            .and_then(|v| v.trim().parse().ok())
            .unwrap_or(0);
        if request.len() >= head_end + 4 + length {
            return true;
        }
    }
}

pub(crate) fn config(addr: SocketAddr) -> ClientConfig {
    ClientConfig::new(Target::resolve(&format!("http://{addr}")).unwrap())
}

pub(crate) fn request(n: usize) -> PreparedRequest {
    PreparedRequest {
        request_id: format!("r{n}"),
        prompt_id: format!("p{n}"),
        session: n as u32,
        turn: 0,
        body: r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#.into(),
        prompt_tokens: Some(7),
        max_tokens: Some(16),
        due: None,
    }
}

/// Runs `total` requests by `users` users; the records in the order they ended.
pub(crate) fn run(
    config: &ClientConfig,
    users: u32,
    total: usize,
) -> (Vec<RequestRecord>, StageReport) {
    let until = Until { requests: Some(total as u64), ..Until::default() };
    run_until(config, users, until, total, &StopHandle::new())
}

pub(crate) fn run_until(
    config: &ClientConfig,
    users: u32,
    until: Until,
    prompts: usize,
    stop: &StopHandle,
) -> (Vec<RequestRecord>, StageReport) {
    let mut records = Vec::new();
    let stage = Stage { index: 3, load: Load::Closed { concurrency: users }, until };
    let report =
        run_stage(config, stage, (0..prompts).map(request), RunClock::start(), stop, |event| {
            if let LoadEvent::RequestFinished(record) = event {
                records.push(*record);
            }
        })
        .unwrap();
    (records, report)
}
