//! The load generator as a client to be measured.

use std::net::SocketAddr;

use vllm_bench_bench::{
    ClientLog, ClientPlan, ClientRequest, Lags, monotonic_ns, process, run_clock_origin_ns,
};
use vllm_bench_loadgen::{
    Arrivals, ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target, Until,
};
use vllm_bench_record::RunClock;

/// Which requests' arrivals are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    None,
    All,
    /// All but those whose id begins so.
    AllBut(&'static str),
}

impl Keep {
    fn keeps(self, id: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::AllBut(head) => !id.starts_with(head),
        }
    }
}

/// Runs `plan` as one stage.
pub(crate) fn run(plan: &ClientPlan, arrivals: Arrivals) -> anyhow::Result<ClientLog> {
    let body: bytes::Bytes = plan.body().into();
    let requests = (0..plan.requests()).map(|n| PreparedRequest {
        request_id: plan.request_id(n),
        prompt_id: n.to_string(),
        session: n as u32,
        turn: 0,
        body: body.clone(),
        prompt_tokens: None,
        max_tokens: Some(plan.tokens),
        due: None,
    });
    let until = Until { requests: Some(plan.requests()), ..Until::default() };
    let stage = Stage { index: 0, load: Load::Closed { concurrency: plan.streams }, until };
    let keep = if plan.keep_arrivals { Keep::All } else { Keep::None };
    run_stage(plan.addr, arrivals, stage, requests, keep)
}

/// Runs one stage of `requests`.
pub(crate) fn run_stage<I>(
    addr: SocketAddr,
    arrivals: Arrivals,
    stage: Stage,
    requests: I,
    keep: Keep,
) -> anyhow::Result<ClientLog>
where
    I: IntoIterator<Item = PreparedRequest>,
    I::IntoIter: Send,
{
    let clock = RunClock::start();
    let origin = run_clock_origin_ns(&clock);
    let mut config = ClientConfig::new(Target::resolve(&format!("http://{addr}"))?);
    // As a run without `output.answers`: the text of an answer is not kept.
    config.keep_answers = false;
    config.arrivals = arrivals;
    let mut log = ClientLog::default();
    let mut lags = Vec::new();
    let mut started = None;
    let stop = StopHandle::new();
    vllm_bench_loadgen::run_stage(&config, stage, requests, clock, &stop, |event| match event {
        LoadEvent::StageStarted { at, .. } => started = Some(at),
        LoadEvent::RequestFinished(record) => {
            log.add(&record);
            if keep.keeps(&record.request_id) {
                let lag = |chunk: &vllm_bench_record::ChunkArrival| chunk.client_lag;
                let nanos = |lag: std::time::Duration| lag.as_nanos() as u64;
                lags.extend(record.chunks.iter().filter_map(lag).map(nanos));
                log.kept.extend(ClientRequest::from_record(&record, origin));
            }
        }
        _ => {}
    })?;
    log.finished_ns = monotonic_ns();
    log.started_ns = origin + started.unwrap_or_default().as_nanos();
    log.cpu_ns = process::cpu_ns()?;
    log.peak_rss_bytes = process::peak_rss_bytes(None);
    log.lags = Lags::of(&mut lags);
    Ok(log)
}
