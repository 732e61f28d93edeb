//! The report of one run, put together.

use std::collections::BTreeMap;

use minijinja::context;

use crate::charts::{self, NamedChart};
use crate::dataset::Dataset;
use crate::error::AnalysisError;
use crate::report::answer::answer;
use crate::report::arrivals;
use crate::report::definitions::DEFINITIONS;
use crate::report::depth;
use crate::report::economy;
use crate::report::gather::Inputs;
use crate::report::head::Head;
use crate::report::names::stage_names;
use crate::report::page::{Page, Template, render};
use crate::report::search;
use crate::report::tables;
use crate::report::time_split;
use crate::summary::Summary;
use crate::{csv, markdown};

/// Where a chart stands on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Answer,
    Search,
    Load,
    Arrivals,
    Wide,
    Half,
    Time,
    Split,
    Machine,
    Depth,
}

/// Every chart of the run in the order of the page. Charts of samples that were not taken
/// are left out.
pub fn charts(dataset: &Dataset, summary: &Summary) -> Vec<NamedChart> {
    placed(&Inputs::of(dataset, summary)).into_iter().map(|(_, chart)| chart).collect()
}

fn placed(inputs: &Inputs) -> Vec<(Place, NamedChart)> {
    let Inputs { timeline, stages, gpu, engine, .. } = inputs;
    let mut out = vec![
        (Place::Answer, charts::throughput_latency(stages, &inputs.goal)),
        (Place::Load, charts::throughput_by_level(stages)),
        (Place::Load, charts::latency_by_level(stages)),
        (Place::Wide, charts::ttft_cdf(&inputs.ttft_ms)),
        (Place::Wide, charts::latency_cdf(&inputs.e2e_ms)),
        (Place::Wide, charts::throughput_cdf(&inputs.tokens_per_s)),
        (Place::Half, charts::prompt_histogram(&inputs.prompt_tokens)),
        (Place::Half, charts::completion_histogram(&inputs.output_tokens)),
        (Place::Time, charts::throughput_over_time(&inputs.rate, timeline)),
        (Place::Time, charts::ttft_over_time(&inputs.points, timeline)),
    ];
    if let Some(search) = inputs.search.as_ref().filter(|s| !s.probes.is_empty()) {
        out.insert(1, (Place::Search, charts::search_probes(search)));
    }
    if let Some(series) = &inputs.arrivals {
        out.push((Place::Arrivals, charts::arrivals_over_time(series, timeline)));
    }
    if !inputs.time_split.is_empty() {
        out.push((Place::Split, charts::time_split(&inputs.time_split)));
    }
    let mut machine = Vec::new();
    if !gpu.utilisation.is_empty() {
        machine.push(charts::gpu_utilisation(&gpu.utilisation, timeline));
    }
    if !gpu.power.is_empty() {
        machine.push(charts::gpu_power(&gpu.power, timeline));
    }
    if !gpu.memory.is_empty() {
        machine.push(charts::gpu_memory(&gpu.memory, gpu.memory_total_gib, timeline));
    }
    if !gpu.temperature.is_empty() {
        machine.push(charts::gpu_temperature(&gpu.temperature, timeline));
    }
    if !engine.requests.is_empty() {
        machine.push(charts::engine_requests(&engine.requests, timeline));
    }
    if !engine.kv_cache.is_empty() {
        machine.push(charts::engine_kv_cache(&engine.kv_cache, timeline));
    }
    if !engine.preemptions.is_empty() {
        machine.push(charts::engine_preemptions(&engine.preemptions, timeline));
    }
    out.extend(machine.into_iter().map(|chart| (Place::Machine, chart)));
    out.push((Place::Depth, charts::itl_heatmap(&inputs.itl)));
    out
}

/// The report of the run as one HTML file that loads nothing.
///
/// # Errors
/// A figure that cannot be written as text; a broken template is a bug of this crate.
pub fn html(dataset: &Dataset, summary: &Summary) -> Result<String, AnalysisError> {
    let inputs = Inputs::of(dataset, summary);
    let names = stage_names(dataset.manifest());
    let placed = placed(&inputs);
    let at = |place: Place| -> Vec<&NamedChart> {
        placed.iter().filter(|(p, _)| *p == place).map(|(_, c)| c).collect()
    };
    let head = Head::of(summary);
    let manifest = serde_json::to_string_pretty(dataset.manifest()).map_err(AnalysisError::Json)?;
    let page = Page {
        title: format!("{} · {}", head.title, summary.run.scenario),
        charts: placed.iter().map(|(_, chart)| chart).collect(),
        stages: summary.stages.len().max(5),
        copy: BTreeMap::from([
            ("markdown", markdown::stages(summary)),
            ("csv", csv::document(summary)),
        ]),
        ..Page::default()
    };
    let content = context! {
        head => head,
        answer => answer(summary, &inputs.stages, &inputs.goal),
        stages => tables::stages(summary, &names),
        percentiles => tables::percentiles(summary, &names),
        probes => summary.run.search.as_ref().map(search::table),
        arrivals => arrivals::table(summary, &names),
        arrivals_told => arrivals::told(summary, &names),
        errors => tables::errors(summary, &names),
        slowest => depth::slowest(dataset, &names),
        charts => context! {
            answer => at(Place::Answer),
            search => at(Place::Search),
            load => at(Place::Load),
            arrivals => at(Place::Arrivals),
            wide => at(Place::Wide),
            half => at(Place::Half),
            time => at(Place::Time),
            split => at(Place::Split),
            machine => at(Place::Machine),
            depth => at(Place::Depth),
        },
        time_split => time_split::table(summary, &names),
        time_split_absence => crate::time_split::absence(summary).unwrap_or_default(),
        economy => economy::table(summary, &names),
        findings => summary.findings.iter().map(|f| &f.sentence).collect::<Vec<_>>(),
        machine_note => machine_note(dataset),
        definitions => DEFINITIONS,
        scenario => dataset.manifest().scenario.text,
        manifest => manifest,
        run_id => summary.run.run_id,
    };
    render(Template::Report, &page, content)
}

fn source(word: &str) -> &str {
    match word {
        "nvml" => "NVML",
        "dcgm" => "a dcgm-exporter",
        "simulated" => "the simulated source",
        other => other,
    }
}

fn machine_note(dataset: &Dataset) -> String {
    let manifest = dataset.manifest();
    let gpu = match (&manifest.gpu, dataset.gpu().is_empty()) {
        (Some(info), false) => {
            format!("GPU samples from {}, every {} ms.", source(&info.source), info.interval_ms)
        }
        (Some(info), true) => {
            format!("GPU samples were to come from {}; there are none.", source(&info.source))
        }
        (None, _) => "The GPU was not sampled.".to_owned(),
    };
    let engine = match (&manifest.engine, dataset.engine().is_empty()) {
        (Some(info), false) => {
            format!("The server's own figures from its /metrics, every {} ms.", info.interval_ms)
        }
        (Some(_), true) => "The server's /metrics gave no samples.".to_owned(),
        (None, _) => "The server's /metrics was not read.".to_owned(),
    };
    format!("{gpu} {engine} On the time axis of the charts above, and zoomed with them.")
}
