//! One reading of one GPU.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One reading of one GPU. One row of `gpu/*.parquet`. `None` is "this device
/// or driver does not tell", never 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSample {
    /// When it was read.
    pub at: Timestamp,
    /// Index of the device on its host.
    pub gpu_index: u32,
    /// NVML's UUID.
    pub uuid: Option<String>,
    /// Marketing name.
    pub name: Option<String>,
    /// Where the reading comes from.
    pub source: GpuSource,
    /// Time with a kernel running, percent of the driver's last sample period.
    pub utilization_pct: Option<f32>,
    /// Time with memory being read or written, percent.
    pub memory_utilization_pct: Option<f32>,
    /// Device memory in use, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Device memory, bytes.
    pub memory_total_bytes: Option<u64>,
    /// Core temperature, °C.
    pub temperature_c: Option<f32>,
    /// Board power, milliwatts.
    pub power_mw: Option<u64>,
    /// Energy since the driver was loaded, millijoules.
    pub energy_mj: Option<u64>,
    /// SM clock, MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock, MHz.
    pub memory_clock_mhz: Option<u32>,
    /// NVML's clocks-throttle-reasons bit mask.
    pub throttle_reasons: Option<u64>,
    /// PCIe transmit, kB/s.
    pub pcie_tx_kb_s: Option<u32>,
    /// PCIe receive, kB/s.
    pub pcie_rx_kb_s: Option<u32>,
    /// Processes that hold a context on it, computing or drawing, each once. A tensor-parallel
    /// server has one on each of its GPUs. 0 can also be a container that is not shown the others'.
    #[serde(default)]
    pub processes: Option<u32>,
}

/// NVML's reasons for lower clocks that have to do with heat or power: SW power cap, HW slowdown,
/// SW thermal, HW thermal, HW power brake (`nvmlClocksEventReasons` of nvml.h). Idle, set clocks,
/// sync boost and display are none.
pub(crate) const THROTTLED: [(u64, &str); 5] = [
    (0x04, "power cap"),
    (0x08, "hardware slowdown"),
    (0x20, "heat (software)"),
    (0x40, "heat (hardware)"),
    (0x80, "power brake"),
];

impl GpuSample {
    /// The reading of a device that tells nothing.
    pub fn untold(at: Timestamp, gpu_index: u32, source: GpuSource) -> Self {
        Self {
            at,
            gpu_index,
            uuid: None,
            name: None,
            source,
            utilization_pct: None,
            memory_utilization_pct: None,
            memory_used_bytes: None,
            memory_total_bytes: None,
            temperature_c: None,
            power_mw: None,
            energy_mj: None,
            sm_clock_mhz: None,
            memory_clock_mhz: None,
            throttle_reasons: None,
            pcie_tx_kb_s: None,
            pcie_rx_kb_s: None,
            processes: None,
        }
    }

    /// Whether heat or power held its clocks back; `None` where it does not tell.
    pub fn throttled(&self) -> Option<bool> {
        let mask = self.throttle_reasons?;
        Some(THROTTLED.iter().any(|(bit, _)| mask & bit != 0))
    }
}

/// Where GPU readings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GpuSource {
    /// This host's NVML.
    Nvml,
    /// A dcgm-exporter, usually of another host.
    Dcgm,
    /// Made up by the simulator. Always labelled as such.
    Simulated,
}

impl GpuSource {
    /// The word on disk.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvml => "nvml",
            Self::Dcgm => "dcgm",
            Self::Simulated => "simulated",
        }
    }

    /// The source whose word on disk is `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Nvml, Self::Dcgm, Self::Simulated].into_iter().find(|s| s.as_str() == word)
    }
}
