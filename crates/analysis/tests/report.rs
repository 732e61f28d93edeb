//! The pages of a made-up run: complete, self-contained, and hostile text harmless. What a browser
//! makes of them: tests/browser.

use std::collections::BTreeSet;

use vllm_bench_analysis::charts::NamedChart;
use vllm_bench_analysis::inspect::{Filter, select};
use vllm_bench_analysis::report;
use vllm_bench_analysis::{Dataset, Summary};

mod synthetic;

struct Made {
    _results: tempfile::TempDir,
    dataset: Dataset,
    summary: Summary,
}

fn made(run: &synthetic::Run) -> Made {
    let results = tempfile::tempdir().expect("a temporary directory");
    let dir = synthetic::write(results.path(), run);
    let dataset = Dataset::open(dir.path()).expect("a whole run");
    let summary = Summary::of(&dataset).expect("its figures");
    Made { _results: results, dataset, summary }
}

fn small() -> synthetic::Run {
    synthetic::Run { requests_per_user: 4, failing: 120, ..synthetic::Run::default() }
}

/// Markup outside of script elements, where a browser would act on it.
fn outside_scripts(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<script") {
        out.push_str(before);
        rest = after.split_once("</script>").expect("every script ends").1;
    }
    out.push_str(rest);
    out
}

/// No text of a run became markup, and nothing is loaded.
fn assert_harmless(html: &str, scripts: usize) {
    assert_eq!(html.matches("<script").count(), scripts, "only our own script elements");
    assert_eq!(html.matches("</script>").count(), scripts);
    let markup = outside_scripts(html);
    for bad in ["<img", "<svg/", "<iframe", "<link", "<base", "<object", "onerror=\"", "onload="] {
        assert!(
            !markup.contains(bad) || bad == "onload=" && !markup.contains("<svg/onload"),
            "{bad}"
        );
    }
    for attribute in ["src=", "srcset=", "action=", "style=\"", "onclick", "@import", "url("] {
        assert!(!markup.contains(&format!(" {attribute}")), "{attribute}");
    }
    for (at, _) in markup.match_indices("href=\"") {
        let target: String = markup[at + 6..].chars().take_while(|&c| c != '"').collect();
        assert!(target.starts_with('#'), "a link to {target}");
    }
    assert!(html.contains("default-src 'none'"), "a policy that lets nothing in");
    assert!(!markup.contains("49"), "no text of a run is a template");
}

fn option(chart: &NamedChart) -> serde_json::Value {
    serde_json::from_str(&chart.option_json).expect("an option is JSON")
}

#[test]
fn every_chart_of_the_issue_is_there_with_data_units_and_words() {
    let made = made(&small());
    let charts = report::charts(&made.dataset, &made.summary);
    let ids: BTreeSet<&str> = charts.iter().map(|c| c.id.as_str()).collect();
    for id in [
        "ttft-cdf",
        "latency-cdf",
        "throughput-cdf",
        "prompt-histogram",
        "completion-histogram",
        "throughput-over-time",
        "ttft-over-time",
        "throughput-latency",
        "throughput-by-concurrency",
        "latency-by-concurrency",
        "gpu-utilisation",
        "gpu-power",
        "gpu-memory",
        "gpu-temperature",
        "engine-requests",
        "engine-kv-cache",
        "engine-preemptions",
        "itl-heatmap",
    ] {
        assert!(ids.contains(id), "{id} of {ids:?}");
    }
    assert_eq!(ids.len(), charts.len());
    for chart in &charts {
        let option = option(chart);
        let series = option["series"].as_array().expect("series");
        assert!(!series.is_empty(), "{}", chart.id);
        assert!(
            series.iter().all(|s| s["data"].as_array().is_some_and(|d| !d.is_empty())),
            "{}",
            chart.id
        );
        assert!(option["dataZoom"].is_array() && option["tooltip"].is_object(), "{}", chart.id);
        assert!(option["legend"].is_object() || option["visualMap"].is_array(), "{}", chart.id);
        assert!(chart.note.ends_with('.') && chart.alt.len() > 30, "{}: {}", chart.id, chart.alt);
    }
}

