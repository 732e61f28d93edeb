//! The client's own error, measured just before a run.
//!
//! The load generator is set against a server whose writes are known to the
//! nanosecond (`TruthServer`, a process of its own on this host), with as many
//! streams as the run's heaviest stage and at the pace that the server under
//! test showed. What it then sees, less what was written, is the error bar of
//! every time in the run. First a moment flat out: how many tokens a second
//! this host takes in.

use std::time::{Duration, Instant};

use vllm_bench_bench::{BenchError, ClientPlan, TruthCommand};
use vllm_bench_loadgen::{LoadError, StopHandle};
use vllm_bench_record::{Calibration, Level, SearchAxis};

use crate::calibrate_load::{CalibrationLoad, MOST_STREAMS};
use crate::event::RunEvent;
use crate::preflight::Ready;

/// What calibrating found.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// The figures.
    pub calibration: Calibration,
    /// Where it was made with less than the run will ask, one sentence each.
    pub warnings: Vec<String>,
}

/// Why there is no calibration. Never a reason not to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The truth server did not do its part, or the two did not match.
    #[error(transparent)]
    Truth(#[from] BenchError),
    /// The load generator refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Nothing was left to compare.
    #[error("{0}")]
    Nothing(&'static str),
    /// It was stopped.
    #[error("stopped")]
    Stopped,
}

/// How long all users send flat out; what is in flight then is waited for.
const FLAT_OUT: Duration = Duration::from_millis(350);

/// Streams flat out, whatever the run has: enough to keep all workers busy.
const FLAT_OUT_STREAMS: u32 = 64;
const FLAT_OUT_TOKENS: u32 = 256;

/// How long the paced part is.
const PACED: Duration = Duration::from_secs(2);

/// An answer of the paced part takes about this long, so that there are several TTFTs a stream.
const ANSWER: Duration = Duration::from_millis(400);

/// From a request's arrival at the truth server to its first token.
const TTFT: Duration = Duration::from_millis(50);

/// The paced part asks for at most this share of what the host took in flat out:
/// beyond, the truth server itself would be late.
const SHARE: f64 = 0.5;

/// Measures the load generator as `ready` will use it, in about three seconds. Blocks;
/// `on_event` hears of its progress and its result.
///
/// `truth` is a program that plays the truth server when it is started with a
/// [`TruthRole`](vllm_bench_bench::TruthRole), usually the caller's own file. The prompts are made
/// up; none of the corpus is sent.
///
/// # Errors
/// Whatever keeps it from being measured; a run is possible all the same.
pub fn calibrate(
    ready: &Ready,
    truth: &TruthCommand,
    stop: &StopHandle,
    mut on_event: impl FnMut(RunEvent),
) -> Result<Calibrated, CalibrateError> {
    let started = Instant::now();
    let max_tokens = ready.scenario.spec.request.max_tokens.get();
    let asked = CalibrationLoad::of(levels(ready), max_tokens, ready.probed);
    let mut tick = |elapsed: Duration| {
        on_event(RunEvent::Calibrating {
            elapsed_s: elapsed.as_secs_f64(),
            planned_s: (FLAT_OUT * 2 + PACED).as_secs_f64(),
            streams: asked.streams,
        });
    };
    tick(Duration::ZERO);
    let calibration = measure(ready, truth, asked, stop, &mut || tick(started.elapsed()))?;
    let calibration = Calibration { seconds: started.elapsed().as_secs_f64(), ..calibration };
    on_event(RunEvent::Calibrated { calibration: calibration.clone() });
    Ok(Calibrated { warnings: warnings(asked, &calibration), calibration })
}

/// Every load that the run can come to, with its cap on requests in flight: the stages', and the
/// upper bound of a search.
fn levels(ready: &Ready) -> Vec<(Level, Option<u32>)> {
    let load = ready.scenario.spec.load.get_ref();
    let loads = ready.plan.stages.iter().map(|stage| &stage.info.load);
    let mut levels: Vec<_> =
        loads.map(|load| (load.level(), load.open().and_then(|open| open.max_in_flight))).collect();
    levels.extend(load.search.as_ref().map(|search| {
        let plan = search.get_ref().plan();
        let level = match plan.over {
            SearchAxis::Rate => Level::Rate(plan.to),
            SearchAxis::Concurrency => Level::Concurrency(plan.to.ceil() as u32),
        };
        (level, load.max_in_flight.as_ref().map(|cap| cap.get_ref().get()))
    }));
    levels
}

/// What [`execute`](crate::execute) does about it before its clock starts. Whatever keeps it from
/// being measured is a warning of the run.
pub(crate) fn before_run(
    ready: &mut Ready,
    stop: &StopHandle,
    on_event: impl FnMut(RunEvent),
) -> Option<Calibration> {
    if !ready.scenario.spec.load.get_ref().calibrate {
        return None;
    }
    let truth = ready.options.truth.clone()?;
    match calibrate(ready, &truth, stop, on_event) {
        Ok(found) => {
            ready.warnings.extend(found.warnings);
            Some(found.calibration)
        }
        Err(CalibrateError::Stopped) => None,
        Err(error) => {
            ready.warnings.push(format!("the client's own error was not measured: {error}"));
            None
        }
    }
}

fn warnings(asked: CalibrationLoad, found: &Calibration) -> Vec<String> {
    let mut warnings = Vec::new();
    if asked.streams < asked.asked {
        warnings.push(format!(
            "the client's own error was measured with {MOST_STREAMS} streams, the most that it is \
             measured with; the run has {}",
            asked.asked
        ));
    }
    // A stream's last gap may come out a little longer than asked.
    if found.tokens_per_second < 0.9 * asked.tokens_per_second() {
        warnings.push(format!(
            "the client's own error was measured at {:.0} tok/s in all; {} streams of this server \
             alone would make {:.0}, near or above what this host takes in ({:.0}): more load \
             generators, or fewer streams on each",
            found.tokens_per_second,
            asked.streams,
            asked.tokens_per_second(),
            found.max_tokens_per_second
        ));
    }
    warnings
}

/// Answers of `load` for about [`PACED`]: the plan, and the gap between its tokens.
fn paced_plan(load: CalibrationLoad) -> (ClientPlan, Duration) {
    let itl = Duration::from_secs_f64(1.0 / load.rate);
    let tokens = (ANSWER.as_secs_f64() * load.rate).round().clamp(3.0, 1_024.0) as u32;
    let answer = TTFT + itl * tokens;
    let requests = (PACED.as_secs_f64() / answer.as_secs_f64()).round().max(1.0) as u32;
    let plan = ClientPlan {
        streams: load.streams,
        requests_per_stream: requests,
        tokens,
        ..ClientPlan::default()
    };
    (plan, itl)
}

#[cfg(not(target_os = "linux"))]
fn measure(
    _: &Ready,
    _: &TruthCommand,
    _: CalibrationLoad,
    _: &StopHandle,
    _: &mut dyn FnMut(),
) -> Result<Calibration, CalibrateError> {
    Err(BenchError::NotHere.into())
}

#[cfg(target_os = "linux")]
use linux::measure;

#[cfg(target_os = "linux")]
mod linux {
    use vllm_bench_bench::{
        ClientLog, ClientRequest, Pace, TruthConfig, TruthLog, TruthProcess, TruthRole, compare,
        monotonic_ns, percentile, process, run_clock_origin_ns,
    };
    use vllm_bench_loadgen::{
        ClientConfig, Load, LoadEvent, PreparedRequest, Stage, Target, Until, run_stage,
    };
    use vllm_bench_protocol::Endpoint;
    use vllm_bench_record::{ErrorQuantiles, RunClock};

    use super::*;

    /// Flat out, then paced. `seconds` is left to the caller.
    pub(super) fn measure(
        ready: &Ready,
        truth: &TruthCommand,
        asked: CalibrationLoad,
        stop: &StopHandle,
        tick: &mut dyn FnMut(),
    ) -> Result<Calibration, CalibrateError> {
        let flat_out = ClientPlan {
            streams: FLAT_OUT_STREAMS,
            tokens: FLAT_OUT_TOKENS,
            keep_arrivals: false,
            ..ClientPlan::default()
        };
        let until = Until { duration: Some(FLAT_OUT), ..Until::default() };
        let (log, _) = against(ready, truth, Pace::SATURATED, flat_out, until, stop, tick)?;
        let most = log.tokens_per_second().ok_or(CalibrateError::Nothing("nothing was sent"))?;

        let load = asked.at_most(SHARE * most);
        let (plan, itl) = paced_plan(load);
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let pace = Pace { ttft_ns: nanos(TTFT), itl_ns: nanos(itl), staggered: true };
        let until = Until { requests: Some(plan.requests()), ..Until::default() };
        let (log, truth) = against(ready, truth, pace, plan, until, stop, tick)?;
        let mut found = compare(&log, &truth)?;
        if found.ttft_us.is_empty() {
            return Err(CalibrateError::Nothing("the kernel stamps no arrivals here"));
        }
        let nothing = "no event came alone in a read: nothing to compare";
        let quantiles = |us: &mut Vec<f64>| {
            let ns = |share, us: &mut Vec<f64>| percentile(us, share).map(|us| us * 1e3);
            let (p50, p99) = (ns(0.5, us), ns(0.99, us));
            p50.zip(p99)
                .map(|(p50_ns, p99_ns)| ErrorQuantiles { count: us.len() as u64, p50_ns, p99_ns })
                .ok_or(CalibrateError::Nothing(nothing))
        };
        Ok(Calibration {
            streams: load.streams,
            tokens_per_second: load.tokens_per_second(),
            events: found.chunks,
            coalesced: found.censored,
            arrival_error: quantiles(&mut found.arrival_us)?,
            ttft_error: quantiles(&mut found.ttft_us)?,
            itl_error: quantiles(&mut found.itl_us)?,
            max_tokens_per_second: most,
            cpu_ns_per_token: log.cpu_per_token_ns().unwrap_or_default(),
            seconds: 0.0,
        })
    }

    /// One stage of `plan` against a truth server of its own; what each side saw.
    fn against(
        ready: &Ready,
        truth: &TruthCommand,
        pace: Pace,
        plan: ClientPlan,
        until: Until,
        stop: &StopHandle,
        tick: &mut dyn FnMut(),
    ) -> Result<(ClientLog, TruthLog), CalibrateError> {
        let config = TruthConfig { pace, log_writes: plan.keep_arrivals, ..TruthConfig::default() };
        let server = TruthProcess::start(truth, &TruthRole { config, cpu: None })?;
        let client = ClientConfig {
            // Everything that the run does to stamp an arrival stays as it is.
            targets: vec![Target::resolve(&format!("http://{}", server.addr()))?],
            endpoint: Endpoint::Chat,
            stream: true,
            api_key: None,
            headers: Vec::new(),
            ..ready.client.clone()
        };
        let body: bytes::Bytes = plan.body().into();
        let requests = (0..until.requests.unwrap_or(u64::MAX)).map(|n| PreparedRequest {
            request_id: plan.request_id(n),
            prompt_id: "calibration".into(),
            session: n as u32,
            turn: 0,
            body: body.clone(),
            prompt_tokens: None,
            max_tokens: Some(plan.tokens),
            due: None,
        });
        let clock = RunClock::start();
        let origin = run_clock_origin_ns(&clock);
        let load = Load::Closed { concurrency: plan.streams };
        let mut log = ClientLog::default();
        let before_ns = process::cpu_ns()?;
        let report =
            run_stage(&client, Stage { index: 0, load, until }, requests, clock, stop, |event| {
                match event {
                    LoadEvent::RequestFinished(record) => {
                        log.add(&record);
                        if plan.keep_arrivals {
                            log.kept.extend(ClientRequest::from_record(&record, origin));
                        }
                    }
                    LoadEvent::Tick(_) => tick(),
                    _ => {}
                }
            })?;
        if stop.is_stopped() {
            return Err(CalibrateError::Stopped);
        }
        log.cpu_ns = process::cpu_ns()? - before_ns;
        log.started_ns = origin + report.started_at.as_nanos();
        log.finished_ns = (origin + report.finished_at.as_nanos()).min(monotonic_ns());
        log.check()?;
        Ok((log, server.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paced_part_takes_as_long_as_it_should() {
        for (streams, rate) in [(1, 5.0), (64, 50.0), (1_024, 100.0), (8, 1_000.0), (1_024, 0.5)] {
            let (plan, itl) = paced_plan(CalibrationLoad { asked: streams, streams, rate });
            let answer = (TTFT + itl * plan.tokens).as_secs_f64();
            let lasts = answer * f64::from(plan.requests_per_stream);
            assert_eq!(plan.streams, streams);
            assert!(plan.tokens >= 3, "gaps need tokens");
            // Only streams slower than any that is asked for last longer.
            assert!((1.0..3.0).contains(&lasts) || rate < 2.0, "{streams} × {rate}: {lasts} s");
        }
    }

    #[test]
    fn what_was_not_tried_is_said() {
        let quantiles = vllm_bench_record::ErrorQuantiles { count: 1, p50_ns: 1.0, p99_ns: 2.0 };
        let found = |tokens_per_second| Calibration {
            streams: 1_024,
            tokens_per_second,
            events: 1,
            coalesced: 0,
            arrival_error: quantiles,
            ttft_error: quantiles,
            itl_error: quantiles,
            max_tokens_per_second: 60_000.0,
            cpu_ns_per_token: 1.0,
            seconds: 2.0,
        };
        let load = |asked| CalibrationLoad { asked, streams: 1_024, rate: 100.0 };
        assert!(warnings(load(1_024), &found(102_400.0)).is_empty());
        let few = warnings(load(4_096), &found(102_400.0));
        assert!(few.len() == 1 && few[0].contains("the run has 4096"), "{few:?}");
        let slow = warnings(load(1_024), &found(30_000.0));
        assert!(slow.len() == 1 && slow[0].contains("30000 tok/s"), "{slow:?}");
    }
}
