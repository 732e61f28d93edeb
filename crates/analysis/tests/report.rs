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

/// The same with slashes and apostrophes as they are read.
fn shown(html: &str) -> String {
    outside_scripts(html).replace("&#x2f;", "/").replace("&#x27;", "'")
}

/// Tags that the templates write.
const TAGS: &str = "!doctype a article b body br button caption code dd details div dl dt figcaption figure footer \
    h1 h2 h3 head header html li main meta noscript p pre rect section span style summary svg table tbody td th \
    thead title tr ul";
/// Attributes that the templates write: none loads, none runs.
const ATTRIBUTES: &str = "aria-hidden aria-label charset class colspan content data-act data-column data-copy \
    data-value height hidden href html http-equiv id lang name preserveaspectratio role scope tabindex title type \
    viewbox width x y";

/// No text of a run became markup, and nothing is loaded.
fn assert_harmless(html: &str, scripts: usize) {
    assert_eq!(html.matches("<script").count(), scripts, "only our own script elements");
    assert_eq!(html.matches("</script>").count(), scripts);
    let markup = outside_scripts(html);
    let (style, markup) = {
        let (before, rest) = markup.split_once("<style>").expect("a style sheet");
        let (style, after) = rest.split_once("</style>").expect("its end");
        (style.to_owned(), format!("{before}{after}"))
    };
    assert!(!style.contains("url(") && !style.contains("@import"), "the style sheet loads nothing");
    let known = |list: &str, word: &str| list.split_whitespace().any(|w| w == word);
    for tag in tags(&markup) {
        let (name, attributes) = tag;
        assert!(known(TAGS, &name), "an element {name}");
        for (attribute, value) in attributes {
            assert!(
                known(ATTRIBUTES, &attribute),
                "an attribute {attribute}=\"{value}\" of {name}"
            );
            assert!(attribute != "href" || value.starts_with('#'), "a link to {value}");
        }
    }
    assert!(markup.contains("default-src &#x27;none&#x27;"), "a policy that lets nothing in");
}

type Tag = (String, Vec<(String, String)>);

/// Every start tag of `markup`, as a browser reads it: text in it is escaped, so `<` begins a tag.
fn tags(markup: &str) -> Vec<Tag> {
    let mut out = Vec::new();
    for piece in markup.split('<').skip(1).filter(|p| !p.starts_with('/')) {
        let name_ends = piece.find([' ', '>', '/']).expect("a tag ends");
        let mut attributes = Vec::new();
        let mut rest = piece[name_ends..].trim_start();
        while !rest.starts_with(['>', '/']) {
            let name_ends = rest.find(['=', ' ', '>']).expect("an attribute ends");
            let name = rest[..name_ends].to_ascii_lowercase();
            rest = &rest[name_ends..];
            let mut value = "";
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let (inside, after) = quoted.split_once('"').expect("a value ends");
                (value, rest) = (inside, after);
            }
            attributes.push((name, value.to_owned()));
            rest = rest.trim_start();
        }
        out.push((piece[..name_ends].to_ascii_lowercase(), attributes));
    }
    out
}

#[test]
#[should_panic(expected = "an element img")]
fn the_check_sees_an_element() {
    assert_harmless("<script></script><style></style><p><img src=\"x\"></p>", 1);
}

