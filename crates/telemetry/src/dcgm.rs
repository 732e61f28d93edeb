//! GPUs of another host, through its dcgm-exporter.

use std::time::Duration;

use vllm_bench_protocol::prometheus::{self, Sample};
use vllm_bench_record::{GpuSample, GpuSource, RunClock, Timestamp};

use crate::error::TelemetryError;
use crate::http::Page;
use crate::source::Source;

/// Below the default interval of 500 ms.
const TIMEOUT: Duration = Duration::from_millis(400);
const MIB: f64 = 1_048_576.0;

/// Reads a dcgm-exporter. What it tells is as old as its own collection
/// interval (30 s by default; `-c 1000` makes it one second).
#[derive(Debug)]
pub struct DcgmSource {
    page: Page,
}

impl DcgmSource {
    /// A source for the exporter at `url`; `/metrics` is added where the URL has no path.
    ///
    /// # Errors
    /// When the URL is not `http://` or `https://`.
    pub fn new(url: impl Into<String>) -> Result<Self, TelemetryError> {
        let mut url: String = url.into();
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        if path.is_none_or(|(_, path)| path.is_empty()) {
            url = format!("{}/metrics", url.trim_end_matches('/'));
        }
        Ok(Self { page: Page::new(url, None, TIMEOUT)? })
    }

    /// How long the exporter may take to answer, instead of 0.4 s. Keep it
    /// below the sampling interval.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.page.set_timeout(timeout);
        self
    }
}

impl Source for DcgmSource {
    type Sample = GpuSample;

    fn name(&self) -> &'static str {
        GpuSource::Dcgm.as_str()
    }

    fn sample(&mut self, clock: &RunClock, out: &mut Vec<GpuSample>) -> Result<(), TelemetryError> {
        let text = self.page.fetch()?;
        let at = clock.now();
        out.extend(parse_dcgm(&text, at).map_err(|e| e.of(self.page.shown()))?);
        Ok(())
    }
}

/// The samples in the text of a dcgm-exporter, one a GPU, in order of appearance.
///
/// A MIG instance is a sample of its own; its id follows the GPU's UUID after
/// a slash. DCGM's blank values (not supported, no permission, no data yet) are `None`.
///
/// # Errors
/// When the text is not in the Prometheus format or has no GPU of DCGM's.
pub fn parse_dcgm(text: &str, at: Timestamp) -> Result<Vec<GpuSample>, TelemetryError> {
    let metrics = prometheus::parse(text)
        .map_err(|source| TelemetryError::Format { url: "the text".into(), source })?;
    let mut gpus: Vec<Gpu> = Vec::new();
    for sample in metrics.all() {
        let Some(field) = sample.name.strip_prefix("DCGM_FI_") else { continue };
        let Some((key, index)) = key(sample) else { continue };
        let known = gpus.iter().position(|gpu| gpu.key == key);
        let position = known.unwrap_or_else(|| {
            gpus.push(Gpu::new(key, index, sample, at));
            gpus.len() - 1
        });
        if let Some(value) = told(sample.value) {
            gpus[position].set(field, value);
        }
    }
    if gpus.is_empty() {
        return Err(TelemetryError::NoMetrics { url: "the text".into(), metrics: "DCGM_FI_" });
    }
    Ok(gpus.into_iter().map(Gpu::finish).collect())
}

/// Host, UUID, index, MIG instance: with pods as labels one GPU can have several series.
type Key = (String, String, String, String);

fn key(sample: &Sample) -> Option<(Key, u32)> {
    let label = |name| sample.labels.get(name).unwrap_or_default().to_owned();
    let gpu = label("gpu");
    let index = gpu.parse().ok()?;
    Some(((label("Hostname"), label("UUID"), gpu, label("GPU_I_ID")), index))
}

