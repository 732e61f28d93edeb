//! The figures of one span of a stage.

use std::time::Duration;

use vllm_bench_record::{ChunkTokenSource, InFlight, Slo, Span};

use crate::dataset::Dataset;
use crate::rows::{Chunks, RequestRow, RowOutcome};
use crate::slo;
use crate::stage::{ChunkShares, ServerFigures, WindowSummary};
use crate::stat::Stat;

/// The figures of `span`, of a stage with these `rows`.
pub(crate) fn summary(
    dataset: &Dataset,
    rows: &[&RequestRow],
    in_flight: &InFlight,
    span: Span,
    slos: &[Slo],
) -> WindowSummary {
    let sent: Vec<&RequestRow> = rows
        .iter()
        .copied()
        .filter(|row| span.holds(row.sent_at.unwrap_or(row.scheduled_at)))
        .collect();
    let done: Vec<&RequestRow> = sent.iter().copied().filter(|row| row.completed()).collect();
    let ended = rows
        .iter()
        .filter(|row| row.completed() && row.finished_at.is_some_and(|at| span.holds(at)));
    let arrived: u64 = rows.iter().map(|row| tokens(arrived(dataset.chunks(row), span))).sum();
    let (cached_tokens, cached_share) = cached(&done);
    let gaps = Gaps::of(dataset, rows, span);
    // Without the last, at whose arrival an open loop's window ends: it leaves a little later.
    let due = rows.iter().filter(|row| (span.from..span.to).contains(&row.scheduled_at)).count();
    let failed =
        sent.iter().filter(|row| matches!(row.outcome, RowOutcome::Failed(_))).count() as u64;
    WindowSummary {
        from_ns: span.from,
        to_ns: span.to,
        seconds: span.seconds(),
        sent: sent.len() as u64,
        completed: done.len() as u64,
        failed,
        cancelled: sent.len() as u64 - done.len() as u64 - failed,
        due_per_s: span.per_second(due as f64),
        sent_per_s: span.per_second(sent.iter().filter(|row| row.sent_at.is_some()).count() as f64),
        completed_per_s: span.per_second(ended.count() as f64),
        output_tokens_per_s: span.per_second(arrived as f64),
        total_tokens_per_s: prompts(rows, span)
            .and_then(|prompts| span.per_second((arrived + prompts) as f64)),
        in_flight_mean: in_flight.mean(span),
        in_flight_max: in_flight.max(span),
        ttft_ns: times(&done, |row| row.ttft),
        ttft_from_schedule_ns: times(&done, |row| row.ttft_from_schedule),
        tpot_ns: times(&done, |row| row.tpot),
        itl_ns: Stat::of(gaps.itl),
        icl_ns: Stat::of(gaps.icl),
        e2e_ns: times(&done, |row| row.e2e),
        e2e_from_schedule_ns: times(&done, |row| row.e2e_from_schedule),
        normalised_latency_ns: times(&done, RequestRow::normalised_latency),
        send_lag_ns: times(&sent, |row| row.send_lag),
        client_lag_ns: Stat::of(gaps.client_lag),
        request_tokens_per_s: Stat::of(done.iter().filter_map(|row| row.output_throughput())),
        prompt_tokens: counts(&done, |row| row.prompt_tokens),
        output_tokens: counts(&done, |row| row.output_tokens),
        cached_tokens,
        cached_share,
        chunks: gaps.shares,
        goodput: slo::goodput(dataset, &sent, span, slos),
        server: server(&done),
    }
}

fn times(rows: &[&RequestRow], of: impl Fn(&RequestRow) -> Option<Duration>) -> Option<Stat> {
    Stat::of(rows.iter().filter_map(|row| of(row)).map(nanos))
}

fn counts(rows: &[&RequestRow], of: impl Fn(&RequestRow) -> Option<u32>) -> Option<Stat> {
    Stat::of(rows.iter().filter_map(|row| of(row)).map(f64::from))
}

