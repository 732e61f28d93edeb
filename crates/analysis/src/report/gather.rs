//! From a run to what its charts are drawn from.

use std::collections::BTreeMap;

use vllm_bench_record::{
    EngineSample, GpuSample, Phase, Slo, SloMetric, SloStatistic, SloTarget, Timestamp,
};

use crate::charts::{
    ArrivalSeries, Band, Figure, Goal, ItlCounts, Quantiles, RequestPoint, SearchPoints,
    StagePoint, StageSamples, TimeSeries, TimeShare, Timeline, busy_rate, rate_bin_s,
};
use crate::dataset::{Dataset, devices};
use crate::report::names::stage_names;
use crate::report::{arrivals, search};
use crate::rows::RequestRow;
use crate::slo;
use crate::stage::{StageSummary, WindowSummary};
use crate::stat::{Percentile, Stat};
use crate::summary::Summary;
use crate::time_split::{PARTS, SUM};

/// Everything that the charts of one run need.
pub(crate) struct Inputs {
    pub(crate) timeline: Timeline,
    pub(crate) ttft_ms: Vec<StageSamples>,
    pub(crate) e2e_ms: Vec<StageSamples>,
    pub(crate) tokens_per_s: Vec<StageSamples>,
    pub(crate) prompt_tokens: Vec<u32>,
    pub(crate) output_tokens: Vec<u32>,
    pub(crate) rate: Vec<(f64, f64)>,
    pub(crate) points: Vec<RequestPoint>,
    pub(crate) itl: ItlCounts,
    pub(crate) stages: Vec<StagePoint>,
    pub(crate) goal: Goal,
    pub(crate) time_split: Vec<TimeShare>,
    pub(crate) arrivals: Option<ArrivalSeries>,
    pub(crate) search: Option<SearchPoints>,
    pub(crate) gpu: GpuSeries,
    pub(crate) engine: EngineSeries,
}

/// The GPUs over time; a series is empty where no device tells.
#[derive(Default)]
pub(crate) struct GpuSeries {
    pub(crate) utilisation: Vec<TimeSeries>,
    pub(crate) power: Vec<TimeSeries>,
    pub(crate) memory: Vec<TimeSeries>,
    pub(crate) memory_total_gib: Option<f64>,
    pub(crate) temperature: Vec<TimeSeries>,
}

/// The servers over time; a series is empty where no server tells.
#[derive(Default)]
pub(crate) struct EngineSeries {
    pub(crate) requests: Vec<TimeSeries>,
    pub(crate) kv_cache: Vec<TimeSeries>,
    pub(crate) preemptions: Vec<TimeSeries>,
}

impl Inputs {
    pub(crate) fn of(dataset: &Dataset, summary: &Summary) -> Self {
        let timeline = timeline(dataset);
        let names = stage_names(dataset.manifest());
        let samples = |of: &dyn Fn(&RequestRow) -> Option<f64>| -> Vec<StageSamples> {
            by_load(summary)
                .map(|s| StageSamples {
                    stage: names[s.index as usize].clone(),
                    values: counted(dataset, s).filter_map(of).collect(),
                })
                .collect()
        };
        let (goal, metric) = goal(summary);
        let measured = || dataset.measured().filter(|r| r.completed());
        Self {
            ttft_ms: samples(&|r| r.ttft.map(ms)),
            e2e_ms: samples(&|r| r.e2e.map(ms)),
            tokens_per_s: samples(&RequestRow::output_throughput),
            prompt_tokens: measured().filter_map(|r| r.prompt_tokens).collect(),
            output_tokens: measured().filter_map(|r| r.output_tokens).collect(),
            rate: rate(dataset, timeline.end_s),
            points: points(dataset),
            itl: itl(dataset, &timeline),
            stages: by_load(summary)
                .map(|s| stage_point(s, &names[s.index as usize], metric))
                .collect(),
            goal,
            time_split: time_split(summary, &names),
            arrivals: arrivals::series(dataset, timeline.end_s),
            search: summary.run.search.as_ref().map(search::points),
            gpu: gpu(dataset.gpu()),
            engine: engine(dataset.engine()),
            timeline,
        }
    }
}

