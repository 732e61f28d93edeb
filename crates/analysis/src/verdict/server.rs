//! Checks of what the server and its GPU did.

use std::collections::{BTreeMap, HashMap};

use vllm_bench_record::{Check, CheckKind, CheckStatus, GpuSample, GpuSource};

use super::{doubt, pass, unknown};
use crate::dataset::Dataset;
use crate::stage::{ServerCounts, StageSummary};
use crate::text;

/// What to do where the server's counters are missing.
pub(super) const READ_METRICS: &str =
    "Let the server export /metrics where this program can read it.";

pub(super) fn token_counts(stages: &[StageSummary]) -> Check {
    let kind = CheckKind::TokenCounts;
    let counts = counts(stages);
    let compared = |server: fn(&ServerCounts) -> Option<u64>, client: fn(&ServerCounts) -> u64| {
        let pairs: Vec<(u64, u64)> =
            counts.iter().filter_map(|c| Some((server(c)?, client(c)))).collect();
        let total = pairs.iter().fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        let equal = pairs.iter().all(|(server, client)| server == client);
        (pairs.len() == stages.len() && !pairs.is_empty()).then_some((total, equal))
    };
    let prompt = compared(|c| c.prompt_tokens, |c| c.client_prompt_tokens);
    let output = compared(|c| c.generation_tokens, |c| c.client_output_tokens);
    let (Some((prompt, prompts_equal)), Some((output, outputs_equal))) = (prompt, output) else {
        return unknown(
            kind,
            "the server's counters were not read around every stage",
            "Whether client and server counted the same tokens cannot be told.",
            READ_METRICS,
        );
    };
    let figure = format!(
        "prompt {} by the server, {} by the client; output {}, {}",
        text::count(prompt.0),
        text::count(prompt.1),
        text::count(output.0),
        text::count(output.1)
    );
    if prompts_equal && outputs_equal {
        return pass(kind, figure, "Client and server counted the same tokens.");
    }
    let unknown_counts: u64 = counts.iter().map(|c| c.client_unknown).sum();
    if unknown_counts > 0 {
        return doubt(
            kind,
            CheckStatus::Warn,
            figure,
            "Counts differ, and some requests ended without the server's count of them (failed, cancelled, no usage).",
            "Mend the errors first; then the counts can be held against each other.",
        );
    }
    doubt(
        kind,
        CheckStatus::Fail,
        figure,
        "Client and server counted different tokens although every request was answered: somebody else used the server, or an answer's usage is wrong.",
        "Keep other clients away from the server; look at the stage's counts in summary.json.",
    )
}

pub(super) fn preemptions(stages: &[StageSummary]) -> Check {
    let kind = CheckKind::Preemptions;
    match sum(stages, |s| s.preemptions) {
        None => unknown(
            kind,
            "not exported",
            "Whether the server preempted requests cannot be told.",
            READ_METRICS,
        ),
        Some(0) => pass(kind, "0", "The KV cache held every running request."),
        Some(n) => doubt(
            kind,
            CheckStatus::Warn,
            text::count(n),
            "The server ran out of KV cache and computed requests again: latencies above this load are of that.",
            "Lower the concurrency, or give the server more KV cache (--gpu-memory-utilization, --max-model-len).",
        ),
    }
}

pub(super) fn same_server(dataset: &Dataset, stages: &[StageSummary]) -> Check {
    let kind = CheckKind::SameServer;
    let around = dataset
        .manifest()
        .stages
        .iter()
        .flat_map(|s| s.engine_before.iter().chain(&s.engine_after));
    let mut starts: HashMap<u32, Vec<f64>> = HashMap::new();
    for sample in dataset.engine().iter().chain(around) {
        starts.entry(sample.server_index).or_default().extend(sample.process_start_unix_s);
    }
    let spread = |starts: &Vec<f64>| {
        let (min, max) =
            starts.iter().fold((f64::MAX, f64::MIN), |(min, max), s| (min.min(*s), max.max(*s)));
        max - min
    };
    let restarted = starts.values().filter(|s| spread(s) > 1.0).count() as u64;
    let counters_say = counts(stages).iter().any(|c| c.restarted);
    if restarted > 0 || counters_say {
        return doubt(
            kind,
            CheckStatus::Fail,
            format!("{} restarted", text::of(restarted.max(1), "server was", "servers were")),
            "The server was restarted during the run: caches, compilation and counters began anew.",
            "Find out why it stopped, and run again.",
        );
    }
    if starts.values().all(Vec::is_empty) {
        return unknown(
            kind,
            "no start time exported",
            "Whether one process answered throughout cannot be told.",
            READ_METRICS,
        );
    }
    pass(kind, "one process throughout", "The same server process answered throughout.")
}

