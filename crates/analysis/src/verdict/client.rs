//! Checks of what this program did: sending, timing, counting.

use std::collections::HashMap;

use vllm_bench_record::{Check, CheckKind, CheckStatus, ChunkTokenSource, TokenCountSource};

use super::{doubt, pass, unknown};
use crate::dataset::Dataset;
use crate::rows::RequestRow;
use crate::span::nanos;
use crate::stat::Stat;
use crate::text;

/// Warm-up counts too: what it sends warms the cache.
pub(super) fn sent_once(dataset: &Dataset) -> Check {
    let kind = CheckKind::SentOnce;
    let mut times: HashMap<(&str, u32), u64> = HashMap::new();
    for row in dataset.requests().iter().filter(|row| row.sent_at.is_some()) {
        *times.entry((&row.prompt_id, row.turn)).or_default() += 1;
    }
    let repeated = times.values().filter(|n| **n > 1).count() as u64;
    if repeated == 0 {
        let figure = format!("{}, none twice", text::of(times.len() as u64, "prompt", "prompts"));
        return pass(kind, figure, "No prompt was sent twice, warm-up included.");
    }
    doubt(
        kind,
        CheckStatus::Fail,
        format!("{} sent more than once", text::of(repeated, "prompt was", "prompts were")),
        "The server can answer a repeated prompt from its prefix cache: TTFT and throughput look better than they are.",
        "Make a larger corpus with vllm-bench-prepare.",
    )
}

/// Send lag is fine up to the larger of these: a time, and a share of the median TTFT.
const LAG_FINE_NS: f64 = 1e6;
const LAG_FINE_SHARE: f64 = 0.01;
/// Beyond this share of the median TTFT the schedule was not kept.
const LAG_BAD_SHARE: f64 = 0.1;

pub(super) fn schedule_kept(dataset: &Dataset) -> Check {
    let kind = CheckKind::ScheduleKept;
    let lag = Stat::of(dataset.measured().filter_map(|row| row.send_lag).map(nanos));
    let ttft = Stat::of(completed(dataset).filter_map(|row| row.ttft).map(nanos));
    let (Some(lag), Some(ttft)) = (lag, ttft) else {
        return unknown(
            kind,
            "nothing was answered",
            "There is no lag to judge.",
            "Look at the errors.",
        );
    };
    let (p99, base) = (lag.p99.value, ttft.p50.value);
    let figure = format!("send lag p99 {} at TTFT p50 {}", text::time(p99), text::time(base));
    if p99 <= LAG_FINE_NS.max(base * LAG_FINE_SHARE) {
        return pass(kind, figure, "Requests left when the plan wanted them to.");
    }
    doubt(
        kind,
        if p99 <= base * LAG_BAD_SHARE { CheckStatus::Warn } else { CheckStatus::Fail },
        figure,
        "Requests left late: the load was lighter than asked, and TTFT from sending hides the wait.",
        "Read TTFT from schedule; give the load generator more CPU or another machine than the server's.",
    )
}

/// Client lag may be this share of the mean ITL. (The median is 0 where chunks came together.)
const CLIENT_LAG_FINE_SHARE: f64 = 0.1;
/// Beyond this share gaps say more of the client than of the server.
const CLIENT_LAG_BAD_SHARE: f64 = 0.5;

