//! Runs what preflight found ready: stages, telemetry, storage, manifest.

use vllm_bench_loadgen::{LoadEvent, PreparedRequest, StageReport, StopHandle, run_stage};
use vllm_bench_record::{
    Manifest, Phase, RunClock, RunStatus, SCHEMA_VERSION, ScenarioInfo, StageInfo, StageLoad,
    Verdict,
};
use vllm_bench_storage::{RunDir, Writer, WriterOptions, WriterReport, run_name};
use vllm_bench_telemetry::Load;

use crate::brief::{Brief, BriefFigures};
use crate::counters::Counters;
use crate::error::RunError;
use crate::event::RunEvent;
use crate::evidence::Witness;
use crate::host::host_info;
use crate::plan::PlannedStage;
use crate::precision::Precision;
use crate::preflight::Ready;
use crate::samplers::Samplers;
use crate::search::{self, Watch};
use crate::source::{Paced, PromptSource};

/// What a run leaves.
#[derive(Debug)]
pub struct RunOutcome {
    /// Where it lies.
    pub run_dir: RunDir,
    /// The manifest as written.
    pub manifest: Manifest,
    /// The short figures of every stage that began, warm-up included.
    pub figures: Vec<(StageInfo, BriefFigures)>,
    /// What storage wrote.
    pub stored: WriterReport,
    /// What speaks for and against believing the figures.
    pub verdict: Verdict,
}

impl RunOutcome {
    /// Why a search that came to its end has no answer; `None` when it has one, or there was none.
    pub fn search_problem(&self) -> Option<String> {
        let search = self.manifest.search.as_ref().filter(|search| search.answer.is_none())?;
        search.ended.clone()
    }
}

/// Measures the client's own error where that is asked for, then runs every stage of `ready` and
/// writes the run directory.
///
/// Blocks; `on_event` is called in this thread. After [`StopHandle::stop`]
/// requests in flight are recorded as cancelled and the directory is closed in order.
///
/// # Errors
/// When the run directory cannot be written or the corpus turns out broken;
/// what was measured until then is stored.
pub fn execute(
    mut ready: Ready,
    stop: &StopHandle,
    mut on_event: impl FnMut(RunEvent),
) -> Result<RunOutcome, RunError> {
    let calibration = crate::calibrate::before_run(&mut ready, stop, &mut on_event);
    let clock = RunClock::start();
    let mut manifest = Manifest { calibration, ..first_manifest(&ready, clock) };
    let name = run_name(clock.wall_start_unix_ns(), &ready.scenario.spec.name);
    let run_dir = RunDir::create(&ready.options.results_dir, &name, &manifest)?;
    run_dir.link_latest()?;
    manifest.run_id = run_dir.run_id().to_owned();
    let options = WriterOptions {
        stages: manifest.stages.clone(),
        answers: ready.scenario.spec.output.answers,
        ..WriterOptions::default()
    };
    let writer = Writer::start(&run_dir, options)?;
    on_event(RunEvent::RunStarted {
        run_dir: run_dir.path().to_owned(),
        scenario: ready.scenario.spec.name.clone(),
        model: ready.servers[0].model.clone(),
        simulated: ready.servers.iter().any(|s| s.simulated),
        stages: manifest.stages.len(),
    });
    let load = Load::default();
    let (witness, seen) = Witness::new(&manifest);
    let samplers = Samplers::start(&ready, clock, &writer, &seen, &load, &mut manifest);
    for message in &manifest.warnings {
        on_event(RunEvent::Warning { message: message.clone() });
    }
    run_dir.write_manifest(&manifest)?;

    let mut run = Run {
        ready: &ready,
        clock,
        stop,
        writer: &writer,
        run_dir: &run_dir,
        manifest,
        figures: Vec::new(),
        load,
        witness,
        storage_warned: false,
    };
    let result = run.stages(&mut on_event);
    let Run { mut manifest, figures, witness, .. } = run;
    for problem in samplers.stop() {
        on_event(RunEvent::Warning { message: problem.clone() });
        manifest.warnings.push(problem);
    }

    let stored = writer.finish();
    manifest.status = match (&result, &stored) {
        (Err(_), _) | (_, Err(_)) => RunStatus::Failed,
        _ if stop.is_stopped() => RunStatus::Interrupted,
        _ => RunStatus::Complete,
    };
    if let Err(error) = &result {
        manifest.warnings.push(error.to_string());
    }
    if let Err(error) = &stored {
        manifest.warnings.push(error.to_string());
    }
    manifest.finished_at_ns = Some(clock.now());
    run_dir.write_manifest(&manifest)?;
    result?;
    let stored = stored?;
    let verdict = witness.verdict(&manifest, stored.requests.lost);
    on_event(RunEvent::Verdict { status: verdict.status(), checks: verdict.checks.clone() });
    on_event(RunEvent::RunFinished {
        run_dir: run_dir.path().to_owned(),
        interrupted: stop.is_stopped(),
    });
    Ok(RunOutcome { run_dir, manifest, figures, stored, verdict })
}

