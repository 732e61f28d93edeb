//! The load generator in an open loop, as a client to be measured: requests that are due at
//! given times, and long ones between them.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vllm_bench_bench::{ClientLog, ClientPlan};
use vllm_bench_loadgen::{
    ArrivalProcess, ArrivalSpec, Arrivals, Load, PreparedRequest, RateProfile, Stage, Until,
};

use crate::load::{Keep, run_stage};

/// What is sent when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenPlan {
    pub addr: SocketAddr,
    /// Requests a second.
    pub rate: f64,
    pub process: Process,
    pub requests: u64,
    /// Tokens asked for with each request.
    pub tokens: u32,
    /// Long bodies between them.
    pub long: Option<Long>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Process {
    Constant,
    /// With this seed.
    Poisson(u64),
}

/// Requests that ask for one token with a long prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Long {
    /// Length of each body.
    pub bytes: usize,
    pub every_ms: u64,
}

/// Begins the id of a long request, whose arrivals are not kept.
const LONG: &str = "long-";

/// Runs `plan` as one stage.
pub(crate) fn run(plan: &OpenPlan) -> anyhow::Result<ClientLog> {
    let requests = requests(plan)?;
    let load = Load::Open { max_in_flight: None, connections: 128 };
    let until = Until { requests: Some(requests.len() as u64), ..Until::default() };
    let stage = Stage { index: 0, load, until };
    let keep = Keep::AllBut(LONG);
    run_stage(plan.addr, Arrivals::Kernel, stage, requests, keep)
}

/// All requests in the order in which they are due.
fn requests(plan: &OpenPlan) -> anyhow::Result<Vec<PreparedRequest>> {
    let (process, seed) = match plan.process {
        Process::Constant => (ArrivalProcess::Constant, 0),
        Process::Poisson(seed) => (ArrivalProcess::Poisson, seed),
    };
    let spec = ArrivalSpec { rate: RateProfile::Constant(plan.rate), arrivals: process };
    let asks = |tokens| ClientPlan { tokens, ..ClientPlan::to(plan.addr) };
    let prepared = |id: String, body: &bytes::Bytes, tokens, due, session| PreparedRequest {
        prompt_id: id.clone(),
        request_id: id,
        session,
        turn: 0,
        body: body.clone(),
        prompt_tokens: None,
        max_tokens: Some(tokens),
        due: Some(due),
    };
    let short: bytes::Bytes = asks(plan.tokens).body().into();
    let times = spec.times(None, seed, 0)?.take(plan.requests as usize);
    let mut all: Vec<PreparedRequest> = times
        .enumerate()
        .map(|(n, due)| prepared(format!("open-{n}"), &short, plan.tokens, due, n as u32))
        .collect();
    let end = all.last().and_then(|request| request.due).unwrap_or_default();
    if let Some(long) = plan.long {
        let body = asks(1).body();
        let filler = "x".repeat(long.bytes.saturating_sub(body.len()));
        let body: bytes::Bytes = body.replacen("Say", &format!("{filler} Say"), 1).into();
        let first = all.len() as u32;
        let dues = (1_u64..).map(|n| Duration::from_millis(n * long.every_ms));
        all.extend(
            dues.take_while(|due| *due < end)
                .enumerate()
                .map(|(n, due)| prepared(format!("{LONG}{n}"), &body, 1, due, first + n as u32)),
        );
        all.sort_by_key(|request| request.due);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> OpenPlan {
        OpenPlan {
            addr: "127.0.0.1:1".parse().expect("an address"),
            rate: 50.0,
            process: Process::Constant,
            requests: 51,
            tokens: 9,
            long: Some(Long { bytes: 600_000, every_ms: 100 }),
        }
    }

    #[test]
    fn long_bodies_lie_between_the_others() {
        let all = requests(&plan()).expect("a schedule");
        let (long, short): (Vec<_>, Vec<_>) =
            all.iter().partition(|request| request.request_id.starts_with(LONG));
        assert_eq!((long.len(), short.len()), (9, 51));
        assert!(all.is_sorted_by_key(|request| request.due));
        assert_eq!(short[50].due, Some(Duration::from_secs(1)));
        assert_eq!(long[0].due, Some(Duration::from_millis(100)));
        for request in long {
            assert!((599_990..600_020).contains(&request.body.len()), "{}", request.body.len());
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            assert_eq!(body["max_tokens"], 1);
        }
    }

    #[test]
    fn a_seed_is_a_schedule() {
        let dues = |seed| {
            let plan = OpenPlan { process: Process::Poisson(seed), long: None, ..plan() };
            let all = requests(&plan).expect("a schedule");
            all.into_iter().map(|request| request.due).collect::<Vec<_>>()
        };
        assert_eq!(dues(1), dues(1));
        assert_ne!(dues(1), dues(2));
    }
}
