//! What the servers' counters did over a stage.

use crate::engine::EngineSample;
use crate::manifest::StageInfo;

/// Process start times further apart than this are two processes; the metric is a float of seconds.
pub(crate) const SAME_START_S: f64 = 1.0;

/// Deltas of the servers' counters over a stage, summed over the servers; `None` when a server
/// does not export the counter or was restarted meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineDelta {
    /// A server was restarted during the stage (new process, or counters ran backwards).
    pub restarted: bool,
    /// Requests that the servers ended, however.
    pub requests: Option<u64>,
    /// Prompt tokens.
    pub prompt_tokens: Option<u64>,
    /// Generated tokens.
    pub generation_tokens: Option<u64>,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_cache_queries: Option<u64>,
    /// Prompt tokens found there.
    pub prefix_cache_hits: Option<u64>,
    /// Preemptions.
    pub preemptions: Option<u64>,
}

impl EngineDelta {
    /// Over `stage`; `None` when a server was not read both before and after.
    pub fn of(stage: &StageInfo) -> Option<Self> {
        let pairs = stage.engine_pairs()?;
        let delta = |counter: fn(&EngineSample) -> Option<u64>| -> Option<u64> {
            pairs.iter().map(|(before, after)| counter(after)?.checked_sub(counter(before)?)).sum()
        };
        Some(Self {
            restarted: pairs.iter().any(|(before, after)| restarted(before, after)),
            requests: delta(ended),
            prompt_tokens: delta(|s| s.prompt_tokens),
            generation_tokens: delta(|s| s.generation_tokens),
            prefix_cache_queries: delta(|s| s.prefix_cache_queries),
            prefix_cache_hits: delta(|s| s.prefix_cache_hits),
            preemptions: delta(|s| s.preemptions),
        })
    }
}

impl StageInfo {
    /// Each server's readings before and after the stage; `None` when one lacks either.
    pub fn engine_pairs(&self) -> Option<Vec<(&EngineSample, &EngineSample)>> {
        let pairs: Vec<(&EngineSample, &EngineSample)> = self
            .engine_before
            .iter()
            .filter_map(|before| {
                let after = self
                    .engine_after
                    .iter()
                    .find(|after| after.server_index == before.server_index)?;
                Some((before, after))
            })
            .collect();
        let servers = self.engine_before.len().max(self.engine_after.len());
        (servers > 0 && pairs.len() == servers).then_some(pairs)
    }
}

/// Requests that a server ended, however; `None` when it exports no such counter.
fn ended(sample: &EngineSample) -> Option<u64> {
    let ways = [
        sample.requests_stop,
        sample.requests_length,
        sample.requests_abort,
        sample.requests_error,
    ];
    ways.iter().any(Option::is_some).then(|| ways.iter().flatten().sum())
}

fn restarted(before: &EngineSample, after: &EngineSample) -> bool {
    let starts = before.process_start_unix_s.zip(after.process_start_unix_s);
    let backwards = |counter: fn(&EngineSample) -> Option<u64>| {
        counter(before).zip(counter(after)).is_some_and(|(before, after)| after < before)
    };
    starts.is_some_and(|(before, after)| (after - before).abs() > SAME_START_S)
        || backwards(|s| s.prompt_tokens)
        || backwards(|s| s.generation_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::StageLoad;
    use crate::manifest::Phase;

    fn stage(before: Vec<EngineSample>, after: Vec<EngineSample>) -> StageInfo {
        StageInfo {
            engine_before: before,
            engine_after: after,
            ..StageInfo::planned("cc 1", Phase::Measure, StageLoad::Concurrency(1))
        }
    }

    fn sample(
        server_index: u32,
        prompt_tokens: u64,
        stop: Option<u64>,
        start: f64,
    ) -> EngineSample {
        EngineSample {
            server_index,
            prompt_tokens: Some(prompt_tokens),
            requests_stop: stop,
            process_start_unix_s: Some(start),
            ..EngineSample::default()
        }
    }

    #[test]
    fn deltas_are_summed_over_the_servers() {
        let stage = stage(
            vec![sample(0, 100, Some(3), 1e9), sample(1, 50, Some(0), 2e9)],
            vec![sample(1, 90, Some(4), 2e9), sample(0, 130, Some(5), 1e9)],
        );
        let delta = EngineDelta::of(&stage).expect("both were read");
        assert_eq!((delta.prompt_tokens, delta.requests), (Some(70), Some(6)));
        assert_eq!((delta.generation_tokens, delta.restarted), (None, false));
    }

    #[test]
    fn a_restart_is_seen_by_its_start_or_its_counters() {
        let new_process =
            stage(vec![sample(0, 100, None, 1e9)], vec![sample(0, 130, None, 1e9 + 60.0)]);
        assert!(EngineDelta::of(&new_process).expect("read").restarted);
        let backwards = stage(vec![sample(0, 100, None, 1e9)], vec![sample(0, 30, None, 1e9)]);
        let delta = EngineDelta::of(&backwards).expect("read");
        assert_eq!((delta.restarted, delta.prompt_tokens), (true, None));
    }

    #[test]
    fn a_server_that_was_not_read_after_leaves_no_delta() {
        assert_eq!(EngineDelta::of(&stage(vec![sample(0, 1, None, 1.0)], vec![])), None);
        let one_of_two = stage(
            vec![sample(0, 1, None, 1.0), sample(1, 1, None, 1.0)],
            vec![sample(0, 2, None, 1.0)],
        );
        assert_eq!(EngineDelta::of(&one_of_two), None);
        assert_eq!(EngineDelta::of(&stage(vec![], vec![])), None);
    }
}
