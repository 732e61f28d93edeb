//! Where the time went: one stacked bar a stage, least load on top.

use charming::Chart;
use charming::component::Axis;
use charming::datatype::DataPoint;
use charming::element::{AxisType, ItemStyle};
use charming::series::Bar;
use serde_json::{Value, json};

use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;
use super::text::{count, duration_ms, number};
use crate::time_split::TimeSplitSource;

/// The mean time of one stage's requests, in parts.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeShare {
    /// The stage's name.
    pub stage: String,
    /// Requests behind it.
    pub requests: u64,
    /// Who tells the server's part.
    pub source: TimeSplitSource,
    /// Each part's name and mean, in the order of time.
    pub parts_ms: [(&'static str, f64); 6],
    /// What they add up to.
    pub sum_ms: f64,
}

/// A colour a part; what does not add up is the one to look at.
const HUES: [Hue; 6] =
    [Hue::Grey, Hue::Purple, Hue::Orange, Hue::Blue, Hue::Green, Hue::Vermillion];

/// The mean times of `stages`, which are not none.
pub fn time_split(stages: &[TimeShare]) -> NamedChart {
    let names: Vec<String> = stages.iter().map(|s| s.stage.clone()).collect();
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(kit::grid(false).left(8).top(34).contain_label(true))
        .x_axis(kit::x_axis("mean time of a request", Some(Unit::Ms), false))
        .y_axis(Axis::new().type_(AxisType::Category).data(names).inverse(true));
    let mut hover = Hover { x_unit: Some(Unit::Ms), y_units: vec![Unit::Ms], ..Hover::default() };
    for (i, hue) in HUES.into_iter().enumerate() {
        let Some((name, _)) = stages.first().map(|s| s.parts_ms[i]) else { continue };
        let values = stages.iter().map(|s| DataPoint::from(kit::rounded(s.parts_ms[i].1)));
        chart = chart.series(
            Bar::new()
                .name(name)
                .stack("time")
                .bar_width("62%")
                .item_style(ItemStyle::new().color(hue.light()))
                .data(values.collect::<Vec<DataPoint>>()),
        );
        hover.lines.push(stages.iter().map(|s| lines(s, s.parts_ms[i].1)).collect());
    }
    for zoom in kit::zooms(1, false) {
        chart = chart.data_zoom(zoom);
    }
    let words = Words {
        id: "time-split",
        title: "Mean time of a request, in parts".into(),
        note: "From when it was due to its last token. A growing queue says that the server is full, a \
               growing client wait that this machine is. What does not add up should be next to nothing; \
               far below zero, first tokens were held up on the way or read late, which is in network and front end."
            .into(),
        alt: alt(stages),
    };
    let height = 34 + kit::BOTTOM + 34 * (stages.len() as u32).clamp(4, 40);
    finish(words, height, ZoomGroup::Alone, hover, &chart, |option| {
        kit::tame_zooms(option);
        if let Some(axis) = option.get_mut("yAxis").and_then(Value::as_object_mut) {
            let label = json!({ "width": 130, "overflow": "truncate", "interval": 0 });
            axis.insert("axisLabel".into(), label);
        }
    })
}

/// Hover: the stage, the part and its share, what all of it is.
fn lines(stage: &TimeShare, ms: f64) -> Vec<String> {
    let share = if stage.sum_ms > 0.0 {
        format!(" ({} %)", number(100.0 * ms / stage.sum_ms))
    } else {
        String::new()
    };
    vec![
        stage.stage.clone(),
        format!("{}{share}", duration_ms(ms)),
        format!("{} in all, mean of {} requests", duration_ms(stage.sum_ms), count(stage.requests)),
        format!("the server's part by its {}", told_by(stage.source)),
    ]
}

fn told_by(source: TimeSplitSource) -> &'static str {
    match source {
        TimeSplitSource::Answers => "answers' timings",
        TimeSplitSource::Histograms => "histograms over the stage",
    }
}

fn alt(stages: &[TimeShare]) -> String {
    let stage = |s: &TimeShare| {
        let parts: Vec<String> =
            s.parts_ms.iter().map(|(name, ms)| format!("{name} {}", duration_ms(*ms))).collect();
        format!("{}, by the server's {}: {}", s.stage, told_by(s.source), parts.join(", "))
    };
    let stages: Vec<String> = stages.iter().map(stage).collect();
    format!("Mean time of a request in parts, one bar a stage. {}.", stages.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_stacked_and_a_negative_one_stays_negative() {
        let stage = |name: &str, rest| TimeShare {
            stage: name.into(),
            requests: 12,
            source: TimeSplitSource::Histograms,
            parts_ms: [
                ("client wait", 1.0),
                ("network and front end", 2.0),
                ("queue", 0.0),
                ("prefill", 40.0),
                ("decode", 60.0),
                ("does not add up", rest),
            ],
            sum_ms: 103.0 + rest,
        };
        let chart = time_split(&[stage("1 stream", 0.5), stage("4 streams", -3.0)]);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        let series = option["series"].as_array().expect("a series a part");
        assert_eq!(series.len(), 6);
        assert!(series.iter().all(|s| s["stack"] == "time"));
        assert_eq!(series[5]["data"], json!([0.5, -3.0]));
        assert_eq!(option["yAxis"]["axisLabel"]["overflow"], "truncate");
        assert_eq!(chart.hover.lines[3][1][1], "40.0 ms (40.0 %)");
        assert_eq!(chart.hover.lines[5][1][1], "−3.00 ms (−3.00 %)");
        assert_eq!(
            chart.hover.lines[3][1][3],
            "the server's part by its histograms over the stage"
        );
        let alt = "4 streams, by the server's histograms over the stage: client wait 1.00 ms";
        assert!(chart.alt.contains(alt), "{}", chart.alt);
    }
}
