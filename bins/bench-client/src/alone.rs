//! Measurements of the load generator alone, without the floor beside it: what it
//! promises in itself.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use vllm_bench_bench::{
    ClientLog, ClientPlan, Comparison, Pace, TruthConfig, TruthLog, compare, ks_exponential,
};

use crate::children::{Owned, command, start_truth, wait};
use crate::cli::{Cli, What};
use crate::cpus::Cpus;
use crate::first_request::FirstRequest;
use crate::open::{Long, OpenPlan, Process};
use crate::role::{Role, RolePart};
use crate::target::Target;

/// One figure of all repetitions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AloneFigure {
    /// The key of the JSON object.
    pub key: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub target: Option<Target>,
    pub values: Vec<f64>,
}

/// What is measured, and what of it is a figure.
type Found = (&'static str, f64);

/// All figures there are: key, words, unit, target.
const FIGURES: [(&str, &str, &str, Option<Target>); 12] = [
    ("send_error_p99_us", "send error p99, 200 requests/s", "µs", at_most(300.0)),
    ("poisson_ks", "Poisson arrivals, KS distance, 4,000 requests", "", at_most(0.022)),
    ("first_request_ms", "start to first request, 1,236 prompts", "ms", at_most(50.0)),
    ("peak_rss_mb_1000", "peak memory, 1000 streams, 2,000 requests", "MiB", at_most(60.0)),
    ("peak_rss_mb_1000_10x", "peak memory, 1000 streams, 20,000 requests", "MiB", at_most(60.0)),
    ("itl_error_p99_us_no_long_body", "ITL error p99, 64 streams, open loop", "µs", None),
    (
        "itl_error_p99_us_long_body",
        "the same beside a 600 KB body every 100 ms",
        "µs",
        at_most(100.0),
    ),
    ("arrival_error_p99_us_idle_64", "arrival error p99, 64 streams, CPU idle", "µs", None),
    (
        "arrival_error_p99_us_busy_64",
        "arrival error p99, 64 streams, CPU shared with a busy loop",
        "µs",
        at_most(50.0),
    ),
    ("client_lag_p50_us_busy_64", "client lag p50, CPU shared with a busy loop", "µs", None),
    ("client_lag_p99_us_idle_64", "client lag p99, 64 streams, CPU idle", "µs", None),
    ("client_lag_p99_us_busy_64", "client lag p99, CPU shared with a busy loop", "µs", None),
];

const fn at_most(most: f64) -> Option<Target> {
    Some(Target::AtMost(most))
}

/// Measures all that `cli` asks for; `say` hears of each step.
pub(crate) fn measure(
    cli: &Cli,
    cpus: Cpus,
    say: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<AloneFigure>> {
    let mut found: Vec<Found> = Vec::new();
    let seconds = if cli.quick { 2 } else { 10 };
    for (what, name) in [
        (What::Schedule, "schedule"),
        (What::Memory, "peak memory"),
        (What::LongBody, "long bodies"),
        (What::Busy, "a busy CPU"),
        (What::FirstRequest, "first request"),
    ] {
        if !cli.wants(what) {
            continue;
        }
        let first = (what == What::FirstRequest).then(FirstRequest::prepare).transpose()?;
        for repetition in 0..cli.repetitions() {
            say(format!("{name}: {} of {}", repetition + 1, cli.repetitions()));
            let figures = match what {
                What::Schedule => schedule(cpus, seconds, u64::from(repetition) + 1),
                What::Memory => memory(cpus),
                What::LongBody => long_body(cpus, seconds),
                What::Busy => busy(cpus, seconds),
                _ => first
                    .iter()
                    .map(|first| Ok(("first_request_ms", first.measure(cpus)?)))
                    .collect(),
            };
            found.extend(figures.context(name)?);
        }
    }
    Ok(gather(&found))
}

/// Every figure that was found, with the values of all repetitions.
fn gather(found: &[Found]) -> Vec<AloneFigure> {
    let figure = |&(key, what, unit, target): &_| {
        let of_key = found.iter().filter(|(name, _)| *name == key);
        let values: Vec<f64> = of_key.map(|(_, value)| *value).collect();
        (!values.is_empty()).then_some(AloneFigure { key, what, unit, target, values })
    };
    FIGURES.iter().filter_map(figure).collect()
}

/// Arrivals at the server against the schedule.
fn schedule(cpus: Cpus, seconds: u64, seed: u64) -> anyhow::Result<Vec<Found>> {
    let constant = |addr| OpenPlan {
        addr,
        rate: 200.0,
        process: Process::Constant,
        requests: 200 * seconds,
        tokens: 8,
        long: None,
    };
    let (client, truth) = open(cpus, Pace::of_ms(20, 10), constant)?;
    let send = compare(&client, &truth)?.send_p99_us().context("no request was stamped")?;

    // Few enough a second that two sendings seldom meet, enough that it lasts seconds.
    const RATE: f64 = 400.0;
    let poisson = |addr| OpenPlan {
        addr,
        rate: RATE,
        process: Process::Poisson(seed),
        requests: 4_000,
        tokens: 1,
        long: None,
    };
    let (_, truth) = open(cpus, Pace::of_ms(5, 1), poisson)?;
    let mut arrivals: Vec<u64> = truth.requests.iter().map(|r| r.arrival_ns).collect();
    ensure!(arrivals.len() == 4_000, "{} of 4,000 requests came", arrivals.len());
    arrivals.sort_unstable();
    let mut gaps: Vec<f64> = arrivals.windows(2).map(|w| (w[1] - w[0]) as f64 / 1e9).collect();
    let ks = ks_exponential(&mut gaps, 1.0 / RATE).context("no gaps")?;
    Ok(vec![("send_error_p99_us", send), ("poisson_ks", ks)])
}

/// The most memory that 1,000 streams ever took, for some requests and for ten times as many.
fn memory(cpus: Cpus) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for (key, requests_per_stream) in [("peak_rss_mb_1000", 2), ("peak_rss_mb_1000_10x", 20)] {
        let plan = |addr| ClientPlan {
            streams: 1_000,
            requests_per_stream,
            tokens: 8,
            keep_arrivals: false,
            ..ClientPlan::to(addr)
        };
        let part = |addr| RolePart::Load(plan(addr));
        let (client, _) = against(cpus, Pace::of_ms(50, 100), false, part, false)?;
        let bytes = client.peak_rss_bytes.context("the system does not tell the peak memory")?;
        found.push((key, bytes as f64 / f64::from(1 << 20)));
    }
    Ok(found)
}

/// ITL errors of 64 streams, and of as many with long bodies between them.
fn long_body(cpus: Cpus, seconds: u64) -> anyhow::Result<Vec<Found>> {
    const TOKENS: u32 = 100;
    let pace = Pace::of_ms(50, 10);
    let answer_ns = pace.ttft_ns + u64::from(TOKENS) * pace.itl_ns;
    let rate = 64.0 / (answer_ns as f64 / 1e9);
    let mut found = Vec::new();
    for (key, long) in [
        ("itl_error_p99_us_no_long_body", None),
        ("itl_error_p99_us_long_body", Some(Long { bytes: 600_000, every_ms: 100 })),
    ] {
        let plan = |addr| OpenPlan {
            addr,
            rate,
            process: Process::Constant,
            requests: (rate * seconds as f64) as u64,
            tokens: TOKENS,
            long,
        };
        let (client, truth) = open(cpus, pace, plan)?;
        let error = compare(&client, &truth)?.itl_p99_us().context("no gaps")?;
        found.push((key, error));
    }
    Ok(found)
}

/// 64 paced streams while the client has its CPU alone, and while a busy loop shares it.
fn busy(cpus: Cpus, seconds: u64) -> anyhow::Result<Vec<Found>> {
    let pace = Pace::of_ms(50, 10);
    let plan = |addr| ClientPlan {
        streams: 64,
        requests_per_stream: seconds as u32,
        tokens: 95,
        ..ClientPlan::to(addr)
    };
    let mut found = Vec::new();
    for (is_busy, error_key, lag_key) in [
        (false, "arrival_error_p99_us_idle_64", "client_lag_p99_us_idle_64"),
        (true, "arrival_error_p99_us_busy_64", "client_lag_p99_us_busy_64"),
    ] {
        let part = |addr| RolePart::Load(plan(addr));
        let (client, truth) = against(cpus, pace, true, part, is_busy)?;
        let mut errors: Comparison = compare(&client, &truth)?;
        let lags = client.lags.context("the kernel stamped no arrival")?;
        found.push((error_key, errors.arrival_p99_us().context("every chunk is censored")?));
        found.push((lag_key, lags.p99_ns as f64 / 1e3));
        if is_busy {
            found.push(("client_lag_p50_us_busy_64", lags.p50_ns as f64 / 1e3));
        }
    }
    Ok(found)
}

fn open(
    cpus: Cpus,
    pace: Pace,
    plan: impl Fn(std::net::SocketAddr) -> OpenPlan,
) -> anyhow::Result<(ClientLog, TruthLog)> {
    against(cpus, pace, true, |addr| RolePart::Open(plan(addr)), false)
}

/// One run of `part` against a truth server of its own; with `is_busy` beside a busy loop on
/// the client's CPU.
fn against(
    cpus: Cpus,
    pace: Pace,
    log_writes: bool,
    part: impl Fn(std::net::SocketAddr) -> RolePart,
    is_busy: bool,
) -> anyhow::Result<(ClientLog, TruthLog)> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("client.json");
    let config = TruthConfig { pace, log_writes, ..TruthConfig::default() };
    let truth = start_truth(config, cpus.server())?;
    let role = |part| Role { part, cpu: cpus.client(), log: log.clone() };
    let _spinning = is_busy
        .then(|| {
            let mut command = command(&role(RolePart::Busy))?;
            command.stdin(std::process::Stdio::piped());
            Owned::start(command)
        })
        .transpose()?;
    let child = Owned::start(command(&role(part(truth.addr())))?)?;
    wait(child, false, Duration::from_secs(300))?;
    let client = ClientLog::read_from(&log)?;
    client.check()?;
    Ok((client, truth.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_come_together_in_the_order_of_the_table() {
        let figures =
            gather(&[("poisson_ks", 0.5), ("send_error_p99_us", 9.0), ("poisson_ks", 0.25)]);
        let keys: Vec<_> = figures.iter().map(|figure| figure.key).collect();
        assert_eq!(keys, ["send_error_p99_us", "poisson_ks"]);
        assert_eq!(figures[1].values, [0.5, 0.25]);
        assert_eq!(figures[1].target, Some(Target::AtMost(0.022)));
    }
}
