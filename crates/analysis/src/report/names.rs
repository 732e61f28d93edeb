//! What stages are called where people read.

use std::collections::BTreeMap;

use vllm_bench_record::{Manifest, Phase};

/// The legend's name of every stage of `manifest`, in its order: `16 streams`, `4 req/s`,
/// with the stage's own label where two stages would read the same.
pub(crate) fn stage_names(manifest: &Manifest) -> Vec<String> {
    let mut same = BTreeMap::new();
    for stage in manifest.stages.iter().filter(|s| s.phase == Phase::Measure) {
        *same.entry(stage.load.level().with_unit()).or_insert(0u32) += 1;
    }
    let name = |stage: &vllm_bench_record::StageInfo| {
        let level = stage.load.level().with_unit();
        match (stage.phase, same.get(&level)) {
            (Phase::Warmup, _) => stage.label.clone(),
            (Phase::Measure, Some(n)) if *n > 1 => format!("{level} ({})", stage.label),
            _ => level,
        }
    };
    manifest.stages.iter().map(name).collect()
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
        assert_eq!(plural(1, "stream"), "1 stream");
        assert_eq!(plural(1_024, "stream"), "1,024 streams");
    }
}
