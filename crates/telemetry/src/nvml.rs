//! This host's NVIDIA GPUs, through NVML.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::{Bits, NvmlError};
use nvml_wrapper::{Device, Nvml};
use vllm_bench_record::{GpuSample, GpuSource, RunClock};

use crate::error::TelemetryError;
use crate::pcie::PcieReader;
use crate::source::Source;

/// The library where none is named: the driver's own name for it.
const LIBRARY: &str = if cfg!(windows) { "nvml.dll" } else { "libnvidia-ml.so.1" };

/// Reads every GPU of this host. A reading takes well under a millisecond a
/// GPU; PCIe throughput, which takes NVML 20 ms a counter, is read on a thread of its own.
pub struct NvmlSource {
    nvml: Arc<Nvml>,
    gpus: Vec<Identity>,
    pcie: PcieReader,
}

/// What does not change during a run.
struct Identity {
    uuid: Option<String>,
    name: Option<String>,
}

impl fmt::Debug for NvmlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NvmlSource").field("gpus", &self.gpus.len()).finish_non_exhaustive()
    }
}

impl NvmlSource {
    /// Loads NVML, from `lib_path` where one is given.
    ///
    /// # Errors
    /// [`TelemetryError::NoNvml`] when the library is missing, is not NVML or
    /// does not start, [`TelemetryError::NoGpus`] when it shows no GPU: one
    /// warning, and the run goes on without.
    pub fn open(lib_path: Option<&Path>) -> Result<Self, TelemetryError> {
        let library = PathBuf::from(lib_path.unwrap_or(Path::new(LIBRARY)));
        let unusable = |source| TelemetryError::NoNvml { library: library.clone(), source };
        let nvml = Nvml::builder().lib_path(library.as_os_str()).init().map_err(unusable)?;
        let count = nvml.device_count().map_err(unusable)?;
        if count == 0 {
            return Err(TelemetryError::NoGpus { library });
        }
        let nvml = Arc::new(nvml);
        let identity = |index| {
            let device = nvml.device_by_index(index).ok();
            Identity {
                uuid: device.as_ref().and_then(|d| d.uuid().ok()),
                name: device.as_ref().and_then(|d| d.name().ok()),
            }
        };
        let gpus = (0..count).map(identity).collect();
        let pcie = PcieReader::start(nvml.clone(), count)?;
        Ok(Self { nvml, gpus, pcie })
    }

    /// Names of the GPUs, in order; `None` where NVML does not tell.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.gpus.iter().map(|gpu| gpu.name.as_deref())
    }
}

impl Source for NvmlSource {
    type Sample = GpuSample;

    fn name(&self) -> &'static str {
        GpuSource::Nvml.as_str()
    }

    fn sample(&mut self, clock: &RunClock, out: &mut Vec<GpuSample>) -> Result<(), TelemetryError> {
        let mut first_error = None;
        for (gpu_index, identity) in (0..).zip(&self.gpus) {
            let mut reading = Reading { gpu_index, first_error: &mut first_error };
            let device = self.nvml.device_by_index(gpu_index);
            let Some(device) = reading.optional("handle", device) else { continue };
            let at = clock.now();
            let load = reading.optional("utilisation", device.utilization_rates());
            let memory = reading.optional("memory", device.memory_info());
            let temperature = device.temperature(TemperatureSensor::Gpu);
            let pcie = self.pcie.latest(gpu_index);
            out.push(GpuSample {
                at,
                gpu_index,
                uuid: identity.uuid.clone(),
                name: identity.name.clone(),
                source: GpuSource::Nvml,
                utilization_pct: load.as_ref().map(|u| u.gpu as f32),
                memory_utilization_pct: load.as_ref().map(|u| u.memory as f32),
                memory_used_bytes: memory.as_ref().map(|m| m.used),
                memory_total_bytes: memory.as_ref().map(|m| m.total),
                temperature_c: reading.optional("temperature", temperature).map(|t| t as f32),
                power_mw: reading.optional("power", device.power_usage()).map(u64::from),
                energy_mj: reading.optional("energy", device.total_energy_consumption()),
                sm_clock_mhz: reading.optional("SM clock", device.clock_info(Clock::SM)),
                memory_clock_mhz: reading
                    .optional("memory clock", device.clock_info(Clock::Memory)),
                throttle_reasons: reading.optional("throttle reasons", throttle(&device)),
                pcie_tx_kb_s: pcie.tx_kb_s,
                pcie_rx_kb_s: pcie.rx_kb_s,
                processes: reading.optional("processes", processes(&device)),
            });
        }
        first_error.map_or(Ok(()), Err)
    }
}

/// One GPU's turn in a sample.
struct Reading<'a> {
    gpu_index: u32,
    first_error: &'a mut Option<TelemetryError>,
}

impl Reading<'_> {
    /// The value; `None` where the device or driver does not tell, and where
    /// it failed, which is kept as the sample's error.
    fn optional<T>(&mut self, what: &'static str, value: Result<T, NvmlError>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(source) => {
                if !is_unsupported(&source) && self.first_error.is_none() {
                    let gpu_index = self.gpu_index;
                    *self.first_error = Some(TelemetryError::Nvml { gpu_index, what, source });
                }
                None
            }
        }
    }
}

/// Whether the device, driver or user simply cannot have this figure.
pub(crate) fn is_unsupported(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::NotSupported
            | NvmlError::NoPermission
            | NvmlError::NoData
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_)
    )
}

/// Processes on the device, those of its MIG instances too. One that computes and draws, or works in
/// several instances, is listed more than once; a device that cannot draw has none that does.
/// Where instances exist NVML tells only who may see all of them.
fn processes(device: &Device<'_>) -> Result<u32, NvmlError> {
    let compute = device.running_compute_processes()?;
    let graphics = match device.running_graphics_processes() {
        Err(error) if is_unsupported(&error) => Vec::new(),
        listed => listed?,
    };
    let pids: BTreeSet<u32> = compute.iter().chain(&graphics).map(|process| process.pid).collect();
    Ok(pids.len() as u32)
}

/// The whole bit mask: bits that this program does not know count too.
fn throttle(device: &Device<'_>) -> Result<u64, NvmlError> {
    match device.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(reasons.bits()),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(bits),
        Err(error) => Err(error),
    }
}
