//! The GPUs over run time: utilisation, power, memory, temperature.

use charming::Chart;
use charming::element::LabelPosition;

use super::input::{TimeSeries, Timeline};
use super::kit;
use super::named::{NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;
use super::text::number;
use super::thin;

/// Share of time with a kernel running, percent, one series a GPU.
pub fn gpu_utilisation(gpus: &[TimeSeries], timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "gpu-utilisation",
        title: "GPU utilisation",
        note: "Share of time with any kernel running. Near 100 % says busy, not full: \
               read it beside power and throughput.",
        axis: "utilisation",
        unit: Unit::Percent,
        max: Some(100.0),
        level: None,
        slider: false,
    }
    .draw(gpus, timeline)
}

/// Board power, watts, one series a GPU.
pub fn gpu_power(gpus: &[TimeSeries], timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "gpu-power",
        title: "GPU power",
        note: "How hard the GPU works. Flat at the board's limit means that clocks are held back.",
        axis: "power",
        unit: Unit::Watts,
        max: None,
        level: None,
        slider: false,
    }
    .draw(gpus, timeline)
}

/// Memory in use, GiB, one series a GPU; `total_gib` of one device as a level.
pub fn gpu_memory(gpus: &[TimeSeries], total_gib: Option<f64>, timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "gpu-memory",
        title: "GPU memory",
        note: "vLLM takes its share at start, so this is flat; a step in mid-run is somebody else.",
        axis: "memory used",
        unit: Unit::Gib,
        max: total_gib,
        level: total_gib.map(|t| ("total", t)),
        slider: false,
    }
    .draw(gpus, timeline)
}

/// Core temperature, °C, one series a GPU.
pub fn gpu_temperature(gpus: &[TimeSeries], timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "gpu-temperature",
        title: "GPU temperature",
        note: "Still climbing at the end: later stages ran on a hotter card than earlier ones.",
        axis: "temperature",
        unit: Unit::Celsius,
        max: None,
        level: None,
        slider: true,
    }
    .draw(gpus, timeline)
}

/// A small chart of one quantity over run time.
pub(super) struct Gauge {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) note: &'static str,
    pub(super) axis: &'static str,
    pub(super) unit: Unit,
    pub(super) max: Option<f64>,
    pub(super) level: Option<(&'static str, f64)>,
    pub(super) slider: bool,
}

impl Gauge {
    pub(super) fn draw(self, series: &[TimeSeries], timeline: &Timeline) -> NamedChart {
        // Counts are named by the axis itself.
        let whole = matches!(self.unit, Unit::Requests | Unit::Preemptions);
        let mut y = kit::y_axis(self.axis, (!whole).then_some(self.unit), false).min(0);
        if let Some(max) = self.max {
            y = y.max(kit::rounded(max));
        }
        if whole {
            y = y.min_interval(1);
        }
        let mut chart = Chart::new()
            .legend(kit::legend())
            .tooltip(kit::axis_tooltip())
            .grid(kit::time_grid(self.slider))
            .x_axis(kit::time_axis(timeline))
            .y_axis(y);
        let mut told = Vec::new();
        for (i, one) in series.iter().enumerate() {
            let points = thin_broken(&one.points);
            let mut line = kit::broken_line(&one.name, Hue::nth(i).light(), 1.6, &points);
            if let (0, Some((name, at))) = (i, self.level) {
                let name = format!("{name} {}", number(at));
                let level = (name, at, LabelPosition::InsideEndBottom);
                line = line.mark_line(kit::levels(Hue::Grey.light(), vec![level]));
            }
            chart = chart.series(line);
            told.extend(range(one, self.unit));
        }
        for zoom in kit::zooms(1, self.slider) {
            chart = chart.data_zoom(zoom);
        }
        let words = Words {
            id: self.id,
            title: self.title.into(),
            note: self.note.into(),
            alt: format!("{} over the run. {}", self.title, told.join(" ")),
        };
        let height = if self.slider { 268 } else { 230 };
        let hover = kit::time_hover(timeline, vec![self.unit]);
        finish(words, height, ZoomGroup::Time, hover, &chart, |option| {
            kit::tame_zooms(option);
            kit::add_bands(option, timeline);
        })
    }
}

/// Thins a line with breaks, piece by piece.
fn thin_broken(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    if points.len() <= thin::LINE_CAP {
        return points.to_vec();
    }
    let mut out = Vec::new();
    for piece in points.split(|p| p.1.is_none()) {
        let whole: Vec<(f64, f64)> = piece.iter().filter_map(|p| Some((p.0, p.1?))).collect();
        let share = thin::LINE_CAP * whole.len() / points.len();
        if let (Some(&(last, _)), false) = (out.last(), whole.is_empty()) {
            out.push((last, None));
        }
        out.extend(thin::line(&whole, share.max(3)).into_iter().map(|(x, y)| (x, Some(y))));
    }
    out
}

fn range(series: &TimeSeries, unit: Unit) -> Option<String> {
    let values = || series.points.iter().filter_map(|p| p.1);
    let n = values().count();
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let mean = values().sum::<f64>() / n as f64;
    let [low, mean, high] = [low, mean, high].map(number);
    Some(format!("{}: {low} to {high} {}, mean {mean}.", series.name, unit.symbol()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn one_line_a_gpu_and_the_total() {
        let gpu = |name: &str, value| TimeSeries {
            name: name.into(),
            points: vec![(0.0, Some(value)), (1.0, None), (2.0, Some(value))],
        };
        let timeline = Timeline { bands: vec![], end_s: 2.0 };
        let chart = gpu_memory(&[gpu("GPU 0", 70.0), gpu("GPU 1", 71.0)], Some(80.0), &timeline);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(option["series"].as_array().map(Vec::len), Some(2));
        assert_eq!(option["series"][0]["data"][1], serde_json::json!([1.0, null]));
        assert_eq!(option["series"][0]["markLine"]["data"][0]["yAxis"], 80.0);
        assert!(chart.alt.contains("GPU 1: 71.0 to 71.0 GiB, mean 71.0."));
    }

    #[test]
    fn many_samples_become_few_and_keep_their_breaks() {
        let points: Vec<(f64, Option<f64>)> = (0..40_000)
            .map(|i| (f64::from(i), (i != 20_000).then_some(f64::from(i % 100))))
            .collect();
        let thin = thin_broken(&points);
        assert!(thin.len() <= thin::LINE_CAP + 2, "{}", thin.len());
        assert_eq!(thin.iter().filter(|p| p.1.is_none()).count(), 1);
    }
}