pub(super) fn client_lag(dataset: &Dataset) -> Check {
    let kind = CheckKind::ClientLag;
    let lags =
        completed(dataset).flat_map(|row| dataset.chunks(row).client_lag.iter().flatten().copied());
    let lag = Stat::of(lags.map(nanos));
    let itl = Stat::of(completed(dataset).flat_map(|row| dataset.chunks(row).itl()).map(nanos));
    let (Some(lag), Some(itl)) = (lag, itl) else {
        return unknown(
            kind,
            "no kernel stamps beside chunk gaps",
            "How late this program was cannot be told: arrivals are stamped by its own clock, or answers came whole.",
            "Nothing where ITL is well above 1 ms; else repeat on an idle machine and compare.",
        );
    };
    let share = lag.p99.value / itl.mean.max(1.0);
    let figure = format!("p99 {} at ITL mean {}", text::time(lag.p99.value), text::time(itl.mean));
    if share <= CLIENT_LAG_FINE_SHARE {
        return pass(
            kind,
            figure,
            "This program read each chunk soon enough not to show in the gaps.",
        );
    }
    doubt(
        kind,
        if share <= CLIENT_LAG_BAD_SHARE { CheckStatus::Warn } else { CheckStatus::Fail },
        figure,
        "This program read chunks late: arrivals are the kernel's, but several chunks may have come in one read.",
        "Give the load generator more CPU or another machine than the server's.",
    )
}

pub(super) fn chunk_tokens(dataset: &Dataset) -> Check {
    let kind = CheckKind::ChunkTokens;
    let (mut all, mut assumed, mut uncounted) = (0_u64, 0_u64, 0_u64);
    for row in completed(dataset) {
        all += 1;
        assumed += u64::from(row.chunk_token_source == ChunkTokenSource::Assumed);
        uncounted += u64::from(
            row.output_tokens_source.is_none_or(|source| source == TokenCountSource::Chunks),
        );
    }
    if all == 0 {
        return unknown(
            kind,
            "nothing was answered",
            "There are no chunks.",
            "Look at the errors.",
        );
    }
    let of_all = text::of(all, "answer", "answers");
    match (uncounted, assumed) {
        (0, 0) => pass(
            kind,
            format!("told in all {of_all}"),
            "The server said how many tokens came in each chunk.",
        ),
        (0, _) => doubt(
            kind,
            CheckStatus::Warn,
            format!("assumed in {} of {of_all}", text::count(assumed)),
            "Each chunk of these answers is taken as one token: ITL is wrong where a chunk had more; TPOT and totals are right.",
            "Use a vLLM that takes return_token_ids or continuous_usage_stats, or read TPOT.",
        ),
        _ => doubt(
            kind,
            CheckStatus::Fail,
            format!("no usage in {} of {of_all}", text::count(uncounted)),
            "Nothing told the tokens of these answers, one a chunk is assumed: token rates, TPOT and ITL are guesses.",
            "Use a server that honours stream_options.include_usage.",
        ),
    }
}

/// Up to this share of chunks that came in one read with a later one does not show in ITL.
const FEW_TOGETHER: f64 = 0.01;
/// Beyond this share ITL and ICL percentiles are of reads, not of tokens.
const MANY_TOGETHER: f64 = 0.1;

pub(super) fn chunks_apart(dataset: &Dataset) -> Check {
    let kind = CheckKind::ChunksApart;
    let (mut all, mut together) = (0_u64, 0_u64);
    for row in completed(dataset) {
        let chunks = dataset.chunks(row);
        all += chunks.coalesced.len() as u64;
        together += chunks.coalesced.iter().filter(|c| **c).count() as u64;
    }
    if all == 0 {
        return unknown(
            kind,
            "nothing was answered",
            "There are no chunks.",
            "Look at the errors.",
        );
    }
    let share = together as f64 / all as f64;
    let figure = format!(
        "{} of {} came in one read with a later one",
        text::percent(share),
        text::of(all, "chunk", "chunks")
    );
    if share <= FEW_TOGETHER {
        return pass(kind, figure, "Nearly every chunk has an arrival of its own.");
    }
    doubt(
        kind,
        if share <= MANY_TOGETHER { CheckStatus::Warn } else { CheckStatus::Fail },
        figure,
        "Chunks that are read together share one arrival: ITL and ICL percentiles are too low at the middle and too high at the end; TPOT and rates are right.",
        "Read TPOT; give the load generator more CPU, or look whether a proxy between gathers the stream.",
    )
}

fn completed(dataset: &Dataset) -> impl Iterator<Item = &RequestRow> {
    dataset.measured().filter(|row| row.completed())
}
