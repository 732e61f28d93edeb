//! GPU and server samples on the run's clock.
//!
//! A [`Source`] reads one kind of sample; a [`Sampler`] calls it on a thread
//! of its own at exact times and hands the samples on. [`NvmlSource`] reads
//! this host's GPUs, [`DcgmSource`] those of another host through a
//! dcgm-exporter, [`SimulatedSource`] makes GPU readings up (and labels them
//! so), [`EngineSource`] reads the `/metrics` of vLLM servers.
//!
//! ```
//! use std::sync::mpsc;
//! use std::time::Duration;
//! use vllm_bench_record::{GpuSource, RunClock};
//! use vllm_bench_telemetry::{Load, Sampler, SimulatedSource};
//!
//! let load = Load::default();
//! let (sender, receiver) = mpsc::channel();
//! let source = SimulatedSource::new(load.clone());
//! let sampler = Sampler::start(source, RunClock::start(), Duration::from_millis(10), move |samples| {
//!     let _ = sender.send(samples);
//! })?;
//! load.set(8);
//! assert_eq!(receiver.recv()?[0].source, GpuSource::Simulated);
//! assert_eq!(sampler.stop().failures, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dcgm;
mod engine;
mod error;
mod http;
mod nvml;
mod pcie;
mod sampler;
mod simulated;
mod source;

pub use dcgm::{DcgmSource, parse_dcgm};
pub use engine::{EngineSource, parse_engine_sample};
pub use error::TelemetryError;
pub use nvml::NvmlSource;
pub use sampler::{MIN_INTERVAL, Sampler, SamplerReport};
pub use simulated::{Load, SimulatedGpu, SimulatedSource};
pub use source::{BoxedSource, Source};
