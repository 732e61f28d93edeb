//! What can be sampled.

use vllm_bench_record::RunClock;

use crate::error::TelemetryError;

/// Something that can be read again and again, on one thread.
pub trait Source: Send {
    /// What a reading consists of: `GpuSample` or `EngineSample`.
    type Sample: Send + 'static;

    /// The word for the manifest: `nvml`, `dcgm`, `simulated`, `/metrics`.
    fn name(&self) -> &'static str;

    /// Reads everything once and appends it to `out`, each sample stamped
    /// with `clock` when it was read.
    ///
    /// # Errors
    /// When something could not be read. What could be is in `out` all the same.
    fn sample(
        &mut self,
        clock: &RunClock,
        out: &mut Vec<Self::Sample>,
    ) -> Result<(), TelemetryError>;
}

/// A source chosen at run time.
pub type BoxedSource<T> = Box<dyn Source<Sample = T>>;

impl<S: Source + ?Sized> Source for Box<S> {
    type Sample = S::Sample;

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn sample(
        &mut self,
        clock: &RunClock,
        out: &mut Vec<Self::Sample>,
    ) -> Result<(), TelemetryError> {
        (**self).sample(clock, out)
    }
}
