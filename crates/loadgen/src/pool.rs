//! The connections of one worker in an open loop: the last one used is the next one taken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use vllm_bench_record::RunClock;

use crate::client::Client;
use crate::config::ClientConfig;
use crate::connection::Connector;
use crate::stop::LocalStop;

/// Idle connections kept open for a growing load, for each server, beyond an eighth of those
/// in use.
const RESERVE: usize = 2;

/// Most of them, so that a server that is overrun is not offered ever more connections.
const MOST_RESERVE: usize = 32;

/// How long no spare connection is opened after one could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// What every slot of a worker shares.
pub(crate) struct Parts {
    pub config: Rc<ClientConfig>,
    pub connector: Rc<Connector>,
    pub clock: RunClock,
    pub stop: Rc<LocalStop>,
    pub stage_index: u32,
    /// The worker's number and how many there are: slots are numbered over all of them.
    pub worker: u32,
    pub workers: u32,
    /// Most requests in flight, in all workers together.
    pub max_in_flight: Option<u32>,
}

/// Connection slots: in use, idle with an open connection, or vacant.
pub(crate) struct Pool {
    parts: Parts,
    inner: RefCell<Inner>,
}

struct Inner {
    /// Slots that exist.
    slots: usize,
    servers: Vec<Server>,
}

struct Server {
    /// Coldest first.
    idle: VecDeque<Client>,
    /// Without a connection; their numbers are used again.
    vacant: Vec<Client>,
    /// Spare connections being opened.
    opening: usize,
    in_use: usize,
    /// No spare connection before this.
    not_before: Option<Instant>,
}

impl Pool {
    pub(crate) fn new(parts: Parts) -> Rc<Self> {
        let server = || Server {
            idle: VecDeque::new(),
            vacant: Vec::new(),
            opening: 0,
            in_use: 0,
            not_before: None,
        };
        let servers = parts.config.targets.iter().map(|_| server()).collect();
        Rc::new(Self { parts, inner: RefCell::new(Inner { slots: 0, servers }) })
    }

    /// The server of a stage's request `index`.
    pub(crate) fn server_of(&self, index: u64) -> usize {
        (index % self.parts.config.targets.len() as u64) as usize
    }

    /// Opens `count` connections, spread as the worker's requests will be. How many it came to.
    pub(crate) async fn open(self: &Rc<Self>, count: u32) -> u32 {
        let tasks: Vec<_> = (0..u64::from(count))
            .map(|n| {
                let index = u64::from(self.parts.worker) + n * u64::from(self.parts.workers);
                let mut client = self.vacant(self.server_of(index));
                tokio::task::spawn_local(async move {
                    client.connect().await;
                    client
                })
            })
            .collect();
        let mut connected = 0;
        for task in tasks {
            if let Ok(client) = task.await {
                connected += u32::from(client.connection.is_some());
                self.put(client);
            }
        }
        connected
    }

    /// A slot to send to `server` with: its connection is open if one was idle.
    pub(crate) async fn take(&self, server: usize) -> Client {
        loop {
            let hot = self.inner.borrow_mut().servers[server].idle.pop_back();
            let mut client = match hot {
                Some(client) => client,
                None => self.vacant(server),
            };
            if client.connection.is_none() || client.is_usable().await {
                self.inner.borrow_mut().servers[server].in_use += 1;
                return client;
            }
            self.put(client);
        }
    }

    /// Takes back what [`take`](Self::take) gave.
    pub(crate) fn give(&self, client: Client) {
        self.inner.borrow_mut().servers[client.server].in_use -= 1;
        self.put(client);
    }

    /// Off the timed path: looks whether the coldest connection still lives, and opens a
    /// spare one if few are idle.
    pub(crate) async fn tend(self: &Rc<Self>, server: usize) {
        let cold = self.inner.borrow_mut().servers[server].idle.pop_front();
        if let Some(mut client) = cold {
            if client.is_usable().await {
                self.inner.borrow_mut().servers[server].idle.push_front(client);
            } else {
                self.put(client);
            }
        }
        if !self.wants_spare(server) {
            return;
        }
        self.inner.borrow_mut().servers[server].opening += 1;
        let mut client = self.vacant(server);
        let pool = Rc::clone(self);
        tokio::task::spawn_local(async move {
            client.connect().await;
            let mut inner = pool.inner.borrow_mut();
            let of = &mut inner.servers[server];
            of.opening -= 1;
            if client.connection.is_some() {
                of.idle.push_front(client);
            } else {
                of.vacant.push(client);
                of.not_before = Some(Instant::now() + PAUSE);
            }
        });
    }

    fn wants_spare(&self, server: usize) -> bool {
        let inner = self.inner.borrow();
        let of = &inner.servers[server];
        let ready = of.idle.len() + of.opening;
        let useful = self.parts.max_in_flight.is_none_or(|n| of.in_use + ready < n as usize);
        useful
            && ready < (RESERVE + of.in_use / 8).min(MOST_RESERVE)
            && of.not_before.is_none_or(|at| Instant::now() >= at)
    }

    /// A slot without a connection.
    fn vacant(&self, server: usize) -> Client {
        let mut inner = self.inner.borrow_mut();
        if let Some(client) = inner.servers[server].vacant.pop() {
            return client;
        }
        let slot = inner.slots;
        inner.slots += 1;
        let parts = &self.parts;
        Client {
            config: Rc::clone(&parts.config),
            connector: Rc::clone(&parts.connector),
            clock: parts.clock,
            stop: Rc::clone(&parts.stop),
            slot,
            user: parts.worker + slot as u32 * parts.workers,
            server,
            stage_index: parts.stage_index,
            connection: None,
        }
    }

    fn put(&self, client: Client) {
        let of = &mut self.inner.borrow_mut().servers[client.server];
        if client.connection.is_some() {
            of.idle.push_back(client);
        } else {
            of.vacant.push(client);
        }
    }
}
