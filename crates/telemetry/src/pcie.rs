//! PCIe throughput, read beside the sampler: NVML counts 20 ms for each figure
//! and blocks meanwhile, which would break any short sampling interval.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nvml_wrapper::enum_wrappers::device::PcieUtilCounter;
use nvml_wrapper::{Device, Nvml};

use crate::error::TelemetryError;
use crate::nvml::is_unsupported;

/// Pause between two rounds over all GPUs.
const PAUSE: Duration = Duration::from_millis(200);

/// The latest throughput of one GPU, kB/s.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Throughput {
    pub(crate) tx_kb_s: Option<u32>,
    pub(crate) rx_kb_s: Option<u32>,
}

pub(crate) struct PcieReader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    stopping: Condvar,
}

struct State {
    latest: Vec<Throughput>,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PcieReader {
    pub(crate) fn start(nvml: Arc<Nvml>, gpus: u32) -> Result<Self, TelemetryError> {
        let latest = vec![Throughput::default(); gpus as usize];
        let state = Mutex::new(State { latest, stop: false });
        let shared = Arc::new(Shared { state, stopping: Condvar::new() });
        let name = "nvml-pcie".to_owned();
        let thread = thread::Builder::new()
            .name(name.clone())
            .spawn({
                let shared = shared.clone();
                move || read(&nvml, gpus, &shared)
            })
            .map_err(|source| TelemetryError::Thread { name, source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(crate) fn latest(&self, gpu_index: u32) -> Throughput {
        self.shared.lock().latest.get(gpu_index as usize).copied().unwrap_or_default()
    }
}

impl Drop for PcieReader {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.stopping.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; nothing depends on it any more.
            let _ = thread.join();
        }
    }
}

fn read(nvml: &Nvml, gpus: u32, shared: &Shared) {
    let mut telling: Vec<u32> = (0..gpus).collect();
    // Ends by itself when no GPU tells.
    while !telling.is_empty() {
        telling.retain(|&index| {
            if shared.lock().stop {
                return false;
            }
            let mut unsupported = 0;
            let mut figure = |counter| {
                let value = nvml
                    .device_by_index(index)
                    .and_then(|device: Device<'_>| device.pcie_throughput(counter));
                unsupported += u32::from(value.as_ref().is_err_and(is_unsupported));
                value.ok()
            };
            let latest = Throughput {
                tx_kb_s: figure(PcieUtilCounter::Send),
                rx_kb_s: figure(PcieUtilCounter::Receive),
            };
            if let Some(slot) = shared.lock().latest.get_mut(index as usize) {
                *slot = latest;
            }
            unsupported < 2
        });
        let guard = shared.lock();
        let waited = shared.stopping.wait_timeout_while(guard, PAUSE, |state| !state.stop);
        if waited.unwrap_or_else(PoisonError::into_inner).0.stop {
            return;
        }
    }
}
