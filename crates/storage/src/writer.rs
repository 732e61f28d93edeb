//! The storage thread: takes records, closes parts.

use std::fmt;
use std::fs;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vllm_bench_record::{EngineSample, GpuSample, RequestRecord, StageInfo};

use crate::error::StorageError;
use crate::rows::Row;
use crate::run_dir::RunDir;
use crate::schema::Context;
use crate::table::{Pending, Table};

/// How a [`Writer`] works.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// The stage table: labels, phases and concurrencies of the request rows. [`Writer::stages`]
    /// tells of later ones.
    pub stages: Vec<StageInfo>,
    /// A part is closed when its first row is this old: what a killed run loses at most.
    pub part_interval: Duration,
    /// A part is closed at this many rows.
    pub part_rows: usize,
    /// A part is closed when its rows hold this much memory, bytes.
    pub part_bytes: usize,
    /// Rows that the disk does not take are kept and tried again up to this
    /// much memory a table, bytes; what comes beyond is lost and counted.
    pub hold_bytes: usize,
    /// Whether answers and reasoning are kept.
    pub answers: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            stages: Vec::new(),
            part_interval: Duration::from_secs(10),
            part_rows: 65_536,
            part_bytes: 64 << 20,
            hold_bytes: 256 << 20,
            answers: true,
        }
    }
}

/// What was written of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableReport {
    /// Rows in closed parts.
    pub rows: u64,
    /// Closed parts.
    pub parts: u32,
    /// Their size, bytes.
    pub bytes: u64,
    /// Attempts to close a part that failed (tried again later).
    pub failed_writes: u32,
    /// Rows that could not be written.
    pub lost: u64,
}

/// What a [`Writer`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterReport {
    /// `requests/`.
    pub requests: TableReport,
    /// `gpu/`.
    pub gpu: TableReport,
    /// `engine/`.
    pub engine: TableReport,
}

enum Message {
    Request(Box<RequestRecord>),
    Gpu(Vec<GpuSample>),
    Engine(Vec<EngineSample>),
    Stages(Vec<StageInfo>),
    Finish,
}

/// The sending side of a [`Writer`]; clones go to other threads.
///
/// Sending never waits for the disk. It gives `false` when the writer has
/// finished and the rows went nowhere.
#[derive(Clone)]
pub struct WriterHandle {
    sender: Sender<Message>,
}

impl fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterHandle").finish_non_exhaustive()
    }
}

impl WriterHandle {
    /// Hands one request over.
    pub fn request(&self, record: RequestRecord) -> bool {
        self.sender.send(Message::Request(Box::new(record))).is_ok()
    }

    /// Hands GPU samples over.
    pub fn gpu(&self, samples: Vec<GpuSample>) -> bool {
        self.sender.send(Message::Gpu(samples)).is_ok()
    }

    /// Hands engine samples over.
    pub fn engine(&self, samples: Vec<EngineSample>) -> bool {
        self.sender.send(Message::Engine(samples)).is_ok()
    }
}

/// A thread that writes the tables of one run.
///
/// A write that fails does not end it: the rows are kept and tried again,
/// [`problem`](Self::problem) tells at once and [`finish`](Self::finish) in the end.
/// Dropping it without `finish` writes what it holds too, but tells nobody.
#[derive(Debug)]
pub struct Writer {
    handle: WriterHandle,
    problem: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<Result<WriterReport, StorageError>>>,
}

impl Writer {
    /// Makes the tables' folders and starts the thread.
    ///
    /// # Errors
    /// When a folder cannot be made or the thread not be started.
    pub fn start(run_dir: &RunDir, options: WriterOptions) -> Result<Self, StorageError> {
        for table in [Table::Requests, Table::Gpu, Table::Engine] {
            let folder = run_dir.table(table);
            fs::create_dir_all(&folder).map_err(StorageError::io("create", &folder))?;
        }
        let (sender, receiver) = mpsc::channel();
        let problem = Arc::new(Mutex::new(None));
        let worker = Worker {
            requests: Pending::new(run_dir.table(Table::Requests), run_dir.run_id()),
            gpu: Pending::new(run_dir.table(Table::Gpu), run_dir.run_id()),
            engine: Pending::new(run_dir.table(Table::Engine), run_dir.run_id()),
            context: Context { stages: options.stages.clone(), answers: options.answers },
            options,
            problem: problem.clone(),
            last_error: None,
            unknown_stage: None,
        };
        let thread = thread::Builder::new()
            .name("storage".into())
            .spawn(move || worker.run(&receiver))
            .map_err(|e| StorageError::Thread { problem: format!("could not be started: {e}") })?;
        Ok(Self { handle: WriterHandle { sender }, problem, thread: Some(thread) })
    }

    /// A sending side for another thread.
    pub fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Hands one request over. See [`WriterHandle`].
    pub fn request(&self, record: RequestRecord) -> bool {
        self.handle.request(record)
    }

