//! One stage, from open connections to the last answer.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request};
use tokio::sync::watch;
use vllm_bench_record::{CaptureInfo, RunClock, StageEnd, Timestamp};

use crate::capture::Capture;
use crate::client::Outgoing;
use crate::config::{Arrivals, ClientConfig};
use crate::connection::ConnectorParts;
use crate::error::LoadError;
use crate::event::{Live, LoadEvent};
use crate::kernel_clock::{KeepStamping, REFRESH, WallMap};
use crate::plan::{Load, PreparedRequest, Stage};
use crate::stop::StopHandle;
use crate::worker::{Counters, Message, Worker};

/// How a stage went.
#[derive(Debug, Clone, PartialEq)]
pub struct StageReport {
    /// When its users started.
    pub started_at: Timestamp,
    /// When its last request had ended.
    pub finished_at: Timestamp,
    /// Why it ended.
    pub ended: StageEnd,
    /// Threads that made the load.
    pub workers: u32,
    /// What the capture saw; `None` without [`Arrivals::Capture`].
    pub capture: Option<CaptureInfo>,
    /// Requests that were taken from the source and not sent.
    pub unsent: Vec<PreparedRequest>,
}

/// How often [`LoadEvent::Tick`] is said.
const TICK: Duration = Duration::from_millis(250);

/// Requests kept ready ahead of the users.
const READY_REQUESTS: usize = 256;

/// Runs `stage`: opens its connections, lets its users send `requests` (each
/// once, in order), and returns when the last answer has ended. Blocks; events
/// are said in this thread, the load is made in others.
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
    let Load::Closed { concurrency } = stage.load else {
        return Err(LoadError::Plan("an open loop cannot be run yet".into()));
    };
    let workers = config.workers.map_or(cpus, |n| n.get()).min(concurrency as usize);
    let runtimes = (0..workers)
        .map(|_| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadError::Worker)?;

    let limit = stage.max_requests().unwrap_or(u64::MAX);
    let mut source = requests.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
    let (queue_tx, queue) = async_channel::bounded((2 * concurrency as usize).max(READY_REQUESTS));
    let (messages, inbox) = mpsc::channel();
    let counters: Vec<Arc<Counters>> = (0..workers).map(|_| Arc::default()).collect();

    thread::scope(|scope| {
        // Whatever happens below, no thread is left waiting for a start or a request.
        let release = Release { queue: queue.clone(), start: watch::Sender::new(None), stop };
        for (index, runtime) in runtimes.into_iter().enumerate() {
            let worker = Worker {
                config: config.clone(),
                connector: connector.clone(),
                clock,
                stage,
                users: (index as u32..concurrency).step_by(workers).collect(),
                queue: queue.clone(),
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
        drop(messages);
        let template = &template;
        let feeder = thread::Builder::new()
            .name("load-feed".into())
            .spawn_scoped(scope, move || {
                let mut unsent = Vec::new();
                for prepared in source.by_ref() {
                    let outgoing = template.outgoing(prepared);
                    if let Err(closed) = queue_tx.send_blocking(outgoing) {
                        unsent.push(closed.0.prepared);
                        break;
                    }
                }
                unsent
            })
            .map_err(LoadError::Worker)?;

        let mut conduct =
            Conduct { ready: 0, connections: 0, done: 0, by_duration: false, finished: 0 };
        let mut started_at = Timestamp::ZERO;
        let mut refreshed = Instant::now();
        let mut ticked = Instant::now();
        let mut finished_at = Timestamp::ZERO;
        while conduct.done < workers {
            if let Some(wall) = wall.as_ref().filter(|_| refreshed.elapsed() >= REFRESH) {
                wall.refresh();
                refreshed = Instant::now();
            }
            match inbox.recv_timeout(TICK.min(REFRESH)) {
                Ok(Message::Ready { connections }) => {
                    conduct.ready += 1;
                    conduct.connections += connections;
                    if conduct.ready == workers {
                        started_at = clock.now();
                        finished_at = started_at;
                        on_event(LoadEvent::StageStarted {
                            at: started_at,
                            connections: conduct.connections,
                        });
                        release.start.send_replace(Some(started_at));
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
                Ok(Message::Done { by_duration }) => {
                    conduct.done += 1;
                    conduct.by_duration |= by_duration;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Every worker says Done unless it died of a bug.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                on_event(LoadEvent::Tick(total(&counters)));
                if stop.is_stopped() {
                    queue.close();
                }
            }
        }
        queue.close();
        let mut unsent: Vec<PreparedRequest> = Vec::new();
        while let Ok(outgoing) = queue.try_recv() {
            unsent.push(outgoing.prepared);
        }
        unsent.extend(feeder.join().unwrap_or_default());
        on_event(LoadEvent::StageFinished { at: finished_at });
        let ended = if stop.is_stopped() {
            StageEnd::Interrupted
        } else if conduct.by_duration {
            StageEnd::Duration
        } else if stage.max_requests() == Some(conduct.finished) {
            StageEnd::Requests
        } else {
            StageEnd::Prompts
        };
        let capture = capture.as_ref().map(Capture::report);
        Ok(StageReport { started_at, finished_at, ended, workers: workers as u32, capture, unsent })
    })
}

/// What has been heard of the workers.
struct Conduct {
    ready: usize,
    connections: u32,
    done: usize,
    by_duration: bool,
    finished: u64,
}

fn total(counters: &[Arc<Counters>]) -> Live {
    counters.iter().map(|c| c.read()).fold(Live::default(), |a, b| Live {
        in_flight: a.in_flight + b.in_flight,
        finished: a.finished + b.finished,
        tokens: a.tokens + b.tokens,
    })
}

/// Lets the threads end when the stage is left, by an error or a panic too: the
/// scope waits for them. Dropped, the start's sender ends the wait for a start.
struct Release<'a> {
    queue: async_channel::Receiver<Outgoing>,
    start: watch::Sender<Option<Timestamp>>,
    stop: &'a StopHandle,
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.queue.close();
        if thread::panicking() {
            self.stop.stop();
        }
    }
}

/// The part of every request that is the same.
struct Template {
    headers: HeaderMap,
    path: String,
}

impl Template {
    fn new(config: &ClientConfig) -> Result<Self, LoadError> {
        let target = &config.targets[0];
        let mut headers = HeaderMap::new();
        let value = |name: &str, value: &str| {
            HeaderValue::from_str(value).map_err(|_| LoadError::Header {
                name: name.into(),
                reason: "the value has characters that a header cannot carry".into(),
            })
        };
        headers.insert(HOST, value("host", &target.authority())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if config.stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let agent = concat!("vllm-bench/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(key) = &config.api_key {
            let mut bearer = value("authorization", &format!("Bearer {}", key.expose()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        for (name, text) in &config.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                LoadError::Header { name: name.clone(), reason: "not a header name".into() }
            })?;
            headers.insert(parsed, value(name, text)?);
        }
        Ok(Self { headers, path: target.path(config.endpoint.path()) })
    }

    fn outgoing(&self, prepared: PreparedRequest) -> Outgoing {
        let mut request = Request::new(Full::new(Bytes::clone(&prepared.body)));
        *request.method_mut() = Method::POST;
        // Both were checked when the target was resolved; an id is ours.
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(&prepared.request_id) {
            request.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        Outgoing { request, prepared }
    }
}
