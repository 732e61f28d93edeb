//! "Did you mean": the nearest known word to a mistyped one.

/// The known word nearest to `word`, if one is near enough to have been meant.
///
/// ```
/// let known = ["ttft_p95", "tpot_p99", "error_rate"];
/// assert_eq!(vllm_bench_cli::nearest("tpot_99", known), Some("tpot_p99"));
/// assert_eq!(vllm_bench_cli::nearest("colour", known), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored =
        known.into_iter().map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let near_enough = scored.filter(|(score, _)| *score >= 0.8);
    near_enough.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}
