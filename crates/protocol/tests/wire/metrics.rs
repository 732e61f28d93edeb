//! The recorded `/metrics`, read and written.

use crate::common::{names, read_text};
use vllm_bench_protocol::prometheus::{Exposition, MetricKind, Writer, parse};

fn recorded() -> Vec<(String, String)> {
    let mut names = names(".body");
    names.retain(|name| name.contains("metrics-") && !name.contains("stream"));
    assert_eq!(names.len(), 6, "{names:?}");
    names
        .into_iter()
        .map(|name| (read_text(&format!("{name}.body")), name))
        .map(|(text, name)| (name, text))
        .collect()
}

fn read(name: &str) -> Exposition {
    parse(&read_text(&format!("{name}.body"))).expect(name)
}

#[test]
fn every_line_is_read_and_written_back() {
    for (name, text) in recorded() {
        let read = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut comments = Writer::new();
        for family in read.families() {
            comments.family(&family.name, family.help.as_deref().expect("help"), family.kind);
        }
        let mut samples = Writer::new();
        for sample in read.all() {
            let labels: Vec<_> = sample.labels.iter().collect();
            samples.sample(&sample.name, &labels, sample.value);
        }
        let (expected_comments, expected_samples): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('#'));
        let same = |written: String, expected: Vec<&str>| {
            assert_eq!(written.lines().count(), expected.len(), "{name}");
            for (written, expected) in written.lines().zip(expected) {
                assert_eq!(written, expected, "{name}");
            }
        };
        same(comments.finish(), expected_comments);
        same(samples.finish(), expected_samples);
    }
}

#[test]
fn counters_and_gauges() {
    let after = read("metrics-after");
    assert_eq!(after.value("vllm:num_requests_running"), Some(0.0));
    assert_eq!(after.value("vllm:generation_tokens_total"), Some(4796.0));
    assert_eq!(after.value("vllm:prefix_cache_hits_total"), Some(1280.0));
    assert_eq!(after.value("process_start_time_seconds"), Some(1_795_541_003.33));
    let success = "vllm:request_success_total";
    assert_eq!(after.value_with(success, &[("finished_reason", "stop")]), Some(4.0));
    assert_eq!(
        after.value_with(success, &[("finished_reason", "length"), ("engine", "0")]),
        Some(28.0)
    );
    assert_eq!(after.value_with(success, &[("finished_reason", "boredom")]), None);
    assert_eq!(after.sum(success), Some(32.0));
    assert_eq!(after.sum_with(success, &[("model_name", "other")]), None);
    assert_eq!(after.samples(success).count(), 5);
    assert_eq!(after.value("vllm:no_such_metric"), None);
    assert_eq!(after.sum("vllm:no_such_metric"), None);
    assert_eq!(after.family(success).map(|family| family.kind), Some(MetricKind::Counter));
    let during = read("metrics-during");
    assert_eq!(during.value("vllm:num_requests_running"), Some(1.0));
}

#[test]
fn labels_tell_the_cache_configuration() {
    let before = read("v2-metrics-before-preempt");
    let labels = before.labels("vllm:cache_config_info").expect("exported");
    assert_eq!(labels.get("num_gpu_blocks_override"), Some("100"));
    assert_eq!(labels.get("enable_prefix_caching"), Some("True"));
    assert!(labels.get("block_size").is_some_and(|size| size.parse::<u32>().is_ok()));
    assert_eq!(before.labels("vllm:no_such_metric"), None);
    let preemptions = "vllm:num_preemptions_total";
    assert_eq!(before.value(preemptions), Some(0.0));
    assert!(read("v2-metrics-after-preempt").value(preemptions) > Some(0.0));
}

#[test]
fn histograms() {
    for (name, text) in recorded() {
        let read = parse(&text).expect("read");
        let histograms = read.families().iter().filter(|f| f.kind == MetricKind::Histogram);
        let mut seen = 0;
        for family in histograms {
            // A family without a series yet has only its comments.
            let Some(histogram) = read.histogram(&family.name, &[]) else { continue };
            seen += 1;
            let (bound, total) = *histogram.buckets.last().expect("buckets");
            assert_eq!(bound, f64::INFINITY, "{name} {}", family.name);
            assert_eq!(Some(total), histogram.count, "{name} {}", family.name);
            assert!(histogram.sum.is_some_and(|sum| sum >= 0.0), "{name} {}", family.name);
            assert!(histogram.buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        }
        assert!(seen > 10, "{name}: {seen} histograms");
    }
    let after = read("metrics-after");
    let ttft =
        after.histogram("vllm:time_to_first_token_seconds", &[("engine", "0")]).expect("one");
    assert_eq!((ttft.count, ttft.sum), (Some(34.0), Some(28.767871856689453)));
    assert_eq!(after.histogram("vllm:time_to_first_token_seconds", &[("engine", "1")]), None);
}

#[test]
fn a_histogram_is_written_as_the_server_writes_it() {
    let text = read_text("metrics-after.body");
    let name = "vllm:time_to_first_token_seconds";
    let lines: String = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', '_'])))
        .filter(|line| !line.contains("_created"))
        .map(|line| format!("{line}\n"))
        .collect();
    let histogram = read("metrics-after").histogram(name, &[]).expect("one");
    let mut below = 0.0;
    let mut buckets = Vec::new();
    for (bound, upto) in &histogram.buckets[..histogram.buckets.len() - 1] {
        buckets.push((*bound, (upto - below) as u64));
        below = *upto;
    }
    let mut writer = Writer::new();
    let labels = [("engine", "0"), ("model_name", "tiny")];
    writer.histogram(name, &labels, &buckets, histogram.sum.expect("sum"), 34);
    assert_eq!(writer.finish(), lines);
}
