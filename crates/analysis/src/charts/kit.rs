//! Pieces that all charts are made of: axes with units, legends, zooms, bands, rounding.

use charming::component::{Axis, DataZoom, DataZoomType, FilterMode, Grid, Legend, LegendType};
use charming::datatype::{CompositeValue, DataPoint};
use charming::element::{
    AxisPointer, AxisPointerType, AxisType, Label, LabelPosition, LineStyle, LineStyleType,
    MarkLine, MarkLineData, MarkLineVariant, NameLocation, SplitLine, Symbol, Tooltip, Trigger,
};
use charming::series::Line;
use serde_json::{Map, Value, json};

use super::input::Timeline;
use super::named::{Hover, Unit};
use super::palette::Hue;

/// Room above the first grid for the legend and the y axis' title.
pub(super) const TOP: u32 = 62;
/// Room below the last grid for tick labels and the x axis' title.
pub(super) const BOTTOM: u32 = 46;
/// The same with a zoom slider below.
pub(super) const BOTTOM_WITH_SLIDER: u32 = 84;

/// The plot area of a chart with one.
pub(super) fn grid(slider: bool) -> Grid {
    let bottom = if slider { BOTTOM_WITH_SLIDER } else { BOTTOM };
    Grid::new().left(58).right(26).top(f64::from(TOP)).bottom(f64::from(bottom))
}

/// The plot area of a chart over time: the stages' names stand above it.
pub(super) fn time_grid(slider: bool) -> Grid {
    grid(slider).top(f64::from(TOP + 12))
}

/// A horizontal axis titled below its middle.
pub(super) fn x_axis(name: &str, unit: Option<Unit>, log: bool) -> Axis {
    Axis::new()
        .type_(if log { AxisType::Log } else { AxisType::Value })
        .name(titled(name, unit))
        .name_location(NameLocation::Middle)
        .name_gap(28)
        .split_line(SplitLine::new().show(false))
}

/// A vertical axis titled above its top.
pub(super) fn y_axis(name: &str, unit: Option<Unit>, log: bool) -> Axis {
    Axis::new()
        .type_(if log { AxisType::Log } else { AxisType::Value })
        .name(titled(name, unit))
        .name_location(NameLocation::End)
        .name_gap(12)
}

/// `name (unit)`.
pub(super) fn titled(name: &str, unit: Option<Unit>) -> String {
    unit.map_or_else(|| name.to_owned(), |u| format!("{name} ({})", u.symbol()))
}

/// The legend, along the top; scrolls where it has no room.
pub(super) fn legend() -> Legend {
    Legend::new().type_(LegendType::Scroll).top(0).left(0).item_width(18).item_height(10)
}

/// Hover by x position.
pub(super) fn axis_tooltip() -> Tooltip {
    Tooltip::new()
        .trigger(Trigger::Axis)
        .axis_pointer(AxisPointer::new().type_(AxisPointerType::Line))
}

/// Hover by point.
pub(super) fn item_tooltip() -> Tooltip {
    Tooltip::new().trigger(Trigger::Item)
}

/// Zoom by Shift and wheel or by two fingers, and by a slider where `slider`.
pub(super) fn zooms(x_axes: usize, slider: bool) -> Vec<DataZoom> {
    let axes = (0..x_axes as i64).collect::<Vec<_>>();
    let base = || {
        DataZoom::new()
            .x_axis_index(CompositeValue::from(axes.clone()))
            .filter_mode(FilterMode::None)
    };
    let mut zooms = vec![base().type_(DataZoomType::Inside).id("zoom-inside")];
    if slider {
        zooms.push(base().type_(DataZoomType::Slider).id("zoom-slider").bottom(6));
    }
    zooms
}

/// What charming's zoom lacks: the wheel alone scrolls the page, and a finger too. (ECharts swallows
/// the wheel even where it does not zoom; the page keeps it from ECharts.)
pub(super) fn tame_zooms(option: &mut Map<String, Value>) {
    for zoom in option.get_mut("dataZoom").and_then(Value::as_array_mut).into_iter().flatten() {
        if zoom["type"] == "inside" {
            zoom["zoomOnMouseWheel"] = json!("shift");
            zoom["moveOnMouseWheel"] = json!(false);
            zoom["preventDefaultMouseMove"] = json!(false);
        } else {
            zoom["height"] = json!(18);
            zoom["brushSelect"] = json!(false);
            zoom["showDetail"] = json!(false);
            zoom["showDataShadow"] = json!(false);
        }
    }
}

/// A plain line of `points`.
pub(super) fn line(name: &str, colour: &str, width: f64, points: &[(f64, f64)]) -> Line {
    Line::new()
        .name(name)
        .symbol(Symbol::None)
        .line_style(LineStyle::new().color(colour).width(width))
        .item_style(charming::element::ItemStyle::new().color(colour))
        .data(points.iter().map(|&(x, y)| point(x, y)).collect::<Vec<DataPoint>>())
}

