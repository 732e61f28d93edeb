//! Several runs over concurrency: the charts of a comparison, one colour a run.

use super::input::{Figure, RunPoints, StagePoint};
use super::named::{NamedChart, Unit, Words};
use super::over_concurrency::{Panel, PanelLine, draw};
use super::palette::Hue;

/// Throughput, TTFT, TPOT and E2E latency of `runs`, in this order.
pub fn comparison(runs: &[RunPoints]) -> Vec<NamedChart> {
    let panel = |name, unit, of: fn(&StagePoint) -> Option<Figure>| Panel {
        name,
        unit,
        lines: runs
            .iter()
            .enumerate()
            .map(|(i, r)| PanelLine::of(&r.run, Hue::nth(i).light(), unit, &r.stages, of))
            .collect(),
    };
    let words = |id, title: &str, note: &str| {
        let names: Vec<&str> = runs.iter().map(|r| r.run.as_str()).collect();
        Words {
            id,
            title: title.into(),
            note: note.into(),
            alt: format!("{title} by concurrency of the runs {}; figures in the table.", names.join(", ")),
        }
    };
    vec![
        draw(
            words(
                "compare-throughput",
                "Throughput",
                "Higher is better. Runs part where one server is full before the other.",
            ),
            &[
                panel("output throughput", Unit::TokensPerS, |s| s.output_tokens_per_s.map(Figure::new)),
                panel("request rate", Unit::RequestsPerS, |s| s.requests_per_s.map(Figure::new)),
            ],
        ),
        draw(
            words(
                "compare-ttft",
                "Time to first token",
                "Lower is better. The median says what most users see, p95 what the unlucky ones see.",
            ),
            &[
                panel("TTFT p50", Unit::Ms, |s| s.ttft_ms.p50),
                panel("TTFT p95", Unit::Ms, |s| s.ttft_ms.p95),
            ],
        ),
        draw(
            words(
                "compare-tpot",
                "Time per output token",
                "Lower is better: the pace of the text once it has begun.",
            ),
            &[
                panel("TPOT p50", Unit::Ms, |s| s.tpot_ms.p50),
                panel("TPOT p95", Unit::Ms, |s| s.tpot_ms.p95),
            ],
        ),
        draw(
            words(
                "compare-e2e",
                "Latency",
                "Lower is better, for equal lengths of answers: compare those in the table first.",
            ),
            &[
                panel("E2E p50", Unit::Ms, |s| s.e2e_ms.p50),
                panel("E2E p95", Unit::Ms, |s| s.e2e_ms.p95),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn one_colour_a_run_in_every_panel() {
        let run = |name: &str, tokens| RunPoints {
            run: name.into(),
            stages: vec![StagePoint {
                stage: "4 streams".into(),
                concurrency: 4,
                output_tokens_per_s: Some(tokens),
                requests_per_s: Some(1.0),
                ..StagePoint::default()
            }],
        };
        let charts = comparison(&[run("a", 10.0), run("b", 20.0)]);
        assert_eq!(charts.len(), 4);
        let option: Value = serde_json::from_str(&charts[0].option_json).expect("an option is JSON");
        let colour = |i: usize| option["series"][i]["lineStyle"]["color"].clone();
        assert_eq!(option["series"].as_array().map(Vec::len), Some(4));
        assert_eq!(colour(0), colour(2));
        assert_ne!(colour(0), colour(1));
        assert_eq!(option["series"][1]["name"], "b");
    }
}
