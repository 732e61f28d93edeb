//! Inter-token latency over run time as a heatmap: where stalls sit.

use std::collections::BTreeMap;

use charming::Chart;
use charming::component::{Axis, VisualMap};
use charming::datatype::DataPoint;
use charming::element::{AxisLabel, AxisType, NameLocation, Tooltip, Trigger};
use charming::series::Heatmap;
use serde_json::{Value, json};

use super::input::Timeline;
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Ramp;
use super::text::{count, number};

const COLUMNS: f64 = 120.0;
const PER_DECADE: f64 = 10.0;

/// Tokens counted by when they arrived and how long after the one before.
#[derive(Debug, Clone)]
pub struct ItlCounts {
    column_s: f64,
    columns: usize,
    cells: BTreeMap<(usize, i32), u64>,
}

impl ItlCounts {
    /// No tokens yet, on the axis of `timeline`.
    pub fn new(timeline: &Timeline) -> Self {
        let column_s = kit::bin_width(timeline.end_s, COLUMNS);
        let columns = (timeline.end_s / column_s).ceil().max(1.0) as usize;
        Self { column_s, columns, cells: BTreeMap::new() }
    }

    /// Counts `tokens` that arrived at `at_s`, each `itl_ms` after the one before. Gaps
    /// below 0.1 ms (tokens of one read) count as 0.1 ms.
    pub fn add(&mut self, at_s: f64, itl_ms: f64, tokens: u64) {
        let column = ((at_s / self.column_s) as usize).min(self.columns - 1);
        let row = (itl_ms.max(0.1).log10() * PER_DECADE).floor() as i32;
        *self.cells.entry((column, row)).or_default() += tokens;
    }
}

/// `1:05`, `0:00.5`.
fn clock(s: f64) -> String {
    let (minutes, rest) = ((s / 60.0).floor(), s % 60.0);
    if rest.fract() == 0.0 {
        format!("{minutes:.0}:{rest:02.0}")
    } else {
        format!("{minutes:.0}:{rest:04.1}")
    }
}

/// The lower edge of a row where it is about 1, 2 or 5 of a decade, else nothing.
fn row_label(row: i32) -> String {
    let digit = match row.rem_euclid(PER_DECADE as i32) {
        0 => 1.0,
        3 => 2.0,
        7 => 5.0,
        _ => return String::new(),
    };
    let decade = row.div_euclid(PER_DECADE as i32);
    let exact = digit * 10f64.powi(decade);
    if exact < 1.0 { format!("{exact:.1}") } else { format!("{exact:.0}") }
}

