//! One load-generator thread: its runtime, its users, its connections.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use vllm_bench_record::{FailureCause, Outcome, RequestRecord, RunClock, Timestamp};

use crate::client::{Client, Outgoing};
use crate::config::ClientConfig;
use crate::connection::ConnectorParts;
use crate::event::Live;
use crate::open;
use crate::plan::{Load, Stage};
use crate::stop::{LocalStop, Signal, raised};

/// What a worker tells the stage.
pub(crate) enum Message {
    /// The first request is prepared, or there is none.
    Fed,
    /// Its connections are open, as many as could be; what it has to do without.
    Ready { connections: u32, degraded: Option<String> },
    /// A request ended.
    Finished(Box<RequestRecord>),
    /// A request that was not sent, because nothing more is to be.
    Left(Box<Outgoing>),
    /// All its users are done.
    Done(Ended),
}

/// How a worker's part of the stage went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ended {
    /// Whether the duration stopped any of its users.
    pub by_duration: bool,
    /// Requests that had to wait for a free slot.
    pub capped: u64,
    /// CPU time from the stage's start.
    pub cpu: Option<Duration>,
}

/// Counters of one worker, written by it alone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    in_flight: AtomicU32,
    finished: AtomicU64,
    tokens: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Live {
        Live {
            due: 0,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            finished: self.finished.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
        }
    }
}

impl Counters {
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tokens(&self, n: u32) {
        self.tokens.fetch_add(u64::from(n), Ordering::Relaxed);
    }
}

/// Everything one worker thread needs.
pub(crate) struct Worker {
    pub config: ClientConfig,
    pub connector: ConnectorParts,
    pub clock: RunClock,
    pub stage: Stage,
    /// Its number, and how many there are.
    pub index: u32,
    pub workers: u32,
    /// Numbers of its users in the stage; in an open loop, of its first connections.
    pub users: Vec<u32>,
    pub queue: async_channel::Receiver<Outgoing>,
    /// Becomes the stage's start when all workers are ready.
    pub start: watch::Receiver<Option<Timestamp>>,
    pub stop: watch::Receiver<Signal>,
    /// Slots of an open loop under a cap.
    pub cap: Option<Arc<Semaphore>>,
    pub messages: Sender<Message>,
    pub counters: Arc<Counters>,
}

/// Longest a user whose connection is refused waits before its next request.
const CONNECT_PAUSE: Duration = Duration::from_secs(5);

impl Worker {
    /// Runs all users to their end, in this thread.
    pub(crate) fn run(self, runtime: &tokio::runtime::Runtime) {
        let messages = self.messages.clone();
        let ended = LocalSet::new().block_on(runtime, async {
            let stop = Rc::<LocalStop>::default();
            tokio::task::spawn_local(Rc::clone(&stop).watch(self.stop.clone()));
            match self.stage.load {
                Load::Closed { .. } => self.run_users(stop).await,
                Load::Open { .. } => open::send_on_time(self, stop).await,
            }
        });
        let _ = messages.send(Message::Done(ended));
    }

    /// The stage's start; `None` when there will be none.
    pub(crate) async fn started(&mut self) -> Option<Timestamp> {
        self.start.wait_for(Option::is_some).await.ok().and_then(|at| *at)
    }

    async fn run_users(mut self, stop: Rc<LocalStop>) -> Ended {
        let config = Rc::new(self.config.clone());
        let connector = Rc::new(self.connector.clone().connector());
        let mut clients = Vec::with_capacity(self.users.len());
        for (slot, &user) in self.users.iter().enumerate() {
            let mut client = Client {
                config: Rc::clone(&config),
                connector: Rc::clone(&connector),
                clock: self.clock,
                stop: Rc::clone(&stop),
                slot,
                user,
                server: user as usize % config.targets.len(),
                stage_index: self.stage.index,
                connection: None,
            };
            clients.push(tokio::task::spawn_local(async move {
                client.connect().await;
                client
            }));
        }
        let mut connected = Vec::with_capacity(clients.len());
        for client in clients {
            if let Ok(client) = client.await {
                connected.push(client);
            }
        }
        let connections = connected.iter().filter(|c| c.connection.is_some()).count() as u32;
        // A send fails only when the stage is gone, and then so is this worker.
        let _ = self.messages.send(Message::Ready { connections, degraded: None });
        let Some(start) = self.started().await else { return Ended::default() };
        let cpu = crate::cpu::thread_time();

        let by_duration = Rc::new(Cell::new(false));
        let users: Vec<_> = connected
            .into_iter()
            .map(|client| {
                let user = User {
                    client,
                    stage: self.stage,
                    clock: self.clock,
                    queue: self.queue.clone(),
                    messages: self.messages.clone(),
                    counters: Arc::clone(&self.counters),
                    by_duration: Rc::clone(&by_duration),
                };
                tokio::task::spawn_local(user.run(start, self.stop.clone()))
            })
            .collect();
        for user in users {
            if let Err(error) = user.await {
                tracing::error!(%error, "a user ended by a bug");
            }
        }
        Ended { by_duration: by_duration.get(), capped: 0, cpu: crate::cpu::since(cpu) }
    }
}

/// One user: sends, waits for the end, sends again.
struct User {
    client: Client,
    stage: Stage,
    clock: RunClock,
    queue: async_channel::Receiver<Outgoing>,
    messages: Sender<Message>,
    counters: Arc<Counters>,
    by_duration: Rc<Cell<bool>>,
}

impl User {
    async fn run(mut self, start: Timestamp, mut signal: watch::Receiver<Signal>) {
        let end = self.stage.until.duration.map(|d| start + d);
        let mut free_at = start;
        let mut sent = 0;
        let mut pause = Duration::from_millis(100);
        while self.stage.until.requests_per_user != Some(sent) {
            if end.is_some_and(|end| self.clock.now() >= end) {
                self.by_duration.set(true);
                break;
            }
            let outgoing = tokio::select! {
                biased;
                () = raised(&mut signal) => break,
                next = self.queue.recv() => match next {
                    Ok(outgoing) => outgoing,
                    Err(_) => break,
                },
            };
            sent += 1;
            self.counters.begin();
            let counters = &self.counters;
            let record = self.client.request(outgoing, free_at, |n| counters.tokens(n)).await;
            self.counters.end();
            let refused = matches!(&record.outcome, Outcome::Failed(f) if matches!(
                f.cause,
                FailureCause::Connect | FailureCause::ConnectTimeout
            ));
            free_at = record.finished_at.unwrap_or_else(|| self.clock.now());
            let _ = self.messages.send(Message::Finished(Box::new(record)));
            if refused {
                // A server that is gone must not eat the whole corpus in a second.
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = raised(&mut signal) => {}
                }
                pause = (pause * 2).min(CONNECT_PAUSE);
                free_at = self.clock.now();
            } else {
                pause = Duration::from_millis(100);
            }
        }
    }
}
