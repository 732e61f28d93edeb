//! Runs the probes of a search, one after the other.

use std::time::{Duration, Instant};

use vllm_bench_record::{Capacity, Level, Probe, ProbeOutcome, SearchInfo, StageEnd};

use super::machine::{Search, SearchEnd};
use super::objective::Objective;
use super::spec::SearchSpec;
use super::tell;
use super::watch::Watch;
use crate::counters::Counters;
use crate::error::RunError;
use crate::event::RunEvent;
use crate::execute::Run;
use crate::preflight::Ready;
use crate::source::PromptSource;

/// How long a server may take to work off what is under way before a probe.
const DRAIN: Duration = Duration::from_secs(60);

/// What a server that tells nothing of its queue is given instead.
const PAUSE: Duration = Duration::from_secs(2);

impl Ready {
    /// The search as it stands before its first probe, if the scenario asks for one.
    pub(crate) fn search_info(&self) -> Option<SearchInfo> {
        let spec = self.scenario.spec.load.get_ref().search.as_ref()?.get_ref();
        Some(SearchInfo {
            over: spec.over,
            from: *spec.from.get_ref(),
            to: *spec.to.get_ref(),
            precision: spec.precision.get_ref().0,
            probes: Vec::new(),
            answer: None,
            ended: None,
        })
    }
}

/// Runs `spec`'s search to its end; its probes become stages of the manifest.
pub(crate) fn conduct(
    run: &mut Run<'_>,
    spec: &SearchSpec,
    source: &mut PromptSource<'_>,
    engine: &Counters,
    on_event: &mut impl FnMut(RunEvent),
) -> Result<(), RunError> {
    let ready = run.ready;
    let objectives = Objective::of(&ready.scenario.spec.slo, spec.over);
    let estimate = spec.prompts();
    on_event(RunEvent::SearchStarted {
        over: spec.over,
        from: *spec.from.get_ref(),
        to: *spec.to.get_ref(),
        precision: spec.precision.get_ref().0,
        objectives: objectives.iter().map(ToString::to_string).collect(),
        prompts_estimated: estimate.likely,
        prompts_at_least: estimate.at_least,
    });
    let mut search = Search::new(spec.plan());
    let mut waited_in_vain = false;
    let (answer, ended) = loop {
        let Some(request) = search.next_probe() else {
            let failed = run.probes().last();
            break match search.end() {
                Some(SearchEnd::Found(found)) => (Some(found), tell::found(&search, found)),
                Some(end) => (None, tell::not_found(&search, end, spec, failed)),
                None => (None, tell::cut_short(&search, spec, "it came to no end")),
            };
        };
        let idle = engine.wait_idle(DRAIN, || run.stop.is_stopped());
        match idle {
            None => pause(|| run.stop.is_stopped()),
            Some(false) if !waited_in_vain && !run.stop.is_stopped() => {
                waited_in_vain = true;
                let message = format!(
                    "the server still had requests under way {} s after a probe: another client may be using it",
                    DRAIN.as_secs()
                );
                run.warn(message, on_event);
            }
            _ => {}
        }
        if run.stop.is_stopped() {
            break (None, tell::cut_short(&search, spec, "it was interrupted"));
        }
        let (number, index) = (run.probes().len() + 1, run.manifest.stages.len());
        let load = ready.scenario.spec.load.get_ref();
        let planned = spec
            .stage(request, number, index as u32, load)
            .map_err(|error| ready.scenario.broken_schedule(error))?;
        run.manifest.stages.push(planned.info.clone());
        run.writer.stages(run.manifest.stages.clone());
        let mut watch = Watch::new(&objectives, spec.leaves_out(), planned.info.planned_requests);
        let report = run.measure(index, &planned, source, engine, Some(&mut watch), on_event)?;
        let judgement = watch.judge();
        let whole =
            !matches!(report.ended, StageEnd::Prompts | StageEnd::Interrupted) || watch.given_up();
        let outcome = if whole { judgement.result.outcome } else { ProbeOutcome::Unclear };
        let probe = Probe {
            stage: index as u32,
            level: request.level,
            confirms: request.confirms,
            outcome,
            objectives: judgement.objectives,
        };
        if whole {
            search.tell(judgement.result);
        }
        if let Some(info) = &mut run.manifest.search {
            info.probes.push(probe.clone());
        }
        run.run_dir.write_manifest(&run.manifest)?;
        let (holds, fails) = search.bracket();
        on_event(RunEvent::ProbeFinished {
            number,
            probe,
            requests: judgement.requests,
            given_up: watch.given_up(),
            holds,
            fails,
        });
        if run.stop.is_stopped() {
            break (None, tell::cut_short(&search, spec, "it was interrupted"));
        }
        if !whole {
            let sent = watch.ended();
            let more = prompts_to_go(&search, spec, request.level, sent);
            let why = format!(
                "the corpus ran out of prompts in probe {number}; about {more} more would be needed"
            );
            break (None, tell::cut_short(&search, spec, &why));
        }
    };
    finish(run, answer, ended, on_event)
}

fn finish(
    run: &mut Run<'_>,
    answer: Option<Capacity>,
    ended: String,
    on_event: &mut impl FnMut(RunEvent),
) -> Result<(), RunError> {
    let Some(info) = &mut run.manifest.search else { return Ok(()) };
    (info.answer, info.ended) = (answer, Some(ended));
    let search = info.clone();
    run.run_dir.write_manifest(&run.manifest)?;
    on_event(RunEvent::SearchFinished { search });
    Ok(())
}

impl Run<'_> {
    fn probes(&self) -> &[Probe] {
        self.manifest.search.as_ref().map(|search| search.probes.as_slice()).unwrap_or_default()
    }
}

fn pause(stopped: impl Fn() -> bool) {
    let end = Instant::now() + PAUSE;
    while Instant::now() < end && !stopped() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Prompts that the rest of the search would need, after a probe of `level` that sent `sent`.
fn prompts_to_go(search: &Search, spec: &SearchSpec, level: Level, sent: u64) -> u64 {
    let missing = spec.requests_at(level, 1).saturating_sub(sent);
    let each = spec.requests_at(level, 1).max(sent);
    missing + u64::from(search.probes_to_go()) * each
}
