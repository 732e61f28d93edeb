//! TTFT of every request over run time with its rolling median, stages behind.

use charming::Chart;
use charming::component::Axis;
use charming::element::{ItemStyle, Symbol};
use charming::series::Scatter;
use serde_json::json;

use super::input::{RequestPoint, Timeline};
use super::kit;
use super::named::{NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;
use super::text::count;
use super::thin;

/// TTFT over time. `requests` in any order, warm-up included.
pub fn ttft_over_time(requests: &[RequestPoint], timeline: &Timeline) -> NamedChart {
    let mut measured: Vec<(f64, f64)> =
        requests.iter().filter_map(|r| Some((r.sent_s, r.ttft_ms?))).collect();
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let failed: Vec<(f64, f64)> =
        requests.iter().filter(|r| r.ttft_ms.is_none()).map(|r| (r.sent_s, 0.5)).collect();
    let cloud = thin::cloud(&measured, thin::CLOUD_CAP);
    let thinned = cloud.len() < measured.len();
    let median = rolling_median(&measured, timeline);
    let log = kit::long_tailed(measured.iter().map(|p| &p.1));

    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(kit::time_grid(true))
        .x_axis(kit::time_axis(timeline))
        .y_axis(kit::y_axis("TTFT", Some(Unit::Ms), log).scale(log))
        .y_axis(Axis::new().show(false).min(0).max(12))
        .series(
            Scatter::new()
                .name("one request")
                .symbol_size(5)
                .item_style(ItemStyle::new().color(Hue::Sky.light()).opacity(0.7))
                .data(cloud.iter().map(|&(x, y)| kit::point(x, y)).collect()),
        )
        .series(kit::broken_line("rolling median", Hue::Ink.light(), 2.0, &median));
    if !failed.is_empty() {
        let marks = thin::cloud(&failed, thin::CLOUD_CAP / 4);
        chart = chart.series(
            Scatter::new()
                .name("failed request")
                .y_axis_index(1)
                .symbol(Symbol::Diamond)
                .symbol_size(9)
                .item_style(ItemStyle::new().color(Hue::Vermillion.light()))
                .data(marks.iter().map(|&(x, y)| kit::point(x, y)).collect()),
        );
    }
    for zoom in kit::zooms(1, true) {
        chart = chart.data_zoom(zoom);
    }
    let mut note = "The median should step up with the load and stay level inside a stage; \
                    a climb inside a stage means that requests queue faster than they are served."
        .to_owned();
    if thinned {
        note += &format!(
            " {} of {} requests are drawn, every extreme among them.",
            count(cloud.len() as u64),
            count(measured.len() as u64)
        );
    }
    let words = Words {
        id: "ttft-over-time",
        title: "Time to first token over time".into(),
        note,
        alt: format!(
            "TTFT of {} requests by the time they were sent, with a rolling median; {} requests failed.",
            count(measured.len() as u64),
            count(failed.len() as u64)
        ),
    };
    let hover = kit::time_hover(timeline, vec![Unit::Ms, Unit::Requests]);
    finish(words, 372, ZoomGroup::Time, hover, &chart, |option| {
        kit::tame_zooms(option);
        kit::add_bands(option, timeline);
        for series in option.get_mut("series").and_then(|s| s.as_array_mut()).into_iter().flatten()
        {
            if series["name"] == "failed request" {
                // Along the bottom: a failed request has no TTFT.
                series["noValue"] = json!(true);
            }
        }
    })
}

/// The median of the requests around each one, never across a stage's edge.
fn rolling_median(sorted: &[(f64, f64)], timeline: &Timeline) -> Vec<(f64, Option<f64>)> {
    let mut out: Vec<(f64, Option<f64>)> = Vec::new();
    for band in &timeline.bands {
        let from = sorted.partition_point(|p| p.0 < band.start_s);
        let to = sorted.partition_point(|p| p.0 < band.end_s);
        let of = &sorted[from..to.max(from)];
        if of.is_empty() {
            continue;
        }
        if let Some(&(last, _)) = out.last() {
            out.push((last, None));
        }
        let reach = (of.len() / 20).clamp(1, 25);
        let stride = (of.len() * timeline.bands.len() / thin::LINE_CAP).max(1);
        for i in (0..of.len()).step_by(stride) {
            let window = &of[i.saturating_sub(reach)..(i + reach + 1).min(of.len())];
            let mut values: Vec<f64> = window.iter().map(|p| p.1).collect();
            values.sort_by(f64::total_cmp);
            out.push((of[i].0, thin::quantile(&values, 0.5)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::input::Band;
    use super::*;

    fn timeline() -> Timeline {
        let band = |start_s, end_s| Band { start_s, end_s, ..Band::default() };
        Timeline { bands: vec![band(0.0, 10.0), band(10.0, 20.0)], end_s: 20.0 }
    }

    #[test]
    fn the_median_does_not_cross_a_stage() {
        let points: Vec<(f64, f64)> =
            (0..20).map(|i| (f64::from(i), if i < 10 { 100.0 } else { 900.0 })).collect();
        let median = rolling_median(&points, &timeline());
        assert_eq!(median.len(), 21);
        assert!(median[..10].iter().all(|p| p.1 == Some(100.0)));
        assert_eq!(median[10].1, None);
        assert!(median[11..].iter().all(|p| p.1 == Some(900.0)));
    }

    #[test]
    fn a_big_run_stays_small_and_says_so() {
        let requests: Vec<RequestPoint> = (0..200_000)
            .map(|i| RequestPoint {
                sent_s: f64::from(i) / 10_000.0,
                ttft_ms: (i % 1_000 != 0).then_some(100.0 + f64::from(i % 97)),
            })
            .collect();
        let chart = ttft_over_time(&requests, &timeline());
        assert!(chart.option_json.len() < 80_000, "{}", chart.option_json.len());
        assert!(chart.note.contains("of 199,800 requests are drawn"), "{}", chart.note);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(option["series"].as_array().map(Vec::len), Some(3));
        assert_eq!(option["series"][2]["yAxisIndex"], 1.0);
    }

    #[test]
    fn nothing_measured() {
        let chart = ttft_over_time(&[], &Timeline::default());
        assert!(chart.alt.starts_with("TTFT of 0 requests"));
    }
}