/// A line that breaks where its value is `None`.
pub(super) fn broken_line(
    name: &str,
    colour: &str,
    width: f64,
    points: &[(f64, Option<f64>)],
) -> Line {
    let data = points.iter().map(|&(x, y)| match y {
        Some(y) => point(x, y),
        None => DataPoint::from(CompositeValue::from(vec![
            CompositeValue::from(rounded(x)),
            CompositeValue::OptionalNumber(None),
        ])),
    });
    line(name, colour, width, &[]).data(data.collect::<Vec<DataPoint>>())
}

/// One `[x, y]`.
pub(super) fn point(x: f64, y: f64) -> DataPoint {
    DataPoint::from(CompositeValue::from(vec![
        CompositeValue::from(rounded(x)),
        CompositeValue::from(rounded(y)),
    ]))
}

/// Dashed levels across the plot, each with its name and where that stands.
pub(super) fn levels(colour: &str, levels: Vec<(String, f64, LabelPosition)>) -> MarkLine {
    let level = |(name, at, position): (String, f64, LabelPosition)| {
        let label = Label::new().show(true).formatter("{b}").position(position).color(colour);
        MarkLineVariant::Simple(MarkLineData::new().name(name).y_axis(rounded(at)).label(label))
    };
    MarkLine::new()
        .silent(true)
        .symbol(vec![Symbol::None, Symbol::None])
        .line_style(LineStyle::new().type_(LineStyleType::Dashed).color(colour).width(1))
        .data(levels.into_iter().map(level).collect())
}

/// Five significant digits: no pixel sees more, and the file stays small.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let magnitude = value.abs().log10().floor() as i32;
    let factor = 10f64.powi((4 - magnitude).clamp(-300, 300));
    (value * factor).round() / factor
}

/// A round number of seconds so that `span_s` has at most `most` bins.
pub(super) fn bin_width(span_s: f64, most: f64) -> f64 {
    const WIDTHS: [f64; 14] =
        [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0];
    WIDTHS.into_iter().find(|width| span_s / width <= most).unwrap_or(span_s / most)
}

/// Whether a logarithmic axis reads better: a long tail and nothing at or below zero.
pub(super) fn long_tailed<'a>(values: impl IntoIterator<Item = &'a f64>) -> bool {
    let (mut low, mut high) = (f64::INFINITY, 0f64);
    for &v in values {
        low = low.min(v);
        high = high.max(v);
    }
    low > 0.0 && low.is_finite() && high / low >= 20.0
}

/// The stages behind a time chart, hatched by the page where they are warm-up.
pub(super) fn add_bands(option: &mut Map<String, Value>, timeline: &Timeline) {
    let data: Vec<Value> = timeline
        .bands
        .iter()
        .enumerate()
        .map(|(i, band)| {
            let opacity = if band.warmup || i % 2 == 1 { 0.10 } else { 0.04 };
            json!([
                {
                    "name": band.label,
                    "xAxis": rounded(band.start_s),
                    "itemStyle": { "color": Hue::Grey.light(), "opacity": opacity },
                },
                { "xAxis": rounded(band.end_s) },
            ])
        })
        .collect();
    let area = json!({ "silent": true, "data": data,
        "label": { "show": true, "position": "top", "fontSize": 11 } });
    if let Some(first) = option.get_mut("series").and_then(|s| s.get_mut(0)) {
        first["markArea"] = area;
    }
}

/// The hover of a time chart.
pub(super) fn time_hover(timeline: &Timeline, y_units: Vec<Unit>) -> Hover {
    let band = |b: &super::input::Band| {
        (b.label.clone(), b.short.clone(), rounded(b.start_s), rounded(b.end_s), b.warmup)
    };
    Hover {
        x_name: "time".into(),
        x_unit: Some(Unit::Seconds),
        y_units,
        bands: timeline.bands.iter().map(band).collect(),
        ..Hover::default()
    }
}

/// The time axis: the same on every time chart, so that they can be zoomed together.
pub(super) fn time_axis(timeline: &Timeline) -> Axis {
    x_axis("time since run start", None, false).min(0).max(rounded(timeline.end_s.max(0.001)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_digits_survive() {
        assert_eq!(rounded(123_456.7), 123_460.0);
        assert_eq!(rounded(0.001_234_567), 0.001_234_6);
        assert_eq!(rounded(-2.5), -2.5);
        assert_eq!(rounded(0.0), 0.0);
    }

    #[test]
    fn tails() {
        assert!(long_tailed(&[1.0, 30.0]));
        assert!(!long_tailed(&[0.0, 30.0]));
        assert!(!long_tailed(&[10.0, 30.0]));
        assert!(!long_tailed(&[]));
    }
}
