//! The lines at the end: what the corpus is, and what to do with it.

use std::path::Path;
use std::time::Duration;

use vllm_bench_cli::style::{self, Paint};
use vllm_bench_corpus::{Aims, Corpus, Overlap, Retrieval};

/// Bars of the histogram.
const BINS: usize = 7;
/// Width of the longest bar.
const WIDTH: usize = 40;

/// The summary of a corpus that was just made.
pub(crate) fn text(
    corpus: &Corpus,
    took: Duration,
    server: Option<&str>,
) -> anyhow::Result<String> {
    let paint = style::stderr();
    let header = corpus.header();
    let lengths = corpus.prompts().map(|p| p.map(|p| p.tokens)).collect::<Result<Vec<u32>, _>>()?;
    let t = &header.tokens;
    let estimate = if header.exact { "" } else { ", an estimate: no model's tokens" };
    let mut lines = vec![
        format!(
            "{} · {} prompts in {:.1} s",
            paint.bold(&corpus.path().display().to_string()),
            thousands(corpus.len()),
            took.as_secs_f64()
        ),
        format!(
            "  tokens   mean {:.1} · min {} · p50 {} · p90 {} · max {} (by {}{estimate})",
            t.mean, t.min, t.p50, t.p90, t.max, header.tokenizer
        ),
    ];
    lines.extend(histogram(&lengths).into_iter().map(|line| format!("  {line}")));
    lines.extend(header.aims.as_ref().map(|aims| aimed(aims, header.prompts)));
    lines.push(uniqueness(
        header.shared_leading_blocks,
        header.shared_head_tokens,
        header.block_size,
        paint,
    ));
    lines.extend(header.overlap.iter().flat_map(shared));
    if let Some(retrieval) = &header.retrieval {
        lines.push(documents(retrieval));
    } else if header.reused_passages > 0 {
        lines.push(format!(
            "  reused   {} passages stand in later places of more than one prompt",
            thousands(header.reused_passages as usize)
        ));
    }
    for source in header.sources.iter().filter(|s| s.as_pinned == Some(false)) {
        lines.push(paint.yellow(&format!(
            "  source   {}: {} is not the file that the manifest pins; used as it is",
            source.name, source.file
        )));
    }
    lines.push(format!("  sha256   {}", corpus.sha256()));
    lines.push(format!("next: {}", next(corpus, server)));
    Ok(lines.join("\n"))
}

/// How near prompts are to the lengths they aimed at.
fn aimed(aims: &Aims, prompts: u32) -> String {
    let raised = match aims.raised {
        0 => String::new(),
        n => format!(" · {} were asked to be shorter than a prompt can be", thousands(n as usize)),
    };
    format!(
        "  length   {} of {} to the token · {:.1} off on average, {} at most{raised}",
        thousands(aims.exact as usize),
        thousands(prompts as usize),
        aims.mean_off,
        aims.most_off
    )
}

/// What prompts have in common, and what a prefix cache would answer.
fn shared(overlap: &Overlap) -> Vec<String> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let sampled = match overlap.anywhere_one_of {
        1 => String::new(),
        n => format!(" (by one of {} blocks)", thousands(n as usize)),
    };
    let limited = overlap.limited.as_ref().map_or(String::new(), |cache| {
        format!(", of {} blocks {}", thousands(cache.blocks as usize), percent(cache.hit_share))
    });
    vec![
        format!(
            "  overlap  of {} blocks {} are the beginning of an earlier prompt, {} stand in one anywhere{sampled}",
            thousands(overlap.blocks as usize),
            percent(overlap.leading_share),
            percent(overlap.anywhere_share)
        ),
        format!(
            "  cache    predicted prefix hits, sent once in order: without an end {}{limited} of the prompt tokens",
            percent(overlap.hit_share)
        ),
    ]
}

/// Which documents a retrieval plan used.
fn documents(retrieval: &Retrieval) -> String {
    format!(
        "  retrieved {} passages of {} documents (of {}) · {:.1} % from the ten most popular · {:.1} % seen before · {} with their answer",
        thousands(retrieval.passages as usize),
        thousands(retrieval.documents_used as usize),
        thousands(retrieval.documents as usize),
        retrieval.top10_share * 100.0,
        retrieval.repeated_share * 100.0,
        thousands(retrieval.with_answer as usize)
    )
}

fn uniqueness(shared: u64, head: u32, block: u32, paint: Paint) -> String {
    let beyond = format!("(blocks of {block}, beyond the {head} tokens that all begin with)");
    if shared == 0 {
        paint.green(&format!("  unique   0 shared leading blocks {beyond}"))
    } else {
        paint.yellow(&format!(
            "  unique   {shared} prompts share a leading block with an earlier one {beyond}"
        ))
    }
}

/// Bars of equal width over the lengths; empty when all are alike.
fn histogram(lengths: &[u32]) -> Vec<String> {
    let (Some(&min), Some(&max)) = (lengths.iter().min(), lengths.iter().max()) else {
        return Vec::new();
    };
    if min == max {
        return Vec::new();
    }
    let width = (max - min + 1).div_ceil(BINS as u32);
    let mut counts = vec![0usize; ((max - min) / width + 1) as usize];
    for &length in lengths {
        counts[((length - min) / width) as usize] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1);
    let digits = max.to_string().len();
    let bar = |count: usize| "█".repeat((count * WIDTH).div_ceil(most.max(1)));
    counts
        .iter()
        .enumerate()
        .map(|(i, &count)| {
            let low = min + i as u32 * width;
            let high = (low + width - 1).min(max);
            format!("         {low:>digits$}–{high:<digits$} {} {count}", bar(count))
        })
        .collect()
}

/// The command that uses the corpus: its own scenario where there is one.
fn next(corpus: &Corpus, server: Option<&str>) -> String {
    let own = format!("scenarios/{}.toml", corpus.header().name);
    let scenario = if Path::new(&own).exists() { own } else { "scenarios/smoke.toml".to_owned() };
    let url = server.unwrap_or("http://localhost:8000").trim_end_matches('/');
    format!("vllm-bench-run {scenario} --corpus {} --url {url}", corpus.path().display())
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_every_length_once() {
        let lengths: Vec<u32> = (100..=199).chain([150, 150]).collect();
        let lines = histogram(&lengths);
        assert_eq!(lines.len(), 7);
        let total: usize = lines
            .iter()
            .map(|l| l.rsplit(' ').next().and_then(|n| n.parse::<usize>().ok()).expect("a count"))
            .sum();
        assert_eq!(total, 102);
        assert!(lines[0].contains("100–114"), "{lines:?}");
        assert!(histogram(&[5, 5]).is_empty() && histogram(&[]).is_empty());
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([7, 1500, 1234567].map(thousands), ["7", "1,500", "1,234,567"]);
    }
}
