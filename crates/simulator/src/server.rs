//! The server: its runtime, its listener, its start and its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::SimulatorConfig;
use crate::driver::{Command, EngineHandle};
use crate::error::SimulatorError;
use crate::metrics::EngineMetrics;
use crate::prose;
use crate::routes::serve;
use crate::state::State;

/// Connections that may wait to be accepted: a load generator opens all of its own at once.
const BACKLOG: u32 = 4096;

/// A running simulated server. It has threads of its own, so that its timing does not depend on the
/// runtime of whoever started it; dropping it stops it.
pub struct Simulator {
    addr: SocketAddr,
    engine: EngineHandle,
    engine_thread: Option<JoinHandle<()>>,
    stop: CancellationToken,
    /// Answers when the listener is closed.
    closed: Option<oneshot::Receiver<()>>,
    runtime: Option<Runtime>,
}

impl Simulator {
    /// Starts a server that listens on `addr`; port 0 picks a free one.
    ///
    /// # Errors
    /// A setting out of its range, an address that cannot be listened on, or threads that do not start.
    pub async fn start(config: SimulatorConfig, addr: SocketAddr) -> Result<Self, SimulatorError> {
        config.check()?;
        prose::warm_up();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.worker_threads.unwrap_or(processors.min(2)))
            .thread_name("simulated-server")
            .enable_io()
            .enable_time()
            .build()
            .map_err(SimulatorError::Threads)?;
        let runtime = StopsInBackground(Some(runtime));
        let listener = {
            let _within = runtime.0.as_ref().map(Runtime::enter);
            listen(addr).map_err(|source| SimulatorError::Listen { addr, source })?
        };
        let addr =
            listener.local_addr().map_err(|source| SimulatorError::Listen { addr, source })?;
        let metrics = Arc::new(Mutex::new(EngineMetrics::new()));
        let (engine, engine_thread) =
            EngineHandle::start(&config, Instant::now(), Arc::clone(&metrics))
                .map_err(SimulatorError::Threads)?;
        let state = Arc::new(State::new(config, engine.clone(), metrics));
        let stop = CancellationToken::new();
        let (close, closed) = oneshot::channel();
        let runtime = runtime.take();
        if let Some(runtime) = &runtime {
            let accepting = accept(listener, state, stop.clone());
            runtime.spawn(async move {
                accepting.await;
                let _nobody_waits = close.send(());
            });
        }
        let engine_thread = Some(engine_thread);
        Ok(Simulator { addr, engine, engine_thread, stop, closed: Some(closed), runtime })
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL without a path: `http://127.0.0.1:8000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops it: no connection is accepted any more, open ones are closed, requests in flight end.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(closed) = self.closed.take() {
            // An error means that the runtime is gone, and the listener with it.
            let _closed = closed.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        self.engine.send(Command::Stop);
        if let Some(thread) = self.engine_thread.take() {
            // It obeys within a fraction of a millisecond; a panic of its own has been told already.
            let _panicked = thread.join();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime that may be dropped within another, where waiting for its end is not allowed.
struct StopsInBackground(Option<Runtime>);

impl StopsInBackground {
    fn take(mut self) -> Option<Runtime> {
        self.0.take()
    }
}

impl Drop for StopsInBackground {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until told to stop, then closes them.
async fn accept(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&state)));
            }
            Err(problem) => {
                // Out of file descriptors, or a connection that was gone at once: others may do better.
                tracing::warn!(%problem, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Serves one connection until its client closes it, or it was idle for too long after an answer.
async fn connection(stream: TcpStream, state: Arc<State>) {
    if let Err(problem) = stream.set_nodelay(true) {
        tracing::debug!(%problem, "cannot switch off Nagle's algorithm");
    }
    let keep_alive = state.config.keep_alive;
    // When the connection became idle; None before the first answer and during one.
    let (idle, mut idle_since) = watch::channel(None);
    let service = service_fn(move |request| {
        let (state, idle) = (Arc::clone(&state), idle.clone());
        async move {
            idle.send_replace(None);
            let response = serve(state, request).await;
            Ok::<_, Infallible>(response.map(|body| body.guarded(BecomesIdle(idle))))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    loop {
        let since: Option<Instant> = *idle_since.borrow_and_update();
        let too_long = async {
            match since {
                Some(since) => tokio::time::sleep_until((since + keep_alive).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut served => {
                if let Err(problem) = ended {
                    tracing::debug!(%problem, "connection ended early");
                }
                return;
            }
            // The service holds the other end until the connection is over.
            _ = idle_since.changed() => {}
            () = too_long => {
                served.as_mut().graceful_shutdown();
                // What came in the meantime is still answered.
                let _ended = served.await;
                return;
            }
        }
    }
}

/// Marks its connection as idle when the answer is out.
struct BecomesIdle(watch::Sender<Option<Instant>>);

impl Drop for BecomesIdle {
    fn drop(&mut self) {
        self.0.send_replace(Some(Instant::now()));
    }
}
