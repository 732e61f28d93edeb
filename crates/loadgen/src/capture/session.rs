//! The capture of one stage: reads packets while it lasts, completes its records.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vllm_bench_record::{CaptureInfo, RequestRecord, RunClock};

use super::flows::Flows;
#[cfg(target_os = "linux")]
use super::segment::Segment;
#[cfg(target_os = "linux")]
use super::tap::Tap;
use super::trace::{Tracker, Word};
use crate::error::LoadError;
use crate::kernel_clock::WallMap;
use crate::target::Target;

/// Whether what `targets` send can be captured.
///
/// # Errors
/// For https, whose events cannot be told apart on the wire; where packets may not be captured
/// ([`LoadError::CapturePermission`]) or cannot be.
pub fn check_capture(targets: &[Target]) -> Result<(), LoadError> {
    #[cfg(target_os = "linux")]
    return check(targets).map(|_tap| ());
    #[cfg(not(target_os = "linux"))]
    return Err(plain(targets)
        .err()
        .unwrap_or(LoadError::Capture(io::ErrorKind::Unsupported.into())));
}

#[cfg(target_os = "linux")]
fn check(targets: &[Target]) -> Result<Tap, LoadError> {
    plain(targets)?;
    Tap::open(targets)
}

fn plain(targets: &[Target]) -> Result<(), LoadError> {
    match targets.iter().find(|t| t.is_tls()) {
        Some(target) => Err(LoadError::CaptureTls { url: target.base_url() }),
        None => Ok(()),
    }
}

/// A capture that runs; ends when dropped.
#[derive(Debug)]
pub(crate) struct Capture {
    shared: Arc<Shared>,
    tracker: Tracker,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct State {
    #[cfg(target_os = "linux")]
    tap: Tap,
    words: Receiver<Word>,
    flows: Flows,
    /// Packets that came without a stamp.
    unstamped: u64,
    clock: RunClock,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "for packets' stamps"))]
    wall: WallMap,
}

/// How long packets may wait in the kernel: nobody needs them sooner, and so
/// they wake no thread.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest wait for segments that the client has read already. Once any was lost,
/// the wait is mostly for those, and shorter.
const PATIENCE: Duration = Duration::from_millis(5);

impl Capture {
    /// Begins to capture what `targets` send. Connections opened before are not followed.
    ///
    /// # Errors
    /// Those of [`check_capture`].
    pub(crate) fn start(
        targets: &[Target],
        clock: RunClock,
        wall: Option<WallMap>,
    ) -> Result<Self, LoadError> {
        #[cfg(target_os = "linux")]
        let tap = check(targets)?;
        #[cfg(not(target_os = "linux"))]
        check_capture(targets)?;
        let wall = wall.ok_or_else(|| {
            LoadError::Capture(io::Error::other("the kernel stamps no packets here"))
        })?;
        let (sender, words) = channel();
        let state = State {
            #[cfg(target_os = "linux")]
            tap,
            words,
            flows: Flows::default(),
            unstamped: 0,
            clock,
            wall,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), stop: AtomicBool::new(false) });
        let theirs = Arc::clone(&shared);
        let reader = thread::Builder::new()
            .name("load-capture".into())
            .spawn(move || {
                while !theirs.stop.load(Ordering::Relaxed) {
                    theirs.with(State::take_in);
                    thread::sleep(PAUSE);
                }
            })
            .map_err(LoadError::Worker)?;
        Ok(Self { shared, tracker: Tracker::new(sender), reader: Some(reader) })
    }

    /// What connections need to be followed.
    pub(crate) fn tracker(&self) -> Tracker {
        self.tracker.clone()
    }

    /// Puts the exact arrivals into `record`, which has ended.
    pub(crate) fn resolve(&self, record: &mut RequestRecord) {
        // The kernel gives a segment to TCP and to the packet sockets in one go, in an
        // order of its own: the client can have read what comes here a few µs later.
        let started = Instant::now();
        loop {
            let done = self.shared.with(|state| {
                state.take_in();
                let patience = if state.flows.report.lost == 0 { PATIENCE } else { PATIENCE / 20 };
                let done = state.flows.is_ready(record) || started.elapsed() >= patience;
                if done {
                    state.flows.resolve(record);
                }
                done
            });
            if done {
                return;
            }
            thread::sleep(PATIENCE / 100);
        }
    }

    /// What it saw so far.
    pub(crate) fn report(&self) -> CaptureInfo {
        self.shared.with(|state| {
            state.take_in();
            state.flows.report
        })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // It fails only where the reader died of a bug, which has been said.
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Takes in what connections said, and all packets that have come.
    fn take_in(&mut self) {
        while let Ok(word) = self.words.try_recv() {
            self.flows.word(word);
        }
        #[cfg(target_os = "linux")]
        {
            let (flows, wall, unstamped) = (&mut self.flows, &self.wall, &mut self.unstamped);
            self.tap.read(|packet, length, stamp| {
                let Some(segment) = Segment::parse(packet, length) else { return };
                match stamp.and_then(|ns| wall.to_run(ns)) {
                    Some(at) => flows.segment(&segment, at),
                    None => *unstamped += 1,
                }
            });
            self.flows.report.lost = self.tap.dropped() + self.unstamped;
        }
        self.flows.forget_others(self.clock.now());
    }
}
