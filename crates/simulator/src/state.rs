//! What all connections of a server share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::config::SimulatorConfig;
use crate::driver::{EngineHandle, lock};
use crate::engine::SequenceId;
use crate::metrics::{EngineMetrics, HttpMetrics, render};

/// What `/version` answers: vLLM's version that the wire is that of, and that it is simulated.
pub(crate) const VERSION: &str = "0.32.0+simulated";

/// What the `Server` header of every answer says.
pub(crate) const SERVER: &str = concat!("vllm-bench-simulator/", env!("CARGO_PKG_VERSION"));

/// A running server.
pub(crate) struct State {
    pub(crate) config: SimulatorConfig,
    pub(crate) engine: EngineHandle,
    pub(crate) engine_metrics: Arc<Mutex<EngineMetrics>>,
    pub(crate) http_metrics: Mutex<HttpMetrics>,
    /// Since the Unix epoch.
    started: Duration,
    pub(crate) fingerprint: String,
    sequences: AtomicU64,
    generating: AtomicU64,
    in_flight: AtomicU64,
    ids: AtomicU64,
}

impl State {
    pub(crate) fn new(
        config: SimulatorConfig,
        engine: EngineHandle,
        engine_metrics: Arc<Mutex<EngineMetrics>>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (&config.model, config.block_size, config.num_blocks, config.seed).hash(&mut hasher);
        let fingerprint = format!("vllm-{VERSION}-{:08x}", hasher.finish() as u32);
        State {
            config,
            engine,
            engine_metrics,
            http_metrics: Mutex::new(HttpMetrics::new()),
            started: unix_now(),
            fingerprint,
            sequences: AtomicU64::new(0),
            generating: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            ids: AtomicU64::new(0),
        }
    }

    pub(crate) fn metrics_text(&self) -> String {
        // Copied, so that the engine's thread does not wait for the text.
        let engine = lock(&self.engine_metrics).clone();
        render(&engine, &lock(&self.http_metrics), &self.config, self.started.as_secs_f64())
    }

    /// Seconds since the Unix epoch at the start.
    pub(crate) fn started(&self) -> u64 {
        self.started.as_secs()
    }

    /// The first of `count` sequence ids that nobody else gets.
    pub(crate) fn sequence_ids(&self, count: u32) -> SequenceId {
        self.sequences.fetch_add(u64::from(count), Ordering::Relaxed)
    }

    /// Number of this generating request, counted from 1.
    pub(crate) fn next_generating(&self) -> u64 {
        self.generating.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Generating requests that are not answered yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// An id of 16 hexadecimal digits, as vLLM's.
    pub(crate) fn new_id(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.started, self.config.seed, self.ids.fetch_add(1, Ordering::Relaxed))
            .hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// A request in flight.
pub(crate) struct InFlight(Arc<State>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// When a request came, on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    /// Whole seconds since the Unix epoch, for `created`.
    pub(crate) unix: u64,
}

impl Arrival {
    pub(crate) fn now() -> Self {
        Arrival { at: Instant::now(), unix: unix_now().as_secs() }
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
