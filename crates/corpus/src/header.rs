//! The first line of a corpus: everything that says how it was made and what is in it.

use serde::{Deserialize, Serialize};

use crate::overlap::Overlap;

/// Tokens in one block of the server's prefix cache, vLLM's default.
pub const BLOCK_SIZE: u32 = 16;

/// What a corpus is and how it was made. It has no times and no paths: the same spec, sources and tokenizer give the same
/// bytes on any machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CorpusHeader {
    /// The format's version; the key by which a corpus is recognised.
    pub vllm_bench_corpus: u32,
    /// The spec's name.
    pub name: String,
    /// Program and version.
    pub created_by: String,
    /// The spec as it was obeyed, overrides included.
    pub spec: serde_json::Value,
    /// The seed.
    pub seed: u64,
    /// Who counted the tokens: a Hub id with revision, a folder's name, a server's model, `built-in (estimate)`.
    pub tokenizer: String,
    /// sha256 of `tokenizer.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer_sha256: Option<String>,
    /// Where the chat template came from; `none` when prompts were counted as plain text.
    pub chat_template: String,
    /// Whether the counts are those of a real tokenizer.
    pub exact: bool,
    /// Where the text came from.
    pub sources: Vec<SourceRecord>,
    /// How many prompts there are.
    pub prompts: u32,
    /// Their lengths.
    pub tokens: TokenStats,
    /// Tokens that all prompts have in common at their beginning: chat template and system line.
    pub shared_head_tokens: u32,
    /// Block size of the uniqueness check, tokens.
    pub block_size: u32,
    /// Violations: prompts whose first full block after the common head is also an earlier prompt's. 0 means that no prompt
    /// can hit the prefix cache of another beyond the common head.
    pub shared_leading_blocks: u64,
    /// Passages that stand in more than one prompt (never as the first passage).
    pub reused_passages: u64,
    /// How far prompts are from the lengths that they aimed at; none of ready-made prompts and of plans without a length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aims: Option<Aims>,
    /// What the prompts share in their order, and what a prefix cache would answer of it. None of corpora made before it
    /// was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// Which documents were retrieved how often; of a retrieval plan only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
}

/// One source as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceRecord {
    /// Its name in the spec.
    pub name: String,
    /// File name, or `repo@revision:path` of the Hub.
    pub file: String,
    /// sha256 of the content, unpacked; none for the built-in encyclopedia.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether that is the sha256 its manifest pins; none where nothing is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_pinned: Option<bool>,
    /// Licence, as the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Whose text it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// Records read.
    pub records: u64,
    /// Records left out: repeats and empty ones.
    pub left_out: u64,
}

/// Lengths of all prompts, tokens. Percentiles are of type 7 (linear), rounded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenStats {
    /// Arithmetic mean, rounded to two digits after the point.
    pub mean: f64,
    /// Shortest.
    pub min: u32,
    /// Median.
    pub p50: u32,
    /// 90 % are not longer.
    pub p90: u32,
    /// 99 % are not longer.
    pub p99: u32,
    /// Longest.
    pub max: u32,
}

/// Lengths against what was aimed at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Aims {
    /// Prompts that have their length to the token.
    pub exact: u32,
    /// Mean distance, tokens, rounded to two digits after the point.
    pub mean_off: f64,
    /// Greatest distance, tokens.
    pub most_off: u32,
    /// Prompts that were asked to be shorter than any can be, and were made as short as can be.
    #[serde(default)]
    pub raised: u32,
}

impl Aims {
    /// Of pairs of the length aimed at and the length that came out; `None` of none.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (u32, u32)>) -> Option<Self> {
        let (mut count, mut exact, mut sum, mut most) = (0u32, 0, 0u64, 0);
        for (aim, tokens) in pairs {
            let off = aim.abs_diff(tokens);
            count += 1;
            exact += u32::from(off == 0);
            sum += u64::from(off);
            most = most.max(off);
        }
        let mean_off = (sum as f64 / f64::from(count.max(1)) * 100.0).round() / 100.0;
        (count > 0).then_some(Self { exact, mean_off, most_off: most, raised: 0 })
    }
}

/// Documents of a retrieval plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retrieval {
    /// Documents of the collection.
    pub documents: u32,
    /// Chunks that they were cut into.
    pub chunks: u32,
    /// Documents that stand in at least one prompt.
    pub documents_used: u32,
    /// Passages in all prompts.
    pub passages: u64,
    /// Share of them that come from the ten documents which are used most, rounded to six digits.
    pub top10_share: f64,
    /// Share of them that an earlier prompt has too, rounded to six digits.
    pub repeated_share: f64,
    /// Prompts that hold the passage their question was asked about: the chunk of it that has the answer word for word, else
    /// its first.
    pub with_answer: u32,
    /// Questions that are asked in more than one prompt.
    pub questions_repeated: u32,
}

impl TokenStats {
    /// The statistics of these lengths; `None` of none.
    pub fn of(lengths: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut all: Vec<u32> = lengths.into_iter().collect();
        all.sort_unstable();
        let (&min, &max) = (all.first()?, all.last()?);
        let sum: u64 = all.iter().map(|&t| u64::from(t)).sum();
        let mean = (sum as f64 / all.len() as f64 * 100.0).round() / 100.0;
        let percentile = |p: f64| {
            let at = p * (all.len() - 1) as f64;
            let (low, high) = (all[at.floor() as usize], all[at.ceil() as usize]);
            (f64::from(low) + (at - at.floor()) * f64::from(high - low)).round() as u32
        };
        Some(Self {
            mean,
            min,
            p50: percentile(0.5),
            p90: percentile(0.9),
            p99: percentile(0.99),
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_linear_percentiles() {
        let stats = TokenStats::of([4, 1, 3, 2]).expect("not empty");
        assert_eq!((stats.min, stats.p50, stats.p90, stats.max, stats.mean), (1, 3, 4, 4, 2.5));
        let stats = TokenStats::of(0..=100).expect("not empty");
        assert_eq!((stats.p50, stats.p90, stats.p99, stats.mean), (50, 90, 99, 50.0));
        assert_eq!(TokenStats::of([]), None);
    }
}
