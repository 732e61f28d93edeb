//! The real `dlopen` path of NVML, against the stand-in library.
//!
//! Each test loads a copy of its own, with its script beside it. The copy is
//! needed: a library loaded twice from one path is one library.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vllm_bench_record::{GpuSample, GpuSource, RunClock};
use vllm_bench_telemetry::{NvmlSource, Source, TelemetryError};
// Makes cargo build the library before these tests.
use vllm_bench_nvml_stub as _;

/// The stand-in as cargo built it: beside this test's program.
fn built() -> PathBuf {
    let program = std::env::current_exe().expect("this test");
    let name = format!(
        "{}vllm_bench_nvml_stub{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let folders = program.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(&name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("cargo built no {name} beside {}", program.display()))
}

/// A copy of the library that runs `script`, changed by `patch`.
fn library(script: &str, patch: impl FnOnce(&mut Vec<u8>)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("libnvidia-ml.so.1");
    let mut bytes = fs::read(built()).expect("readable");
    patch(&mut bytes);
    fs::write(&path, bytes).expect("writable");
    fs::write(folder.path().join("libnvidia-ml.so.1.script"), script).expect("writable");
    (folder, path)
}

/// Renames an exported symbol, as if an older driver did not have it.
fn without(symbol: &str) -> impl FnOnce(&mut Vec<u8>) {
    let name = format!("\0{symbol}\0").into_bytes();
    move |bytes| {
        let places: Vec<_> = bytes
            .windows(name.len())
            .enumerate()
            .filter(|(_, window)| *window == name)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty(), "the symbol is there");
        for at in places {
            bytes[at + name.len() - 2] = b'X';
        }
    }
}

fn read(source: &mut NvmlSource) -> (Vec<GpuSample>, Result<(), TelemetryError>) {
    let mut out = Vec::new();
    let result = source.sample(&RunClock::start(), &mut out);
    (out, result)
}

