//! The built-in encyclopedia keeps up with any need.

use std::time::Instant;

use vllm_bench_corpus::Encyclopedia;

#[test]
fn articles_are_made_faster_than_they_can_be_tokenised() {
    let book = Encyclopedia::new(1);
    let started = Instant::now();
    let bytes: usize = (0..20_000).map(|i| book.article(i).text.len()).sum();
    let seconds = started.elapsed().as_secs_f64();
    // A loose bound for busy machines; about 0.5 s on one idle core.
    assert!(seconds < 10.0, "20,000 articles ({bytes} bytes) took {seconds:.2} s");
    assert!(bytes > 20_000 * 400, "{bytes}");
}
