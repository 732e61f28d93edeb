//! Plots over concurrency, one below the other on one axis: what the charts by stage share.

use charming::Chart;
use charming::component::{Axis, Grid};
use charming::element::{AxisType, SplitLine, Symbol};
use serde_json::json;

use super::input::{Figure, StagePoint};
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::text::{count, duration_ms, number};

/// One plot.
pub(super) struct Panel {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) lines: Vec<PanelLine>,
}

/// One line of a plot.
pub(super) struct PanelLine {
    pub(super) name: String,
    pub(super) colour: String,
    pub(super) points: Vec<PanelPoint>,
}

/// One stage on a line.
pub(super) struct PanelPoint {
    pub(super) concurrency: u32,
    pub(super) value: f64,
    pub(super) hover: Vec<String>,
}

impl PanelLine {
    /// The line of `figure` over `stages`; stages without the figure are left out.
    pub(super) fn of(
        name: &str,
        colour: &str,
        unit: Unit,
        stages: &[StagePoint],
        figure: impl Fn(&StagePoint) -> Option<Figure>,
    ) -> Self {
        let mut points: Vec<PanelPoint> = stages
            .iter()
            .filter_map(|s| {
                let figure = figure(s)?;
                let hover = vec![s.stage.clone(), read(figure, unit), basis(s)];
                Some(PanelPoint { concurrency: s.concurrency, value: figure.value, hover })
            })
            .collect();
        points.sort_by_key(|p| p.concurrency);
        Self { name: name.to_owned(), colour: colour.to_owned(), points }
    }
}

/// A figure with its interval and its mark, as hover shows it.
pub(super) fn read(figure: Figure, unit: Unit) -> String {
    let one = |v: f64| match unit {
        Unit::Ms => duration_ms(v),
        _ => format!("{} {}", number(v), unit.symbol()),
    };
    let mut text = one(figure.value);
    if let Some((low, high)) = figure.interval {
        text += &format!(" (95 %: {} to {})", one(low), one(high));
    }
    if figure.few {
        text += ", too few samples";
    }
    text
}

/// What a stage's figures rest on.
pub(super) fn basis(stage: &StagePoint) -> String {
    let mut text = format!("{} requests", count(stage.requests));
    if stage.failed > 0 {
        text += &format!(", {} failed", count(stage.failed));
    }
    text
}

const PANEL: u32 = 190;
const GAP: u32 = 60;

/// The chart of `panels`.
pub(super) fn draw(words: Words, panels: &[Panel]) -> NamedChart {
    let loads =
        || panels.iter().flat_map(|p| &p.lines).flat_map(|l| &l.points).map(|p| p.concurrency);
    let (low, high) = (loads().min().unwrap_or(1).max(1), loads().max().unwrap_or(1));
    let log = high / low >= 8;
    let mut chart = Chart::new().legend(kit::legend()).tooltip(kit::axis_tooltip());
    let mut hover =
        Hover { x_name: "concurrency".into(), x_unit: Some(Unit::Streams), ..Hover::default() };
    let last = panels.len().saturating_sub(1);
    for (i, panel) in panels.iter().enumerate() {
        let top = kit::TOP + i as u32 * (PANEL + GAP);
        let index = i as f64;
        let mut x = if i == last {
            kit::x_axis("concurrency", Some(Unit::Streams), log)
        } else {
            Axis::new()
                .type_(if log { AxisType::Log } else { AxisType::Value })
                .split_line(SplitLine::new().show(false))
        };
        x = x.grid_index(index).min(f64::from(low)).max(f64::from(high.max(low + 1)));
        if log {
            x = x.log_base(2);
        } else {
            x = x.min_interval(1);
        }
        chart = chart
            .grid(Grid::new().left(58).right(26).top(f64::from(top)).height(f64::from(PANEL)))
            .x_axis(x)
            .y_axis(kit::y_axis(panel.name, Some(panel.unit), false).grid_index(index).min(0));
        hover.y_units.push(panel.unit);
        for line in &panel.lines {
            let points: Vec<(f64, f64)> =
                line.points.iter().map(|p| (f64::from(p.concurrency), p.value)).collect();
            hover.lines.push(line.points.iter().map(|p| p.hover.clone()).collect());
            chart = chart.series(
                kit::line(&line.name, &line.colour, 2.0, &points)
                    .symbol(Symbol::Circle)
                    .symbol_size(8)
                    .x_axis_index(index)
                    .y_axis_index(index),
            );
        }
    }
    for zoom in kit::zooms(panels.len(), false) {
        chart = chart.data_zoom(zoom);
    }
    let panels_px = panels.len() as u32 * (PANEL + GAP) - if panels.is_empty() { 0 } else { GAP };
    let height = kit::TOP + panels_px + kit::BOTTOM;
    finish(words, height, ZoomGroup::Alone, hover, &chart, |option| {
        kit::tame_zooms(option);
        option.insert("axisPointer".into(), json!({ "link": [{ "xAxisIndex": "all" }] }));
    })
}