fn first_manifest(ready: &Ready, clock: RunClock) -> Manifest {
    let spec = &ready.scenario.spec;
    let wall = clock.wall_start_unix_ns();
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: String::new(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        status: RunStatus::Running,
        started_at: rfc3339(wall),
        wall_start_unix_ns: wall,
        finished_at_ns: None,
        scenario: ScenarioInfo {
            name: spec.name.clone(),
            question: spec.question.clone(),
            text: ready.scenario.text.clone(),
            overrides: ready.scenario.overrides.clone(),
            seed: spec.request.seed,
            slo: spec.slo.iter().map(|(k, v)| (k.clone(), v.get_ref().clone())).collect(),
            endpoint: spec.server.endpoint.to_string(),
            stream: spec.server.stream,
            max_tokens: Some(spec.request.max_tokens.get()),
            ignore_eos: spec.request.ignore_eos,
        },
        corpus: ready.corpus_info.clone(),
        servers: ready.servers.clone(),
        host: host_info(),
        clock: ready.clock,
        capture: None,
        stages: ready.plan.stages.iter().map(|s| s.info.clone()).collect(),
        gpu: None,
        engine: None,
        calibration: None,
        search: ready.search_info(),
        warnings: ready.warnings.clone(),
    }
}

fn rfc3339(unix_ns: u64) -> String {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns))
        .ok()
        .and_then(|t| t.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) ready: &'a Ready,
    clock: RunClock,
    pub(crate) stop: &'a StopHandle,
    pub(crate) writer: &'a Writer,
    pub(crate) run_dir: &'a RunDir,
    pub(crate) manifest: Manifest,
    figures: Vec<(StageInfo, BriefFigures)>,
    load: Load,
    witness: Witness,
    storage_warned: bool,
}