/// The heatmap of `counts`.
pub fn itl_heatmap(counts: &ItlCounts) -> NamedChart {
    let rows = || counts.cells.keys().map(|k| k.1);
    let (low, high) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
    let edge = |row: i32| 10f64.powf(f64::from(row) / PER_DECADE);
    let column = |i: usize| i as f64 * counts.column_s;
    let hottest = counts.cells.values().copied().max().unwrap_or(1);
    let mut data = Vec::new();
    let mut lines = Vec::new();
    for (&(x, row), &tokens) in &counts.cells {
        // Colour by magnitude: stalls are rare, and they are what is looked for.
        let magnitude = kit::rounded((tokens as f64).log10());
        data.push(vec![
            DataPoint::from(x as f64),
            DataPoint::from(f64::from(row - low)),
            DataPoint::from(magnitude),
        ]);
        lines.push(vec![
            format!("{} to {}", clock(column(x)), clock(column(x + 1))),
            format!("{} to {} ms between tokens", number(edge(row)), number(edge(row + 1))),
            format!("{} tokens", count(tokens)),
        ]);
    }
    let labels = |n: usize, text: &dyn Fn(usize) -> String| (0..n).map(text).collect::<Vec<_>>();
    let mut chart = Chart::new()
        .tooltip(Tooltip::new().trigger(Trigger::Item))
        .grid(kit::grid(true))
        .x_axis(
            Axis::new()
                .type_(AxisType::Category)
                .name("time since run start (min:s)")
                .name_location(NameLocation::Middle)
                .name_gap(28)
                .data(labels(counts.columns, &|i| clock(column(i)))),
        )
        .y_axis(
            Axis::new()
                .type_(AxisType::Category)
                .name("ITL (ms)")
                .name_location(NameLocation::End)
                .name_gap(12)
                .axis_label(AxisLabel::new().interval(0.0))
                .data(labels((high - low + 1) as usize, &|i| row_label(low + i as i32))),
        )
        .visual_map(VisualMap::new().min(0).max((hottest as f64).log10().max(1.0)))
        .series(Heatmap::new().name("tokens").data(data));
    for zoom in kit::zooms(1, true) {
        chart = chart.data_zoom(zoom);
    }
    let total: u64 = counts.cells.values().sum();
    let words = Words {
        id: "itl-heatmap",
        title: "Gaps between tokens over time".into(),
        note:
            "The strongest band is the usual pace; it moves up as the load grows. Specks far above it are \
               stalls: a prefill of another request, a preemption, a pause of the client."
                .into(),
        alt: format!(
            "Heatmap of inter-token latency over the run: {} tokens, from {} to {} ms.",
            count(total),
            number(edge(low)),
            number(edge(high + 1))
        ),
    };
    let hover = Hover {
        x_name: "time".into(),
        x_unit: Some(Unit::Seconds),
        y_units: vec![Unit::Ms],
        lines: vec![lines],
        ..Hover::default()
    };
    let ramp = Ramp::new(5);
    finish(words, 380, ZoomGroup::Alone, hover, &chart, |option| {
        kit::tame_zooms(option);
        if let Some(map) = option.get_mut("visualMap").and_then(|m| m.get_mut(0)) {
            map["type"] = json!("continuous");
            map["orient"] = json!("horizontal");
            // It would show the magnitude, which is not a count.
            map["hoverLink"] = json!(false);
            map["top"] = json!(0);
            map["left"] = json!(0);
            map["itemWidth"] = json!(10);
            map["itemHeight"] = json!(110);
            map["text"] = json!(["many tokens", "one"]);
            map["inRange"] = json!({ "color": (0..5).map(|i| ramp.light(i)).collect::<Vec<_>>() });
        }
        if let Some(series) = option.get_mut("series").and_then(|s| s.get_mut(0)) {
            series["progressive"] = Value::from(0);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_counted_once() {
        let mut counts = ItlCounts::new(&Timeline { bands: vec![], end_s: 12.0 });
        counts.add(0.05, 10.0, 3);
        counts.add(0.06, 10.1, 2);
        counts.add(11.99, 1_000.0, 1);
        counts.add(12.5, 0.0, 1);
        let chart = itl_heatmap(&counts);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        let data = option["series"][0]["data"].as_array().expect("data");
        assert_eq!(data.len(), 3);
        assert_eq!(data[0], json!([0.0, 20.0, 0.69897]));
        assert_eq!(chart.hover.lines[0][0][2], "5 tokens");
        assert_eq!(option["yAxis"]["data"].as_array().map(Vec::len), Some(41));
        assert!(chart.alt.contains("7 tokens, from 0.10 to"), "{}", chart.alt);
    }

    #[test]
    fn labels() {
        let rows: Vec<String> = (-4..11).map(row_label).collect();
        let shown: Vec<&str> = rows.iter().map(String::as_str).filter(|l| !l.is_empty()).collect();
        assert_eq!(shown, ["0.5", "1", "2", "5", "10"]);
        assert_eq!((clock(65.0), clock(0.5)), ("1:05".into(), "0:00.5".into()));
    }

    #[test]
    fn none() {
        let counts = ItlCounts::new(&Timeline::default());
        assert!(itl_heatmap(&counts).alt.contains("0 tokens"));
    }
}