#[test]
fn distributions_have_one_line_a_stage_and_the_percentiles_of_the_table() {
    let made = made(&small());
    let charts = report::charts(&made.dataset, &made.summary);
    let cdf = charts.iter().find(|c| c.id == "ttft-cdf").expect("the chart");
    let option = option(cdf);
    let names: Vec<&str> = option["series"]
        .as_array()
        .expect("series")
        .iter()
        .filter_map(|s| s["name"].as_str())
        .collect();
    assert_eq!(names, ["1 stream", "4 streams", "16 streams", "32 streams"]);
    for (series, stage) in
        option["series"].as_array().expect("series").iter().zip(&made.summary.stages)
    {
        let ttft = stage.figures().and_then(|w| w.ttft_ns).expect("measured");
        let data = series["data"].as_array().expect("data");
        assert_eq!(data.len() as u64, ttft.count, "a point a request that the table counts");
        let last = data.last().and_then(|p| p[0].as_f64()).expect("a value");
        assert!((last / (ttft.max / 1e6) - 1.0).abs() < 1e-4, "{last} {}", ttft.max);
    }
}

#[test]
fn the_report_is_one_harmless_file() {
    let made = made(&small());
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    assert_harmless(&html, 3);
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    assert!(html.contains("&lt;img src=x onerror="), "the question is shown as it was written");
    assert!(
        html.contains("mistralai&#x2f;Mistral-7B-Instruct-v0.3")
            || html.contains("mistralai/Mistral-7B-Instruct-v0.3")
    );
    assert!(html.contains("SIMULATED"));
    for part in [
        "id=\"stages\"",
        "id=\"charts\"",
        "id=\"machine\"",
        "id=\"slowest\"",
        "id=\"errors\"",
        "id=\"term-ttft\"",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(
        html.contains("within error rate ≤ 5% and TTFT p95 ≤ 2s"),
        "the answer names the objectives"
    );
}

#[test]
fn a_big_run_stays_below_three_megabytes() {
    let run = synthetic::Run {
        requests_per_user: 400,
        concurrency: vec![8, 16, 32],
        ..synthetic::Run::default()
    };
    let made = made(&run);
    assert!(made.dataset.requests().len() > 20_000);
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

#[test]
fn without_samples_objectives_and_failures_the_page_says_so() {
    let run = synthetic::Run {
        requests_per_user: 3,
        slo: Default::default(),
        failing: 0,
        simulated: false,
        samples: false,
        ..synthetic::Run::default()
    };
    let made = made(&run);
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    let markup = outside_scripts(&html);
    assert!(!markup.contains("SIMULATED"));
    assert!(markup.contains("The GPU was not sampled."));
    assert!(markup.contains("No request failed."));
    assert!(markup.contains("Delivers up to"));
    assert!(!markup.contains("id=\"gpu-power\""));
}

#[test]
fn a_run_of_failures_only_has_a_page() {
    let run = synthetic::Run {
        requests_per_user: 2,
        failing: 1_000,
        samples: false,
        ..synthetic::Run::default()
    };
    let made = made(&run);
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    assert_harmless(&html, 3);
    assert!(html.contains("No answer: no request of a measured stage was completed."));
}

#[test]
fn single_requests_are_shown_with_their_hostile_answers_as_text() {
    let made = made(&small());
    let inspection = select(&made.dataset, &Filter::default(), None).expect("requests");
    let html = report::inspect_html(&made.dataset, &inspection).expect("a page");
    // No charts, so no ECharts.
    assert_harmless(&html, 2);
    assert!(
        html.contains("&lt;script&gt;window.pwned=1")
            || html.contains("&lt;script&gt;window.pwned=1".replace('=', "&#x3d;").as_str())
    );
    assert_eq!(html.matches("<article").count(), inspection.requests.len());
    assert!(html.contains("class=\"chunk\""));
}

#[test]
fn runs_are_compared_on_one_page_and_one_alone_is_refused() {
    let one = made(&small());
    let other = synthetic::Run { name: "20261124-190000-other", speed: 1.5, ..small() };
    let other = made(&other);
    let html = report::compare_html(&[one.summary.clone(), other.summary]).expect("a page");
    assert_harmless(&html, 3);
    for text in ["20261124-183000-synthetic", "20261124-190000-other", "compare-throughput-latency"]
    {
        assert!(html.contains(text), "{text}");
    }
    report::compare_html(&[one.summary]).expect_err("nothing to compare with");
}

#[test]
fn a_chart_alone_is_a_whole_page() {
    let made = made(&small());
    let charts = report::charts(&made.dataset, &made.summary);
    for chart in &charts {
        let html = report::chart_html(chart, &made.summary).expect("a page");
        assert_harmless(&html, 3);
        assert!(html.contains(&format!("id=\"chart-{}\"", chart.id)));
    }
}