pub(super) fn other_traffic(stages: &[StageSummary]) -> Check {
    let kind = CheckKind::OtherTraffic;
    let read: Vec<(u64, u64)> =
        counts(stages).iter().filter_map(|c| Some((c.requests?, c.client_requests))).collect();
    if read.is_empty() {
        return unknown(
            kind,
            "not exported",
            "Whether others used the server cannot be told.",
            READ_METRICS,
        );
    }
    let foreign: u64 = read.iter().map(|(server, ours)| server.saturating_sub(*ours)).sum();
    let ours: u64 = read.iter().map(|(_, ours)| ours).sum();
    if foreign == 0 {
        return pass(
            kind,
            format!("0 beside our {}", text::count(ours)),
            "Nobody else's requests ended on the server.",
        );
    }
    doubt(
        kind,
        CheckStatus::Fail,
        format!("{} beside our {}", text::of(foreign, "request", "requests"), text::count(ours)),
        "Somebody else used the server during the run: every figure is of both loads.",
        "Keep other clients away from the server, and run again.",
    )
}

/// NVML's reasons for lower clocks that have to do with heat or power: SW power cap, HW slowdown,
/// SW thermal, HW thermal, HW power brake. (Idle, set clocks, sync boost and display are none.)
const THROTTLED: [(u64, &str); 5] = [
    (0x04, "power cap"),
    (0x08, "hardware slowdown"),
    (0x20, "heat (software)"),
    (0x40, "heat (hardware)"),
    (0x80, "power brake"),
];

pub(super) fn gpu_clocks(dataset: &Dataset) -> Check {
    let kind = CheckKind::GpuClocks;
    let masks: Vec<u64> = measured_gpu(dataset)
        .filter(|s| s.source != GpuSource::Simulated)
        .filter_map(|s| s.throttle_reasons)
        .collect();
    if masks.is_empty() {
        let figure = match dataset.gpu().first() {
            Some(sample) if sample.source == GpuSource::Simulated => {
                "the GPU samples are simulated"
            }
            Some(_) => "the device does not tell",
            None => "no GPU was sampled",
        };
        return unknown(
            kind,
            figure,
            "Whether the GPU ran at full clocks cannot be told.",
            "Run on the server's host, or name its dcgm-exporter.",
        );
    }
    let throttled =
        masks.iter().filter(|mask| THROTTLED.iter().any(|(bit, _)| *mask & bit != 0)).count();
    let figure = format!(
        "{} of {}",
        text::count(throttled as u64),
        text::of(masks.len() as u64, "sample", "samples")
    );
    if throttled == 0 {
        return pass(
            kind,
            format!("{figure} throttled"),
            "The GPU was not slowed by heat or power.",
        );
    }
    let seen =
        |(bit, name): (u64, &'static str)| masks.iter().any(|mask| mask & bit != 0).then_some(name);
    let reasons: Vec<&str> = THROTTLED.into_iter().filter_map(seen).collect();
    doubt(
        kind,
        CheckStatus::Warn,
        format!("{figure} throttled: {}", reasons.join(", ")),
        "The GPU lowered its clocks: a cooler machine or another power limit gives other figures.",
        "Name the power limit with the result; look to the cooling where the reason is heat.",
    )
}

pub(super) fn gpu_shared(dataset: &Dataset) -> Check {
    let kind = CheckKind::GpuShared;
    let not_told = |figure: &str, advice: &str| {
        unknown(kind, figure, "Whether others used the GPU cannot be told.", advice)
    };
    // The fewest and the most processes on each GPU while stages were measured.
    let mut seen: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for sample in measured_gpu(dataset).filter(|s| s.source != GpuSource::Simulated) {
        let Some(now) = sample.processes else { continue };
        let (fewest, most) = seen.entry(sample.gpu_index).or_insert((now, now));
        (*fewest, *most) = ((*fewest).min(now), (*most).max(now));
    }
    let used = seen.values().filter(|(_, most)| *most > 0).count() as u64;
    if seen.is_empty() {
        let figure = match dataset.gpu().first().map(|s| s.source) {
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
                &format!(", more than one on {}", text::of(others, "other GPU", "other GPUs"));
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
        (used, 0) => format!("one on each of {} GPUs", text::count(used)),
        (used, idle) => {
            format!("one on {}, none on {} more", text::of(used, "GPU", "GPUs"), text::count(idle))
        }
    };
    pass(kind, figure, "Nobody but the server used its GPUs.")
}

/// The GPU samples taken while a stage was measured.
fn measured_gpu(dataset: &Dataset) -> impl Iterator<Item = &GpuSample> {
    let spans: Vec<_> = dataset
        .measured_stages()
        .filter_map(|(_, stage)| {
            Some((stage.started_at_ns?, stage.finished_at_ns.or(dataset.last_instant())?))
        })
        .collect();
    let measured =
        move |s: &&GpuSample| spans.iter().any(|(from, to)| (*from..=*to).contains(&s.at));
    dataset.gpu().iter().filter(measured)
}

fn counts(stages: &[StageSummary]) -> Vec<ServerCounts> {
    stages.iter().filter_map(|s| s.server).collect()
}

/// The sum over the stages that know; `None` when none does.
pub(super) fn sum(stages: &[StageSummary], of: fn(&ServerCounts) -> Option<u64>) -> Option<u64> {
    counts(stages).iter().filter_map(of).reduce(|a, b| a + b)
}
