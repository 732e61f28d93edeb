//! One stage, from open connections to the last answer.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use vllm_bench_record::{CaptureInfo, ClientCpu, RunClock, StageEnd, Timestamp};

use crate::capture::Capture;
use crate::client::{Outgoing, never_sent};
use crate::config::{Arrivals, ClientConfig};
use crate::connection::ConnectorParts;
use crate::cpu;
use crate::error::LoadError;
use crate::event::{Live, LoadEvent};
use crate::feeder::{Fed, Feeder, Pace};
use crate::kernel_clock::{KeepStamping, REFRESH, WallMap};
use crate::plan::{Load, PreparedRequest, Stage};
use crate::stop::{Signal, StopHandle};
use crate::template::Template;
use crate::worker::{Counters, Ended, Message, Worker};

/// How a stage went.
#[derive(Debug, Clone, PartialEq)]
pub struct StageReport {
    /// When its users started; what the schedule of an open loop counts from.
    pub started_at: Timestamp,
    /// When its last request had ended.
    pub finished_at: Timestamp,
    /// Why it ended.
    pub ended: StageEnd,
    /// Threads that made the load.
    pub workers: u32,
    /// What the capture saw; `None` without [`Arrivals::Capture`].
    pub capture: Option<CaptureInfo>,
    /// CPU time of the threads that made the load, from the start; `None` where the system
    /// does not tell.
    pub cpu: Option<ClientCpu>,
    /// Requests of an open loop that had to wait for a slot under `max_in_flight`.
    pub capped: u64,
    /// What it had to do without, a line each.
    pub degraded: Vec<String>,
    /// Requests that were taken from the source and neither sent nor, in an open loop, due.
    pub unsent: Vec<PreparedRequest>,
}

/// How often [`LoadEvent::Tick`] is said.
const TICK: Duration = Duration::from_millis(250);

/// Requests kept ready ahead of the users; in an open loop, of each worker.
const READY_REQUESTS: usize = 256;

/// From all being ready to the start of an open loop: its threads are told and wait for
/// their first instant.
const START_LEAD: Duration = Duration::from_millis(5);

