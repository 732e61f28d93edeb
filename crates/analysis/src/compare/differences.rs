//! What differs between compared runs besides their figures.

use vllm_bench_record::RunStatus;

use super::Difference;
use crate::arrivals;
use crate::summary::{RunFacts, Summary};

/// What differs between the runs and explains figures, or forbids to hold them against each other.
pub(super) fn differences(summaries: &[Summary]) -> Vec<Difference> {
    type Of = fn(&RunFacts) -> String;
    let facts: [(&str, Of); 14] = [
        ("model", |r| r.model.clone().unwrap_or_else(unknown)),
        ("simulated server", |r| if r.simulated { "yes".into() } else { "no".into() }),
        ("server version", |r| {
            r.servers.first().and_then(|s| s.version.clone()).unwrap_or_else(unknown)
        }),
        ("number of servers", |r| r.servers.len().to_string()),
        ("GPU", |r| match r.gpus.first() {
            Some(gpu) => format!("{} × {gpu}", r.gpus.len()),
            None => unknown(),
        }),
        ("cache configuration", |r| {
            r.servers.first().map(|s| format!("{:?}", s.cache_config)).unwrap_or_else(unknown)
        }),
        ("scenario", |r| r.scenario.clone()),
        ("corpus", |r| {
            let sha: String = r.corpus.sha256.chars().take(12).collect();
            if sha.is_empty() { unknown() } else { format!("{} ({sha})", r.corpus.file) }
        }),
        ("seed", |r| r.seed.to_string()),
        ("endpoint", |r| format!("{}{}", r.endpoint, if r.stream { "" } else { ", not streamed" })),
        ("max_tokens", |r| r.max_tokens.map_or_else(|| "none".into(), |n| n.to_string())),
        ("ignore_eos", |r| r.ignore_eos.to_string()),
        ("load generator's CPU", |r| r.client_cpu.clone().unwrap_or_else(unknown)),
        ("arrival clock", |r| r.clock.as_str().to_owned()),
    ];
    let differing = facts
        .into_iter()
        .filter_map(|(what, of)| differ(what, summaries.iter().map(|s| of(&s.run)).collect()));
    let arrivals = summaries
        .iter()
        .map(arrivals)
        .collect::<Option<Vec<String>>>()
        .and_then(|ways| differ("arrivals", ways));
    let complete = |s: &Summary| s.run.status == RunStatus::Complete;
    let status = || {
        summaries.iter().map(|s| if complete(s) { "complete" } else { "not complete" }.to_owned())
    };
    let cut_short = (!summaries.iter().all(complete))
        .then(|| Difference { what: "run".into(), values: status().collect() });
    differing.chain(arrivals).chain(cut_short).collect()
}

fn differ(what: &str, values: Vec<String>) -> Option<Difference> {
    let same = values.windows(2).all(|pair| pair[0] == pair[1]);
    (!same).then(|| Difference { what: what.into(), values })
}

/// How a run's requests arrived, each way once; `None` for a run without stages.
fn arrivals(summary: &Summary) -> Option<String> {
    let mut ways: Vec<String> = Vec::new();
    for stage in &summary.stages {
        let way = stage.open.as_ref().map_or_else(|| "closed loop".into(), arrivals::words);
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    (!ways.is_empty()).then(|| ways.join(", "))
}

fn unknown() -> String {
    "unknown".into()
}
