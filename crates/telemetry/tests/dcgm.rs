//! GPUs of another host.

mod common;

use std::time::Duration;

use common::{Answer, serve};
use vllm_bench_record::{GpuSample, GpuSource, RunClock, Timestamp};
use vllm_bench_telemetry::{DcgmSource, Source, TelemetryError, parse_dcgm};

const TWO: &str = include_str!("fixtures/dcgm/two-gpus.txt");
const MIG: &str = include_str!("fixtures/dcgm/pods-and-mig.txt");
const MIB: u64 = 1 << 20;

#[test]
fn default_counters_of_two_gpus() {
    let at = Timestamp::from_nanos(5);
    let gpus = parse_dcgm(TWO, at).expect("well formed");
    let first = GpuSample {
        at,
        gpu_index: 0,
        uuid: Some("GPU-a8affe7e".into()),
        name: Some("NVIDIA L40S".into()),
        source: GpuSource::Dcgm,
        utilization_pct: Some(97.0),
        memory_utilization_pct: Some(41.0),
        memory_used_bytes: Some(40_500 * MIB),
        memory_total_bytes: Some(45_500 * MIB),
        temperature_c: Some(61.0),
        power_mw: Some(301_156),
        energy_mj: Some(31_035_686_671),
        sm_clock_mhz: Some(2520),
        memory_clock_mhz: Some(9001),
        throttle_reasons: Some(4),
        pcie_tx_kb_s: Some(1500),
        pcie_rx_kb_s: Some(900),
        processes: None,
    };
    let second = GpuSample {
        gpu_index: 1,
        uuid: Some("GPU-72ad4d20".into()),
        utilization_pct: Some(0.0),
        memory_utilization_pct: None,
        memory_used_bytes: Some(0),
        temperature_c: Some(32.0),
        power_mw: Some(34_164),
        energy_mj: None,
        sm_clock_mhz: Some(210),
        memory_clock_mhz: Some(405),
        throttle_reasons: None,
        pcie_tx_kb_s: None,
        pcie_rx_kb_s: None,
        processes: None,
        ..first.clone()
    };
    assert_eq!(gpus, [first, second]);
}

#[test]
fn pods_do_not_double_a_gpu_blanks_are_none_and_instances_are_apart() {
    let gpus = parse_dcgm(MIG, Timestamp::ZERO).expect("well formed");
    let uuids: Vec<_> = gpus.iter().map(|g| g.uuid.as_deref().expect("a UUID")).collect();
    assert_eq!(uuids, ["GPU-aaa", "GPU-bbb/2", "GPU-bbb/9"]);
    let whole = &gpus[0];
    assert_eq!((whole.utilization_pct, whole.throttle_reasons), (Some(73.0), Some(1)));
    assert_eq!((whole.memory_utilization_pct, whole.energy_mj), (None, None));
    assert_eq!((whole.power_mw, whole.temperature_c), (None, None));
    assert_eq!(whole.pcie_tx_kb_s, Some(2500), "the profiling counter is the better one");
    assert_eq!(gpus[1].memory_total_bytes, Some(1024 * MIB));
    assert_eq!((gpus[2].memory_used_bytes, gpus[2].memory_total_bytes), (Some(50 * MIB), None));
}

#[test]
fn what_is_no_exporter_is_said() {
    let none = parse_dcgm("up 1\n", Timestamp::ZERO);
    assert!(matches!(none, Err(TelemetryError::NoMetrics { metrics: "DCGM_FI_", .. })), "{none:?}");
    let none = parse_dcgm("<html>", Timestamp::ZERO);
    assert!(matches!(none, Err(TelemetryError::Format { .. })), "{none:?}");
}

#[test]
fn over_http_with_and_without_a_path() {
    let clock = RunClock::start();
    for path in ["", "/", "/metrics", "/some/path"] {
        let server = serve(vec![Answer::Body(200, TWO.into())]);
        let mut source = DcgmSource::new(format!("http://{}{path}", server.addr))
            .expect("a URL")
            .timeout(Duration::from_secs(10));
        let mut out = Vec::new();
        source.sample(&clock, &mut out).expect("it answers");
        assert_eq!((out.len(), source.name()), (2, "dcgm"));
        let head = server.heads.recv().expect("one request");
        let expected = if path.len() < 2 { "/metrics" } else { path };
        assert!(head.starts_with(&format!("GET {expected} HTTP/1.1\r\n")), "{head}");
    }
}