/// `None` for DCGM's blanks: numbers at the top of each type's range
/// (`DCGM_INT32_BLANK`, `DCGM_INT64_BLANK`, `DCGM_FP64_BLANK` and the reasons after each).
fn told(value: f64) -> Option<f64> {
    let blank = (2_147_483_632.0..=2_147_483_647.0).contains(&value)
        || (140_737_488_355_328.0..140_737_488_355_344.0).contains(&value)
        || value >= 9_223_372_036_854_775_000.0;
    (value.is_finite() && value >= 0.0 && !blank).then_some(value)
}

struct Gpu {
    key: Key,
    sample: GpuSample,
    used_mib: Option<f64>,
    free_mib: Option<f64>,
    reserved_mib: Option<f64>,
}

impl Gpu {
    fn new(key: Key, gpu_index: u32, first: &Sample, at: Timestamp) -> Self {
        let uuid = match (key.1.as_str(), key.3.as_str()) {
            ("", _) => None,
            (uuid, "") => Some(uuid.to_owned()),
            (uuid, instance) => Some(format!("{uuid}/{instance}")),
        };
        let name = first.labels.get("modelName").filter(|name| !name.is_empty());
        Self {
            sample: GpuSample {
                uuid,
                name: name.map(str::to_owned),
                ..GpuSample::untold(at, gpu_index, GpuSource::Dcgm)
            },
            key,
            used_mib: None,
            free_mib: None,
            reserved_mib: None,
        }
    }

    /// Sets what `field` (without `DCGM_FI_`) says.
    fn set(&mut self, field: &str, value: f64) {
        let s = &mut self.sample;
        match field {
            "DEV_GPU_UTIL" => s.utilization_pct = Some(value as f32),
            "DEV_MEM_COPY_UTIL" => s.memory_utilization_pct = Some(value as f32),
            "DEV_FB_USED" => self.used_mib = Some(value),
            "DEV_FB_FREE" => self.free_mib = Some(value),
            "DEV_FB_RESERVED" => self.reserved_mib = Some(value),
            "DEV_FB_TOTAL" => s.memory_total_bytes = Some((value * MIB) as u64),
            "DEV_GPU_TEMP" => s.temperature_c = Some(value as f32),
            "DEV_POWER_USAGE" => s.power_mw = Some((value * 1000.0).round() as u64),
            "DEV_TOTAL_ENERGY_CONSUMPTION" => s.energy_mj = Some(value as u64),
            "DEV_SM_CLOCK" => s.sm_clock_mhz = Some(value as u32),
            "DEV_MEM_CLOCK" => s.memory_clock_mhz = Some(value as u32),
            // The same mask under its older and its newer name.
            "DEV_CLOCK_THROTTLE_REASONS" | "DEV_CLOCKS_EVENT_REASONS" => {
                s.throttle_reasons = Some(value as u64);
            }
            // NVML's reading, kB/s, whatever the exporter's help text says.
            "DEV_PCIE_TX_THROUGHPUT" => _ = s.pcie_tx_kb_s.get_or_insert(value as u32),
            "DEV_PCIE_RX_THROUGHPUT" => _ = s.pcie_rx_kb_s.get_or_insert(value as u32),
            // The profiling counters, bytes a second; the better reading of the two.
            "PROF_PCIE_TX_BYTES" => s.pcie_tx_kb_s = Some((value / 1000.0) as u32),
            "PROF_PCIE_RX_BYTES" => s.pcie_rx_kb_s = Some((value / 1000.0) as u32),
            _ => {}
        }
    }

    fn finish(mut self) -> GpuSample {
        self.sample.memory_used_bytes = self.used_mib.map(|mib| (mib * MIB) as u64);
        if self.sample.memory_total_bytes.is_none()
            && let (Some(used), Some(free)) = (self.used_mib, self.free_mib)
        {
            let total = used + free + self.reserved_mib.unwrap_or_default();
            self.sample.memory_total_bytes = Some((total * MIB) as u64);
        }
        self.sample
    }
}
