//! One load-generator thread: its runtime, its users, its connections.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::LocalSet;
use vllm_bench_record::{FailureCause, Outcome, RequestRecord, RunClock, Timestamp};

use crate::client::{Client, Outgoing};
use crate::config::ClientConfig;
use crate::connection::ConnectorParts;
use crate::event::Live;
use crate::plan::Stage;
use crate::stop::LocalStop;

/// What a worker tells the stage.
pub(crate) enum Message {
    /// Its connections are open, as many as could be.
    Ready { connections: u32 },
    /// A request ended.
    Finished(Box<RequestRecord>),
    /// All its users are done; whether the duration stopped any of them.
    Done { by_duration: bool },
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
            in_flight: self.in_flight.load(Ordering::Relaxed),
            finished: self.finished.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
        }
    }
}

/// Everything one worker thread needs.
pub(crate) struct Worker {
    pub config: ClientConfig,
    pub connector: ConnectorParts,
    pub clock: RunClock,
    pub stage: Stage,
    /// Numbers of its users in the stage.
    pub users: Vec<u32>,
    pub queue: async_channel::Receiver<Outgoing>,
    /// Becomes the stage's start when all workers are ready.
    pub start: watch::Receiver<Option<Timestamp>>,
    pub stop: watch::Receiver<bool>,
    pub messages: Sender<Message>,
    pub counters: Arc<Counters>,
}

/// Longest a user whose connection is refused waits before its next request.
const CONNECT_PAUSE: Duration = Duration::from_secs(5);

impl Worker {
    /// Runs all users to their end, in this thread.
    pub(crate) fn run(self, runtime: &tokio::runtime::Runtime) {
        LocalSet::new().block_on(runtime, self.run_users());
    }

    async fn run_users(self) {
        let stop = LocalStop::new(self.users.len());
        tokio::task::spawn_local(watch_stop(self.stop.clone(), Rc::clone(&stop)));
        let config = Rc::new(self.config);
        let connector = Rc::new(self.connector.connector());
        let mut clients = Vec::with_capacity(self.users.len());
        for (slot, &user) in self.users.iter().enumerate() {
            let mut client = Client {
                config: Rc::clone(&config),
                connector: Rc::clone(&connector),
                clock: self.clock,
                stop: Rc::clone(&stop),
                slot,
                user,
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
        let _ = self.messages.send(Message::Ready { connections });

        let by_duration = Rc::new(Cell::new(false));
        let users: Vec<_> = connected
            .into_iter()
            .map(|client| {
                let user = User {
                    client,
                    stage: self.stage,
                    clock: self.clock,
                    queue: self.queue.clone(),
                    stop: Rc::clone(&stop),
                    messages: self.messages.clone(),
                    counters: Arc::clone(&self.counters),
                    by_duration: Rc::clone(&by_duration),
                };
                tokio::task::spawn_local(user.run(self.start.clone()))
            })
            .collect();
        for user in users {
            if let Err(error) = user.await {
                tracing::error!(%error, "a user ended by a bug");
            }
        }
        let _ = self.messages.send(Message::Done { by_duration: by_duration.get() });
    }
}

async fn watch_stop(mut stop: watch::Receiver<bool>, local: Rc<LocalStop>) {
    if stop.wait_for(|&stopped| stopped).await.is_ok() {
        local.stop();
    }
}

/// One user: sends, waits for the end, sends again.
struct User {
    client: Client,
    stage: Stage,
    clock: RunClock,
    queue: async_channel::Receiver<Outgoing>,
    stop: Rc<LocalStop>,
    messages: Sender<Message>,
    counters: Arc<Counters>,
    by_duration: Rc<Cell<bool>>,
}

impl User {
    async fn run(mut self, mut start: watch::Receiver<Option<Timestamp>>) {
        let Ok(start) = start.wait_for(Option::is_some).await.map(|at| at.unwrap_or_default())
        else {
            return;
        };
        let end = self.stage.until.duration.map(|d| start + d);
        let mut free_at = start;
        let mut sent = 0;
        let mut pause = Duration::from_millis(100);
        while !self.stop.is_stopped() && self.stage.until.requests_per_user != Some(sent) {
            if end.is_some_and(|end| self.clock.now() >= end) {
                self.by_duration.set(true);
                break;
            }
            let Ok(outgoing) = self.queue.recv().await else { break };
            sent += 1;
            self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
            let tokens = &self.counters.tokens;
            let record = self
                .client
                .request(outgoing, free_at, |n| {
                    tokens.fetch_add(u64::from(n), Ordering::Relaxed);
                })
                .await;
            self.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.counters.finished.fetch_add(1, Ordering::Relaxed);
            let refused = matches!(&record.outcome, Outcome::Failed(f) if matches!(
                f.cause,
                FailureCause::Connect | FailureCause::ConnectTimeout
            ));
            free_at = record.finished_at.unwrap_or_else(|| self.clock.now());
            let _ = self.messages.send(Message::Finished(Box::new(record)));
            if refused {
                // A server that is gone must not eat the whole corpus in a second.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(CONNECT_PAUSE);
                free_at = self.clock.now();
            } else {
                pause = Duration::from_millis(100);
            }
        }
    }
}
