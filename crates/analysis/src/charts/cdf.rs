//! The three distributions: TTFT, E2E latency and per-request throughput, one line a stage.

use charming::Chart;
use charming::element::{LabelPosition, MarkLine, Step};

use super::input::StageSamples;
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::{Hue, Ramp};
use super::text::number;
use super::thin;

/// Time to first token, one line a stage; values in milliseconds.
pub fn ttft_cdf(stages: &[StageSamples]) -> NamedChart {
    let note = "The further right a line, the longer its users wait for the first token; \
                a line that leans over at the top has a slow tail.";
    cdf("ttft-cdf", "Time to first token: distribution", note, "TTFT", Unit::Ms, stages)
}

/// E2E latency, one line a stage; values in milliseconds.
pub fn latency_cdf(stages: &[StageSamples]) -> NamedChart {
    let note = "How long whole answers take. Steps come from answers of equal length; \
                the distance between the lines is what more load costs.";
    cdf("latency-cdf", "Latency: distribution", note, "E2E latency", Unit::Ms, stages)
}

/// Output tokens per second of one request's E2E latency, one line a stage.
pub fn throughput_cdf(stages: &[StageSamples]) -> NamedChart {
    let note = "How fast a single user sees text. Here left is worse: look at the lowest \
                part of each line for the users who are served slowest.";
    cdf(
        "throughput-cdf",
        "Throughput of a request: distribution",
        note,
        "output rate",
        Unit::TokensPerS,
        stages,
    )
}

fn cdf(
    id: &'static str,
    title: &str,
    note: &str,
    name: &str,
    unit: Unit,
    stages: &[StageSamples],
) -> NamedChart {
    let stages: Vec<_> = stages.iter().filter(|s| !s.values.is_empty()).collect();
    let ramp = Ramp::new(stages.len());
    let log = kit::long_tailed(stages.iter().flat_map(|s| &s.values));
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::axis_tooltip())
        .grid(kit::grid(true))
        .x_axis(kit::x_axis(name, Some(unit), log).scale(true))
        .y_axis(kit::y_axis("requests at or below", Some(Unit::Percent), false).min(0).max(100));
    for zoom in kit::zooms(1, true) {
        chart = chart.data_zoom(zoom);
    }
    let mut figures = Vec::new();
    for (rank, stage) in stages.iter().enumerate() {
        let points = thin::distribution(&stage.values, thin::LINE_CAP);
        figures.push(sentence(stage, unit));
        let mut line = kit::line(&stage.stage, &ramp.light(rank), 2.0, &points).step(Step::End);
        if rank == 0 {
            line = line.mark_line(percentile_marks());
        }
        chart = chart.series(line);
    }
    let hover = Hover {
        x_name: name.into(),
        x_unit: Some(unit),
        y_units: vec![Unit::Percent],
        distribution: true,
        ..Hover::default()
    };
    let alt = if figures.is_empty() {
        format!("Cumulative distribution of {name}: no request was measured.")
    } else {
        format!("Cumulative distribution of {name}, one line a stage. {}", figures.join(" "))
    };
    let words = Words { id, title: title.into(), note: note.into(), alt };
    finish(words, 380, ZoomGroup::Alone, hover, &chart, kit::tame_zooms)
}

/// p50, p95 and p99 as levels: where a line crosses one, its x is that percentile.
fn percentile_marks() -> MarkLine {
    let marks = [
        ("p50", 50.0, LabelPosition::InsideEndTop),
        ("p95", 95.0, LabelPosition::InsideEndBottom),
        ("p99", 99.0, LabelPosition::InsideEndTop),
    ];
    kit::levels(Hue::Grey.light(), marks.map(|(n, at, p)| (n.to_owned(), at, p)).into())
}

fn sentence(stage: &StageSamples, unit: Unit) -> String {
    let mut sorted: Vec<f64> = stage.values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |q| thin::quantile(&sorted, q).map_or_else(|| "–".into(), number);
    format!(
        "{}: p50 {}, p95 {}, p99 {} {} of {} requests.",
        stage.stage,
        at(0.5),
        at(0.95),
        at(0.99),
        unit.symbol(),
        sorted.len()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn stage(name: &str, values: &[f64]) -> StageSamples {
        StageSamples { stage: name.into(), values: values.into() }
    }

    fn option(chart: &NamedChart) -> Value {
        serde_json::from_str(&chart.option_json).expect("an option is JSON")
    }

    #[test]
    fn one_line_a_stage_with_its_distribution() {
        let chart = ttft_cdf(&[stage("1 stream", &[20.0, 10.0]), stage("4 streams", &[30.0])]);
        let option = option(&chart);
        let series = option["series"].as_array().expect("series");
        assert_eq!(series.len(), 2);
        assert_eq!(series[0]["name"], "1 stream");
        assert_eq!(series[0]["data"], serde_json::json!([[10.0, 50.0], [20.0, 100.0]]));
        assert_eq!(series[0]["markLine"]["data"].as_array().map(Vec::len), Some(3));
        assert_eq!(series[1]["data"], serde_json::json!([[30.0, 100.0]]));
        assert_eq!(option["xAxis"]["name"], "TTFT (ms)");
        assert_eq!(option["xAxis"]["type"], "value");
        assert!(chart.alt.contains("1 stream: p50 15.0, p95 19.5, p99 19.9 ms of 2 requests"));
    }

    #[test]
    fn a_long_tail_gets_a_logarithmic_axis() {
        let chart = latency_cdf(&[stage("8 streams", &[10.0, 1_000.0])]);
        assert_eq!(option(&chart)["xAxis"]["type"], "log");
    }

    #[test]
    fn a_stage_without_values_has_no_line() {
        let chart = throughput_cdf(&[stage("1 stream", &[]), stage("4 streams", &[7.0])]);
        assert_eq!(option(&chart)["series"].as_array().map(Vec::len), Some(1));
        let empty = throughput_cdf(&[]);
        assert!(empty.alt.contains("no request was measured"));
    }

    #[test]
    fn function_marks_in_names_stay_text() {
        let name = "#*#*#*#alert(1)#*#*#*#";
        let option = option(&ttft_cdf(&[stage(name, &[1.0])]));
        assert_eq!(option["series"][0]["name"], name);
    }
}