/// Runs `stage`: opens its connections, sends `requests` (each once, in order)
/// as its users are free or, in an open loop, as they come due, and returns when
/// the last answer has ended. Blocks; events are said in this thread, the load is
/// made in others.
///
/// In an open loop each request leaves at the stage's start plus its `due` and its record's
/// `scheduled_at` is that instant, however late it left. When nothing more is to be sent
/// ([`StopHandle`]), those that had come due are records too, `Cancelled` and never sent.
///
/// # Errors
/// Only what makes the stage impossible; what the server does is in the records.
pub fn run_stage<I>(
    config: &ClientConfig,
    stage: Stage,
    requests: I,
    clock: RunClock,
    stop: &StopHandle,
    mut on_event: impl FnMut(LoadEvent),
) -> Result<StageReport, LoadError>
where
    I: IntoIterator<Item = PreparedRequest>,
    I::IntoIter: Send,
{
    stage.check()?;
    if config.targets.is_empty() {
        return Err(LoadError::Plan("no server to send to".into()));
    }
    let template = Template::new(config)?;
    let stamping = (config.arrivals != Arrivals::Userland).then(KeepStamping::begin).flatten();
    let wall = stamping.is_some().then(|| WallMap::new(clock));
    let capture = (config.arrivals == Arrivals::Capture)
        .then(|| Capture::start(&config.targets, clock, wall.clone()))
        .transpose()?;
    let tracker = capture.as_ref().map(Capture::tracker);
    let connector = ConnectorParts::new(config, clock, wall.clone(), tracker)?;
    let cpus = thread::available_parallelism().map_or(1, |n| n.get());
    let most = match stage.load {
        Load::Closed { concurrency } => concurrency as usize,
        Load::Open { .. } => usize::MAX,
    };
    let workers = config.workers.map_or(cpus, |n| n.get()).min(most);
    let (cap, pace) = match stage.load {
        Load::Closed { .. } => (None, None),
        Load::Open { max_in_flight, .. } => (
            max_in_flight.map(|n| Arc::new(Semaphore::new(n as usize))),
            Some(Pace::new(clock, stage.until.duration)),
        ),
    };
    stop.begin_stage();
    let runtimes = (0..workers)
        .map(|_| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadError::Worker)?;

    let limit = stage.max_requests().unwrap_or(u64::MAX);
    let source = requests.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
    let (senders, queues): (Vec<_>, Vec<_>) = match stage.load {
        Load::Closed { concurrency } => {
            vec![async_channel::bounded((2 * concurrency as usize).max(READY_REQUESTS))]
        }
        Load::Open { .. } => (0..workers).map(|_| async_channel::bounded(READY_REQUESTS)).collect(),
    }
    .into_iter()
    .unzip();
    let (messages, inbox) = mpsc::channel();
    let counters: Vec<Arc<Counters>> = (0..workers).map(|_| Arc::default()).collect();

    thread::scope(|scope| {
        // Whatever happens below, no thread is left waiting for a start or a request.
        let release = Release { queues: &queues, start: watch::Sender::new(None), stop };
        for (index, runtime) in runtimes.into_iter().enumerate() {
            let worker = Worker {
                config: config.clone(),
                connector: connector.clone(),
                clock,
                stage,
                index: index as u32,
                workers: workers as u32,
                users: (index as u32..stage.load.connections()).step_by(workers).collect(),
                queue: queues[index % queues.len()].clone(),
                cap: cap.clone(),
                start: release.start.subscribe(),
                stop: stop.subscribe(),
                messages: messages.clone(),
                counters: Arc::clone(&counters[index]),
            };
            thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn_scoped(scope, move || worker.run(&runtime))
                .map_err(LoadError::Worker)?;
        }
        let feeder =
            Feeder { template: &template, queues: senders, messages, stop, pace: pace.as_ref() };
        let feeder = thread::Builder::new()
            .name("load-feed".into())
            .spawn_scoped(scope, move || feeder.run(source))
            .map_err(LoadError::Worker)?;

        let mut conduct = Conduct::default();
        let mut started_at = Timestamp::ZERO;
        let mut refreshed = Instant::now();
        let mut ticked = Instant::now();
        let mut finished_at = Timestamp::ZERO;
        while conduct.done.len() < workers {
            if let Some(wall) = wall.as_ref().filter(|_| refreshed.elapsed() >= REFRESH) {
                wall.refresh();
                refreshed = Instant::now();
            }
            match inbox.recv_timeout(TICK.min(REFRESH)) {
                Ok(Message::Fed) => conduct.fed = true,
                Ok(Message::Ready { connections, degraded }) => {
                    conduct.ready += 1;
                    conduct.connections += connections;
                    if let Some(line) = degraded.filter(|l| !conduct.degraded.contains(l)) {
                        conduct.degraded.push(line);
                    }
                }
                Ok(Message::Finished(mut record)) => {
                    if let Some(capture) = &capture {
                        capture.resolve(&mut record);
                    }
                    conduct.finished += 1;
                    finished_at = finished_at.max(record.finished_at.unwrap_or_default());
                    on_event(LoadEvent::RequestFinished(record));
                }
                Ok(Message::Left(outgoing)) => {
                    conduct.left.push((outgoing.index, outgoing.prepared));
                }
                Ok(Message::Done(ended)) => conduct.done.push(ended),
                Err(RecvTimeoutError::Timeout) => {}
                // Every worker says Done unless it died of a bug.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // An open loop's first request must not be late because it is not prepared.
            let prepared = conduct.fed || pace.is_none();
            if !conduct.started && conduct.ready == workers && prepared {
                conduct.started = true;
                started_at = clock.now();
                if let Some(pace) = &pace {
                    started_at = started_at + START_LEAD;
                    let _ = pace.start.set(started_at);
                }
                finished_at = started_at;
                release.start.send_replace(Some(started_at));
                on_event(LoadEvent::StageStarted {
                    at: started_at,
                    connections: conduct.connections,
                });
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                on_event(LoadEvent::Tick(conduct.live(&counters, pace.as_ref())));
                if stop.signal() != Signal::Go {
                    release.close();
                }
            }
        }
        release.close();
        let mut fed = feeder.join().unwrap_or_default();
        let mut left = std::mem::take(&mut conduct.left);
        left.append(&mut fed.left);
        for queue in &queues {
            while let Ok(outgoing) = queue.try_recv() {
                left.push((outgoing.index, outgoing.prepared));
            }
        }
        left.sort_unstable_by_key(|(index, _)| *index);
        let ended = conduct.end(&stage, &fed, left.is_empty(), stop.signal());
        let mut unsent = Vec::new();
        for (index, prepared) in left {
            let due = prepared
                .due
                .filter(|_| pace.as_ref().is_some_and(|pace| pace.was_due(&prepared, stop)));
            match due {
                Some(due) => {
                    let server = index % config.targets.len() as u64;
                    let record =
                        never_sent(&prepared, stage.index, server as u32, started_at + due);
                    on_event(LoadEvent::RequestFinished(Box::new(record)));
                }
                None => unsent.push(prepared),
            }
        }
        unsent.extend(fed.beyond);
        on_event(LoadEvent::StageFinished { at: finished_at });
        if let Some(fault) = fed.fault {
            return Err(fault);
        }
        let times: Vec<_> = conduct.done.iter().map(|ended| ended.cpu).collect();
        Ok(StageReport {
            started_at,
            finished_at,
            ended,
            workers: workers as u32,
            capture: capture.as_ref().map(Capture::report),
            cpu: cpu::total(&times, finished_at.since(started_at)),
            capped: conduct.done.iter().map(|ended| ended.capped).sum(),
            degraded: conduct.degraded,
            unsent,
        })
    })
}

/// What has been heard of the workers.
#[derive(Default)]
struct Conduct {
    fed: bool,
    ready: usize,
    connections: u32,
    degraded: Vec<String>,
    started: bool,
    done: Vec<Ended>,
    finished: u64,
    due: u64,
    left: Vec<(u64, PreparedRequest)>,
}

impl Conduct {
    fn live(&mut self, counters: &[Arc<Counters>], pace: Option<&Pace>) -> Live {
        let mut live = counters.iter().map(|c| c.read()).fold(Live::default(), |a, b| Live {
            due: 0,
            in_flight: a.in_flight + b.in_flight,
            finished: a.finished + b.finished,
            tokens: a.tokens + b.tokens,
        });
        self.due += pace.map_or(0, Pace::newly_due);
        live.due = self.due.max(live.finished + u64::from(live.in_flight));
        live
    }

    /// Why the stage ended; `all_sent`: nothing that was drawn is left.
    fn end(&self, stage: &Stage, fed: &Fed, all_sent: bool, signal: Signal) -> StageEnd {
        let users_by_duration = self.done.iter().any(|ended| ended.by_duration);
        let drawn = (fed.exhausted || fed.beyond.is_some()) && all_sent;
        let open = matches!(stage.load, Load::Open { .. });
        match signal {
            Signal::Stop(_) => StageEnd::Interrupted,
            _ if stage.max_requests() == Some(self.finished) => StageEnd::Requests,
            // Told to end when there was nothing more to send, it ends for that reason.
            Signal::End(_) if !drawn && !users_by_duration => StageEnd::Precise,
            _ if users_by_duration || fed.beyond.is_some() => StageEnd::Duration,
            // An open loop without a number of requests is its schedule.
            _ if open && stage.until.requests.is_none() => StageEnd::Requests,
            _ => StageEnd::Prompts,
        }
    }
}

/// Lets the threads end when the stage is left, by an error or a panic too: the
/// scope waits for them. Dropped, the start's sender ends the wait for a start.
struct Release<'a> {
    queues: &'a [async_channel::Receiver<Outgoing>],
    start: watch::Sender<Option<Timestamp>>,
    stop: &'a StopHandle,
}

impl Release<'_> {
    /// Nothing more goes into the queues.
    fn close(&self) {
        for queue in self.queues {
            queue.close();
        }
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.close();
        if thread::panicking() {
            self.stop.stop();
        }
    }
}