/// Reads until PCIe figures have come from their own thread.
fn read_with_pcie(source: &mut NvmlSource) -> GpuSample {
    let start = Instant::now();
    loop {
        let (mut samples, result) = read(source);
        result.expect("all readable");
        let last = samples.pop().expect("a GPU");
        if last.pcie_rx_kb_s.is_some() {
            return last;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no PCIe figure: {last:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_field_of_every_gpu() {
    let script = "[gpu]\n[gpu]\nname = Stub B\nuuid = GPU-b\nutilization = 35\nmemory_utilization = 12\n\
                  memory_used = 1000\nmemory_total = 4000\ntemperature = 55\npower_mw = 301156\n\
                  energy_mj = 5000000000000\nsm_clock = 1410\nmemory_clock = 1215\n\
                  throttle_reasons = 140737488355332\npcie_tx = 7\npcie_rx = 8\n\
                  compute_processes = 10 11\ngraphics_processes = 11\n";
    let (_folder, path) = library(script, |_| {});
    let mut source = NvmlSource::open(Some(&path)).expect("the stand-in loads");
    assert_eq!(source.name(), "nvml");
    assert_eq!(source.names().collect::<Vec<_>>(), [Some("Stub GPU"), Some("Stub B")]);
    let second = read_with_pcie(&mut source);
    let expected = GpuSample {
        at: second.at,
        gpu_index: 1,
        uuid: Some("GPU-b".into()),
        name: Some("Stub B".into()),
        source: GpuSource::Nvml,
        utilization_pct: Some(35.0),
        memory_utilization_pct: Some(12.0),
        memory_used_bytes: Some(1000),
        memory_total_bytes: Some(4000),
        temperature_c: Some(55.0),
        power_mw: Some(301_156),
        energy_mj: Some(5_000_000_000_000),
        sm_clock_mhz: Some(1410),
        memory_clock_mhz: Some(1215),
        // With a bit that no version of NVML names.
        throttle_reasons: Some((1 << 47) + 4),
        pcie_tx_kb_s: Some(7),
        pcie_rx_kb_s: Some(8),
        processes: Some(2),
    };
    assert_eq!(second, expected);
}

#[test]
fn what_a_gpu_does_not_tell_is_none_and_no_error() {
    let script = "[gpu]\nutilization = error 3\nmemory_used = error 3\ntemperature = error 4\n\
                  power_mw = error 3\nenergy_mj = error 13\nsm_clock = error 3\nmemory_clock = error 21\n\
                  throttle_reasons = error 3\npcie_tx = error 3\npcie_rx = error 3\nname = error 3\nuuid = error 3\n\
                  compute_processes = error 4\n";
    let (_folder, path) = library(script, |_| {});
    let mut source = NvmlSource::open(Some(&path)).expect("the stand-in loads");
    let (samples, result) = read(&mut source);
    result.expect("not supported is no failure");
    let s = &samples[0];
    assert_eq!((s.name.as_ref(), s.uuid.as_ref()), (None, None));
    assert_eq!((s.utilization_pct, s.memory_utilization_pct, s.temperature_c), (None, None, None));
    assert_eq!((s.memory_used_bytes, s.memory_total_bytes), (None, None));
    assert_eq!((s.power_mw, s.energy_mj, s.throttle_reasons), (None, None, None));
    assert_eq!((s.sm_clock_mhz, s.memory_clock_mhz), (None, None));
    assert_eq!((s.pcie_tx_kb_s, s.pcie_rx_kb_s, s.processes), (None, None, None));
}

#[test]
fn processes_come_and_go_and_are_counted_once() {
    // The first list of the third reading fails; a GPU that cannot draw has nobody who does.
    let script = "[gpu]\ncompute_processes = 10, 10 11 12, error 999, none\ngraphics_processes = error 3, 12 13, none\n";
    let (_folder, path) = library(script, |_| {});
    let mut source = NvmlSource::open(Some(&path)).expect("the stand-in loads");
    let readings: Vec<_> = (0..4).map(|_| read(&mut source)).collect();
    let counts: Vec<_> = readings.iter().map(|(samples, _)| samples[0].processes).collect();
    assert_eq!(counts, [Some(1), Some(4), None, Some(0)]);
    let failed: Vec<_> = readings.iter().map(|(_, result)| result.is_err()).collect();
    assert_eq!(failed, [false, false, true, false]);
}

#[test]
fn a_failing_reading_is_an_error_beside_the_rest() {
    // 999 is "unknown", 15 "GPU is lost"; both GPUs were fine when NVML was opened.
    let script = "[gpu]\npower_mw = 100, error 999, 300\n[gpu]\nhandle = 0, error 15\n[gpu]\n";
    let (_folder, path) = library(script, |_| {});
    let mut source = NvmlSource::open(Some(&path)).expect("the stand-in loads");
    let (samples, result) = read(&mut source);
    let error = result.expect_err("GPU 1 is lost");
    assert!(matches!(error, TelemetryError::Nvml { gpu_index: 1, what: "handle", .. }), "{error}");
    assert_eq!(samples.iter().map(|s| s.gpu_index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(samples[0].power_mw, Some(100));

    let (samples, result) = read(&mut source);
    let error = result.expect_err("the power of GPU 0 is unknown");
    assert_eq!(error.to_string(), "GPU 0: cannot read its power");
    assert_eq!((samples[0].power_mw, samples[0].utilization_pct), (None, Some(97.0)));
    let (samples, _) = read(&mut source);
    assert_eq!(samples[0].power_mw, Some(300), "it comes back");
}

#[test]
fn slow_pcie_counters_do_not_hold_up_a_reading() {
    let (_folder, path) = library("[gpu]\npcie_delay_ms = 300\n", |_| {});
    let mut source = NvmlSource::open(Some(&path)).expect("the stand-in loads");
    let start = Instant::now();
    for _ in 0..20 {
        let (samples, result) = read(&mut source);
        result.expect("all readable");
        assert_eq!(samples[0].utilization_pct, Some(97.0));
    }
    // In line they would take 20 readings × 2 counters × 300 ms.
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(read_with_pcie(&mut source).pcie_tx_kb_s, Some(150_000));
}

#[test]
fn a_missing_library_is_one_clear_error() {
    let path = Path::new("/nonexistent/libnvidia-ml.so.1");
    let error = NvmlSource::open(Some(path)).expect_err("nothing there");
    assert!(matches!(error, TelemetryError::NoNvml { .. }), "{error:?}");
    let text = error.to_string();
    assert_eq!(text, "no NVIDIA GPU readings: /nonexistent/libnvidia-ml.so.1 cannot be used");
    assert!(error.chain().contains("cannot open shared object file") || cfg!(target_os = "macos"));
}

#[test]
fn a_library_without_the_first_symbol_is_not_nvml() {
    let (_folder, path) = library("", without("nvmlInit_v2"));
    let error = NvmlSource::open(Some(&path)).expect_err("no nvmlInit_v2");
    assert!(matches!(error, TelemetryError::NoNvml { .. }), "{error:?}");
    assert!(error.chain().contains("nvmlInit_v2"), "{}", error.chain());
}

#[test]
fn a_symbol_that_an_older_driver_lacks_costs_its_field_only() {
    let (_folder, path) = library("[gpu]\n", without("nvmlDeviceGetTotalEnergyConsumption"));
    let mut source = NvmlSource::open(Some(&path)).expect("the rest is there");
    let (samples, result) = read(&mut source);
    result.expect("a missing symbol is no failure");
    assert_eq!((samples[0].energy_mj, samples[0].power_mw), (None, Some(412_000)));
}

#[test]
fn a_driver_that_is_not_loaded_and_a_host_without_gpus() {
    let (_folder, path) = library("init = 9\n", |_| {});
    let error = NvmlSource::open(Some(&path)).expect_err("driver not loaded");
    assert!(matches!(error, TelemetryError::NoNvml { .. }), "{error:?}");
    let (_folder, path) = library("init = 0\n", |_| {});
    let error = NvmlSource::open(Some(&path)).expect_err("no GPU");
    assert!(matches!(error, TelemetryError::NoGpus { .. }), "{error:?}");
}
