//! What stages are called where people read.

use std::collections::BTreeMap;

use vllm_bench_record::{Manifest, Phase};

/// The legend's name of every stage of `manifest`, in its order: `16 streams`,
/// with the stage's own label where two stages have the same load.
pub(crate) fn stage_names(manifest: &Manifest) -> Vec<String> {
    let mut same = BTreeMap::new();
    for stage in manifest.stages.iter().filter(|s| s.phase == Phase::Measure) {
        *same.entry(stage.concurrency).or_insert(0u32) += 1;
    }
    let name = |stage: &vllm_bench_record::StageInfo| {
        let streams = streams(stage.concurrency);
        match (stage.phase, same.get(&stage.concurrency)) {
            (Phase::Warmup, _) => stage.label.clone(),
            (Phase::Measure, Some(n)) if *n > 1 => format!("{streams} ({})", stage.label),
            _ => streams,
        }
    };
    manifest.stages.iter().map(name).collect()
}

/// `1 stream`, `16 streams`.
pub(crate) fn streams(concurrency: u32) -> String {
    plural(u64::from(concurrency), "stream")
}

/// `1 thing`, `1,200 things`.
pub(crate) fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", crate::charts::count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(streams(1), "1 stream");
        assert_eq!(streams(1_024), "1,024 streams");
    }
}
