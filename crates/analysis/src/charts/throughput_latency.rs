//! The throughput–latency curve: one point a stage, the objective and the knee marked.

use charming::Chart;
use charming::element::{LabelPosition, Symbol};
use serde_json::{Value, json};

use super::input::{Goal, StagePoint};
use super::kit;
use super::named::{Hover, NamedChart, Unit, Words, ZoomGroup, finish};
use super::over_level::{basis, read};
use super::palette::{Hue, Ramp};
use super::text::{duration_ms, number};

/// The latency that `goal` names against output throughput, stages by load.
pub fn throughput_latency(stages: &[StagePoint], goal: &Goal) -> NamedChart {
    let mut points: Vec<(&StagePoint, f64, f64)> =
        stages.iter().filter_map(|s| Some((s, s.output_tokens_per_s?, s.goal_ms?.value))).collect();
    points.sort_by(|a, b| a.0.level.total_cmp(b.0.level));
    let knee = knee(&points.iter().map(|p| (p.1, p.2)).collect::<Vec<_>>());
    let limit = goal.limit_ms;
    let heights: Vec<f64> = points.iter().map(|p| p.2).chain(limit).collect();
    let log = kit::long_tailed(&heights);

    let xy: Vec<(f64, f64)> = points.iter().map(|p| (p.1, p.2)).collect();
    let mut line = kit::line("one stage a point", Hue::Grey.light(), 1.5, &xy)
        .symbol(Symbol::Circle)
        .symbol_size(11);
    if let Some(limit) = limit {
        let name = format!("objective: {} ≤ {}", goal.name, duration_ms(limit));
        let level = (name, limit, LabelPosition::InsideStartTop);
        line = line.mark_line(kit::levels(Hue::Vermillion.light(), vec![level]));
    }
    // ECharts scales an axis to the series, not to its marks.
    let top = limit.filter(|l| heights.iter().all(|h| h <= l)).map(|l| kit::rounded(l * 1.15));
    let mut y = kit::y_axis(&goal.name, Some(Unit::Ms), log);
    y = if log { y.scale(true) } else { y.min(0) };
    if let Some(top) = top {
        y = y.max(top);
    }
    let mut chart = Chart::new()
        .legend(kit::legend())
        .tooltip(kit::item_tooltip())
        .grid(kit::grid(false))
        .x_axis(kit::x_axis("output throughput", Some(Unit::TokensPerS), false).min(0))
        .y_axis(y)
        .series(line);
    for zoom in kit::zooms(1, false) {
        chart = chart.data_zoom(zoom);
    }

    let hover_lines = points
        .iter()
        .enumerate()
        .map(|(i, &(s, rate, _))| {
            let mut lines = vec![s.stage.clone(), format!("{} output tok/s", number(rate))];
            lines.extend(s.goal_ms.map(|f| format!("{} {}", goal.name, read(f, Unit::Ms))));
            lines.extend(s.requests_per_s.map(|r| format!("{} req/s", number(r))));
            lines.push(basis(s));
            if Some(i) == knee {
                lines.push("knee: past it latency grows faster than throughput".into());
            }
            lines
        })
        .collect();
    let hover = Hover {
        x_name: "output throughput".into(),
        x_unit: Some(Unit::TokensPerS),
        y_units: vec![Unit::Ms],
        lines: vec![hover_lines],
        ..Hover::default()
    };
    let told: Vec<String> = points
        .iter()
        .map(|(s, rate, ms)| {
            format!("{}: {} tok/s at {}.", s.stage, number(*rate), duration_ms(*ms))
        })
        .collect();
    let words = Words {
        id: "throughput-latency",
        title: format!("{} against throughput", goal.name),
        note: "Right is more work done, up is a longer wait. The best place is the bend: \
               the furthest point to the right before the line turns up."
            .into(),
        alt: format!(
            "{} against output throughput, one point a stage. {}",
            goal.name,
            told.join(" ")
        ),
    };
    let ramp = Ramp::new(points.len());
    finish(words, 380, ZoomGroup::Alone, hover, &chart, |option| {
        kit::tame_zooms(option);
        let data = option
            .get_mut("series")
            .and_then(|s| s.get_mut(0))
            .and_then(|s| s.get_mut("data"))
            .and_then(Value::as_array_mut);
        for (i, point) in data.into_iter().flatten().enumerate() {
            let (stage, at_knee) = (points[i].0, Some(i) == knee);
            let name =
                if at_knee { format!("{} · knee", stage.stage) } else { stage.stage.clone() };
            *point = json!({
                "value": point.take(),
                "name": name,
                "symbolSize": if at_knee { 16 } else { 11 },
                "itemStyle": { "color": ramp.light(i), "borderColor": Hue::Ink.light(),
                    "borderWidth": if at_knee { 2 } else { 0 } },
                "label": { "show": true, "formatter": "{b}", "position": "top", "distance": 8 },
            });
        }
    })
}

/// The point furthest below the chord from the first to the last one, both axes
/// scaled to 1 (Satopää et al. 2011); `None` without a clear bend.
fn knee(points: &[(f64, f64)]) -> Option<usize> {
    if points.len() < 4 {
        return None;
    }
    let scale = |pick: fn(&(f64, f64)) -> f64| {
        let low = points.iter().map(pick).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(pick).fold(f64::NEG_INFINITY, f64::max);
        move |v: f64| if high > low { (v - low) / (high - low) } else { 0.0 }
    };
    let (x, y) = (scale(|p| p.0), scale(|p| p.1));
    let (index, gain) = points
        .iter()
        .enumerate()
        .map(|(i, p)| (i, x(p.0) - y(p.1)))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    (gain > 0.15 && index > 0 && index + 1 < points.len()).then_some(index)
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::Level;

    use super::super::input::Figure;
    use super::*;

    fn stage(users: u32, rate: f64, ms: f64) -> StagePoint {
        StagePoint {
            requests: 50,
            output_tokens_per_s: Some(rate),
            goal_ms: Some(Figure::new(ms)),
            ..StagePoint::new(format!("{users} streams"), Level::Concurrency(users))
        }
    }

    #[test]
    fn the_knee_is_where_latency_takes_off() {
        assert_eq!(knee(&[(10.0, 1.0), (40.0, 2.0), (90.0, 4.0), (100.0, 40.0)]), Some(2));
        assert_eq!(knee(&[(10.0, 10.0), (20.0, 20.0), (30.0, 30.0), (40.0, 40.0)]), None);
        assert_eq!(knee(&[(10.0, 1.0), (90.0, 2.0), (100.0, 40.0)]), None);
    }

    #[test]
    fn points_objective_and_words() {
        let stages = [stage(1, 90.0, 120.0), stage(8, 600.0, 300.0), stage(4, 300.0, 150.0)];
        let goal = Goal { name: "TTFT p95".into(), limit_ms: Some(2_000.0) };
        let chart = throughput_latency(&stages, &goal);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        let data = option["series"][0]["data"].as_array().expect("data");
        assert_eq!(data[1]["value"], json!([300.0, 150.0]));
        assert_eq!(data[1]["name"], "4 streams");
        let mark = &option["series"][0]["markLine"]["data"][0];
        assert_eq!(mark["name"], "objective: TTFT p95 ≤ 2,000 ms");
        assert_eq!(mark["yAxis"], 2_000.0);
        assert_eq!(option["yAxis"]["max"], 2_300.0);
        assert!(chart.alt.contains("8 streams: 600 tok/s at 300 ms."));
    }
}
