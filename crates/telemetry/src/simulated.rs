//! A GPU that is not there, for runs against the simulator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use vllm_bench_record::{GpuSample, GpuSource, RunClock, Timestamp};

use crate::error::TelemetryError;
use crate::source::Source;

/// NVML's bits for the two reasons that the model knows.
const THROTTLE_IDLE: u64 = 0x1;
const THROTTLE_POWER_CAP: u64 = 0x4;

/// How many requests run, shared between who knows it and a [`SimulatedSource`].
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<AtomicU32>);

impl Load {
    /// Says how many requests run now.
    pub fn set(&self, running: u32) {
        self.0.store(running, Ordering::Relaxed);
    }

    /// How many requests run.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What kind of GPU is made up.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedGpu {
    /// Its name in the samples.
    pub name: String,
    /// Device memory, bytes.
    pub memory_bytes: u64,
    /// Share of it that the server holds, busy or not, as vLLM does.
    pub memory_share: f64,
    /// Board power when idle, watts.
    pub idle_w: f64,
    /// Board power limit, watts.
    pub limit_w: f64,
    /// Running requests that fill it.
    pub full_at: u32,
    /// SM clock when busy, MHz.
    pub sm_clock_mhz: u32,
    /// Memory clock, MHz.
    pub memory_clock_mhz: u32,
}

impl Default for SimulatedGpu {
    fn default() -> Self {
        Self {
            name: "Simulated GPU".into(),
            memory_bytes: 80 << 30,
            memory_share: 0.85,
            idle_w: 70.0,
            limit_w: 400.0,
            full_at: 32,
            sm_clock_mhz: 1980,
            memory_clock_mhz: 2619,
        }
    }
}

/// Makes up readings of one GPU that follow a [`Load`]: power follows it
/// within a second, temperature within half a minute, energy is the integral
/// of power. Every sample says [`GpuSource::Simulated`].
#[derive(Debug)]
pub struct SimulatedSource {
    gpu: SimulatedGpu,
    load: Load,
    state: State,
}

#[derive(Debug)]
struct State {
    at: Option<Timestamp>,
    power_w: f64,
    temperature_c: f64,
    energy_mj: f64,
}

impl SimulatedSource {
    /// A source that follows `load`.
    pub fn new(load: Load) -> Self {
        let gpu = SimulatedGpu::default();
        let state = State { at: None, power_w: gpu.idle_w, temperature_c: IDLE_C, energy_mj: 0.0 };
        Self { gpu, load, state }
    }

    /// Another kind of GPU.
    #[must_use]
    pub fn gpu(mut self, gpu: SimulatedGpu) -> Self {
        self.state.power_w = gpu.idle_w;
        self.gpu = gpu;
        self
    }

    /// The reading at `at`, `running` requests having run since the last one.
    fn reading(&mut self, at: Timestamp, running: u32) -> GpuSample {
        let gpu = &self.gpu;
        // Decoding keeps a GPU busy with one request; more requests cost power.
        let fill = (f64::from(running) / f64::from(gpu.full_at.max(1))).min(1.0);
        let target_w = match running {
            0 => gpu.idle_w,
            _ => gpu.idle_w + (gpu.limit_w - gpu.idle_w) * (0.55 + 0.45 * fill),
        };
        let elapsed = self.state.at.map_or(Duration::ZERO, |last| at.since(last)).as_secs_f64();
        self.state.step(elapsed, target_w, gpu);
        self.state.at = Some(at);

        let busy = running > 0;
        let capped = busy && self.state.power_w > 0.97 * gpu.limit_w;
        let sm_clock = match (busy, capped) {
            (false, _) => gpu.sm_clock_mhz / 6,
            (true, true) => gpu.sm_clock_mhz - gpu.sm_clock_mhz / 20,
            (true, false) => gpu.sm_clock_mhz,
        };
        GpuSample {
            at,
            gpu_index: 0,
            uuid: None,
            name: Some(gpu.name.clone()),
            source: GpuSource::Simulated,
            utilization_pct: Some(if busy { (90.0 + 10.0 * fill) as f32 } else { 0.0 }),
            memory_utilization_pct: Some(if busy { (35.0 + 30.0 * fill) as f32 } else { 0.0 }),
            memory_used_bytes: Some((gpu.memory_bytes as f64 * gpu.memory_share) as u64),
            memory_total_bytes: Some(gpu.memory_bytes),
            temperature_c: Some(self.state.temperature_c.round() as f32),
            power_mw: Some((self.state.power_w * 1000.0) as u64),
            energy_mj: Some(self.state.energy_mj as u64),
            sm_clock_mhz: Some(sm_clock),
            memory_clock_mhz: Some(gpu.memory_clock_mhz),
            throttle_reasons: Some(match (busy, capped) {
                (false, _) => THROTTLE_IDLE,
                (true, true) => THROTTLE_POWER_CAP,
                (true, false) => 0,
            }),
            pcie_tx_kb_s: Some(200 * running),
            pcie_rx_kb_s: Some(600 * running),
            processes: Some(1),
        }
    }
}

