//! An open loop from another Rust program, and how well it kept its schedule:
//! `cargo run --release --example open_loop -- http://localhost:8000 MODEL [RATE [SECONDS]]`.
#![expect(clippy::print_stdout, reason = "an example that shows its result")]

use std::time::Duration;

use vllm_bench_loadgen::{
    ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target, Until, run_stage,
};
use vllm_bench_record::{Outcome, RunClock};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(model)) = (args.next(), args.next()) else {
        return Err("usage: open_loop URL MODEL [RATE [SECONDS]]".into());
    };
    let rate: f64 = args.next().map_or(Ok(200.0), |text| text.parse())?;
    let seconds: f64 = args.next().map_or(Ok(10.0), |text| text.parse())?;
    let requests = (0..(rate * seconds) as u32).map(|n| PreparedRequest {
        request_id: format!("open-{n}"),
        prompt_id: n.to_string(),
        session: n,
        turn: 0,
        body: format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Tell me fact number {n}."}}],"max_tokens":4,"stream":true,"stream_options":{{"include_usage":true}}}}"#).into(),
        prompt_tokens: None,
        max_tokens: Some(4),
        due: Some(Duration::from_secs_f64(f64::from(n) / rate)),
    });
    let load = Load::Open { max_in_flight: Some(1_000), connections: 16 };
    let stage = Stage { index: 0, load, until: Until::default() };
    let config = ClientConfig::new(Target::resolve(&url)?);
    let (mut late, mut ttft, mut failed) = (Vec::new(), Vec::new(), 0);
    let report =
        run_stage(&config, stage, requests, RunClock::start(), &StopHandle::new(), |event| {
            if let LoadEvent::RequestFinished(r) = event {
                failed += u32::from(r.outcome != Outcome::Completed);
                late.extend(r.sent_at.map(|at| at.since(r.scheduled_at)));
                ttft.extend(r.ttft());
            }
        })?;
    println!("sent {}, failed {failed}, waited for a slot {}", late.len(), report.capped);
    for (what, times) in [("sent after it was due", &mut late), ("TTFT", &mut ttft)] {
        times.sort_unstable();
        let at = |q: f64| times.get((times.len() as f64 * q) as usize).copied().unwrap_or_default();
        println!("{what}: p50 {:?} p90 {:?} p99 {:?}", at(0.5), at(0.9), at(0.99));
    }
    for line in report.degraded {
        println!("degraded: {line}");
    }
    Ok(())
}