#[test]
#[should_panic(expected = "an attribute onclick")]
fn the_check_sees_a_handler() {
    assert_harmless("<script></script><style></style><p class=\"a\" onclick=\"b\">", 1);
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
        "time-split",
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
    assert!(html.contains("Mistral-7B-Instruct-v0.3"));
    assert!(html.contains("SIMULATED"));
    for part in [
        "id=\"stages\"",
        "id=\"charts\"",
        "id=\"time\"",
        "id=\"time-split\"",
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
fn without_the_servers_timings_the_page_says_which_flag_gives_them() {
    let mut made = made(&small());
    made.summary.stages.iter_mut().for_each(|s| s.time_split = None);
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    let markup = outside_scripts(&html);
    assert!(markup.contains("no answer carries the server&#x27;s own timings"));
    assert!(markup.contains("--enable-per-request-metrics"));
    assert!(!markup.contains("id=\"time-split\""));
    made.summary.run.stream = false;
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    assert!(outside_scripts(&html).contains("Not known: answers were not streamed"));
}

#[test]
fn a_big_run_stays_below_three_megabytes() {
    let run = synthetic::Run {
        requests_per_user: 150,
        concurrency: vec![8, 16, 32],
        ..synthetic::Run::default()
    };
    let made = made(&run);
    assert!(made.dataset.requests().len() > 8_000);
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
    assert!(html.contains("&lt;script&gt;window.pwned=1"));
    assert!(html.contains("{{ 7*7 }}{% raw %}"), "an answer is no template");
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

#[test]
fn an_open_loop_shows_its_arrivals() {
    let made = made(&synthetic::Run::open());
    let charts = report::charts(&made.dataset, &made.summary);
    let find = |id: &str| charts.iter().find(|c| c.id == id).unwrap_or_else(|| panic!("no {id}"));
    let arrivals = option(find("arrivals-over-time"));
    let total = |series: usize| -> f64 {
        let points = arrivals["series"][series]["data"].as_array().expect("data");
        let width = points[1][0].as_f64().expect("s") - points[0][0].as_f64().expect("s");
        points.iter().filter_map(|p| p[1].as_f64()).sum::<f64>() * width
    };
    let requests = made.dataset.requests().len() as f64;
    let completed = made.dataset.requests().iter().filter(|r| r.completed()).count() as f64;
    for (series, expected) in [(0, requests), (1, requests), (2, completed)] {
        // Rounded to five digits a point.
        assert!((total(series) - expected).abs() < 0.1, "{} of {expected}", total(series));
    }
    let by_rate = option(find("latency-by-rate"));
    assert_eq!(by_rate["xAxis"][2]["name"], "requests asked for (req/s)");
    assert_eq!(by_rate["yAxis"][1]["name"], "TTFT from schedule (ms)", "requests waited");
    assert!(charts.iter().all(|c| !c.id.contains("concurrency")));
    let names: Vec<_> = option(find("ttft-cdf"))["series"]
        .as_array()
        .expect("series")
        .iter()
        .map(|s| s["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(names, ["1 req/s", "2 req/s", "4 req/s"]);

    let html = report::html(&made.dataset, &made.summary).expect("a page");
    assert_harmless(&html, 3);
    let markup = shown(&html);
    for part in [
        "id=\"arrivals\"",
        "Poisson arrivals, bursts of 2.5 s every 10 s at 2.5 times the rate, at most 20 in flight.",
        "requests waited for the limit of 20 in flight",
        "Holds at least 4 req/s, the most that was tried, within error rate ≤ 5% and TTFT p95 ≤ 2s.",
        "measured before the run at 64 streams × 100 tok/s: TTFT p99 ± 9.10 µs",
        "; client error p99 ± 9.10 µs",
        "; client error p99 ± 2.10 µs",
        "TTFT from schedule ms",
    ] {
        assert!(markup.contains(part), "{part}");
    }
    assert!(!markup.contains("id=\"search\""));
}

#[test]
fn a_search_answers_with_its_bracket_and_shows_its_probes() {
    let made = made(&synthetic::Run::searched());
    let charts = report::charts(&made.dataset, &made.summary);
    assert_eq!(charts[1].id, "search-probes");
    let probes = option(&charts[1]);
    assert_eq!(probes["series"][0]["data"].as_array().map(Vec::len), Some(9));
    let html = report::html(&made.dataset, &made.summary).expect("a page");
    assert_harmless(&html, 3);
    let markup = shown(&html);
    for part in [
        "Holds 4 req/s within TTFT p95 ≤ 500ms and error rate ≤ 5% (confirmed; 4.37 do not).",
        "9 probes between 1 and 64 req/s",
        "id=\"search\"",
        "holds, confirming",
        "4 req/s (probe 9)",
        "ended: precise enough",
    ] {
        assert!(markup.contains(part), "{part}");
    }
}

#[test]
fn a_run_without_calibration_says_so_and_compares_beside_an_open_one() {
    let closed = made(&small());
    let html = report::html(&closed.dataset, &closed.summary).expect("a page");
    let markup = shown(&html);
    assert!(markup.contains("not calibrated") && !markup.contains("client error p99 ±"));
    assert!(!markup.contains("id=\"arrivals\""));
    let open = made(&synthetic::Run::searched());
    let page = report::compare_html(&[closed.summary, open.summary]).expect("a page");
    assert_harmless(&page, 3);
    let markup = shown(&page);
    for part in [
        "id=\"chart-compare-ttft\"",
        "id=\"chart-compare-ttft-by-rate\"",
        "Throughput over concurrency",
        "Throughput over request rate",
        "answer of the search",
        "no search",
    ] {
        assert!(markup.contains(part), "{part}");
    }
}
