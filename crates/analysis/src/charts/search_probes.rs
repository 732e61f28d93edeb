//! A capacity search: the load of each probe in the order in which they were made.

use charming::Chart;
use charming::element::{ItemStyle, LabelPosition, Symbol};
use charming::series::Scatter;
use serde_json::{Value, json};
use vllm_bench_record::{Level, ProbeOutcome};

use super::input::{ProbePoint, SearchPoints};
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::palette::Hue;

/// One point a probe, with a mark for how it came out, and the answer as a level.
pub fn search_probes(search: &SearchPoints) -> NamedChart {
    let probes = &search.probes;
    let (name, unit) = match probes.first().map(|p| p.level) {
        Some(Level::Rate(_)) | None => ("requests asked for", Unit::RequestsPerS),
        Some(Level::Concurrency(_)) => ("concurrency", Unit::Streams),
    };
    let at = |(n, probe): (usize, &ProbePoint)| (n as f64, probe.level.value());
    let path: Vec<(f64, f64)> = (1..).zip(probes).map(at).collect();
    let heights: Vec<f64> = path.iter().map(|p| p.1).collect();
    let log = kit::long_tailed(&heights);
    let mut y = kit::y_axis(name, Some(unit), log);
    y = if log { y.scale(true) } else { y.min(0) };
    let mut way = kit::line("order of probes", Hue::Grey.light(), 1.0, &path);
    if let Some(answer) = search.answer {
        let level = (
            format!("answer: {}", answer.with_unit()),
            answer.value(),
            LabelPosition::InsideStartTop,
        );
        way = way.mark_line(kit::levels(Hue::Green.light(), vec![level]));
    }
    let mut x = kit::x_axis("probe", None, false).min(0.5).max(path.len() as f64 + 0.5);
    x = x.min_interval(1);
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::item_tooltip())
        .grid(kit::grid(false))
        .x_axis(x)
        .y_axis(y)
        .series(way);
    let mut hover = Hover {
        x_name: "probe".into(),
        y_units: vec![unit],
        lines: vec![probes.iter().map(|p| p.lines.clone()).collect()],
        ..Hover::default()
    };
    let outcomes = [
        (ProbeOutcome::Holds, "objectives held", Hue::Green, Symbol::Circle),
        (ProbeOutcome::Fails, "did not hold", Hue::Vermillion, Symbol::Diamond),
        (ProbeOutcome::Unclear, "unclear", Hue::Orange, Symbol::Triangle),
    ];
    for (outcome, name, hue, symbol) in outcomes {
        let of: Vec<(usize, &ProbePoint)> =
            (1..).zip(probes).filter(|(_, p)| p.outcome == outcome).collect();
        if of.is_empty() {
            continue;
        }
        chart = chart.series(
            Scatter::new()
                .name(name)
                .symbol(symbol)
                .symbol_size(13)
                .item_style(ItemStyle::new().color(hue.light()))
                .data(of.iter().copied().map(at).map(|(x, y)| kit::point(x, y)).collect()),
        );
        hover.lines.push(of.into_iter().map(|(_, p)| p.lines.clone()).collect());
    }
    for zoom in kit::zooms(1, false) {
        chart = chart.data_zoom(zoom);
    }
    let told: Vec<String> = probes.iter().map(|p| p.lines.join(", ")).collect();
    let words = Words {
        id: "search-probes",
        title: "The search, probe by probe".into(),
        note: "Up to the first load that does not hold, then ever closer to the edge between what holds \
               and what does not; the last probes confirm the answer."
            .into(),
        alt: format!("The load of each probe of the search and how it came out. {}.", told.join(". ")),
    };
    finish(words, 320, ZoomGroup::Alone, hover, &chart, |option| {
        kit::tame_zooms(option);
        // The ends lie between probes.
        if let Some(axis) = option.get_mut("xAxis").and_then(Value::as_object_mut) {
            let hidden = json!({ "showMinLabel": false, "showMaxLabel": false });
            axis.insert("axisLabel".into(), hidden);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_for_each_outcome_and_the_answer() {
        let probe = |rate, outcome, word: &str| ProbePoint {
            level: Level::Rate(rate),
            outcome,
            lines: vec![format!("probe at {rate} req/s"), word.into()],
        };
        let search = SearchPoints {
            probes: vec![
                probe(1.0, ProbeOutcome::Holds, "holds"),
                probe(2.0, ProbeOutcome::Fails, "fails"),
                probe(1.5, ProbeOutcome::Unclear, "unclear"),
                probe(1.5, ProbeOutcome::Holds, "holds"),
            ],
            answer: Some(Level::Rate(1.5)),
        };
        let chart = search_probes(&search);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(
            option["series"][0]["data"],
            json!([[1.0, 1.0], [2.0, 2.0], [3.0, 1.5], [4.0, 1.5]])
        );
        assert_eq!(option["series"][0]["markLine"]["data"][0]["name"], "answer: 1.5 req/s");
        assert_eq!(option["xAxis"]["axisLabel"]["showMinLabel"], false);
        assert_eq!(option["series"][1]["data"], json!([[1.0, 1.0], [4.0, 1.5]]));
        assert_eq!(option["series"][2]["symbol"], "diamond");
        assert_eq!(chart.hover.lines[3], [["probe at 1.5 req/s", "unclear"]]);
        assert!(chart.alt.contains("probe at 2 req/s, fails"), "{}", chart.alt);
    }
}
