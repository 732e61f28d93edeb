//! Output tokens per second over run time, stages behind.

use charming::Chart;
use charming::element::AreaStyle;

use super::input::Timeline;
use super::kit;
use super::named::{NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;
use super::text::number;

/// Most points of the line.
const RATE_BINS: f64 = 300.0;

/// Output tokens that arrived in each second; `rate` is `(middle of the bin in
/// seconds, tokens per second)`, bins without gaps.
pub fn throughput_over_time(rate: &[(f64, f64)], timeline: &Timeline) -> NamedChart {
    let points: Vec<_> = rate.iter().map(|&(t, v)| (t, Some(v))).collect();
    let line = kit::broken_line("output tokens", Hue::Blue.light(), 1.6, &points)
        .area_style(AreaStyle::new().opacity(0.12).color(Hue::Blue.light()));
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(kit::time_grid(true))
        .x_axis(kit::time_axis(timeline))
        .y_axis(kit::y_axis("output throughput", Some(Unit::TokensPerS), false).min(0))
        .series(line);
    for zoom in kit::zooms(1, true) {
        chart = chart.data_zoom(zoom);
    }
    let means: Vec<String> = timeline
        .bands
        .iter()
        .filter(|b| !b.warmup)
        .filter_map(|b| {
            let of: Vec<f64> =
                rate.iter().filter(|p| p.0 >= b.start_s && p.0 < b.end_s).map(|p| p.1).collect();
            (!of.is_empty()).then(|| {
                format!("{}: {}", b.label, number(of.iter().sum::<f64>() / of.len() as f64))
            })
        })
        .collect();
    let words = Words {
        id: "throughput-over-time",
        title: "Throughput over time".into(),
        note: "A stage that has settled is flat; ramps at its ends are requests starting and \
               draining together. Dips inside are stalls: look for them in the charts of the machine."
            .into(),
        alt: format!(
            "Output tokens per second over the run, one band a stage. Means of whole stages: {}.",
            if means.is_empty() { "none".to_owned() } else { means.join("; ") }
        ),
    };
    let hover = kit::time_hover(timeline, vec![Unit::TokensPerS]);
    finish(words, 352, ZoomGroup::Time, hover, &chart, |option| {
        kit::tame_zooms(option);
        kit::add_bands(option, timeline);
    })
}

/// The width of the bins that [`busy_rate`] is to be given for a run that ends at `end_s`, seconds.
pub fn rate_bin_s(end_s: f64) -> f64 {
    kit::bin_width(end_s, RATE_BINS)
}

/// Turns `(bin index, amount)` pairs into a rate without gaps: bins that nothing
/// fell into are zero. `bin_s` is the width of a bin, `end_s` the run's end.
pub fn busy_rate(amounts: &[(i64, f64)], bin_s: f64, end_s: f64) -> Vec<(f64, f64)> {
    let bins = (end_s / bin_s).ceil().max(0.0) as usize;
    let mut out: Vec<(f64, f64)> = (0..bins).map(|i| ((i as f64 + 0.5) * bin_s, 0.0)).collect();
    for &(index, amount) in amounts {
        if let Some(bin) = usize::try_from(index).ok().and_then(|i| out.get_mut(i)) {
            bin.1 += amount / bin_s;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::input::Band;
    use super::*;

    #[test]
    fn bins_without_tokens_are_zero() {
        let rate = busy_rate(&[(0, 10.0), (2, 5.0), (99, 1.0), (-1, 1.0)], 0.5, 1.6);
        assert_eq!(rate, [(0.25, 20.0), (0.75, 0.0), (1.25, 10.0), (1.75, 0.0)]);
    }

    #[test]
    fn line_bands_and_axis() {
        let band = |label: &str, start_s, end_s, warmup| Band {
            label: label.into(),
            short: label.into(),
            start_s,
            end_s,
            warmup,
        };
        let timeline = Timeline {
            bands: vec![band("warm-up", 0.0, 1.0, true), band("4 streams", 1.0, 3.0, false)],
            end_s: 3.0,
        };
        let chart = throughput_over_time(&[(0.5, 9.0), (1.5, 90.0), (2.5, 110.0)], &timeline);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(option["series"][0]["data"][2], serde_json::json!([2.5, 110.0]));
        assert_eq!(option["series"][0]["markArea"]["data"][1][0]["name"], "4 streams");
        assert_eq!(option["xAxis"]["max"], 3.0);
        assert_eq!(option["dataZoom"][0]["zoomOnMouseWheel"], "shift");
        assert!(chart.alt.contains("4 streams: 100."), "{}", chart.alt);
        assert!(!chart.alt.contains("warm-up"));
    }
}
