//! Whether each chunk's tokens and arrival are its own.

use super::evidence::Evidence;
use super::judge::{doubt, pass, unknown};
use super::{Check, CheckKind, CheckStatus};
use crate::words;

pub(super) fn chunk_tokens(evidence: &Evidence) -> Check {
    let kind = CheckKind::ChunkTokens;
    let all = evidence.total(|s| s.counts.completed);
    if all == 0 {
        return no_answer(kind);
    }
    let assumed = evidence.total(|s| s.counts.chunks_assumed);
    let untold = evidence.total(|s| s.counts.tokens_untold);
    let of_all = words::of(all, "answer", "answers");
    match (untold, assumed) {
        (0, 0) => pass(
            kind,
            format!("told in all {of_all}"),
            "The server said how many tokens came in each chunk.",
        ),
        (0, _) => doubt(
            kind,
            CheckStatus::Warn,
            format!("assumed in {} of {of_all}", words::count(assumed)),
            "Each chunk of these answers is taken as one token: ITL is wrong where a chunk had more; TPOT and totals are right.",
            "Use a vLLM that takes return_token_ids or continuous_usage_stats, or read TPOT.",
        ),
        _ => doubt(
            kind,
            CheckStatus::Fail,
            format!("no usage in {} of {of_all}", words::count(untold)),
            "Nothing told the tokens of these answers, one a chunk is assumed: token rates, TPOT and ITL are guesses.",
            "Use a server that honours stream_options.include_usage.",
        ),
    }
}

/// Up to this share of chunks that came in one read with a later one does not show in ITL.
const FEW_TOGETHER: f64 = 0.01;
/// Beyond this share ITL and ICL percentiles are of reads, not of tokens.
const MANY_TOGETHER: f64 = 0.1;

pub(super) fn chunks_apart(evidence: &Evidence) -> Check {
    let kind = CheckKind::ChunksApart;
    let all = evidence.total(|s| s.counts.chunks);
    if all == 0 {
        return no_answer(kind);
    }
    let share = evidence.total(|s| s.counts.coalesced) as f64 / all as f64;
    let figure = format!(
        "{} of {} came in one read with a later one",
        words::percent(share),
        words::of(all, "chunk", "chunks")
    );
    if share <= FEW_TOGETHER {
        return pass(kind, figure, "Nearly every chunk has an arrival of its own.");
    }
    doubt(
        kind,
        if share <= MANY_TOGETHER { CheckStatus::Warn } else { CheckStatus::Fail },
        figure,
        "Chunks that are read together share one arrival: ITL and ICL percentiles are too low at the middle and too high at the end; TPOT and rates are right.",
        "Read TPOT; use `--clock capture`, give the load generator more CPU, or look whether a proxy between gathers the stream.",
    )
}

fn no_answer(kind: CheckKind) -> Check {
    unknown(kind, "nothing was answered", "There are no chunks.", "Look at the errors.")
}
