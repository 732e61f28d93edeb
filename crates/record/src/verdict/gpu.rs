//! Whether the GPU ran at full clocks, for the server alone.

use super::evidence::Evidence;
use super::judge::{doubt, pass, unknown};
use super::{Check, CheckKind, CheckStatus};
use crate::gpu::GpuSource;
use crate::words;

pub(super) fn gpu_clocks(evidence: &Evidence) -> Check {
    let kind = CheckKind::GpuClocks;
    let gpu = &evidence.gpu;
    if gpu.told == 0 {
        let figure = match gpu.source {
            None => "no GPU was sampled",
            Some(GpuSource::Simulated) => "the GPU samples are simulated",
            Some(_) => "the device does not tell",
        };
        return unknown(
            kind,
            figure,
            "Whether the GPU ran at full clocks cannot be told.",
            "Run on the server's host, or name its dcgm-exporter.",
        );
    }
    let figure = format!(
        "{} of {} throttled",
        words::count(gpu.throttled),
        words::of(gpu.told, "sample", "samples")
    );
    if gpu.throttled == 0 {
        return pass(kind, figure, "The GPU was not slowed by heat or power.");
    }
    doubt(
        kind,
        CheckStatus::Warn,
        format!("{figure}: {}", gpu.reasons().join(", ")),
        "The GPU lowered its clocks: a cooler machine or another power limit gives other figures.",
        "Name the power limit with the result; look to the cooling where the reason is heat.",
    )
}

pub(super) fn gpu_shared(evidence: &Evidence) -> Check {
    let kind = CheckKind::GpuShared;
    let not_told = |figure: &str, advice: &str| {
        unknown(kind, figure, "Whether others used the GPU cannot be told.", advice)
    };
    // The fewest and the most processes on each GPU while stages were measured.
    let seen = &evidence.gpu.processes;
    let used = seen.values().filter(|(_, most)| *most > 0).count() as u64;
    if seen.is_empty() {
        let figure = match evidence.gpu.source {
            None => "no GPU was sampled",
            Some(GpuSource::Simulated) => "the GPU samples are simulated",
            Some(GpuSource::Dcgm) => "DCGM does not tell",
            Some(_) => "the device does not tell",
        };
        return not_told(figure, "Run on the server's host, so that its NVML is read.");
    }
    if used == 0 {
        return not_told(
            "NVML shows no process on any GPU",
            "Run where the server's process is seen: a container is not shown those outside of it.",
        );
    }
    let crowded = seen.iter().filter(|(_, (_, most))| *most > 1);
    if let Some((gpu, (_, most))) = crowded.clone().max_by_key(|(_, (_, most))| *most) {
        let others = crowded.count() as u64 - 1;
        let mut figure = format!("up to {most} processes on GPU {gpu}");
        if others > 0 {
            figure +=
                &format!(", more than one on {}", words::of(others, "other GPU", "other GPUs"));
        }
        return doubt(
            kind,
            CheckStatus::Warn,
            figure,
            "More than one process held the GPU while it was measured: the figures may be of both loads.",
            "Stop what else uses the GPU (nvidia-smi names it), and run again; a server that is meant to share it is named with the result.",
        );
    }
    if let Some((gpu, (fewest, most))) = seen.iter().find(|(_, (fewest, most))| fewest != most) {
        return doubt(
            kind,
            CheckStatus::Warn,
            format!("{fewest} to {most} on GPU {gpu}"),
            "A process came to a GPU or left it while it was measured.",
            "Look whether the server was restarted, or who else started on the GPU.",
        );
    }
    let figure = match (used, seen.len() as u64 - used) {
        (1, 0) => "one on the GPU".to_owned(),
        (used, 0) => format!("one on each of {} GPUs", words::count(used)),
        (used, idle) => format!(
            "one on {}, none on {} more",
            words::of(used, "GPU", "GPUs"),
            words::count(idle)
        ),
    };
    pass(kind, figure, "Nobody but the server used its GPUs.")
}
