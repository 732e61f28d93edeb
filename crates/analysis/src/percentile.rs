//! Percentiles and their intervals: those of the record crate, which a run's own decisions use too.

pub(crate) use vllm_bench_record::percentile::{Z, quantile_interval as interval, share_interval};
pub use vllm_bench_record::percentile::{quantile, sample_floor};
