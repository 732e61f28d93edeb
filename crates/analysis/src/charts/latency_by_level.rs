//! TTFT and TPOT percentiles over load.

use super::input::{Figure, Quantiles, StagePoint};
use super::named::{NamedChart, Unit, Words};
use super::over_level::{LoadAxis, Panel, PanelLine, draw};
use super::palette::Hue;
use super::text::duration_ms;

/// p50, p95 and p99 of TTFT and TPOT, one point a stage; of TTFT from schedule too, where that
/// is known to part from TTFT.
pub fn latency_by_level(stages: &[StagePoint]) -> NamedChart {
    type Pick = fn(&Quantiles) -> Option<Figure>;
    let percentiles: [(&str, Hue, Pick); 3] = [
        ("p50", Hue::Green, |q| q.p50),
        ("p95", Hue::Blue, |q| q.p95),
        ("p99", Hue::Vermillion, |q| q.p99),
    ];
    let panel = |name, of: fn(&StagePoint) -> &Quantiles| Panel {
        name,
        unit: Unit::Ms,
        lines: percentiles
            .iter()
            .map(|(percentile, hue, pick)| {
                PanelLine::of(percentile, hue.light(), Unit::Ms, stages, |s| pick(of(s)))
            })
            .collect(),
    };
    let mut panels = vec![panel("TTFT", |s| &s.ttft_ms)];
    if stages.iter().any(|s| s.ttft_from_schedule_ms.p50.is_some()) {
        panels.push(panel("TTFT from schedule", |s| &s.ttft_from_schedule_ms));
    }
    panels.push(panel("TPOT", |s| &s.tpot_ms));
    let told: Vec<String> = stages
        .iter()
        .map(|s| {
            let text = |f: Option<Figure>| f.map_or_else(|| "–".into(), |f| duration_ms(f.value));
            let from_schedule = match s.ttft_from_schedule_ms.p95 {
                Some(p95) => format!(", from schedule p95 {}", text(Some(p95))),
                None => String::new(),
            };
            format!(
                "{}: TTFT p50 {}, p95 {}, p99 {}{from_schedule}; TPOT p50 {}, p95 {}.",
                s.stage,
                text(s.ttft_ms.p50),
                text(s.ttft_ms.p95),
                text(s.ttft_ms.p99),
                text(s.tpot_ms.p50),
                text(s.tpot_ms.p95)
            )
        })
        .collect();
    let axis = LoadAxis::of(stages);
    let words = Words {
        id: match axis {
            LoadAxis::Streams => "latency-by-concurrency",
            LoadAxis::Rate => "latency-by-rate",
        },
        title: format!("Latency over {}", axis.words()),
        note: "TTFT is the wait before an answer begins, TPOT the pace while it is written. \
               Where p99 leaves p50, some users pay for the others."
            .into(),
        alt: format!("TTFT and TPOT percentiles by {}. {}", axis.words(), told.join(" ")),
    };
    draw(words, axis, &panels)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vllm_bench_record::Level;

    use super::*;

    #[test]
    fn three_percentiles_a_panel_with_intervals_on_hover() {
        let quantiles = Quantiles {
            p50: Some(Figure::new(100.0)),
            p95: Some(Figure { value: 250.0, interval: Some((240.0, 270.0)), few: false }),
            p99: Some(Figure { value: 300.0, interval: None, few: true }),
        };
        let stage = StagePoint {
            requests: 100,
            ttft_ms: quantiles,
            ..StagePoint::new("4 streams", Level::Concurrency(4))
        };
        let chart = latency_by_level(&[stage]);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        let names: Vec<_> =
            option["series"].as_array().expect("series").iter().map(|s| &s["name"]).collect();
        assert_eq!(names, ["p50", "p95", "p99", "p50", "p95", "p99"]);
        assert_eq!(option["series"][1]["data"], json!([[4.0, 250.0]]));
        assert_eq!(option["series"][4]["data"], Value::Null, "no TPOT was measured");
        assert_eq!(chart.hover.lines[1][0][1], "250 ms (95 %: 240 ms to 270 ms)");
        assert_eq!(chart.hover.lines[2][0][1], "300 ms, too few samples");
    }
}
