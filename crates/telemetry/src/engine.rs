//! The `/metrics` of vLLM servers.

use std::time::Duration;

use vllm_bench_protocol::prometheus::{self, Exposition, Sample};
use vllm_bench_record::{EngineSample, HistogramTotals, RunClock, Timestamp};

use crate::error::TelemetryError;
use crate::http::Page;
use crate::source::Source;

/// Below the default interval of one second, so that a stuck server costs one reading.
const TIMEOUT: Duration = Duration::from_millis(800);

/// Reads the `/metrics` of one or more vLLM servers.
///
/// Several engines of one server (data parallel) are added up; of their
/// KV-cache use the highest is taken, since the fullest engine preempts first.
#[derive(Debug)]
pub struct EngineSource {
    pages: Vec<Page>,
}

impl EngineSource {
    /// A source for the servers with these base URLs, in the order of the
    /// manifest's `servers`. The key goes into the `Authorization` header and
    /// nowhere else.
    ///
    /// # Errors
    /// When a URL is not `http://` or `https://`.
    pub fn new(
        urls: impl IntoIterator<Item = impl AsRef<str>>,
        api_key: Option<String>,
    ) -> Result<Self, TelemetryError> {
        let page = |url: &str| {
            let url = format!("{}/metrics", url.trim_end_matches('/'));
            Page::new(url, api_key.clone(), TIMEOUT)
        };
        let pages = urls.into_iter().map(|url| page(url.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { pages })
    }

    /// How long a server may take to answer, instead of 0.8 s. Keep it below
    /// the sampling interval.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.pages.iter_mut().for_each(|page| page.set_timeout(timeout));
        self
    }

    /// Servers it reads.
    pub fn servers(&self) -> usize {
        self.pages.len()
    }

    /// Reads one server once, for counters around a stage.
    ///
    /// # Errors
    /// When it does not answer, refuses, or exports no vLLM metrics.
    pub fn read_once(
        &self,
        server_index: u32,
        clock: &RunClock,
    ) -> Result<EngineSample, TelemetryError> {
        let page = self.page(server_index)?;
        let text = page.fetch()?;
        let at = clock.now();
        parse_engine_sample(&text, at, server_index).map_err(|e| e.of(page.shown()))
    }

    /// Reads all servers once, at the same time, in order.
    pub fn read_all(&self, clock: &RunClock) -> Vec<Result<EngineSample, TelemetryError>> {
        if self.pages.len() == 1 {
            return vec![self.read_once(0, clock)];
        }
        std::thread::scope(|scope| {
            let read = |index| scope.spawn(move || self.read_once(index, clock));
            let threads: Vec<_> = (0..self.pages.len() as u32).map(read).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
                .collect()
        })
    }

    /// All that one server exports (cache configuration, histograms).
    ///
    /// # Errors
    /// When it does not answer, refuses, or not in the Prometheus text format.
    pub fn scrape(&self, server_index: u32) -> Result<Exposition, TelemetryError> {
        let page = self.page(server_index)?;
        parse(&page.fetch()?).map_err(|e| e.of(page.shown()))
    }

    fn page(&self, server_index: u32) -> Result<&Page, TelemetryError> {
        let servers = self.pages.len();
        self.pages
            .get(server_index as usize)
            .ok_or(TelemetryError::NoServer { server_index, servers })
    }
}

impl Source for EngineSource {
    type Sample = EngineSample;

    fn name(&self) -> &'static str {
        "/metrics"
    }

    fn sample(
        &mut self,
        clock: &RunClock,
        out: &mut Vec<EngineSample>,
    ) -> Result<(), TelemetryError> {
        let mut first_error = Ok(());
        for result in self.read_all(clock) {
            match result {
                Ok(sample) => out.push(sample),
                Err(error) if first_error.is_ok() => first_error = Err(error),
                Err(_) => {}
            }
        }
        first_error
    }
}

/// The sample in the text of a vLLM server's `/metrics`. Counters are found
/// with and without `_total`, which some exporters leave out.
///
/// # Errors
/// When the text is not in the Prometheus format or has no `vllm:` metric.
pub fn parse_engine_sample(
    text: &str,
    at: Timestamp,
    server_index: u32,
) -> Result<EngineSample, TelemetryError> {
    let metrics = parse(text)?;
    if !metrics.all().iter().any(|sample| sample.name.starts_with("vllm:")) {
        return Err(TelemetryError::NoMetrics { url: "the text".into(), metrics: "vllm:" });
    }
    let requests = |reason| count(&metrics, "vllm:request_success", &[("finished_reason", reason)]);
    Ok(EngineSample {
        at,
        server_index,
        running: finite(metrics.sum("vllm:num_requests_running")),
        waiting: finite(metrics.sum("vllm:num_requests_waiting")),
        kv_cache_usage: highest(
            &metrics,
            &["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"],
        ),
        prefix_cache_queries: count(&metrics, "vllm:prefix_cache_queries", &[]),
        prefix_cache_hits: count(&metrics, "vllm:prefix_cache_hits", &[]),
        preemptions: count(&metrics, "vllm:num_preemptions", &[]),
        prompt_tokens: count(&metrics, "vllm:prompt_tokens", &[]),
        generation_tokens: count(&metrics, "vllm:generation_tokens", &[]),
        requests_stop: requests("stop"),
        requests_length: requests("length"),
        requests_abort: requests("abort"),
        requests_error: requests("error"),
        process_start_unix_s: finite(metrics.value("process_start_time_seconds")),
        queue_time: totals(&metrics, "vllm:request_queue_time_seconds"),
        prefill_time: totals(&metrics, "vllm:request_prefill_time_seconds"),
        decode_time: totals(&metrics, "vllm:request_decode_time_seconds"),
        inference_time: totals(&metrics, "vllm:request_inference_time_seconds"),
        ttft: totals(&metrics, "vllm:time_to_first_token_seconds"),
        e2e_latency: totals(&metrics, "vllm:e2e_request_latency_seconds"),
    })
}

fn parse(text: &str) -> Result<Exposition, TelemetryError> {
    prometheus::parse(text)
        .map_err(|source| TelemetryError::Format { url: "the text".into(), source })
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite())
}

/// A counter over all engines.
fn count(metrics: &Exposition, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
    let total = metrics.sum_with(&format!("{name}_total"), labels);
    whole(total.or_else(|| metrics.sum_with(name, labels)))
}

fn whole(value: Option<f64>) -> Option<u64> {
    let value = finite(value)?;
    (0.0..=u64::MAX as f64).contains(&value).then_some(value as u64)
}

/// A histogram's sum and count over all engines.
fn totals(metrics: &Exposition, name: &str) -> Option<HistogramTotals> {
    let sum_s = finite(metrics.sum(&format!("{name}_sum")))?;
    let count = whole(metrics.sum(&format!("{name}_count")))?;
    Some(HistogramTotals { sum_s, count })
}

/// A gauge's highest value over all engines, under the first name there is.
fn highest(metrics: &Exposition, names: &[&str]) -> Option<f64> {
    let values = |name: &&str| {
        let values = metrics.samples(name).map(|s: &Sample| s.value).filter(|v| v.is_finite());
        values.reduce(f64::max)
    };
    names.iter().find_map(values)
}
