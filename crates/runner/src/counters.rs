//! The servers' counters, read around stages and between probes.

use std::time::{Duration, Instant};

use vllm_bench_record::{EngineSample, RunClock};
use vllm_bench_telemetry::EngineSource;

use crate::preflight::Ready;
use crate::samplers::engine_source;

/// Reads the servers' counters around stages.
pub(crate) struct Counters {
    /// `None` when there are none; the samplers have said why.
    source: Option<EngineSource>,
    clock: RunClock,
}

/// How long a server may take to count what it has answered.
const SETTLE: Duration = Duration::from_secs(2);

impl Counters {
    pub(crate) fn new(ready: &Ready, clock: RunClock) -> Self {
        let wanted = ready.scenario.spec.telemetry.engine;
        let source = wanted.then(|| engine_source(ready, &mut |_| {})).flatten();
        Self { source, clock }
    }

    pub(crate) fn read(&self) -> Vec<EngineSample> {
        let Some(source) = &self.source else { return Vec::new() };
        source.read_all(&self.clock).into_iter().filter_map(Result::ok).collect()
    }

    /// Reads until the servers say that nothing runs and the counters stand still.
    pub(crate) fn read_settled(&self) -> Vec<EngineSample> {
        let deadline = Instant::now() + SETTLE;
        let mut last = self.read();
        while !last.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            let next = self.read();
            let same = next.len() == last.len()
                && next.iter().zip(&last).all(|(a, b)| {
                    a.generation_tokens == b.generation_tokens
                        && a.prompt_tokens == b.prompt_tokens
                        && a.running.unwrap_or(0.0) == 0.0
                });
            last = next;
            if same {
                break;
            }
        }
        last
    }

    /// Waits until every server says that nothing runs and nothing waits, `limit` at most or
    /// until `stopped`. `None` when none says anything; else whether it is so.
    pub(crate) fn wait_idle(&self, limit: Duration, stopped: impl Fn() -> bool) -> Option<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let samples = self.read();
            let under_way = |s: &EngineSample| Some(s.running? + s.waiting.unwrap_or(0.0));
            let counts: Vec<f64> = samples.iter().filter_map(under_way).collect();
            if counts.is_empty() {
                return None;
            }
            if counts.iter().all(|n| *n == 0.0) {
                return Some(true);
            }
            if Instant::now() >= deadline || stopped() {
                return Some(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
