//! Arrivals over run time: requests due, sent and completed a second, and those in flight.

use charming::Chart;
use charming::component::{Axis, Grid};
use charming::element::{AreaStyle, LabelPosition, SplitLine};
use serde_json::json;

use super::input::{ArrivalSeries, Timeline};
use super::kit;
use super::named::{NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;
use super::text::{count, number};

/// Height of the two plots and the room between them.
const RATES: u32 = 220;
const GAP: u32 = 54;
const IN_FLIGHT: u32 = 150;

/// Most bins of a run.
const MOST_BINS: f64 = 400.0;
/// Fewest, so that a burst still has a shape.
const FEWEST_BINS: f64 = 40.0;
/// Requests that a bin should hold on average: with fewer, chance alone makes spikes.
const A_BIN: f64 = 3.0;

/// The width of bins, seconds, for `requests` in a run that ends at `end_s`.
pub fn arrival_bin_s(requests: usize, end_s: f64) -> f64 {
    let calm = A_BIN * end_s / requests.max(1) as f64;
    let most = (end_s / calm.max(1e-9)).clamp(FEWEST_BINS, MOST_BINS);
    kit::bin_width(end_s, most)
}

/// What was asked, what left and what came back, on one time axis with the requests in flight.
pub fn arrivals_over_time(series: &ArrivalSeries, timeline: &Timeline) -> NamedChart {
    let line = |name, hue: Hue, width, points: &[(f64, f64)]| {
        let points: Vec<_> = points.iter().map(|&(t, v)| (t, Some(v))).collect();
        kit::broken_line(name, hue.light(), width, &points)
    };
    let due = line("due", Hue::Grey, 1.0, &series.due)
        .area_style(AreaStyle::new().opacity(0.3).color(Hue::Grey.light()));
    let mut in_flight = line("in flight", Hue::Blue, 1.6, &series.in_flight)
        .x_axis_index(1)
        .y_axis_index(1)
        .area_style(AreaStyle::new().opacity(0.12).color(Hue::Blue.light()));
    let most = series.in_flight.iter().map(|p| p.1).fold(0.0, f64::max);
    // A limit far above what was reached would press the line flat.
    if let Some(cap) = series.cap.map(f64::from).filter(|cap| *cap <= most * 3.0) {
        let name = format!("limit: {} in flight", count(cap as u64));
        let level = (name, cap, LabelPosition::InsideStartTop);
        in_flight = in_flight.mark_line(kit::levels(Hue::Vermillion.light(), vec![level]));
    }
    let top = kit::TOP + 12;
    let grid = |top: u32, height: u32| {
        Grid::new().left(58).right(26).top(f64::from(top)).height(f64::from(height))
    };
    let bare = Axis::new()
        .type_(charming::element::AxisType::Value)
        .split_line(SplitLine::new().show(false))
        .min(0)
        .max(kit::rounded(timeline.end_s.max(0.001)));
    let mut y = kit::y_axis("in flight", Some(Unit::Requests), false).grid_index(1).min(0);
    if let Some(cap) = series.cap.map(f64::from).filter(|cap| *cap <= most * 3.0 && *cap > most) {
        y = y.max(kit::rounded(cap * 1.1));
    }
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(grid(top, RATES))
        .grid(grid(top + RATES + GAP, IN_FLIGHT))
        .x_axis(bare.grid_index(0))
        .x_axis(kit::time_axis(timeline).grid_index(1))
        .y_axis(kit::y_axis("requests", Some(Unit::RequestsPerS), false).grid_index(0).min(0))
        .y_axis(y)
        .series(due)
        .series(line("sent", Hue::Orange, 1.6, &series.sent))
        .series(line("completed", Hue::Green, 1.6, &series.completed))
        .series(in_flight);
    for zoom in kit::zooms(2, true) {
        chart = chart.data_zoom(zoom);
    }
    let peak = |points: &[(f64, f64)]| points.iter().map(|p| p.1).fold(0.0, f64::max);
    let words = Words {
        id: "arrivals-over-time",
        title: "Arrivals over time".into(),
        note: format!(
            "Sent should lie on due: where it falls behind, this client or its limit held requests back. \
             Where completed stays below sent, requests pile up in flight. Bins of {} s.",
            series.bin_s
        ),
        alt: format!(
            "Requests due, sent and completed a second over the run, and requests in flight. \
             Peaks: {} due, {} sent, {} completed a second; {} in flight.",
            number(peak(&series.due)),
            number(peak(&series.sent)),
            number(peak(&series.completed)),
            count(most.round() as u64),
        ),
    };
    let hover = kit::time_hover(timeline, vec![Unit::RequestsPerS, Unit::Requests]);
    let height = top + RATES + GAP + IN_FLIGHT + kit::BOTTOM_WITH_SLIDER;
    finish(words, height, ZoomGroup::Time, hover, &chart, |option| {
        kit::tame_zooms(option);
        kit::add_bands(option, timeline);
        option.insert("axisPointer".into(), json!({ "link": [{ "xAxisIndex": "all" }] }));
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::input::Band;
    use super::*;

    #[test]
    fn bins_hold_some_requests_and_are_not_too_many() {
        assert_eq!(arrival_bin_s(240, 60.0), 1.0);
        assert_eq!(arrival_bin_s(100_000, 60.0), 0.25);
        assert_eq!(arrival_bin_s(10, 60.0), 2.0);
        assert_eq!(arrival_bin_s(0, 60.0), 2.0);
    }

    #[test]
    fn two_plots_on_one_axis() {
        let band = Band {
            label: "4 req/s".into(),
            short: "4".into(),
            start_s: 0.0,
            end_s: 3.0,
            warmup: false,
        };
        let timeline = Timeline { bands: vec![band], end_s: 3.0 };
        let series = ArrivalSeries {
            due: vec![(0.5, 4.0), (1.5, 9.0), (2.5, 0.0)],
            sent: vec![(0.5, 4.0), (1.5, 6.0), (2.5, 3.0)],
            completed: vec![(0.5, 1.0), (1.5, 4.0), (2.5, 8.0)],
            in_flight: vec![(0.5, 3.0), (1.5, 5.0), (2.5, 0.0)],
            cap: Some(6),
            bin_s: 1.0,
        };
        let chart = arrivals_over_time(&series, &timeline);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        let names: Vec<_> =
            option["series"].as_array().expect("series").iter().map(|s| &s["name"]).collect();
        assert_eq!(names, ["due", "sent", "completed", "in flight"]);
        assert_eq!(option["series"][3]["yAxisIndex"], 1.0);
        assert_eq!(option["series"][3]["markLine"]["data"][0]["name"], "limit: 6 in flight");
        assert_eq!(option["xAxis"][0]["max"], option["xAxis"][1]["max"]);
        assert_eq!(option["dataZoom"][0]["xAxisIndex"], serde_json::json!([0, 1]));
        assert!(chart.alt.contains("9.00 due, 6.00 sent, 8.00 completed a second; 5 in flight"));
    }
}
