//! The Prometheus text format, as vLLM's `/metrics` writes it.
//!
//! ```
//! use vllm_bench_protocol::prometheus;
//!
//! let text = "# TYPE vllm:num_requests_running gauge\n\
//!             vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\n";
//! let metrics = prometheus::parse(text).expect("well formed");
//! assert_eq!(metrics.value("vllm:num_requests_running"), Some(3.0));
//! assert_eq!(metrics.value_with("vllm:num_requests_running", &[("engine", "1")]), None);
//! ```

mod exposition;
mod parse;
mod write;

pub use exposition::{Exposition, Family, Histogram, Labels, MetricKind, Sample};
pub use parse::{PrometheusError, parse};
pub use write::Writer;
