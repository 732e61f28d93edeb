//! What `/metrics` tells: the accounts behind vLLM's names, and their text.

mod engine_metrics;
mod histogram;
mod http_metrics;
mod names;
mod render;

pub(crate) use engine_metrics::EngineMetrics;
pub(crate) use http_metrics::{HttpMetrics, HttpRequest};
pub(crate) use render::render;
