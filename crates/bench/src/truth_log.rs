//! What really happened, by the server: the kernel's arrival of each request
//! and the clock just before each token's write.

use std::io::{self, BufRead, BufWriter, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::pace::Pace;

/// All requests of one truth server, as they ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthLog {
    /// The pace that was kept.
    pub pace: Pace,
    /// The requests.
    pub requests: Vec<RequestTruth>,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestTruth {
    /// Its `X-Request-Id`; without one, numbers of connection and request.
    pub id: String,
    /// Number of its connection, in order of acceptance.
    pub connection: u64,
    /// Arrival of its last byte: the kernel's receive stamp.
    pub arrival_ns: u64,
    /// False: the kernel gave no stamp and `arrival_ns` is `read_ns`.
    pub arrival_by_kernel: bool,
    /// The server's clock after the read that completed it.
    pub read_ns: u64,
    /// Tokens asked for.
    pub tokens: u32,
    /// The clock just before each token's write; empty when writes are not kept.
    pub writes_ns: Vec<u64>,
    /// The answer was written to its end.
    pub finished: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    vllm_bench_truth: u32,
    clock: String,
    pace: Pace,
    /// So that a file that was cut short is noticed.
    requests: usize,
}

const VERSION: u32 = 1;

impl TruthLog {
    /// Tokens written, where writes were kept.
    pub fn tokens(&self) -> u64 {
        self.requests.iter().map(|r| r.writes_ns.len() as u64).sum()
    }

    /// Writes it as JSON Lines: a header, then one request a line.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let header = Header {
            vllm_bench_truth: VERSION,
            clock: "CLOCK_MONOTONIC".into(),
            pace: self.pace,
            requests: self.requests.len(),
        };
        serde_json::to_writer(&mut out, &header)?;
        for request in &self.requests {
            out.write_all(b"\n")?;
            serde_json::to_writer(&mut out, request)?;
        }
        out.write_all(b"\n")?;
        out.flush()
    }

    /// Reads what [`write`](Self::write) wrote; `name` is for errors.
    ///
    /// # Errors
    /// When it is not such a log, or is not whole.
    pub fn read(input: &mut impl BufRead, name: &Path) -> Result<Self, BenchError> {
        let file = |source| BenchError::File { verb: "read", path: name.into(), source };
        let wrong = |line, reason: &dyn ToString| BenchError::Log {
            path: name.into(),
            line,
            reason: reason.to_string(),
        };
        let mut lines = input.lines();
        let first = lines.next().transpose().map_err(file)?.unwrap_or_default();
        let header: Header = serde_json::from_str(&first).map_err(|e| wrong(1, &e))?;
        if header.vllm_bench_truth != VERSION {
            return Err(wrong(1, &format!("version {} is not known", header.vllm_bench_truth)));
        }
        let mut requests = Vec::new();
        for line in lines {
            let line = line.map_err(file)?;
            let number = requests.len() + 2;
            requests.push(serde_json::from_str(&line).map_err(|e| wrong(number, &e))?);
        }
        if requests.len() != header.requests {
            let reason = format!("{} requests of {} are there", requests.len(), header.requests);
            return Err(wrong(requests.len() + 1, &reason));
        }
        Ok(Self { pace: header.pace, requests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> TruthLog {
        let request = |n: u64| RequestTruth {
            id: format!("r{n}"),
            connection: n,
            arrival_ns: 10 + n,
            arrival_by_kernel: true,
            read_ns: 12 + n,
            tokens: 2,
            writes_ns: vec![20, 30],
            finished: true,
        };
        TruthLog { pace: Pace::of_ms(5, 1), requests: (0..3).map(request).collect() }
    }

    fn read(text: &str) -> Result<TruthLog, BenchError> {
        TruthLog::read(&mut text.as_bytes(), "truth.jsonl".as_ref())
    }

    fn written() -> String {
        let mut bytes = Vec::new();
        log().write(&mut bytes).expect("memory takes it");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_log_comes_back_as_it_was() {
        assert_eq!(read(&written()).expect("read"), log());
        assert_eq!(log().tokens(), 6);
    }

    #[test]
    fn a_cut_or_foreign_log_is_refused_with_its_line() {
        let whole = written();
        let lines: Vec<&str> = whole.lines().collect();
        let cut = lines[..3].join("\n");
        let torn = format!("{}\n{}\n{{\"id\"", lines[0], lines[1]);
        for (text, expected) in [
            (cut.as_str(), "line 3: 2 requests of 3"),
            (torn.as_str(), "line 3:"),
            ("", "line 1:"),
            ("{\"some\":\"json\"}", "line 1:"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