impl Run<'_> {
    fn stages(&mut self, on_event: &mut impl FnMut(RunEvent)) -> Result<(), RunError> {
        let ready = self.ready;
        let engine = Counters::new(ready, self.clock);
        let mut source = PromptSource::new(
            &ready.prompts,
            ready.bodies.clone(),
            self.run_dir.run_id().to_owned(),
            ready.scenario.spec.request.max_tokens.get(),
            ready.spent,
        );
        for (index, planned) in ready.plan.stages.iter().enumerate() {
            if self.stop.is_stopped() {
                break;
            }
            self.measure(index, planned, &mut source, &engine, None, on_event)?;
        }
        match &ready.scenario.spec.load.get_ref().search {
            Some(search) if !self.stop.is_stopped() => {
                search::conduct(self, search.get_ref(), &mut source, &engine, on_event)
            }
            _ => Ok(()),
        }
    }

    /// Runs stage `index` of the manifest, with the servers' counters around it, and keeps what
    /// it came to.
    pub(crate) fn measure(
        &mut self,
        index: usize,
        planned: &PlannedStage,
        source: &mut PromptSource<'_>,
        engine: &Counters,
        mut probe: Option<&mut Watch<'_>>,
        on_event: &mut impl FnMut(RunEvent),
    ) -> Result<StageReport, RunError> {
        self.manifest.stages[index].engine_before = engine.read();
        let ready = self.ready;
        let mut brief = Brief::new(&ready.scenario.slos);
        let mut report =
            self.stage(index, planned, source, &mut brief, probe.as_deref_mut(), on_event)?;
        self.manifest.host.workers = self.manifest.host.workers.max(report.workers);
        let info = &mut self.manifest.stages[index];
        info.engine_after = engine.read_settled();
        info.started_at_ns = Some(report.started_at);
        info.finished_at_ns = Some(report.finished_at);
        info.ended = Some(match &probe {
            Some(probe) if probe.given_up() => vllm_bench_record::StageEnd::Decided,
            _ => report.ended,
        });
        info.client_cpu = report.cpu;
        if let StageLoad::Open(open) = &mut info.load {
            open.capped = report.capped;
        }
        self.witness.end(index, info);
        if let Some(capture) = report.capture {
            self.manifest.capture.get_or_insert_default().add(capture);
        }
        let figures = brief.figures(&info.label, report.started_at, report.finished_at);
        self.figures.push((info.clone(), figures.clone()));
        let (phase, label) = (info.phase, info.label.clone());
        on_event(RunEvent::StageFinished {
            index,
            phase,
            elapsed_s: report.finished_at.since(report.started_at).as_secs_f64(),
            figures,
        });
        // A search says itself why it ends.
        if report.ended == vllm_bench_record::StageEnd::Prompts && probe.is_none() {
            self.warn(
                format!(
                    "stage {label} ended early: the corpus has no prompt left that was not sent"
                ),
                on_event,
            );
        }
        if let Some(capture) = report.capture.filter(|c| c.unresolved_chunks > 0) {
            self.warn(
                format!(
                    "stage {label}: the capture missed the segments of {} of {} chunks ({} lost for want of room; net.core.rmem_max bounds it): their arrival is that of their read",
                    capture.unresolved_chunks,
                    capture.unresolved_chunks + capture.resolved_chunks,
                    capture.lost
                ),
                on_event,
            );
        }
        source.give_back(std::mem::take(&mut report.unsent));
        self.run_dir.write_manifest(&self.manifest)?;
        if let Some(error) = source.take_schedule_error() {
            return Err(ready.scenario.broken_schedule(error).into());
        }
        if let Some(source) = source.take_error() {
            return Err(crate::prompts::broken(&ready.scenario, source));
        }
        Ok(report)
    }

    fn stage(
        &mut self,
        index: usize,
        planned: &PlannedStage,
        source: &mut PromptSource<'_>,
        brief: &mut Brief,
        mut probe: Option<&mut Watch<'_>>,
        on_event: &mut impl FnMut(RunEvent),
    ) -> Result<StageReport, RunError> {
        let (stage, info) = (planned.stage, planned.info.clone());
        let requests: Box<dyn Iterator<Item = PreparedRequest> + Send> = match &planned.pace {
            None => Box::new(source),
            Some(pace) => {
                let schedule =
                    pace.schedule().map_err(|error| self.ready.scenario.broken_schedule(error))?;
                Box::new(Paced::new(source, schedule))
            }
        };
        let until = self.ready.scenario.spec.load.get_ref().until.as_ref();
        let mut precision = until
            .filter(|_| info.phase == Phase::Measure)
            .map(|until| Precision::new(*until.get_ref(), info.load.open().map(|o| o.warmup)));
        let mut started = self.clock.now();
        let wanted = stage.load.connections();
        let mut connections = wanted;
        let report =
            run_stage(&self.ready.client, stage, requests, self.clock, self.stop, |event| {
                match event {
                    LoadEvent::StageStarted { at, connections: open } => {
                        started = at;
                        connections = open;
                        self.witness.begin(info.phase, at);
                        if let Some(probe) = &mut probe {
                            probe.begin(at);
                        }
                        if let Some(precision) = &mut precision {
                            precision.begin(at);
                        }
                        on_event(RunEvent::StageStarted {
                            index,
                            stage: info.label.clone(),
                            phase: info.phase,
                            load: info.load.clone(),
                            planned_requests: info.planned_requests,
                            duration_s: stage.until.duration.map(|d| d.as_secs_f64()),
                        });
                    }
                    LoadEvent::RequestFinished(record) => {
                        brief.add(&record);
                        self.witness.add(&record);
                        if let Some(probe) = &mut probe {
                            probe.add(&record);
                        }
                        if let Some(precision) = &mut precision {
                            precision.add(&record);
                        }
                        self.writer.request(*record);
                    }
                    LoadEvent::Tick(live) => {
                        self.load.set(live.in_flight);
                        self.witness.tick();
                        if let Some(probe) = &mut probe {
                            probe.tick(self.stop);
                        }
                        if precision.as_mut().is_some_and(Precision::is_reached) {
                            self.stop.end_stage();
                        }
                        let ttft = brief.ttft_ms();
                        on_event(RunEvent::Progress {
                            index,
                            elapsed_s: self.clock.now().since(started).as_secs_f64(),
                            finished: brief.finished(),
                            failed: brief.failed(),
                            in_flight: live.in_flight,
                            tokens: live.tokens,
                            ttft_p50_ms: ttft.map(|t| t.0),
                            ttft_p95_ms: ttft.map(|t| t.1),
                        });
                    }
                    _ => {}
                }
            })?;
        self.load.set(0);
        for line in &report.degraded {
            self.warn(format!("stage {}: {line}", info.label), on_event);
        }
        if connections < wanted {
            self.warn(
                format!(
                    "stage {}: {connections} of {wanted} connections could be opened beforehand",
                    info.label
                ),
                on_event,
            );
        }
        if let Some(problem) = self.writer.problem()
            && !self.storage_warned
        {
            self.storage_warned = true;
            self.warn(format!("storage: {problem}"), on_event);
        }
        Ok(report)
    }

    pub(crate) fn warn(&mut self, message: String, on_event: &mut impl FnMut(RunEvent)) {
        on_event(RunEvent::Warning { message: message.clone() });
        self.manifest.warnings.push(message);
    }
}
