//! The report's charts: pure functions from plain numbers to ECharts options.
//!
//! Each file holds one chart (or one family on one axis). All of them return a
//! [`NamedChart`], whose option is plain JSON without any function: what a
//! script would add (hover text, dark colours) is described as data in
//! [`NamedChart::hover`] and done by the page. So no text of a server, a model
//! or a scenario can become code, whatever it holds.

mod arrivals;
mod cdf;
mod comparison;
mod engine;
mod gpu;
mod histogram;
mod input;
mod itl_heatmap;
mod kit;
mod latency_by_level;
mod named;
mod over_level;
mod palette;
mod search_probes;
mod text;
mod thin;
mod throughput_by_level;
mod throughput_latency;
mod throughput_over_time;
mod time_split;
mod trend;
mod ttft_over_time;

pub use arrivals::{arrival_bin_s, arrivals_over_time};
pub use cdf::{latency_cdf, throughput_cdf, ttft_cdf};
pub use comparison::comparison;
pub use engine::{engine_kv_cache, engine_preemptions, engine_requests};
pub use gpu::{gpu_memory, gpu_power, gpu_temperature, gpu_utilisation};
pub use histogram::{completion_histogram, prompt_histogram};
pub use input::{
    ArrivalSeries, Band, Figure, Goal, ProbePoint, Quantiles, RequestPoint, RunPoints,
    SearchPoints, StagePoint, StageSamples, TimeSeries, Timeline,
};
pub use itl_heatmap::{ItlCounts, itl_heatmap};
pub use latency_by_level::latency_by_level;
pub use named::{Hover, NamedChart, Unit, ZoomGroup};
pub use palette::{Hue, colour_pairs};
pub use search_probes::search_probes;
pub use text::{bytes, count, duration_ms, number, seconds};
pub use throughput_by_level::throughput_by_level;
pub use throughput_latency::throughput_latency;
pub use throughput_over_time::{busy_rate, rate_bin_s, throughput_over_time};
pub use time_split::{TimeShare, time_split};
pub use trend::{TrendLine, Trended, trend};
pub use ttft_over_time::ttft_over_time;
