//! What can go wrong while sampling.

use std::path::PathBuf;
use std::time::Duration;

use nvml_wrapper::error::NvmlError;
use vllm_bench_protocol::prometheus::PrometheusError;

/// What can go wrong while sampling. URLs in it are without user info and query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// NVML is not on this host or does not start: no GPU readings from it.
    #[error("no NVIDIA GPU readings: {} cannot be used", library.display())]
    NoNvml {
        /// The library that was tried.
        library: PathBuf,
        /// What NVML or the loader said.
        #[source]
        source: NvmlError,
    },
    /// NVML works but shows no GPU.
    #[error("no NVIDIA GPU readings: {} shows no GPU", library.display())]
    NoGpus {
        /// The library that was used.
        library: PathBuf,
    },
    /// NVML could not read something of a GPU that it normally can.
    #[error("GPU {gpu_index}: cannot read its {what}")]
    Nvml {
        /// Which GPU.
        gpu_index: u32,
        /// What was read.
        what: &'static str,
        /// What NVML said.
        #[source]
        source: NvmlError,
    },
    /// The URL cannot be used.
    #[error("{url} is not an http:// or https:// URL")]
    Url {
        /// The URL.
        url: String,
    },
    /// The server did not answer, or not in time.
    #[error("{url} did not answer")]
    Http {
        /// The URL.
        url: String,
        /// What the HTTP client said.
        #[source]
        source: ureq::Error,
    },
    /// The server refused.
    #[error("{url} answered {status}: {said}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        said: String,
    },
    /// The answer is not in the Prometheus text format.
    #[error("{url} did not answer in the Prometheus text format")]
    Format {
        /// The URL, or `the text` where there is none.
        url: String,
        /// Where it is wrong.
        #[source]
        source: PrometheusError,
    },
    /// The answer has none of the metrics looked for.
    #[error("{url} exports no {metrics} metrics")]
    NoMetrics {
        /// The URL, or `the text` where there is none.
        url: String,
        /// Which: `vllm:` or `DCGM_FI_`.
        metrics: &'static str,
    },
    /// There is no server with this index.
    #[error("there is no server {server_index}: {servers} were named")]
    NoServer {
        /// The index asked for.
        server_index: u32,
        /// How many there are.
        servers: usize,
    },
    /// The interval is too short to keep.
    #[error("a sampling interval of {interval:?} is below the shortest, {:?}", crate::MIN_INTERVAL)]
    Interval {
        /// The interval asked for.
        interval: Duration,
    },
    /// A thread could not be started.
    #[error("cannot start the {name} thread")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl TelemetryError {
    /// The message and its causes on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(c) = cause {
            text.push_str(": ");
            text.push_str(&c.to_string());
            cause = c.source();
        }
        text
    }

    /// The same error, about an answer of `url`.
    pub(crate) fn of(self, shown: &str) -> Self {
        let url = shown.to_owned();
        match self {
            Self::Format { source, .. } => Self::Format { url, source },
            Self::NoMetrics { metrics, .. } => Self::NoMetrics { url, metrics },
            other => other,
        }
    }
}
