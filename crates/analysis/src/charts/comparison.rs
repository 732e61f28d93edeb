//! Several runs over load: the charts of a comparison, one colour a run.

use charming::Chart;
use charming::element::Symbol;

use super::input::{Figure, RunPoints, StagePoint};
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::over_level::{LoadAxis, Panel, PanelLine, basis, draw, read};
use super::palette::Hue;
use super::text::number;

/// The throughput–latency curve, throughput, TTFT, TPOT and E2E latency of `runs`.
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
            alt: format!("{title} by load of the runs {}; figures in the table.", names.join(", ")),
        }
    };
    let mut charts = vec![curve(
        runs,
        words(
            "compare-throughput-latency",
            "TTFT p95 against throughput",
            "One point a stage, more load to the right. The better run is the lower one at the same \
             throughput, and the one that gets further right before it turns up.",
        ),
    )];
    // Users at once and requests a second do not share an axis.
    let has = |axis: LoadAxis| runs.iter().flat_map(|r| &r.stages).any(|s| axis.holds(s.level));
    let axes = [LoadAxis::Streams, LoadAxis::Rate].into_iter().filter(|axis| has(*axis));
    for (axis, both) in axes.map(|axis| (axis, has(LoadAxis::Streams))) {
        // Where both axes are drawn, the second set of charts has ids of its own.
        let second = both && axis == LoadAxis::Rate;
        let id = |first, other| if second { other } else { first };
        let over = |title: &str| format!("{title} over {}", axis.words());
        charts.push(draw(
            words(
                id("compare-throughput", "compare-throughput-by-rate"),
                &over("Throughput"),
                "Higher is better. Runs part where one server is full before the other.",
            ),
            axis,
            &[
                panel("output throughput", Unit::TokensPerS, |s| {
                    s.output_tokens_per_s.map(Figure::new)
                }),
                panel("request rate", Unit::RequestsPerS, |s| s.requests_per_s.map(Figure::new)),
            ],
        ));
        charts.push(draw(
            words(
                id("compare-ttft", "compare-ttft-by-rate"),
                &over("Time to first token"),
                "Lower is better. The median says what most users see, p95 what the unlucky ones see.",
            ),
            axis,
            &[
                panel("TTFT p50", Unit::Ms, |s| s.ttft_ms.p50),
                panel("TTFT p95", Unit::Ms, |s| s.ttft_ms.p95),
            ],
        ));
        charts.push(draw(
            words(
                id("compare-tpot", "compare-tpot-by-rate"),
                &over("Time per output token"),
                "Lower is better: the pace of the text once it has begun.",
            ),
            axis,
            &[
                panel("TPOT p50", Unit::Ms, |s| s.tpot_ms.p50),
                panel("TPOT p95", Unit::Ms, |s| s.tpot_ms.p95),
            ],
        ));
        charts.push(draw(
            words(
                id("compare-e2e", "compare-e2e-by-rate"),
                &over("Latency"),
                "Lower is better, for equal lengths of answers: compare those in the table first.",
            ),
            axis,
            &[
                panel("E2E p50", Unit::Ms, |s| s.e2e_ms.p50),
                panel("E2E p95", Unit::Ms, |s| s.e2e_ms.p95),
            ],
        ));
    }
    charts
}

fn curve(runs: &[RunPoints], words: Words) -> NamedChart {
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::item_tooltip())
        .grid(kit::grid(false))
        .x_axis(kit::x_axis("output throughput", Some(Unit::TokensPerS), false).min(0));
    let mut hover = Hover { y_units: vec![Unit::Ms], ..Hover::default() };
    let mut heights = Vec::new();
    let mut lines = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let mut stages: Vec<&StagePoint> = run.stages.iter().collect();
        stages.sort_by(|a, b| a.level.total_cmp(b.level));
        let drawn: Vec<(f64, f64, Vec<String>)> = stages
            .into_iter()
            .filter_map(|s| {
                let (rate, ttft) = (s.output_tokens_per_s?, s.ttft_ms.p95?);
                let text = vec![
                    format!("{}, {}", run.run, s.stage),
                    format!("{} output tok/s", number(rate)),
                    format!("TTFT p95 {}", read(ttft, Unit::Ms)),
                    basis(s),
                ];
                Some((rate, ttft.value, text))
            })
            .collect();
        heights.extend(drawn.iter().map(|d| d.1));
        let points: Vec<(f64, f64)> = drawn.iter().map(|d| (d.0, d.1)).collect();
        hover.lines.push(drawn.into_iter().map(|d| d.2).collect());
        let line = kit::line(&run.run, Hue::nth(i).light(), 2.0, &points);
        lines.push(line.symbol(Symbol::Circle).symbol_size(9));
    }
    let log = kit::long_tailed(&heights);
    let y = kit::y_axis("TTFT p95", Some(Unit::Ms), log);
    chart = chart.y_axis(if log { y.scale(true) } else { y.min(0) });
    for line in lines {
        chart = chart.series(line);
    }
    for zoom in kit::zooms(1, false) {
        chart = chart.data_zoom(zoom);
    }
    finish(words, 380, ZoomGroup::Alone, hover, &chart, kit::tame_zooms)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vllm_bench_record::Level;

    use super::super::input::Quantiles;
    use super::*;

    #[test]
    fn one_colour_a_run_in_every_panel() {
        let run = |name: &str, tokens| RunPoints {
            run: name.into(),
            stages: vec![StagePoint {
                output_tokens_per_s: Some(tokens),
                requests_per_s: Some(1.0),
                ttft_ms: Quantiles { p95: Some(Figure::new(150.0)), ..Quantiles::default() },
                ..StagePoint::new("4 streams", Level::Concurrency(4))
            }],
        };
        let charts = comparison(&[run("a", 10.0), run("b", 20.0)]);
        assert_eq!(charts.len(), 5);
        let option: Value =
            serde_json::from_str(&charts[1].option_json).expect("an option is JSON");
        let colour = |i: usize| option["series"][i]["lineStyle"]["color"].clone();
        assert_eq!(option["series"].as_array().map(Vec::len), Some(4));
        assert_eq!(colour(0), colour(2));
        assert_ne!(colour(0), colour(1));
        assert_eq!(option["series"][1]["name"], "b");
        let curve: Value = serde_json::from_str(&charts[0].option_json).expect("an option is JSON");
        assert_eq!(curve["series"][1]["data"], serde_json::json!([[20.0, 150.0]]));
        assert_eq!(charts[0].hover.lines[1][0][0], "b, 4 streams");
    }
}
