//! A plain blocking HTTP client, so that what is tested is bytes on a socket.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vllm_bench_protocol::sse::SseDecoder;
use vllm_bench_simulator::{CostModel, Simulator, SimulatorConfig};

/// Starts a server on a free port.
pub(crate) fn start(config: SimulatorConfig) -> Simulator {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let address = "127.0.0.1:0".parse().expect("an address");
    runtime.block_on(Simulator::start(config, address)).expect("a free port")
}

/// A server whose steps take 1 ms whatever is in them.
pub(crate) fn fast() -> SimulatorConfig {
    SimulatorConfig { cost: steps_of(Duration::from_millis(1)), ..SimulatorConfig::default() }
}

/// A cost model with this time for every step.
pub(crate) fn steps_of(base: Duration) -> CostModel {
    CostModel {
        base,
        per_prefill_token: Duration::ZERO,
        per_decode_sequence: Duration::ZERO,
        per_kv_token: Duration::ZERO,
        jitter: 0.0,
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body without the transfer's framing.
    pub(crate) body: Vec<u8>,
    /// The connection broke before the body's end.
    pub(crate) cut: bool,
    /// Reads that brought the body, with their instants.
    pub(crate) reads: Vec<(Instant, Vec<u8>)>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|problem| panic!("{problem}: {}", self.text()))
    }

    /// Value of a header, its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Data of every event, `[DONE]` among them.
    pub(crate) fn events(&self) -> Vec<String> {
        let mut decoder = SseDecoder::new();
        decoder.push(&self.body);
        let events = std::iter::from_fn(|| decoder.next_event());
        events.map(|event| event.expect("a sound event").data).collect()
    }
}

/// Sends a request on a connection of its own and reads the whole answer.
pub(crate) fn send(
    server: &Simulator,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let mut stream = open(server, method, path, headers, body);
    read(&mut stream).expect("an answer with a head")
}

pub(crate) fn get(server: &Simulator, path: &str) -> Answer {
    send(server, "GET", path, "", "")
}

pub(crate) fn post(server: &Simulator, path: &str, body: &Value) -> Answer {
    send(server, "POST", path, "", &body.to_string())
}

/// Posts with a fault.
pub(crate) fn faulty(server: &Simulator, fault: &str, path: &str, body: &Value) -> Answer {
    send(server, "POST", path, &format!("x-vllm-bench-fault: {fault}\r\n"), &body.to_string())
}

/// Sends a request and does not wait for the answer.
pub(crate) fn open(
    server: &Simulator,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> TcpStream {
    let mut stream = TcpStream::connect(server.addr()).expect("a connection");
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket option");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("the server reads");
    stream
}

/// Reads a whole answer.
pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut raw = Vec::new();
    let mut reads = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut broken = false;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                raw.extend_from_slice(&buffer[..count]);
                reads.push((Instant::now(), buffer[..count].to_vec()));
            }
            Err(problem) if problem.kind() == io::ErrorKind::ConnectionReset => {
                broken = true;
                break;
            }
            Err(problem) => return Err(problem),
        }
    }
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("no head"))?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    let rest = &raw[end + 4..];
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let (body, whole) = if chunked { dechunk(rest) } else { (rest.to_vec(), true) };
    Ok(Answer { status, head, body, cut: broken || !whole, reads })
}

/// The chunks' content, and whether the last chunk is there.
fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") else {
            return (body, false);
        };
        let size = std::str::from_utf8(&bytes[..line])
            .ok()
            .and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size else { return (body, false) };
        if size == 0 {
            return (body, true);
        }
        let Some(content) = bytes.get(line + 2..line + 2 + size) else { return (body, false) };
        body.extend_from_slice(content);
        bytes = bytes.get(line + 2 + size + 2..).unwrap_or_default();
    }
}

/// A streamed chat request of `max_tokens` tokens that does not end by itself. It asks for token ids, since on
/// a busy machine one event can carry several tokens.
pub(crate) fn chat(max_tokens: u32) -> Value {
    json!({
        "messages": [{"role": "user", "content": "Tell me about the river."}],
        "max_tokens": max_tokens, "ignore_eos": true, "stream": true,
        "stream_options": {"include_usage": true}, "return_token_ids": true,
    })
}

/// Value of a metric without labels beyond vLLM's two.
pub(crate) fn metric(server: &Simulator, name: &str) -> f64 {
    let text = get(server, "/metrics");
    let metrics = vllm_bench_protocol::prometheus::parse(text.text()).expect("well-formed metrics");
    metrics.sum(name).unwrap_or_else(|| panic!("no metric {name}"))
}

/// Asks again until the condition holds: the server learns of a client's end a little later.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
