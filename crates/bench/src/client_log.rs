//! What a client says of its run, on the clock that it shares with the server.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use vllm_bench_record::{Outcome, RequestRecord};

use crate::error::BenchError;

/// One client's run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientLog {
    /// Requests answered whole.
    pub requests: u64,
    /// Requests that ended otherwise.
    pub failed: u64,
    /// What the first of these said.
    pub first_failure: Option<String>,
    /// Tokens counted.
    pub tokens: u64,
    /// Just before the first request was sent.
    pub started_ns: u64,
    /// After the last answer ended.
    pub finished_ns: u64,
    /// User and system time of the process from its start to `finished_ns`.
    pub cpu_ns: u64,
    /// Most memory the process ever held, bytes; `None` where the system does not say.
    pub peak_rss_bytes: Option<u64>,
    /// How late the client's own clock was; `None` where it does not tell.
    #[serde(default)]
    pub lags: Option<Lags>,
    /// Arrivals, where the plan asked to keep them.
    pub kept: Vec<ClientRequest>,
}

/// How long after the kernel's stamps a client read its clock, over all token-bearing events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lags {
    /// Events.
    pub count: u64,
    /// Median, nanoseconds.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// The largest.
    pub max_ns: u64,
}

impl Lags {
    /// Of all `lags_ns`; `None` for none. Orders them.
    pub fn of(lags_ns: &mut [u64]) -> Option<Self> {
        lags_ns.sort_unstable();
        let last = lags_ns.len().checked_sub(1)?;
        let at = |share: f64| lags_ns[(share * last as f64).round() as usize];
        Some(Self {
            count: lags_ns.len() as u64,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            max_ns: lags_ns[last],
        })
    }
}

/// One request as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRequest {
    /// Its `X-Request-Id`.
    pub id: String,
    /// Just before its first byte was written.
    pub sent_ns: u64,
    /// When its schedule wanted it sent; `None` where there was none.
    #[serde(default)]
    pub scheduled_ns: Option<u64>,
    /// Each token-bearing event, in order.
    pub arrivals: Vec<Arrival>,
}

/// Arrival of one token-bearing event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When it arrived, as the client says.
    #[serde(rename = "at")]
    pub at_ns: u64,
    /// Another event came after it in the same read: `at_ns` is only a bound.
    #[serde(rename = "c")]
    pub censored: bool,
}

impl ClientRequest {
    /// A record of the load generator, whose run clock began at `origin_ns`.
    /// `None` when it was never sent.
    pub fn from_record(record: &RequestRecord, origin_ns: u64) -> Option<Self> {
        let arrival = |chunk: &vllm_bench_record::ChunkArrival| Arrival {
            at_ns: origin_ns + chunk.at.as_nanos(),
            censored: chunk.coalesced,
        };
        Some(Self {
            id: record.request_id.clone(),
            sent_ns: origin_ns + record.sent_at?.as_nanos(),
            scheduled_ns: Some(origin_ns + record.scheduled_at.as_nanos()),
            arrivals: record.chunks.iter().map(arrival).collect(),
        })
    }
}

impl ClientLog {
    /// Counts `record` in.
    pub fn add(&mut self, record: &RequestRecord) {
        match &record.outcome {
            Outcome::Completed => self.requests += 1,
            outcome => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| match outcome {
                    Outcome::Failed(failure) => failure.message.clone(),
                    other => other.as_str().to_owned(),
                });
            }
        }
        self.tokens += record.chunks.iter().map(|c| u64::from(c.tokens)).sum::<u64>();
    }

    /// CPU time a token, nanoseconds; `None` when there was no token.
    pub fn cpu_per_token_ns(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.cpu_ns as f64 / self.tokens as f64)
    }

    /// Tokens a second from the first request to the end of the last answer.
    pub fn tokens_per_second(&self) -> Option<f64> {
        let ns = self.finished_ns.checked_sub(self.started_ns).filter(|&ns| ns > 0)?;
        Some(self.tokens as f64 / (ns as f64 / 1e9))
    }

    /// # Errors
    /// When any request failed: the load was not the one that was asked for.
    pub fn check(&self) -> Result<(), BenchError> {
        match (&self.first_failure, self.failed) {
            (_, 0) => Ok(()),
            (first, failed) => {
                Err(BenchError::Failures { failed, first: first.clone().unwrap_or_default() })
            }
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_to(&self, path: &Path) -> Result<(), BenchError> {
        let file = |source| BenchError::File { verb: "write", path: path.into(), source };
        let mut out = BufWriter::new(File::create(path).map_err(file)?);
        serde_json::to_writer(&mut out, self).map_err(|e| file(e.into()))?;
        out.flush().map_err(file)
    }

    /// Reads what [`write_to`](Self::write_to) wrote.
    ///
    /// # Errors
    /// When the file is not there, or is not such a log.
    pub fn read_from(path: &Path) -> Result<Self, BenchError> {
        let file = |source| BenchError::File { verb: "read", path: path.into(), source };
        let input = BufReader::new(File::open(path).map_err(file)?);
        serde_json::from_reader(input).map_err(|e| BenchError::Log {
            path: path.into(),
            line: e.line(),
            reason: e.to_string(),
        })
    }
}
