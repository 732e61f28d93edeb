//! Prompt and completion lengths in tokens, the mean marked.

use charming::Chart;
use charming::component::Axis;
use charming::datatype::{CompositeValue, DataPoint};
use charming::element::{AxisType, ItemStyle, NameLocation, SplitLine};
use charming::series::Bar;
use serde_json::{Value, json};

use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;
use super::text::{count, number};

const BINS: f64 = 48.0;

/// Prompt lengths of the measured requests, tokens as the server counted them.
pub fn prompt_histogram(tokens: &[u32]) -> NamedChart {
    let note = "What was asked: wide spread here is spread of prefill work, and so of TTFT.";
    histogram("prompt-histogram", "Prompt length", note, "prompt", Hue::Blue, tokens)
}

/// Answer lengths of the measured requests, tokens as the server counted them.
pub fn completion_histogram(tokens: &[u32]) -> NamedChart {
    let note = "What was answered: a peak at the right edge is the max_tokens limit.";
    histogram("completion-histogram", "Completion length", note, "completion", Hue::Green, tokens)
}

fn histogram(
    id: &'static str,
    title: &str,
    note: &str,
    what: &str,
    hue: Hue,
    tokens: &[u32],
) -> NamedChart {
    let bins = bins(tokens);
    let total = tokens.len() as u64;
    let mean = tokens.iter().map(|&t| f64::from(t)).sum::<f64>() / total.max(1) as f64;
    let name = format!("{} requests", count(total));
    let data: Vec<DataPoint> = bins
        .iter()
        .map(|b| DataPoint::from(CompositeValue::from(vec![b.middle(), b.requests as f64])))
        .collect();
    let bar = Bar::new()
        .name(&name)
        .item_style(ItemStyle::new().color(hue.light()))
        .bar_width("96%")
        .data(data);
    let (low, high) = match (bins.first(), bins.last()) {
        (Some(first), Some(last)) => (f64::from(first.from) - 0.5, f64::from(last.to) - 0.5),
        _ => (0.0, 1.0),
    };
    let x = Axis::new()
        .type_(AxisType::Value)
        .name(kit::titled(&format!("{what} length"), Some(Unit::Tokens)))
        .name_location(NameLocation::Middle)
        .name_gap(28)
        .min(low)
        .max(high)
        .split_line(SplitLine::new().show(false));
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(kit::grid(false))
        .x_axis(x)
        .y_axis(kit::y_axis("requests", None, false).min_interval(1))
        .series(bar);
    for zoom in kit::zooms(1, false) {
        chart = chart.data_zoom(zoom);
    }
    let lines = bins
        .iter()
        .map(|b| {
            let range = if b.to - b.from == 1 {
                count(b.from.into())
            } else {
                format!("{} to {}", count(b.from.into()), count(u64::from(b.to) - 1))
            };
            vec![
                format!("{range} tokens"),
                format!(
                    "{} requests ({} %)",
                    count(b.requests),
                    number(100.0 * b.requests as f64 / total.max(1) as f64)
                ),
            ]
        })
        .collect();
    let hover = Hover {
        x_name: format!("{what} length"),
        x_unit: Some(Unit::Tokens),
        y_units: vec![Unit::Requests],
        lines: vec![lines],
        ..Hover::default()
    };
    let alt = match (tokens.iter().min(), tokens.iter().max()) {
        (Some(&min), Some(&max)) => format!(
            "Histogram of {what} lengths of {} requests: mean {} tokens, from {} to {}.",
            count(total),
            number(mean),
            count(min.into()),
            count(max.into())
        ),
        _ => format!("Histogram of {what} lengths: no request was measured."),
    };
    let words = Words { id, title: title.into(), note: note.into(), alt };
    finish(words, 300, ZoomGroup::Alone, hover, &chart, |option| {
        kit::tame_zooms(option);
        if let (true, Some(bar)) = (total > 0, option.get_mut("series").and_then(|s| s.get_mut(0)))
        {
            bar["markLine"] = mean_mark(mean);
        }
    })
}

/// charming has no label above a vertical mark.
fn mean_mark(mean: f64) -> Value {
    let colour = Hue::Vermillion.light();
    json!({
        "silent": true,
        "symbol": ["none", "none"],
        "lineStyle": { "color": colour, "width": 1.5, "type": "solid" },
        "label": { "show": true, "position": "end", "formatter": "{b}", "color": colour },
        "data": [{ "name": format!("mean {}", number(mean)), "xAxis": kit::rounded(mean) }],
    })
}

/// Lengths from `from` up to, not including, `to`.
struct Bin {
    from: u32,
    to: u32,
    requests: u64,
}

impl Bin {
    fn middle(&self) -> f64 {
        // Of whole numbers from `from` to `to - 1`.
        (f64::from(self.from) + f64::from(self.to) - 1.0) / 2.0
    }
}

/// At most about 48 bins of one round width, without gaps.
fn bins(tokens: &[u32]) -> Vec<Bin> {
    let (Some(&min), Some(&max)) = (tokens.iter().min(), tokens.iter().max()) else {
        return Vec::new();
    };
    let wanted = (f64::from(max - min) + 1.0) / BINS;
    let width = (0..10)
        .flat_map(|e| [1, 2, 5].map(|m| m * 10u32.pow(e.min(8))))
        .find(|&w| f64::from(w) >= wanted)
        .unwrap_or(u32::MAX);
    // A lone length gets some air, or it would fill the plot.
    let (first, last) = if min / width == max / width {
        ((min / width).saturating_sub(4), min / width + 4)
    } else {
        (min / width, max / width)
    };
    let mut bins: Vec<Bin> = (first..=last)
        .map(|i| Bin {
            from: i.saturating_mul(width),
            to: (i + 1).saturating_mul(width),
            requests: 0,
        })
        .collect();
    for &t in tokens {
        bins[(t / width - first) as usize].requests += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_one_bin() {
        let tokens: Vec<u32> = (0..1_500).map(|i| 1_000 + (i * 37) % 700).collect();
        let bins = bins(&tokens);
        assert!(bins.len() <= 49, "{}", bins.len());
        assert_eq!(bins.iter().map(|b| b.requests).sum::<u64>(), 1_500);
        assert!(bins.windows(2).all(|w| w[0].to == w[1].from));
    }

    #[test]
    fn bars_mean_and_hover() {
        let chart = prompt_histogram(&[10, 11, 11, 12]);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        let bar = &option["series"][0];
        assert_eq!(bar["type"], "bar");
        assert_eq!(bar["data"], json!([[10.0, 1.0], [11.0, 2.0], [12.0, 1.0]]));
        assert_eq!(bar["markLine"]["data"][0]["xAxis"], 11.0);
        assert_eq!(bar["markLine"]["data"][0]["name"], "mean 11.0");
        assert_eq!(chart.hover.lines[0][1], ["11 tokens", "2 requests (50.0 %)"]);
    }

    #[test]
    fn one_length_and_none() {
        assert_eq!(bins(&[256; 80]).iter().map(|b| b.requests).max(), Some(80));
        assert_eq!(bins(&[0]).len(), 5);
        assert!(completion_histogram(&[]).alt.contains("no request was measured"));
        assert_eq!(bins(&[u32::MAX, 0]).iter().map(|b| b.requests).sum::<u64>(), 2);
    }
}
