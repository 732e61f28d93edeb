//! What the GPU samples of a run's measured stages say.

use std::collections::BTreeMap;

use crate::gpu::{GpuSample, GpuSource, THROTTLED};

/// GPU samples, folded. Simulated ones are known as such and otherwise left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GpuEvidence {
    /// Where samples come from; `None` when there were none at all.
    pub source: Option<GpuSource>,
    /// Samples of measured stages that tell the clocks' state.
    pub told: u64,
    /// Of these, with clocks lowered by heat or power.
    pub throttled: u64,
    /// NVML's reasons, all together.
    reasons: u64,
    /// The fewest and the most processes on each GPU that tells.
    pub processes: BTreeMap<u32, (u32, u32)>,
}

impl GpuEvidence {
    /// Adds a sample. `measured`: it was taken while a stage was measured.
    pub fn add(&mut self, sample: &GpuSample, measured: bool) {
        self.source.get_or_insert(sample.source);
        if !measured || sample.source == GpuSource::Simulated {
            return;
        }
        if let Some(throttled) = sample.throttled() {
            self.told += 1;
            self.throttled += u64::from(throttled);
            self.reasons |= sample.throttle_reasons.unwrap_or_default();
        }
        if let Some(now) = sample.processes {
            let (fewest, most) = self.processes.entry(sample.gpu_index).or_insert((now, now));
            (*fewest, *most) = ((*fewest).min(now), (*most).max(now));
        }
    }

    /// Why clocks were lowered, in words.
    pub(crate) fn reasons(&self) -> Vec<&'static str> {
        THROTTLED.iter().filter(|(bit, _)| self.reasons & bit != 0).map(|(_, name)| *name).collect()
    }
}
