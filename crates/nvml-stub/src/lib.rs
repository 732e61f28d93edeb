//! A stand-in for `libnvidia-ml` that exports its symbols, so that the real
//! `dlopen` path of the telemetry crate is testable without a GPU.
//!
//! Built as a `cdylib`; a test loads it as it would load the driver's library.
//! What it answers is scripted by a text file, looked for when `nvmlInit_v2`
//! is called: the library's own path with `.script` appended, else the path
//! in the environment variable `VLLM_BENCH_NVML_STUB`, else one plausible GPU.
//! A test copies the library to a folder of its own and puts the script beside it.
//!
//! ```text
//! # Lines before the first [gpu] are about the library.
//! init = 9                        # nvmlReturn_t of nvmlInit_v2
//! [gpu]                           # a GPU with the plausible values, then changed
//! name = Stub A
//! utilization = 10, 20, 30        # first, second, third reading; the last stays
//! power_mw = error 3              # nvmlReturn_t instead of a value (3: not supported)
//! pcie_delay_ms = 20              # how long a PCIe reading takes
//! compute_processes = 12 34, none # process ids
//! ```
//!
//! Keys of a GPU: `handle` (only as `error N`), `name`, `uuid`, `utilization`,
//! `memory_utilization`, `memory_used`, `memory_total`, `temperature`, `power_mw`, `energy_mj`, `sm_clock`,
//! `memory_clock`, `throttle_reasons`, `pcie_tx`, `pcie_rx`, `pcie_delay_ms`,
//! `compute_processes`, `graphics_processes`.
//!
//! ```
//! use vllm_bench_nvml_stub::Script;
//!
//! let script = Script::parse("[gpu]\nutilization = 10, 20\npower_mw = error 3\n")?;
//! let gpu = script.gpu(0).expect("one GPU");
//! let readings = [gpu.number("utilization"), gpu.number("utilization"), gpu.number("power_mw")];
//! assert_eq!(readings, [Ok(10), Ok(20), Err(3)]);
//! # Ok::<(), String>(())
//! ```

mod exports;
mod script;

pub use script::{Gpu, Script};
