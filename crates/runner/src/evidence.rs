//! What the verdict rests on, gathered while the run runs: from its records as they end, and from the
//! samples that go to storage. What the manifest tells is added when it is complete.
//!
//! Distributions are histograms (within 0.1 %). For the steady window a stage keeps one small entry
//! a request until it ends, so that the window is the report's, not a guess.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::mpsc::{self, Receiver, Sender};

use vllm_bench_record::{
    Arrivals, Counts, EngineSample, Evidence, GpuEvidence, GpuSample, InFlight, Manifest, Outcome,
    Phase, RequestFacts, RequestRecord, ServerStarts, Span, StageEvidence, StageInfo,
    SteadyEvidence, Timestamp, Verdict, steady_stands, steady_window,
};

use crate::histogram::Histogram;

/// The senders for what samplers see.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) gpu: Sender<Vec<GpuSample>>,
    pub(crate) engine: Sender<Vec<EngineSample>>,
}

/// Sees a whole run.
#[derive(Debug)]
pub(crate) struct Witness {
    /// [`Evidence::cached_head_tokens`].
    head: u64,
    prompts: Prompts,
    stage: Stage,
    /// Stages that are over, by their index in the manifest.
    stages: BTreeMap<usize, Stage>,
    samples: Samples,
}

impl Witness {
    /// Of the run that `manifest` plans.
    pub(crate) fn new(manifest: &Manifest) -> (Self, Seen) {
        let (gpu, gpus) = mpsc::channel();
        let (engine, engines) = mpsc::channel();
        let witness = Self {
            head: Evidence::of_manifest(manifest).cached_head_tokens,
            prompts: Prompts::default(),
            stage: Stage::default(),
            stages: BTreeMap::new(),
            samples: Samples {
                gpus,
                engines,
                pending: Vec::new(),
                spans: Vec::new(),
                gpu: GpuEvidence::default(),
                servers: ServerStarts::default(),
            },
        };
        (witness, Seen { gpu, engine })
    }

    /// A stage starts.
    pub(crate) fn begin(&mut self, phase: Phase, at: Timestamp) {
        self.samples.settle(at, None);
        let measured_from = (phase == Phase::Measure).then_some(at);
        self.stage = Stage { measured_from, ..Stage::default() };
    }

    /// A request of it ended.
    pub(crate) fn add(&mut self, record: &RequestRecord) {
        if record.sent_at.is_some() {
            self.prompts.add(record);
        }
        self.stage.add(record, self.head);
    }

    /// Some time passed. Samples up to the last end of a request lie in the stage for certain.
    pub(crate) fn tick(&mut self) {
        if let Some(to) = self.stage.last {
            self.samples.settle(to, self.stage.measured_from);
        }
    }

    /// The stage at `index` of the manifest is over; `info` tells all of it.
    pub(crate) fn end(&mut self, index: usize, info: &StageInfo) {
        let mut stage = std::mem::take(&mut self.stage);
        if info.phase == Phase::Measure {
            if let Some((from, to)) = info.started_at_ns.zip(info.finished_at_ns) {
                self.samples.spans.push(Span { from, to });
            }
            stage.find_window(info);
            self.stages.insert(index, stage);
        }
    }

    /// The verdict on the run that `manifest` tells of; `lost`: rows that storage could not keep.
    pub(crate) fn verdict(mut self, manifest: &Manifest, lost: u64) -> Verdict {
        self.samples.settle(Timestamp::from_nanos(u64::MAX), None);
        let mut evidence = Evidence::of_manifest(manifest);
        let measured = manifest.stages.iter().enumerate();
        let measured = measured.filter(|(_, info)| info.phase == Phase::Measure);
        for ((index, _), stage) in measured.zip(&mut evidence.stages) {
            if let Some(seen) = self.stages.remove(&index) {
                seen.tell(stage);
            }
        }
        evidence.lost_rows = lost;
        evidence.prompts_sent = self.prompts.seen.len() as u64;
        evidence.prompts_repeated = self.prompts.repeated.len() as u64;
        evidence.gpu = self.samples.gpu;
        evidence.servers.merge(&self.samples.servers);
        Verdict::of(&evidence)
    }
}

/// Prompts (and turns) that were sent, by a hash of 64 bits: two of a million are taken for one
/// with a probability of 3 in 10^8.
#[derive(Debug, Default)]
struct Prompts {
    hasher: RandomState,
    seen: HashSet<u64>,
    repeated: HashSet<u64>,
}

impl Prompts {
    fn add(&mut self, record: &RequestRecord) {
        let hash = self.hasher.hash_one((&record.prompt_id, record.turn));
        if !self.seen.insert(hash) {
            self.repeated.insert(hash);
        }
    }
}

/// Samples, folded once it is known whether a stage was measured when they were taken.
#[derive(Debug)]
struct Samples {
    gpus: Receiver<Vec<GpuSample>>,
    engines: Receiver<Vec<EngineSample>>,
    pending: Vec<GpuSample>,
    /// Measured stages that are over.
    spans: Vec<Span>,
    gpu: GpuEvidence,
    servers: ServerStarts,
}

