//! Drives a server from another Rust program: `cargo run --example embed -- http://localhost:8000 MODEL`.
#![expect(clippy::print_stdout, reason = "an example that shows its result")]

use vllm_bench_loadgen::{
    ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target, Until, run_stage,
};
use vllm_bench_record::RunClock;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(model)) = (args.next(), args.next()) else {
        return Err("usage: embed URL MODEL".into());
    };
    let requests = (0..16).map(|n| PreparedRequest {
        request_id: format!("embed-{n}"),
        prompt_id: n.to_string(),
        session: n,
        turn: 0,
        body: format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Tell me fact number {n}."}}],"max_tokens":32,"stream":true,"stream_options":{{"include_usage":true}}}}"#).into(),
        prompt_tokens: None,
        max_tokens: Some(32),
        due: None,
    });
    let until = Until { requests: Some(16), ..Until::default() };
    let stage = Stage { index: 0, load: Load::Closed { concurrency: 4 }, until };
    let config = ClientConfig::new(Target::resolve(&url)?);
    run_stage(&config, stage, requests, RunClock::start(), &StopHandle::new(), |event| {
        if let LoadEvent::RequestFinished(r) = event {
            println!(
                "{} {} TTFT {:?} E2E {:?} tokens {:?}",
                r.request_id,
                r.outcome.as_str(),
                r.ttft(),
                r.e2e(),
                r.output_tokens.map(|t| t.count)
            );
        }
    })?;
    Ok(())
}