/// Measured stages, least load first.
fn by_load(summary: &Summary) -> impl Iterator<Item = &StageSummary> {
    let mut stages: Vec<&StageSummary> = summary.stages.iter().collect();
    stages.sort_by(|a, b| a.level.total_cmp(b.level));
    stages.into_iter()
}

/// The completed requests that a stage's percentiles are of.
pub(crate) fn counted<'a>(
    dataset: &'a Dataset,
    stage: &'a StageSummary,
) -> impl Iterator<Item = &'a RequestRow> {
    let window = stage.figures().map(|w| (w.from_ns, w.to_ns));
    dataset.of_stage(stage.index).filter(|r| r.completed()).filter(move |r| {
        window.zip(r.sent_at).is_none_or(|((from, to), sent)| (from..=to).contains(&sent))
    })
}

fn ms(d: std::time::Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// The points of one summarised run on the axis of load.
pub(crate) fn stage_points(summary: &Summary, names: &[String]) -> Vec<StagePoint> {
    let (_, metric) = goal(summary);
    by_load(summary)
        .map(|s| {
            let name = names.get(s.index as usize).unwrap_or(&s.label);
            stage_point(s, name, metric)
        })
        .collect()
}

fn stage_point(stage: &StageSummary, name: &str, metric: (SloMetric, SloStatistic)) -> StagePoint {
    let base = StagePoint { failed: stage.failed, ..StagePoint::new(name, stage.level) };
    let Some(window) = stage.figures() else { return base };
    let open = stage.open.as_ref();
    StagePoint {
        requests: window.completed,
        output_tokens_per_s: window.output_tokens_per_s,
        requests_per_s: window.completed_per_s,
        due_per_s: open.and(window.due_per_s),
        sent_per_s: open.and(window.sent_per_s),
        ttft_from_schedule_ms: quantiles(
            window.ttft_from_schedule_ns.as_ref().filter(|_| window.waits_to_send()),
        ),
        ttft_ms: quantiles(window.ttft_ns.as_ref()),
        tpot_ms: quantiles(window.tpot_ns.as_ref()),
        e2e_ms: quantiles(window.e2e_ns.as_ref()),
        goal_ms: latency(window, metric.0).map(|s| statistic(s, metric.1)),
        ..base
    }
}

/// The means of the stages that tell where their time went.
fn time_split(summary: &Summary, names: &[String]) -> Vec<TimeShare> {
    by_load(summary)
        .filter_map(|s| {
            let split = s.time_split.as_ref()?;
            Some(TimeShare {
                stage: names.get(s.index as usize).unwrap_or(&s.label).clone(),
                requests: split.requests,
                source: split.source,
                parts_ms: PARTS.map(|part| (part.name, (part.of)(split).mean / 1e6)),
                sum_ms: (SUM.of)(split).mean / 1e6,
            })
        })
        .collect()
}

fn quantiles(stat: Option<&Stat>) -> Quantiles {
    let of = |p: SloStatistic| stat.map(|s| statistic(s, p));
    Quantiles { p50: of(SloStatistic::P50), p95: of(SloStatistic::P95), p99: of(SloStatistic::P99) }
}

/// The statistic of a latency in nanoseconds as a figure in milliseconds.
pub(crate) fn statistic(stat: &Stat, which: SloStatistic) -> Figure {
    let percentile = |p: Percentile| Figure {
        value: p.value / 1e6,
        interval: p.low.zip(p.high).map(|(l, h)| (l / 1e6, h / 1e6)),
        few: p.low_samples,
    };
    match which {
        SloStatistic::Mean => Figure {
            value: stat.mean / 1e6,
            interval: stat.mean_low.zip(stat.mean_high).map(|(l, h)| (l / 1e6, h / 1e6)),
            few: false,
        },
        SloStatistic::P50 => percentile(stat.p50),
        SloStatistic::P90 => percentile(stat.p90),
        SloStatistic::P95 => percentile(stat.p95),
        SloStatistic::P99 => percentile(stat.p99),
        SloStatistic::Max => Figure::new(stat.max / 1e6),
    }
}

/// The latency that `metric` names.
pub(crate) fn latency(window: &WindowSummary, metric: SloMetric) -> Option<&Stat> {
    match metric {
        SloMetric::Ttft => window.ttft_ns.as_ref(),
        SloMetric::TtftFromSchedule => window.ttft_from_schedule_ns.as_ref(),
        SloMetric::Tpot => window.tpot_ns.as_ref(),
        SloMetric::Itl => window.itl_ns.as_ref(),
        SloMetric::E2e => window.e2e_ns.as_ref(),
        SloMetric::E2eFromSchedule => window.e2e_from_schedule_ns.as_ref(),
    }
}

/// What the throughput–latency curve shows: the first latency objective, one of TTFT
/// preferred; TTFT p95 where there is none.
pub(crate) fn goal(summary: &Summary) -> (Goal, (SloMetric, SloStatistic)) {
    let mut latencies: Vec<(SloMetric, SloStatistic, f64)> = summary
        .run
        .slo
        .iter()
        .filter_map(|(name, limit)| match Slo::parse(name, limit).ok()? {
            Slo { target: SloTarget::Latency(metric, statistic), limit } => {
                Some((metric, statistic, limit / 1e6))
            }
            _ => None,
        })
        .collect();
    latencies.sort_by_key(|l| !matches!(l.0, SloMetric::Ttft | SloMetric::TtftFromSchedule));
    let (metric, statistic, limit_ms) = latencies
        .first()
        .map_or((SloMetric::Ttft, SloStatistic::P95, None), |&(m, s, l)| (m, s, Some(l)));
    (Goal { name: slo::latency_words(metric, statistic), limit_ms }, (metric, statistic))
}

fn timeline(dataset: &Dataset) -> Timeline {
    let manifest = dataset.manifest();
    let names = stage_names(manifest);
    let mut bands = Vec::new();
    for (index, stage) in (0u32..).zip(&manifest.stages) {
        // A killed run's manifest may not tell a stage's span; its requests do.
        let sent = dataset.of_stage(index).filter_map(|r| r.sent_at).min();
        let ended = dataset.of_stage(index).filter_map(|r| r.finished_at.or(r.last_token_at)).max();
        let Some((start, end)) = stage.started_at_ns.or(sent).zip(stage.finished_at_ns.or(ended))
        else {
            continue;
        };
        let warmup = stage.phase == Phase::Warmup;
        bands.push(Band {
            label: names[index as usize].clone(),
            short: if warmup { "w".into() } else { stage.load.level().number() },
            start_s: start.as_secs_f64(),
            end_s: end.as_secs_f64(),
            warmup,
        });
    }
    let last_band = bands.iter().map(|b| b.end_s).fold(0.0, f64::max);
    let end_s = dataset.last_instant().map_or(0.0, Timestamp::as_secs_f64).max(last_band);
    Timeline { bands, end_s }
}

/// Output tokens a second in bins of a round width.
fn rate(dataset: &Dataset, end_s: f64) -> Vec<(f64, f64)> {
    let bin_s = rate_bin_s(end_s);
    let mut bins: BTreeMap<i64, f64> = BTreeMap::new();
    for row in dataset.requests() {
        let chunks = dataset.chunks(row);
        for (at, &tokens) in chunks.at.iter().zip(chunks.tokens) {
            *bins.entry((at.as_secs_f64() / bin_s) as i64).or_default() += f64::from(tokens);
        }
    }
    busy_rate(&bins.into_iter().collect::<Vec<_>>(), bin_s, end_s)
}

fn points(dataset: &Dataset) -> Vec<RequestPoint> {
    dataset
        .requests()
        .iter()
        .filter(|r| r.outcome.as_str() != "cancelled")
        .filter_map(|r| {
            Some(RequestPoint {
                sent_s: r.sent_at.unwrap_or(r.scheduled_at).as_secs_f64(),
                ttft_ms: if r.completed() { Some(ms(r.ttft?)) } else { None },
            })
        })
        .collect()
}

fn itl(dataset: &Dataset, timeline: &Timeline) -> ItlCounts {
    let mut counts = ItlCounts::new(timeline);
    for row in dataset.measured().filter(|r| r.completed()) {
        let chunks = dataset.chunks(row);
        for (pair, &tokens) in chunks.at.windows(2).zip(chunks.tokens.iter().skip(1)) {
            let gap = ms(pair[1].since(pair[0]));
            let tokens = tokens.max(1);
            counts.add(pair[1].as_secs_f64(), gap / f64::from(tokens), u64::from(tokens));
        }
    }
    counts
}

/// One value a sample, in the order of time, as one series; `None` when there is no value at all.
fn series<S>(
    name: &str,
    samples: &[&S],
    at: impl Fn(&S) -> Timestamp,
    value: impl Fn(&S) -> Option<f64>,
) -> Option<TimeSeries> {
    let points: Vec<_> = samples.iter().map(|&s| (at(s).as_secs_f64(), value(s))).collect();
    points.iter().any(|p| p.1.is_some()).then(|| TimeSeries { name: name.to_owned(), points })
}

fn gpu(samples: &[GpuSample]) -> GpuSeries {
    const GIB: f64 = 1_073_741_824.0;
    let mut out = GpuSeries::default();
    for ((index, _), samples) in &devices(samples) {
        let name = match samples.first().and_then(|s| s.name.as_deref()) {
            Some(model) => format!("GPU {index} · {model}"),
            None => format!("GPU {index}"),
        };
        let of =
            |value: &dyn Fn(&GpuSample) -> Option<f64>| series(&name, samples, |s| s.at, value);
        out.utilisation.extend(of(&|s| s.utilization_pct.map(f64::from)));
        out.power.extend(of(&|s| s.power_mw.map(|p| p as f64 / 1e3)));
        out.memory.extend(of(&|s| s.memory_used_bytes.map(|b| b as f64 / GIB)));
        out.temperature.extend(of(&|s| s.temperature_c.map(f64::from)));
        let total = samples.iter().filter_map(|s| s.memory_total_bytes).max();
        out.memory_total_gib =
            total.map(|t| t as f64 / GIB).into_iter().chain(out.memory_total_gib).reduce(f64::max);
    }
    out
}

fn engine(samples: &[EngineSample]) -> EngineSeries {
    let mut servers: BTreeMap<u32, Vec<&EngineSample>> = BTreeMap::new();
    for sample in samples {
        servers.entry(sample.server_index).or_default().push(sample);
    }
    let mut out = EngineSeries::default();
    for (index, samples) in &servers {
        let named = |what: &str| {
            if servers.len() == 1 { what.to_owned() } else { format!("server {index} {what}") }
        };
        let of = |what: &str, value: &dyn Fn(&EngineSample) -> Option<f64>| {
            series(&named(what), samples, |s| s.at, value)
        };
        out.requests.extend(of("running", &|s| s.running));
        out.requests.extend(of("waiting", &|s| s.waiting));
        out.kv_cache.extend(of("KV cache in use", &|s| s.kv_cache_usage.map(|u| u * 100.0)));
        out.preemptions.extend(since_start(&named("preemptions"), samples));
    }
    out
}

/// The counter from the first sample on; a restarted server counts on from what it had.
fn since_start(name: &str, samples: &[&EngineSample]) -> Option<TimeSeries> {
    let mut points = Vec::new();
    let (mut total, mut before) = (0.0, None);
    for sample in samples {
        let Some(now) = sample.preemptions else { continue };
        total += match before {
            Some(before) if now >= before => (now - before) as f64,
            Some(_) => now as f64,
            None => 0.0,
        };
        before = Some(now);
        points.push((sample.at.as_secs_f64(), Some(total)));
    }
    (!points.is_empty()).then(|| TimeSeries { name: name.to_owned(), points })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: u64, preemptions: Option<u64>) -> EngineSample {
        EngineSample {
            at: Timestamp::from_nanos(at_s * 1_000_000_000),
            preemptions,
            running: Some(4.0),
            ..EngineSample::default()
        }
    }

    #[test]
    fn preemptions_count_from_the_start_and_over_a_restart() {
        let samples = [sample(0, Some(7)), sample(1, Some(9)), sample(2, None), sample(3, Some(1))];
        let series = engine(&samples);
        let values: Vec<_> = series.preemptions[0].points.iter().map(|p| p.1).collect();
        assert_eq!(values, [Some(0.0), Some(2.0), Some(3.0)]);
        assert_eq!(series.requests.len(), 1, "nothing tells how many wait");
        assert!(series.kv_cache.is_empty());
    }

    #[test]
    fn two_servers_are_named() {
        let mut second = sample(1, None);
        second.server_index = 1;
        let series = engine(&[sample(0, None), second]);
        let names: Vec<_> = series.requests.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["server 0 running", "server 1 running"]);
    }
}