    /// Hands GPU samples over. See [`WriterHandle`].
    pub fn gpu(&self, samples: Vec<GpuSample>) -> bool {
        self.handle.gpu(samples)
    }

    /// Hands engine samples over. See [`WriterHandle`].
    pub fn engine(&self, samples: Vec<EngineSample>) -> bool {
        self.handle.engine(samples)
    }

    /// Replaces the stage table, before any request of a stage that was not in it is handed over.
    /// A stage keeps its index; only what is new comes at the end.
    pub fn stages(&self, stages: Vec<StageInfo>) -> bool {
        self.handle.sender.send(Message::Stages(stages)).is_ok()
    }

    /// What the latest failed write said, with its causes; `None` while all is
    /// well. A write that succeeds later does not take it back.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes all parts and ends the thread.
    ///
    /// # Errors
    /// [`StorageError::RowsLost`] when rows could not be written (it carries
    /// the report of those that could), [`StorageError::UnknownStage`] when a
    /// record named a stage that is not in the stage table (its row is there,
    /// without label), [`StorageError::Thread`] when the thread panicked.
    pub fn finish(mut self) -> Result<WriterReport, StorageError> {
        self.join()
            .unwrap_or_else(|| Err(StorageError::Thread { problem: "was already joined".into() }))
    }

    fn join(&mut self) -> Option<Result<WriterReport, StorageError>> {
        let thread = self.thread.take()?;
        // Fails only when the thread is gone, which joining tells.
        let _ = self.handle.sender.send(Message::Finish);
        Some(thread.join().unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let problem = format!("panicked: {}", text.unwrap_or_default());
            Err(StorageError::Thread { problem })
        }))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.join() {
            tracing::warn!("{}", error.chain());
        }
    }
}

/// The thread's side.
struct Worker {
    requests: Pending<RequestRecord>,
    gpu: Pending<GpuSample>,
    engine: Pending<EngineSample>,
    context: Context,
    options: WriterOptions,
    problem: Arc<Mutex<Option<String>>>,
    last_error: Option<StorageError>,
    unknown_stage: Option<(u64, u32)>,
}

impl Worker {
    fn run(mut self, receiver: &Receiver<Message>) -> Result<WriterReport, StorageError> {
        loop {
            let due = [self.requests.due(), self.gpu.due(), self.engine.due()];
            let message = match due.into_iter().flatten().min() {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => receiver.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match message {
                Ok(Message::Request(record)) => {
                    if let Some(index) = record.unknown_stage(&self.context) {
                        self.unknown_stage.get_or_insert((0, index)).0 += 1;
                    }
                    self.requests.push(*record, &self.options);
                }
                Ok(Message::Gpu(samples)) => {
                    samples.into_iter().for_each(|s| self.gpu.push(s, &self.options));
                }
                Ok(Message::Engine(samples)) => {
                    samples.into_iter().for_each(|s| self.engine.push(s, &self.options));
                }
                Ok(Message::Stages(stages)) => self.context.stages = stages,
                Ok(Message::Finish) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tick();
        }
        self.finish()
    }

    fn tick(&mut self) {
        let (now, options, context) = (Instant::now(), &self.options, &self.context);
        let results = [
            self.requests.tick(now, options, context),
            self.gpu.tick(now, options, context),
            self.engine.tick(now, options, context),
        ];
        results.into_iter().filter_map(Result::err).for_each(|e| self.note(e));
    }

    fn note(&mut self, error: StorageError) {
        let text = error.chain();
        if self.last_error.is_none() {
            tracing::warn!("{text}; rows are kept and tried again");
        }
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        self.last_error = Some(error);
    }

    fn finish(mut self) -> Result<WriterReport, StorageError> {
        let (options, context) = (&self.options, &self.context);
        let results = [
            self.requests.finish(options, context),
            self.gpu.finish(options, context),
            self.engine.finish(options, context),
        ];
        results.into_iter().filter_map(Result::err).for_each(|e| self.note(e));

        let report = WriterReport {
            requests: self.requests.report,
            gpu: self.gpu.report,
            engine: self.engine.report,
        };
        let losses = [
            (Table::Requests, report.requests.lost),
            (Table::Gpu, report.gpu.lost),
            (Table::Engine, report.engine.lost),
        ];
        let lost = losses.iter().map(|(_, n)| n).sum();
        if let Some((table, _)) = losses.into_iter().find(|(_, n)| *n > 0) {
            let source = self.last_error.unwrap_or(StorageError::Thread {
                problem: "was given a row of more than half a gigabyte".into(),
            });
            let (report, source) = (Box::new(report), Box::new(source));
            return Err(StorageError::RowsLost { table, lost, report, source });
        }
        match self.unknown_stage {
            Some((rows, stage_index)) => Err(StorageError::UnknownStage { rows, stage_index }),
            None => Ok(report),
        }
    }
}
