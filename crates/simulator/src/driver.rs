//! The thread that drives the engine in real time.
//!
//! A step's tokens are sent when the step ends, and the next step starts at that very instant on paper,
//! however late the thread woke up: deadlines are absolute, so lateness never adds up. Only time lost
//! at a stretch, because the machine was busy elsewhere, is given up.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::config::SimulatorConfig;
use crate::engine::{
    Engine, Finish, FinishReason, NewSequence, SequenceId, StepOutcome, TokenOutput,
};
use crate::metrics::EngineMetrics;

/// The last stretch before a deadline is spun, since sleeping is only good to some 50 µs.
const SPIN: Duration = Duration::from_micros(120);

/// Later than this, lost time is given up instead of made good by steps without a pause.
const LATEST: Duration = Duration::from_millis(2);

/// What the server asks of the engine's thread.
pub(crate) enum Command {
    Submit(Submission),
    /// The reader of these sequences needs no more of them.
    End {
        ids: Vec<SequenceId>,
        reason: FinishReason,
    },
    ResetPrefixCache(oneshot::Sender<bool>),
    Stop,
}

/// Sequences of one request, which arrive together.
pub(crate) struct Submission {
    pub(crate) sequences: Vec<NewSequence>,
    pub(crate) arrived_at: Instant,
    /// Where their tokens go.
    pub(crate) tokens: UnboundedSender<TokenOutput>,
}

/// Handle of the engine's thread.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    commands: Sender<Command>,
}

impl EngineHandle {
    /// Starts the thread. It ends at [`Command::Stop`], or when every handle is gone.
    pub(crate) fn start(
        config: &SimulatorConfig,
        epoch: Instant,
        metrics: Arc<Mutex<EngineMetrics>>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (commands, inbox) = mpsc::channel();
        let driver =
            Driver { engine: Engine::new(config), inbox, epoch, readers: HashMap::new(), metrics };
        let thread =
            std::thread::Builder::new().name("simulated-engine".into()).spawn(|| driver.run())?;
        Ok((EngineHandle { commands }, thread))
    }

    /// Sends a command; after the thread's end it is lost, which the caller sees by its tokens ending.
    pub(crate) fn send(&self, command: Command) {
        let _ended = self.commands.send(command);
    }
}

struct Driver {
    engine: Engine,
    inbox: Receiver<Command>,
    epoch: Instant,
    readers: HashMap<SequenceId, Reader>,
    metrics: Arc<Mutex<EngineMetrics>>,
}

struct Reader {
    tokens: UnboundedSender<TokenOutput>,
    /// Sequences of the request, and how many of them have not ended.
    request: Arc<Mutex<RequestAccount>>,
}

/// What `/metrics` reports once for all sequences of a request.
struct RequestAccount {
    sequences: u32,
    left: u32,
    longest: u32,
}

impl Driver {
    fn run(mut self) {
        let mut start = None;
        loop {
            // With nothing to do, wait for a command; before a step, take those that are there.
            while let Ok(command) = if self.engine.has_work() {
                self.inbox.try_recv().map_err(drop)
            } else {
                self.inbox.recv().map_err(drop)
            } {
                if !self.obey(command) {
                    return;
                }
            }
            if !self.engine.has_work() {
                return; // Every handle is gone.
            }
            let begin = next_start(start.take(), self.epoch.elapsed());
            let Some(outcome) = self.engine.step(begin) else { continue };
            if !self.wait(outcome.ends_at) {
                return;
            }
            start = self.engine.has_work().then_some(outcome.ends_at);
            self.publish(outcome);
        }
    }

    /// Obeys commands until `deadline`; false when told to stop.
    fn wait(&mut self, deadline: Duration) -> bool {
        loop {
            let left = deadline.saturating_sub(self.epoch.elapsed());
            if left <= SPIN {
                break;
            }
            match self.inbox.recv_timeout(left - SPIN) {
                Ok(command) => {
                    if !self.obey(command) {
                        return false;
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                // Nobody reads any more.
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.epoch.elapsed() < deadline {
            std::hint::spin_loop();
        }
        true
    }

    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Submit(submission) => self.submit(submission),
            Command::End { ids, reason } => {
                for id in ids {
                    let finish = self.engine.end(id, reason);
                    if let (Some(reader), Some(finish)) = (self.readers.remove(&id), finish) {
                        let mut metrics = lock(&self.metrics);
                        finished(&mut metrics, &reader, &finish);
                        metrics.levels(&self.engine);
                    }
                }
            }
            Command::ResetPrefixCache(answer) => {
                let _gone = answer.send(self.engine.reset_prefix_cache());
            }
            Command::Stop => return false,
        }
        true
    }

    fn submit(&mut self, submission: Submission) {
        let arrived_at = submission.arrived_at.saturating_duration_since(self.epoch);
        let count = submission.sequences.len() as u32;
        let account = RequestAccount { sequences: count, left: count, longest: 0 };
        let request = Arc::new(Mutex::new(account));
        for sequence in submission.sequences {
            let reader =
                Reader { tokens: submission.tokens.clone(), request: Arc::clone(&request) };
            self.readers.insert(sequence.id, reader);
            self.engine.add(sequence, arrived_at);
        }
        lock(&self.metrics).levels(&self.engine);
    }

    /// Sends a step's tokens to their readers and accounts for it.
    fn publish(&mut self, outcome: StepOutcome) {
        {
            let mut metrics = lock(&self.metrics);
            metrics.step(&outcome, &self.engine);
            for output in &outcome.tokens {
                let Some(finish) = &output.finish else { continue };
                if let Some(reader) = self.readers.get(&output.id) {
                    finished(&mut metrics, reader, finish);
                }
            }
        }
        for output in outcome.tokens {
            let ended = output.finish.is_some();
            let id = output.id;
            if let Some(reader) = self.readers.get(&id) {
                // A reader that left has sent, or is about to send, the end of its sequences.
                let _left = reader.tokens.send(output);
            }
            if ended {
                self.readers.remove(&id);
            }
        }
    }
}

/// When a step begins: at once, or when the one before it ended, unless that is too long ago.
fn next_start(planned: Option<Duration>, now: Duration) -> Duration {
    planned.filter(|&planned| now.saturating_sub(planned) < LATEST).unwrap_or(now)
}

fn finished(metrics: &mut EngineMetrics, reader: &Reader, finish: &Finish) {
    let mut request = lock(&reader.request);
    request.left = request.left.saturating_sub(1);
    request.longest = request.longest.max(finish.output_tokens);
    metrics.finished(finish);
    if request.left == 0 && finish.reason != FinishReason::Abort {
        metrics.request_finished(request.sequences, request.longest);
    }
}

/// The data stays whole if a holder panicked: every change is a sum or a set.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_delays_do_not_add_up_and_long_ones_are_given_up() {
        let us = Duration::from_micros;
        assert_eq!(next_start(None, us(70)), us(70));
        // Woken 100 µs late after each of 50 steps of 1 ms: the 51st still begins on time.
        let end = (0..50)
            .fold(us(0), |planned, _| next_start(Some(planned), planned + us(100)) + us(1000));
        assert_eq!(end, us(50_000));
        assert_eq!(next_start(Some(us(1000)), us(9000)), us(9000));
    }
}
