//! A client's arrivals held against the server's writes.

use std::collections::HashMap;

use crate::client_log::{ClientLog, ClientRequest};
use crate::error::BenchError;
use crate::stat::percentile;
use crate::truth_log::{RequestTruth, TruthLog};

/// The error of one client in one run, microseconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// Size of (stamp of a chunk − clock just before its write), chunks that
    /// are not censored.
    pub arrival_us: Vec<f64>,
    /// The same of the smallest such difference, with its sign: below 0 the
    /// stamp lies before the write.
    pub earliest_us: Option<f64>,
    /// Size of (the client's TTFT − (write of the first token − kernel arrival
    /// of the request)).
    pub ttft_us: Vec<f64>,
    /// Size of (gap between two chunks − gap between their writes), all gaps,
    /// those that end in a censored chunk too.
    pub itl_us: Vec<f64>,
    /// Size of (kernel arrival of the request − when its schedule wanted it sent).
    pub send_us: Vec<f64>,
    /// Chunks compared, censored ones included.
    pub chunks: u64,
    /// Chunks known only to lie between two reads.
    pub censored: u64,
    /// Requests whose arrival the kernel did not stamp: they have no TTFT error.
    pub unstamped: u64,
}

impl Comparison {
    /// p99 of `arrival_us`; `None` when there is none.
    pub fn arrival_p99_us(&mut self) -> Option<f64> {
        percentile(&mut self.arrival_us, 0.99)
    }

    /// p99 of `ttft_us`.
    pub fn ttft_p99_us(&mut self) -> Option<f64> {
        percentile(&mut self.ttft_us, 0.99)
    }

    /// p99 of `itl_us`.
    pub fn itl_p99_us(&mut self) -> Option<f64> {
        percentile(&mut self.itl_us, 0.99)
    }

    /// p99 of `send_us`.
    pub fn send_p99_us(&mut self) -> Option<f64> {
        percentile(&mut self.send_us, 0.99)
    }

    /// Share of chunks that are censored, 0 to 1; `None` for no chunks.
    pub fn censored_share(&self) -> Option<f64> {
        (self.chunks > 0).then(|| self.censored as f64 / self.chunks as f64)
    }

    fn add(&mut self, seen: &ClientRequest, truth: &RequestTruth) {
        let us = |ns: i128| ns as f64 / 1e3;
        let minus = |a: u64, b: u64| i128::from(a) - i128::from(b);
        for (arrival, &write) in seen.arrivals.iter().zip(&truth.writes_ns) {
            self.chunks += 1;
            if arrival.censored {
                self.censored += 1;
                continue;
            }
            let late = us(minus(arrival.at_ns, write));
            self.arrival_us.push(late.abs());
            self.earliest_us = Some(self.earliest_us.map_or(late, |least| least.min(late)));
        }
        let gaps = seen.arrivals.windows(2).zip(truth.writes_ns.windows(2));
        self.itl_us.extend(gaps.map(|(seen, wrote)| {
            us(minus(seen[1].at_ns, seen[0].at_ns) - minus(wrote[1], wrote[0])).abs()
        }));
        if let Some(scheduled) = seen.scheduled_ns.filter(|_| truth.arrival_by_kernel) {
            self.send_us.push(us(minus(truth.arrival_ns, scheduled)).abs());
        }
        let (Some(first), Some(&write)) = (seen.arrivals.first(), truth.writes_ns.first()) else {
            return;
        };
        if truth.arrival_by_kernel {
            let ttft = minus(first.at_ns, seen.sent_ns) - minus(write, truth.arrival_ns);
            self.ttft_us.push(us(ttft).abs());
        } else {
            self.unstamped += 1;
        }
    }
}

/// Holds what `client` kept against `truth`, request by request, chunk by chunk.
///
/// # Errors
/// When the two do not tell of the same run: a request that the server never
/// saw, or another number of tokens.
pub fn compare(client: &ClientLog, truth: &TruthLog) -> Result<Comparison, BenchError> {
    let by_id: HashMap<&str, &RequestTruth> =
        truth.requests.iter().map(|r| (r.id.as_str(), r)).collect();
    let mut comparison = Comparison::default();
    for seen in &client.kept {
        let mismatch = |reason: String| BenchError::Mismatch { id: seen.id.clone(), reason };
        let wrote = by_id
            .get(seen.id.as_str())
            .ok_or_else(|| mismatch("the server never saw it".into()))?;
        if wrote.writes_ns.len() != seen.arrivals.len() {
            return Err(mismatch(format!(
                "the client saw {} tokens, the server wrote {}",
                seen.arrivals.len(),
                wrote.writes_ns.len()
            )));
        }
        comparison.add(seen, wrote);
    }
    Ok(comparison)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_log::Arrival;
    use crate::pace::Pace;

    fn truth(writes_us: &[u64]) -> TruthLog {
        let request = RequestTruth {
            id: "a".into(),
            connection: 0,
            arrival_ns: 1_000_000,
            arrival_by_kernel: true,
            read_ns: 1_005_000,
            tokens: writes_us.len() as u32,
            writes_ns: writes_us.iter().map(|us| us * 1000).collect(),
            finished: true,
        };
        TruthLog { pace: Pace::of_ms(1, 1), requests: vec![request] }
    }

    fn client(id: &str, arrivals_us: &[(u64, bool)]) -> ClientLog {
        let arrivals = arrivals_us
            .iter()
            .map(|&(us, censored)| Arrival { at_ns: us * 1000, censored })
            .collect();
        let request = ClientRequest {
            id: id.into(),
            sent_ns: 990_000,
            scheduled_ns: Some(980_000),
            arrivals,
        };
        ClientLog { kept: vec![request], ..ClientLog::default() }
    }

    #[test]
    fn errors_are_differences_to_the_truth() {
        let seen = client("a", &[(5_008, false), (7_500, true), (7_500, false)]);
        let mut found = compare(&seen, &truth(&[5_000, 6_000, 7_502])).expect("the same run");
        assert_eq!(found.arrival_us, [8.0, 2.0], "the censored one is not among them");
        assert_eq!(found.earliest_us, Some(-2.0));
        assert_eq!(found.send_us, [20.0]);
        // Client: 5,008 − 990; truth: 5,000 − 1,000.
        assert_eq!(found.ttft_us, [18.0]);
        // Gaps 2,492 and 0 against 1,000 and 1,502.
        assert_eq!(found.itl_us, [1_492.0, 1_502.0]);
        assert_eq!((found.chunks, found.censored, found.unstamped), (3, 1, 0));
        assert_eq!(found.ttft_p99_us(), Some(18.0));
    }

    #[test]
    fn without_a_kernel_stamp_there_is_no_ttft_error() {
        let mut log = truth(&[5_000]);
        log.requests[0].arrival_by_kernel = false;
        let mut found = compare(&client("a", &[(5_001, false)]), &log).expect("the same run");
        assert_eq!((found.ttft_p99_us(), found.unstamped), (None, 1));
        assert_eq!(found.arrival_p99_us(), Some(1.0));
    }

    #[test]
    fn another_run_is_an_error() {
        let log = truth(&[5_000, 6_000]);
        for (seen, expected) in [
            (client("b", &[(5_000, false), (6_000, false)]), "never saw"),
            (client("a", &[(5_000, false)]), "saw 1 tokens, the server wrote 2"),
        ] {
            let error = compare(&seen, &log).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