pub(crate) fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// The chunks that arrived in `span`.
fn arrived(chunks: Chunks<'_>, span: Span) -> Chunks<'_> {
    let from = chunks.at.partition_point(|at| *at < span.from);
    let to = chunks.at.partition_point(|at| *at <= span.to).max(from);
    chunks.part(from..to)
}

/// The same and the chunk before them, so that the first has its gap too.
fn arrived_and_previous(chunks: Chunks<'_>, span: Span) -> Chunks<'_> {
    let from = chunks.at.partition_point(|at| *at < span.from).saturating_sub(1);
    let to = chunks.at.partition_point(|at| *at <= span.to).max(from);
    chunks.part(from..to)
}

fn tokens(chunks: Chunks<'_>) -> u64 {
    chunks.tokens.iter().map(|&n| u64::from(n)).sum()
}

/// Prompt tokens of the requests whose first token arrived in `span`, by the answer, else by the
/// corpus; `None` when neither tells.
fn prompts(rows: &[&RequestRow], span: Span) -> Option<u64> {
    let begun = rows.iter().filter(|row| row.first_token_at.is_some_and(|at| span.holds(at)));
    begun.map(|row| row.prompt_tokens.or(row.corpus_prompt_tokens).map(u64::from)).sum()
}

/// Cached prompt tokens of the rows that tell, and their share of those rows' prompt tokens.
fn cached(rows: &[&RequestRow]) -> (Option<u64>, Option<f64>) {
    let told = rows.iter().filter_map(|row| Some((row.cached_tokens?, row.prompt_tokens?)));
    let told: Vec<(u32, u32)> = told.collect();
    if told.is_empty() {
        return (None, None);
    }
    let cached: u64 = told.iter().map(|(cached, _)| u64::from(*cached)).sum();
    let prompts: u64 = told.iter().map(|(_, prompt)| u64::from(*prompt)).sum();
    (Some(cached), (prompts > 0).then(|| cached as f64 / prompts as f64))
}

fn server(done: &[&RequestRow]) -> ServerFigures {
    let of = |get: fn(&RequestRow) -> Option<f64>| {
        Stat::of(done.iter().filter_map(|row| get(row)).map(|ms| ms * 1e6))
    };
    ServerFigures {
        ttft_ns: of(|row| row.server.ttft_ms),
        queue_ns: of(|row| row.server.queue_ms),
        generation_ns: of(|row| row.server.generation_ms),
        path_ns: of(|row| Some(nanos(row.ttft?) / 1e6 - row.server.ttft_ms?)),
    }
}

/// What the chunks of completed requests that arrived in a span say.
#[derive(Default)]
struct Gaps {
    itl: Vec<f64>,
    icl: Vec<f64>,
    client_lag: Vec<f64>,
    shares: ChunkShares,
}

impl Gaps {
    fn of(dataset: &Dataset, rows: &[&RequestRow], span: Span) -> Self {
        let mut gaps = Self::default();
        let (mut count, mut coalesced, mut multi, mut assumed) = (0_u64, 0_u64, 0_u64, 0_u64);
        for row in rows.iter().filter(|row| row.completed()) {
            let chunks = arrived(dataset.chunks(row), span);
            count += chunks.at.len() as u64;
            coalesced += chunks.coalesced.iter().filter(|c| **c).count() as u64;
            multi += chunks.tokens.iter().filter(|n| **n > 1).count() as u64;
            if row.chunk_token_source == ChunkTokenSource::Assumed {
                assumed += chunks.at.len() as u64;
            }
            gaps.client_lag.extend(chunks.client_lag.iter().flatten().copied().map(nanos));
            let with_previous = arrived_and_previous(dataset.chunks(row), span);
            gaps.itl.extend(with_previous.itl().map(nanos));
            gaps.icl.extend(with_previous.icl().map(nanos));
        }
        let share = |n: u64| (count > 0).then(|| n as f64 / count as f64);
        gaps.shares = ChunkShares {
            count,
            coalesced: share(coalesced),
            multi_token: share(multi),
            assumed: share(assumed),
        };
        gaps
    }
}
