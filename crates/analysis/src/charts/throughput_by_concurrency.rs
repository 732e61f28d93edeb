//! Output throughput and request rate over concurrency.

use super::input::{Figure, StagePoint};
use super::named::{NamedChart, Unit, Words};
use super::over_concurrency::{Panel, PanelLine, draw};
use super::palette::Hue;
use super::text::number;

/// Output tokens and completed requests per second, one point a stage.
pub fn throughput_by_concurrency(stages: &[StagePoint]) -> NamedChart {
    let tokens = |s: &StagePoint| s.output_tokens_per_s.map(Figure::new);
    let requests = |s: &StagePoint| s.requests_per_s.map(Figure::new);
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
        Panel {
            name: "request rate",
            unit: Unit::RequestsPerS,
            lines: vec![PanelLine::of(
                "completed requests",
                Hue::Green.light(),
                Unit::RequestsPerS,
                stages,
                requests,
            )],
        },
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
        id: "throughput-by-concurrency",
        title: "Throughput over concurrency".into(),
        note: "While the line climbs, more users cost nothing; where it goes flat, the server is \
               full and every further user only waits."
            .into(),
        alt: format!("Output throughput and request rate by concurrency. {}", told.join(" ")),
    };
    draw(words, &panels)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn two_panels_on_one_axis() {
        let stage = |concurrency, tokens, requests| StagePoint {
            stage: format!("{concurrency} streams"),
            concurrency,
            requests: 40,
            failed: 1,
            output_tokens_per_s: Some(tokens),
            requests_per_s: Some(requests),
            ..StagePoint::default()
        };
        // In the order of the run, not of the load.
        let chart = throughput_by_concurrency(&[stage(16, 900.0, 3.5), stage(1, 80.0, 0.3)]);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(option["series"][0]["data"], json!([[1.0, 80.0], [16.0, 900.0]]));
        assert_eq!(option["series"][1]["data"], json!([[1.0, 0.3], [16.0, 3.5]]));
        assert_eq!(option["series"][1]["yAxisIndex"], 1.0);
        assert_eq!(option["xAxis"][0]["type"], "log");
        assert_eq!(option["yAxis"][0]["name"], "output throughput (tok/s)");
        assert_eq!(chart.hover.lines[0][1], ["16 streams", "900 tok/s", "40 requests, 1 failed"]);
    }
}
