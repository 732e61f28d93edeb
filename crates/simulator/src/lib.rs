//! A stand-in for a vLLM server, for tests and first steps on a machine without a GPU: continuous
//! batching on a cost model, with KV-cache blocks and a prefix cache, over the real wire.
//!
//! [`Simulator`] is the server, [`SimulatorConfig`] what it is like. It answers what vLLM 0.32 answers,
//! in the same form; the text of its answers means nothing, and its `Server` header, its `/version` and
//! its fingerprints say that it is simulated.
//!
//! ```
//! use std::io::{Read, Write};
//! use vllm_bench_simulator::{Simulator, SimulatorConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let simulator = Simulator::start(SimulatorConfig::default(), "127.0.0.1:0".parse()?).await?;
//!
//! let mut stream = std::net::TcpStream::connect(simulator.addr())?;
//! stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//! assert!(answer.ends_with(r#"{"version":"0.32.0+simulated"}"#));
//!
//! simulator.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```

mod body;
pub mod capacity;
mod choice;
mod collect;
mod config;
mod cost;
mod driver;
mod engine;
mod error;
mod faults;
mod generate;
mod job;
mod kv_cache;
mod logprobs;
mod metrics;
mod prose;
mod refusal;
mod routes;
mod schema;
mod server;
mod state;
mod stream;
mod tokenizer;
mod wire;
mod words;

pub use config::{AnswerLength, ApiKey, SimulatorConfig};
pub use cost::{CostModel, StepWork};
pub use error::SimulatorError;
pub use faults::{Fault, FaultRule, FaultSet};
pub use server::Simulator;
