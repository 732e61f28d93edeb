//! What the servers' counters say of a stage.

use vllm_bench_record::{EngineSample, StageInfo, TokenCountSource};

use crate::rows::RequestRow;
use crate::stage::ServerCounts;

/// Process start times further apart than this are two processes; the metric is a float of seconds.
const SAME_START_S: f64 = 1.0;

/// The counters' deltas over `stage` beside our own counts; `None` when no server was read both
/// before and after.
pub(crate) fn of(stage: &StageInfo, rows: &[&RequestRow]) -> Option<ServerCounts> {
    let pairs = pairs(stage)?;
    let delta = |counter: fn(&EngineSample) -> Option<u64>| -> Option<u64> {
        pairs.iter().map(|(before, after)| counter(after)?.checked_sub(counter(before)?)).sum()
    };
    let sent = || rows.iter().filter(|row| row.sent_at.is_some());
    Some(ServerCounts {
        restarted: pairs.iter().any(|(before, after)| restarted(before, after)),
        requests: delta(ended),
        client_requests: sent().count() as u64,
        prompt_tokens: delta(|s| s.prompt_tokens),
        client_prompt_tokens: sent().filter_map(|row| row.prompt_tokens).map(u64::from).sum(),
        generation_tokens: delta(|s| s.generation_tokens),
        client_output_tokens: sent().filter_map(|row| row.output_tokens).map(u64::from).sum(),
        client_unknown: sent().filter(|row| !counted(row)).count() as u64,
        prefix_cache_queries: delta(|s| s.prefix_cache_queries),
        prefix_cache_hits: delta(|s| s.prefix_cache_hits),
        preemptions: delta(|s| s.preemptions),
    })
}

/// Each server's readings before and after `stage`; `None` when one lacks either.
pub(crate) fn pairs(stage: &StageInfo) -> Option<Vec<(&EngineSample, &EngineSample)>> {
    let pairs: Vec<(&EngineSample, &EngineSample)> = stage
        .engine_before
        .iter()
        .filter_map(|before| {
            let after = stage
                .engine_after
                .iter()
                .find(|after| after.server_index == before.server_index)?;
            Some((before, after))
        })
        .collect();
    let servers = stage.engine_before.len().max(stage.engine_after.len());
    (servers > 0 && pairs.len() == servers).then_some(pairs)
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

/// Whether the server's own count of this request is known to us.
fn counted(row: &RequestRow) -> bool {
    row.completed()
        && row.prompt_tokens.is_some()
        && row.output_tokens_source == Some(TokenCountSource::Usage)
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
    use vllm_bench_record::{Phase, StageLoad};

    use super::*;

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
        let counts = of(&stage, &[]).expect("both were read");
        assert_eq!((counts.prompt_tokens, counts.requests), (Some(70), Some(6)));
        assert_eq!((counts.generation_tokens, counts.restarted), (None, false));
    }

    #[test]
    fn a_restart_is_seen_by_its_start_or_its_counters() {
        let new_process =
            stage(vec![sample(0, 100, None, 1e9)], vec![sample(0, 130, None, 1e9 + 60.0)]);
        assert!(of(&new_process, &[]).expect("read").restarted);
        let backwards = stage(vec![sample(0, 100, None, 1e9)], vec![sample(0, 30, None, 1e9)]);
        let counts = of(&backwards, &[]).expect("read");
        assert_eq!((counts.restarted, counts.prompt_tokens), (true, None));
    }

    #[test]
    fn a_server_that_was_not_read_after_leaves_no_counts() {
        assert_eq!(of(&stage(vec![sample(0, 1, None, 1.0)], vec![]), &[]), None);
        let one_of_two = stage(
            vec![sample(0, 1, None, 1.0), sample(1, 1, None, 1.0)],
            vec![sample(0, 2, None, 1.0)],
        );
        assert_eq!(of(&one_of_two, &[]), None);
        assert_eq!(of(&stage(vec![], vec![]), &[]), None);
    }
}
