//! One figure over runs, a line for each level of load.

use charming::Chart;
use charming::element::Symbol;

use super::input::Figure;
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::over_level::read;
use super::palette::Ramp;
use crate::text::capital;

/// One level of load over the runs.
#[derive(Debug, Clone, Default)]
pub struct TrendLine {
    /// The level: `8 streams`.
    pub level: String,
    /// One a run, in order; `None` where the run has no such stage or figure.
    pub figures: Vec<Option<Figure>>,
}

/// What a trend is of.
#[derive(Debug, Clone, Copy)]
pub struct Trended {
    /// The chart's id.
    pub id: &'static str,
    /// What it is of: `TTFT p95`.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What to look for.
    pub note: &'static str,
}

/// The chart of `lines` over `runs`, whose names are shown on hover.
pub fn trend(of: Trended, runs: &[String], lines: &[TrendLine]) -> NamedChart {
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(kit::grid(false))
        .x_axis(
            kit::x_axis("run, oldest first", None, false)
                .min(1)
                .max(runs.len().max(2) as f64)
                .min_interval(1),
        )
        .y_axis(kit::y_axis(of.name, Some(of.unit), false).min(0));
    let mut hover = Hover { x_name: "run".into(), y_units: vec![of.unit], ..Hover::default() };
    let ramp = Ramp::new(lines.len());
    for (rank, line) in lines.iter().enumerate() {
        let told = line.figures.iter().enumerate().filter_map(|(i, f)| Some((i, (*f)?)));
        let told: Vec<(usize, Figure)> = told.collect();
        let points: Vec<(f64, f64)> =
            told.iter().map(|(i, f)| (*i as f64 + 1.0, f.value)).collect();
        let words = |(i, figure): &(usize, Figure)| {
            let run = runs.get(*i).cloned().unwrap_or_default();
            vec![run, format!("{}: {}", line.level, read(*figure, of.unit))]
        };
        hover.lines.push(told.iter().map(words).collect());
        chart = chart.series(
            kit::line(&line.level, &ramp.light(rank), 2.0, &points)
                .symbol(Symbol::Circle)
                .symbol_size(7),
        );
    }
    for zoom in kit::zooms(1, false) {
        chart = chart.data_zoom(zoom);
    }
    let last = |line: &TrendLine| {
        let figure = line.figures.iter().rev().find_map(|f| *f)?;
        Some(format!("{}: {}", line.level, read(figure, of.unit)))
    };
    let told: Vec<String> = lines.iter().filter_map(last).collect();
    let words = Words {
        id: of.id,
        title: capital(&format!("{} over runs", of.name)),
        note: of.note.into(),
        alt: format!("{} of {} runs. The last: {}.", of.name, runs.len(), told.join("; ")),
    };
    finish(words, 300, ZoomGroup::Alone, hover, &chart, kit::tame_zooms)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_run_without_the_stage_leaves_a_gap_in_no_line() {
        let of = Trended { id: "t", name: "TTFT p95", unit: Unit::Ms, note: "Lower is better." };
        let runs: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let lines = [TrendLine {
            level: "8 streams".into(),
            figures: vec![Some(Figure::new(10.0)), None, Some(Figure::new(12.0))],
        }];
        let chart = trend(of, &runs, &lines);
        let option: Value = serde_json::from_str(&chart.option_json).expect("JSON");
        assert_eq!(option["series"][0]["data"], serde_json::json!([[1.0, 10.0], [3.0, 12.0]]));
        assert_eq!(chart.hover.lines[0][1], ["c", "8 streams: 12.0 ms"]);
        assert!(chart.alt.contains("The last: 8 streams: 12.0 ms."), "{}", chart.alt);
    }
}
