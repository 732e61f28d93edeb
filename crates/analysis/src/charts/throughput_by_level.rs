//! Output throughput and request rate over load.

use super::input::{Figure, StagePoint};
use super::named::{NamedChart, Unit, Words};
use super::over_level::{LoadAxis, Panel, PanelLine, draw};
use super::palette::Hue;
use super::text::number;

/// Output tokens and completed requests per second, one point a stage; of open loops the
/// requests that were due and sent too.
pub fn throughput_by_level(stages: &[StagePoint]) -> NamedChart {
    let tokens = |s: &StagePoint| s.output_tokens_per_s.map(Figure::new);
    let requests = |s: &StagePoint| s.requests_per_s.map(Figure::new);
    let axis = LoadAxis::of(stages);
    let rate = |name, hue: Hue, of: fn(&StagePoint) -> Option<f64>| {
        PanelLine::of(name, hue.light(), Unit::RequestsPerS, stages, |s| of(s).map(Figure::new))
    };
    let mut rates = Vec::new();
    if axis == LoadAxis::Rate {
        rates.push(rate("due", Hue::Grey, |s| s.due_per_s));
        rates.push(rate("sent", Hue::Orange, |s| s.sent_per_s));
    }
    rates.push(PanelLine::of(
        "completed requests",
        Hue::Green.light(),
        Unit::RequestsPerS,
        stages,
        requests,
    ));
    let panels = [
        Panel {
            name: "output throughput",
            unit: Unit::TokensPerS,
            lines: vec![PanelLine::of(
                "output tokens",
                Hue::Blue.light(),
                Unit::TokensPerS,
                stages,
                tokens,
            )],
        },
        Panel { name: "request rate", unit: Unit::RequestsPerS, lines: rates },
    ];
    let told: Vec<String> = stages
        .iter()
        .map(|s| {
            let text = |v: Option<f64>| v.map_or_else(|| "–".into(), number);
            format!(
                "{}: {} output tok/s, {} req/s.",
                s.stage,
                text(s.output_tokens_per_s),
                text(s.requests_per_s)
            )
        })
        .collect();
    let words = Words {
        id: match axis {
            LoadAxis::Streams => "throughput-by-concurrency",
            LoadAxis::Rate => "throughput-by-rate",
        },
        title: format!("Throughput over {}", axis.words()),
        note: match axis {
            LoadAxis::Streams => {
                "While the line climbs, more users cost nothing; where it goes flat, the server is \
                 full and every further user only waits."
            }
            LoadAxis::Rate => {
                "While as many requests are completed as are due, the server keeps up. Where the \
                 lines part, it is full and the queue grows for as long as requests keep coming."
            }
        }
        .into(),
        alt: format!("Output throughput and request rate by {}. {}", axis.words(), told.join(" ")),
    };
    draw(words, axis, &panels)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vllm_bench_record::Level;

    use super::*;

    #[test]
    fn two_panels_on_one_axis() {
        let stage = |users, tokens, requests| StagePoint {
            requests: 40,
            failed: 1,
            output_tokens_per_s: Some(tokens),
            requests_per_s: Some(requests),
            ..StagePoint::new(format!("{users} streams"), Level::Concurrency(users))
        };
        // In the order of the run, not of the load.
        let chart = throughput_by_level(&[stage(16, 900.0, 3.5), stage(1, 80.0, 0.3)]);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(option["series"][0]["data"], json!([[1.0, 80.0], [16.0, 900.0]]));
        assert_eq!(option["series"][1]["data"], json!([[1.0, 0.3], [16.0, 3.5]]));
        assert_eq!(option["series"][1]["yAxisIndex"], 1.0);
        assert_eq!(option["xAxis"][0]["type"], "log");
        assert_eq!(option["yAxis"][0]["name"], "output throughput (tok/s)");
        assert_eq!(chart.hover.lines[0][1], ["16 streams", "900 tok/s", "40 requests, 1 failed"]);
    }
}
