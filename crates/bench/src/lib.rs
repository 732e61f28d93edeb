//! Measures a load generator: a server whose writes are known to the
//! nanosecond, and a client that does as little as possible.
//!
//! A [`TruthServer`] answers chat requests with prebuilt streams, paced by
//! absolute deadlines, and keeps what really happened: a [`TruthLog`] with the
//! kernel's arrival of each request and the clock just before each token's
//! write. A client's [`ClientLog`] is held against it by [`compare`]: the
//! differences are that client's own error. [`run_floor`] is the client to be
//! measured against: what the kernel alone costs.
//!
//! All instants are nanoseconds of `CLOCK_MONOTONIC`, which all processes of a
//! host share. The server and the floor are Linux only (epoll, kernel stamps).
//!
//! ```
//! # #[cfg(target_os = "linux")] {
//! use std::os::unix::net::UnixStream;
//! use vllm_bench_bench::{ClientPlan, Pace, TruthConfig, TruthServer, compare, run_floor};
//!
//! let config = TruthConfig { pace: Pace::of_ms(5, 2), ..TruthConfig::default() };
//! let server = TruthServer::bind(config, "127.0.0.1:0".parse()?)?;
//! let plan = ClientPlan { streams: 2, requests_per_stream: 1, tokens: 4, ..ClientPlan::to(server.addr()) };
//! let (stop, stopped) = UnixStream::pair()?;
//! let serving = std::thread::spawn(move || server.serve(&stopped));
//! let client = run_floor(&plan)?;
//! drop(stop);
//! let truth = serving.join().expect("the server does not panic")?;
//! assert_eq!(compare(&client, &truth)?.chunks, 2 * 4);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client_log;
mod compare;
mod error;
mod pace;
mod plan;
mod stat;
mod truth_config;
mod truth_log;
mod truth_role;

#[cfg(target_os = "linux")]
mod chunks;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod connection;
#[cfg(target_os = "linux")]
mod event_count;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod http;
#[cfg(target_os = "linux")]
pub mod process;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod stamped;
#[cfg(target_os = "linux")]
mod truth_process;

pub use client_log::{Arrival, ClientLog, ClientRequest, Lags};
pub use compare::{Comparison, compare};
pub use error::BenchError;
pub use pace::Pace;
pub use plan::ClientPlan;
pub use stat::{Spread, ks_exponential, percentile};
pub use truth_config::TruthConfig;
pub use truth_log::{RequestTruth, TruthLog};
pub use truth_role::{TruthCommand, TruthRole};

#[cfg(target_os = "linux")]
pub use clock::{monotonic_ns, run_clock_origin_ns};
#[cfg(target_os = "linux")]
pub use floor::run_floor;
#[cfg(target_os = "linux")]
pub use server::TruthServer;
#[cfg(target_os = "linux")]
pub use truth_process::TruthProcess;
