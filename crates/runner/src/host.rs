//! The machine that makes the load, as far as it tells.

use vllm_bench_record::HostInfo;

/// Reads what this machine says of itself; what it does not say is absent.
pub(crate) fn host_info() -> HostInfo {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let kernel = read("/proc/sys/kernel/osrelease").map(|k| format!(" {}", k.trim()));
    let cpu = read("/proc/cpuinfo").and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let memory_bytes = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    });
    HostInfo {
        os: format!("{}{}", std::env::consts::OS, kernel.unwrap_or_default()),
        cpu,
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        memory_bytes,
        workers: 0,
    }
}
