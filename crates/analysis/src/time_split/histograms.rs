//! The same split where answers carry no timings: from the servers' histograms around the stage.

use vllm_bench_record::{EngineSample, HistogramTotals, StageInfo};

use super::{TimePart, TimeSplit, TimeSplitSource};
use crate::rows::RequestRow;
use crate::span::nanos;

/// What the servers' histograms grew by over a stage: means and how many they are of.
struct Means {
    queue: f64,
    prefill: f64,
    decode: f64,
    /// From the arrival at the API server; `None` when it is of other requests than the three.
    ttft: Option<f64>,
    /// From there to the last token.
    e2e: Option<f64>,
    count: u64,
}

/// The client's instants of completed requests, nanoseconds in all.
#[derive(Default)]
struct Client {
    requests: u64,
    wait: f64,
    ttft: f64,
    decode: f64,
    e2e_from_schedule: f64,
}

impl TimeSplit {
    /// Of all completed requests among `rows`, which are those of `stage`; `None` when a server's
    /// histograms were not read before and after it, nothing ended in between, or no request has
    /// the client's side.
    pub(crate) fn of_histograms(stage: &StageInfo, rows: &[&RequestRow]) -> Option<Self> {
        let server = Means::over(stage)?;
        let completed = rows.iter().filter(|row| row.completed()).count() as u64;
        let client = Client::of(rows)?;
        let mean = |sum: f64| sum / client.requests as f64;
        let part = |mean: f64| TimePart { mean, p50: None };
        let (wait, ttft) = (mean(client.wait), mean(client.ttft));
        let e2e_from_schedule = mean(client.e2e_from_schedule);
        Some(Self {
            source: TimeSplitSource::Histograms,
            requests: client.requests,
            completed,
            server_requests: Some(server.count),
            client_wait_ns: part(wait),
            network_ns: part(ttft - server.queue - server.prefill),
            queue_ns: part(server.queue),
            prefill_ns: part(server.prefill),
            decode_ns: part(server.decode),
            rest_ns: part(e2e_from_schedule - wait - ttft - server.decode),
            e2e_from_schedule_ns: part(e2e_from_schedule),
            client_decode_ns: part(mean(client.decode)),
            front_end_ns: server.ttft.map(|ttft| part(ttft - server.queue - server.prefill)),
            outside_ns: server.e2e.map(|e2e| part(e2e_from_schedule - wait - e2e)),
        })
    }
}

impl Means {
    fn over(stage: &StageInfo) -> Option<Self> {
        let pairs = stage.engine_pairs()?;
        let delta = |histogram: fn(&EngineSample) -> Option<HistogramTotals>| {
            let mut all = HistogramTotals::default();
            for (before, after) in &pairs {
                let (before, after) = (histogram(before)?, histogram(after)?);
                // Fewer than before is another process: its histograms began anew.
                all.count += after.count.checked_sub(before.count)?;
                all.sum_s += after.sum_s - before.sum_s;
            }
            (all.count > 0).then(|| (all.sum_s * 1e9 / all.count as f64, all.count))
        };
        let (queue, count) = delta(|s| s.queue_time)?;
        let same = |(mean, of): (f64, u64)| (of == count).then_some(mean);
        Some(Self {
            queue,
            prefill: same(delta(|s| s.prefill_time)?)?,
            decode: same(delta(|s| s.decode_time)?)?,
            // Of requests that were aborted after their first token too.
            ttft: delta(|s| s.ttft).and_then(same),
            e2e: delta(|s| s.e2e_latency).and_then(same),
            count,
        })
    }
}

impl Client {
    /// `None` when no completed request has all of the client's instants.
    fn of(rows: &[&RequestRow]) -> Option<Self> {
        let mut all = Self::default();
        for row in rows.iter().filter(|row| row.completed()) {
            let (Some(wait), Some(ttft), Some(e2e)) =
                (row.send_lag, row.ttft, row.e2e_from_schedule)
            else {
                continue;
            };
            let Some((first, last)) = row.first_token_at.zip(row.last_token_at) else { continue };
            all.requests += 1;
            all.wait += nanos(wait);
            all.ttft += nanos(ttft);
            all.decode += nanos(last.since(first));
            all.e2e_from_schedule += nanos(e2e);
        }
        (all.requests > 0).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::{Phase, StageLoad};

    use super::*;

    fn totals(sum_s: f64, count: u64) -> Option<HistogramTotals> {
        Some(HistogramTotals { sum_s, count })
    }

    fn sample(server_index: u32, count: u64, each: f64, ttft_count: u64) -> EngineSample {
        let n = count as f64;
        EngineSample {
            server_index,
            queue_time: totals(n * each, count),
            prefill_time: totals(n * 2.0 * each, count),
            decode_time: totals(n * 5.0 * each, count),
            ttft: totals(ttft_count as f64 * 4.0 * each, ttft_count),
            e2e_latency: totals(n * 9.0 * each, count),
            ..EngineSample::default()
        }
    }

    fn stage(before: Vec<EngineSample>, after: Vec<EngineSample>) -> StageInfo {
        StageInfo {
            engine_before: before,
            engine_after: after,
            ..StageInfo::planned("cc 1", Phase::Measure, StageLoad::Concurrency(1))
        }
    }

    #[test]
    fn servers_weigh_by_their_requests() {
        // 10 requests of 0.1 s on one server, 30 of 0.2 s on the other.
        let before = vec![sample(0, 0, 0.1, 0), sample(1, 0, 0.2, 0)];
        let after = vec![sample(1, 30, 0.2, 30), sample(0, 10, 0.1, 10)];
        let means = Means::over(&stage(before, after)).expect("both were read");
        let close = |is: f64, s: f64| assert!((is - s * 1e9).abs() < 1.0, "{is} is not {s} s");
        assert_eq!(means.count, 40);
        close(means.queue, 0.175);
        close(means.prefill, 0.35);
        close(means.decode, 0.875);
        close(means.ttft.expect("of the same"), 0.7);
        close(means.e2e.expect("of the same"), 1.575);
    }

    #[test]
    fn what_is_of_other_requests_is_left_out() {
        let aborted = stage(vec![sample(0, 5, 0.1, 5)], vec![sample(0, 9, 0.1, 10)]);
        let means = Means::over(&aborted).expect("the three agree");
        assert_eq!((means.count, means.ttft), (4, None));
        let mut after = sample(0, 9, 0.1, 9);
        after.decode_time = totals(1.0, 8);
        assert!(Means::over(&stage(vec![sample(0, 5, 0.1, 5)], vec![after])).is_none());
    }

    #[test]
    fn a_restart_an_idle_stage_and_an_older_server_tell_nothing() {
        let none = |before, after| assert!(Means::over(&stage(before, after)).is_none());
        none(vec![sample(0, 5, 0.1, 5)], vec![sample(0, 3, 0.1, 3)]);
        none(vec![sample(0, 5, 0.1, 5)], vec![sample(0, 5, 0.1, 5)]);
        none(vec![EngineSample::default()], vec![EngineSample::default()]);
        none(vec![sample(0, 5, 0.1, 5)], vec![]);
    }
}