/// Temperature with nothing to do, and how far above it full power is.
const IDLE_C: f64 = 34.0;
const RISE_C: f64 = 40.0;
/// Time constants of power and temperature, seconds.
const POWER_S: f64 = 0.4;
const HEAT_S: f64 = 15.0;

impl State {
    /// Lets `seconds` pass with power drawn towards `target_w`.
    fn step(&mut self, seconds: f64, target_w: f64, gpu: &SimulatedGpu) {
        let decay = (-seconds / POWER_S).exp();
        // The integral of the exponential, so that energy does not depend on the interval.
        let joules = target_w * seconds + (self.power_w - target_w) * POWER_S * (1.0 - decay);
        self.energy_mj += joules * 1000.0;
        self.power_w = target_w + (self.power_w - target_w) * decay;
        let share = (self.power_w - gpu.idle_w) / (gpu.limit_w - gpu.idle_w).max(1.0);
        let target_c = IDLE_C + RISE_C * share;
        self.temperature_c = target_c + (self.temperature_c - target_c) * (-seconds / HEAT_S).exp();
    }
}

impl Source for SimulatedSource {
    type Sample = GpuSample;

    fn name(&self) -> &'static str {
        GpuSource::Simulated.as_str()
    }

    fn sample(&mut self, clock: &RunClock, out: &mut Vec<GpuSample>) -> Result<(), TelemetryError> {
        let running = self.load.get();
        out.push(self.reading(clock.now(), running));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(step_ms: u64, seconds: u64, running: u32) -> Vec<GpuSample> {
        let mut source = SimulatedSource::new(Load::default());
        let instants = (0..=seconds * 1000).step_by(step_ms as usize);
        instants.map(|ms| source.reading(Timestamp::from_nanos(ms * 1_000_000), running)).collect()
    }

    #[test]
    fn an_idle_gpu_idles() {
        let last = run(500, 60, 0).pop().expect("samples");
        assert_eq!((last.utilization_pct, last.power_mw), (Some(0.0), Some(70_000)));
        assert_eq!(last.energy_mj, Some(60 * 70 * 1000));
        assert_eq!(last.throttle_reasons, Some(THROTTLE_IDLE));
    }

    #[test]
    fn power_and_heat_follow_the_load_and_stay_within_limits() {
        let few = run(500, 120, 4).pop().expect("samples");
        let many = run(500, 120, 64).pop().expect("samples");
        assert!(few.power_mw < many.power_mw && many.power_mw <= Some(400_000));
        assert!(few.temperature_c < many.temperature_c && many.temperature_c <= Some(75.0));
        assert!(many.utilization_pct <= Some(100.0));
        assert!(many.memory_used_bytes < many.memory_total_bytes);
        assert_eq!(many.throttle_reasons, Some(THROTTLE_POWER_CAP));
    }

    #[test]
    fn energy_is_the_integral_of_power_at_any_interval() {
        let joules = |step| run(step, 30, 8).last().and_then(|s| s.energy_mj).expect("energy");
        let (coarse, fine) = (joules(1000), joules(10));
        assert!(coarse.abs_diff(fine) <= 10, "{coarse} {fine}");
        let summed: f64 = run(10, 30, 8)
            .iter()
            .skip(1)
            .filter_map(|s| s.power_mw)
            .map(|mw| mw as f64 * 0.01)
            .sum();
        assert!((summed / fine as f64 - 1.0).abs() < 0.01, "{summed} {fine}");
    }
}
