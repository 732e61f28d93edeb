//! Plots over load, one below the other on one axis: what the charts by stage share.

use charming::Chart;
use charming::component::{Axis, Grid};
use charming::element::{AxisType, SplitLine, Symbol};
use serde_json::json;
use vllm_bench_record::Level;

use super::input::{Figure, StagePoint};
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::text::{count, duration_ms, number};

/// What the axis of load counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadAxis {
    /// Users at once.
    Streams,
    /// Requests a second asked for.
    Rate,
}

impl LoadAxis {
    /// That of `stages`: a rate where any of them is an open loop.
    pub(super) fn of(stages: &[StagePoint]) -> Self {
        let open = stages.iter().any(|s| matches!(s.level, Level::Rate(_)));
        if open { Self::Rate } else { Self::Streams }
    }

    /// As titles say it: `Latency over concurrency`.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Streams => "concurrency",
            Self::Rate => "request rate",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Streams => "concurrency",
            Self::Rate => "requests asked for",
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Self::Streams => Unit::Streams,
            Self::Rate => Unit::RequestsPerS,
        }
    }

    /// Whether a stage of `level` has a place on it.
    pub(super) const fn holds(self, level: Level) -> bool {
        match level {
            Level::Concurrency(_) => matches!(self, Self::Streams),
            Level::Rate(_) => matches!(self, Self::Rate),
        }
    }
}

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
    pub(super) level: Level,
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
                Some(PanelPoint { level: s.level, value: figure.value, hover })
            })
            .collect();
        points.sort_by(|a, b| a.level.total_cmp(b.level));
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

/// The chart of `panels` over `axis`; stages that have no place on it are left out.
pub(super) fn draw(words: Words, axis: LoadAxis, panels: &[Panel]) -> NamedChart {
    let on_axis = |line: &PanelLine| -> Vec<(f64, f64, Vec<String>)> {
        let points = line.points.iter().filter(|p| axis.holds(p.level));
        points.map(|p| (p.level.value(), p.value, p.hover.clone())).collect()
    };
    let loads = || {
        let lines = panels.iter().flat_map(|p| &p.lines).flat_map(on_axis);
        lines.map(|p| p.0).filter(|load| *load > 0.0)
    };
    let (low, high) = match (loads().reduce(f64::min), loads().reduce(f64::max)) {
        (Some(low), Some(high)) => (low, high),
        _ => (1.0, 1.0),
    };
    let log = high / low >= 8.0;
    // One level alone still needs an axis with a length.
    let end = match axis {
        LoadAxis::Streams => high.max(low + 1.0),
        LoadAxis::Rate => high.max(low * 1.1),
    };
    let mut chart = Chart::new().legend(kit::legend()).tooltip(kit::axis_tooltip());
    let mut hover =
        Hover { x_name: axis.name().into(), x_unit: Some(axis.unit()), ..Hover::default() };
    let last = panels.len().saturating_sub(1);
    for (i, panel) in panels.iter().enumerate() {
        let top = kit::TOP + i as u32 * (PANEL + GAP);
        let index = i as f64;
        let mut x = if i == last {
            kit::x_axis(axis.name(), Some(axis.unit()), log)
        } else {
            Axis::new()
                .type_(if log { AxisType::Log } else { AxisType::Value })
                .split_line(SplitLine::new().show(false))
        };
        x = x.grid_index(index).min(kit::rounded(low)).max(kit::rounded(end));
        if log {
            x = x.log_base(2);
        } else if axis == LoadAxis::Streams {
            x = x.min_interval(1);
        }
        chart = chart
            .grid(Grid::new().left(58).right(26).top(f64::from(top)).height(f64::from(PANEL)))
            .x_axis(x)
            .y_axis(kit::y_axis(panel.name, Some(panel.unit), false).grid_index(index).min(0));
        hover.y_units.push(panel.unit);
        for line in &panel.lines {
            let drawn = on_axis(line);
            let points: Vec<(f64, f64)> = drawn.iter().map(|p| (p.0, p.1)).collect();
            hover.lines.push(drawn.into_iter().map(|p| p.2).collect());
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