impl Samples {
    /// Folds what was taken up to `to`, which lies in a stage that has been measured since
    /// `measured_from`, if it has.
    fn settle(&mut self, to: Timestamp, measured_from: Option<Timestamp>) {
        self.engines.try_iter().flatten().for_each(|sample| self.servers.add(&sample));
        self.pending.extend(self.gpus.try_iter().flatten());
        let (gpu, spans) = (&mut self.gpu, &self.spans);
        self.pending.retain(|sample| {
            let known = sample.at <= to;
            if known {
                let now = measured_from.is_some_and(|from| from <= sample.at);
                gpu.add(sample, now || spans.iter().any(|span| span.holds(sample.at)));
            }
            !known
        });
    }
}

/// What has been seen of a stage.
#[derive(Debug, Default)]
struct Stage {
    /// When it started; `None` when it is not measured.
    measured_from: Option<Timestamp>,
    counts: Counts,
    arrivals: Arrivals,
    send_lag: Histogram,
    ttft: Histogram,
    client_lag: Histogram,
    itl: Histogram,
    tokens: u64,
    /// The first sending and the last end.
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    flights: Vec<Flight>,
    steady: Option<SteadyEvidence>,
    steady_stands: bool,
    ttft_samples: u64,
}

/// What the steady window needs of a request.
#[derive(Debug, Clone, Copy)]
struct Flight {
    due: Timestamp,
    sent: Option<Timestamp>,
    end: Option<Timestamp>,
    completed: bool,
    /// Completed requests that brought a token: E2E latency, ns.
    e2e_ns: Option<u64>,
}

impl Flight {
    fn of(record: &RequestRecord) -> Self {
        let completed = record.outcome == Outcome::Completed;
        Self {
            due: record.scheduled_at,
            sent: record.sent_at,
            end: record.finished_at.or(record.last_token_at()),
            completed,
            e2e_ns: record.e2e().filter(|_| completed).map(|e2e| e2e.as_nanos() as u64),
        }
    }

    fn in_flight(&self) -> Option<(Timestamp, Timestamp)> {
        let sent = self.sent?;
        Some((sent, self.end?.max(sent)))
    }
}

impl Stage {
    fn add(&mut self, record: &RequestRecord, head: u64) {
        let facts = RequestFacts::from(record);
        self.counts.add(&facts, head);
        self.arrivals.add(&facts);
        let flight = Flight::of(record);
        let from = flight.sent.unwrap_or(flight.due);
        self.first = Some(self.first.map_or(from, |first| first.min(from)));
        self.last = self.last.max(flight.end.or(flight.sent));
        self.flights.push(flight);
        self.tokens += record.chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum::<u64>();
        self.send_lag.extend(record.send_lag());
        if record.outcome == Outcome::Completed {
            self.ttft.extend(record.ttft());
            self.client_lag.extend(record.chunks.iter().filter_map(|chunk| chunk.client_lag));
            self.itl.extend(record.itl());
        }
    }

    /// Finds the steady window, and lets go of what only it needed.
    fn find_window(&mut self, info: &StageInfo) {
        let flights = std::mem::take(&mut self.flights);
        let in_flight = InFlight::of(flights.iter().filter_map(Flight::in_flight));
        let steady = steady_window(info, &in_flight, flights.iter().map(|flight| flight.due));
        let inside = |flight: &&Flight| {
            flight.completed
                && steady.is_some_and(|span| span.holds(flight.sent.unwrap_or(flight.due)))
        };
        let completed = flights.iter().filter(inside).count() as u64;
        self.steady_stands = steady_stands(&info.load, completed, self.counts.completed);
        let mut e2e = Histogram::default();
        flights.iter().filter(inside).for_each(|flight| e2e.add(flight.e2e_ns));
        self.ttft_samples = if self.steady_stands { e2e.count() } else { self.ttft.count() };
        self.steady = steady
            .map(|span| SteadyEvidence { seconds: span.seconds(), e2e_p50_ns: e2e.quantile(0.5) });
    }

    fn tell(self, stage: &mut StageEvidence) {
        stage.counts = self.counts;
        stage.arrivals = self.arrivals;
        stage.send_lag_p99_ns = self.send_lag.quantile(0.99);
        stage.ttft_p50_ns = self.ttft.quantile(0.5);
        stage.client_lag_p99_ns = self.client_lag.quantile(0.99);
        stage.itl_p50_ns = self.itl.quantile(0.5);
        stage.itl_mean_ns = self.itl.mean();
        let extent = self.first.zip(self.last).map(|(from, to)| Span { from, to: to.max(from) });
        stage.output_tokens_per_s = extent.and_then(|span| span.per_second(self.tokens as f64));
        stage.steady = self.steady;
        stage.steady_stands = self.steady_stands;
        stage.ttft_samples = (self.ttft_samples > 0).then_some(self.ttft_samples);
    }
}
