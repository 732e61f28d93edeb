//! The load generator as a client to be measured.

use vllm_bench_bench::{
    ClientLog, ClientPlan, ClientRequest, monotonic_ns, process, run_clock_origin_ns,
};
use vllm_bench_loadgen::{
    Arrivals, ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target, Until,
    run_stage,
};
use vllm_bench_record::RunClock;

/// Runs `plan` as one stage.
pub(crate) fn run(plan: &ClientPlan, arrivals: Arrivals) -> anyhow::Result<ClientLog> {
    let clock = RunClock::start();
    let origin = run_clock_origin_ns(&clock);
    let mut config = ClientConfig::new(Target::resolve(&format!("http://{}", plan.addr))?);
    // As a run without `output.answers`: the text of an answer is not kept.
    config.keep_answers = false;
    config.arrivals = arrivals;
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
    let mut log = ClientLog::default();
    let mut started = None;
    run_stage(&config, stage, requests, clock, &StopHandle::new(), |event| match event {
        LoadEvent::StageStarted { at, .. } => started = Some(at),
        LoadEvent::RequestFinished(record) => {
            log.add(&record);
            if plan.keep_arrivals {
                log.kept.extend(ClientRequest::from_record(&record, origin));
            }
        }
        _ => {}
    })?;
    log.finished_ns = monotonic_ns();
    log.started_ns = origin + started.unwrap_or_default().as_nanos();
    log.cpu_ns = process::cpu_ns()?;
    log.peak_rss_bytes = process::peak_rss_bytes(None);
    Ok(log)
}
