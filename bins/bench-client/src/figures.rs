//! What was measured, as rows for people and as one JSON object.

use serde_json::{Map, Value, json};
use vllm_bench_bench::Spread;

use crate::alone::AloneFigure;
use crate::cell::Cell;
use crate::cli::{Cli, What};
use crate::cpus::Cpus;
use crate::peer::PeerCost;
use crate::table::Row;
use crate::target::Target;

/// One run of one client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub cpu_per_token_ns: f64,
    pub tokens_per_second: f64,
    pub peak_rss_bytes: Option<u64>,
    pub arrival_p99_us: Option<f64>,
    pub ttft_p99_us: Option<f64>,
    pub itl_p99_us: Option<f64>,
    pub censored_share: Option<f64>,
}

/// One repetition: both clients, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair {
    pub floor: Sample,
    pub ours: Sample,
}

#[derive(Debug)]
pub(crate) struct CellFigures {
    pub cell: Cell,
    pub pairs: Vec<Pair>,
}

/// What another client costs.
#[derive(Debug)]
pub(crate) struct PeerFigure {
    pub name: &'static str,
    pub streams: u32,
    pub cost: PeerCost,
}

#[derive(Debug)]
pub(crate) struct Figures {
    quick: bool,
    repetitions: u32,
    cpus: Cpus,
    pub cells: Vec<CellFigures>,
    pub alone: Vec<AloneFigure>,
    pub peers: Vec<PeerFigure>,
}

/// One figure of the issue's table.
struct Figure {
    /// The key of the JSON object; under it the streams, where it has several.
    key: &'static str,
    streams: Option<u32>,
    what: String,
    unit: &'static str,
    ours: Spread,
    floor: Option<Spread>,
    target: Option<Target>,
}

impl Figure {
    fn row(self) -> Row {
        Row {
            target: self.target.map_or_else(String::new, Target::say),
            met: self.target.map(|target| target.is_met(self.ours.median)),
            ours: shown(self.ours, self.unit),
            floor: self.floor.map_or_else(String::new, |s| shown(s, self.unit)),
            what: self.what,
        }
    }
}

/// A figure without the floor's beside it; `None` where it was not measured.
fn alone(figure: &AloneFigure) -> Option<Figure> {
    Some(Figure {
        key: figure.key,
        streams: None,
        what: figure.what.into(),
        unit: figure.unit,
        ours: Spread::of(figure.values.iter().copied())?,
        floor: None,
        target: figure.target,
    })
}

impl CellFigures {
    /// A figure of each repetition, where all have it.
    fn spread(&self, of: impl Fn(&Pair) -> Option<f64>) -> Option<Spread> {
        let values: Option<Vec<f64>> = self.pairs.iter().map(of).collect();
        Spread::of(values?)
    }

    /// A figure of both clients: ours, the floor's.
    fn both(&self, of: impl Fn(&Sample) -> Option<f64>) -> (Option<Spread>, Option<Spread>) {
        (self.spread(|pair| of(&pair.ours)), self.spread(|pair| of(&pair.floor)))
    }

    fn figures(&self) -> Vec<Figure> {
        let streams = self.cell.streams;
        let figure = |key, what: &str, unit, several: bool, of: (Option<Spread>, _), target| {
            of.0.map(|ours| Figure {
                key,
                streams: several.then_some(streams),
                what: format!("{what}, {streams} stream{}", if streams == 1 { "" } else { "s" }),
                unit,
                ours,
                floor: of.1,
                target: Some(target),
            })
        };
        let found = match self.cell.what {
            What::Cpu => {
                let ratio =
                    self.spread(|p| Some(p.ours.cpu_per_token_ns / p.floor.cpu_per_token_ns));
                vec![figure(
                    "cpu_per_token_vs_floor",
                    "CPU a token",
                    "× floor",
                    true,
                    (ratio, None),
                    Target::AtMost(1.3),
                )]
            }
            What::Saturated => {
                let ratio =
                    self.spread(|p| Some(p.ours.tokens_per_second / p.floor.tokens_per_second));
                vec![figure(
                    "saturated_vs_floor",
                    "tokens/s absorbed",
                    "× floor",
                    false,
                    (ratio, None),
                    Target::AtLeast(0.8),
                )]
            }
            What::Errors => {
                let most = if streams == 1 { 100.0 } else { 50.0 };
                let arrival = self.both(|s| s.arrival_p99_us);
                let ttft = self.both(|s| s.ttft_p99_us);
                let itl = self.both(|s| s.itl_p99_us);
                let target = Target::AtMost(100.0);
                vec![
                    figure(
                        "arrival_error_p99_us",
                        "arrival error p99",
                        "µs",
                        true,
                        arrival,
                        Target::AtMost(most),
                    ),
                    figure("ttft_error_p99_us", "TTFT error p99", "µs", true, ttft, target),
                    figure("itl_error_p99_us", "ITL error p99", "µs", true, itl, target),
                ]
            }
            What::Stalled => {
                let arrival = self.both(|s| s.arrival_p99_us);
                vec![figure(
                    "arrival_error_p99_us_stalled_512",
                    "arrival error p99, client stalled",
                    "µs",
                    false,
                    arrival,
                    Target::AtMost(50.0),
                )]
            }
            What::Capture => {
                let arrival = self.both(|s| s.arrival_p99_us);
                let itl = self.both(|s| s.itl_p99_us);
                vec![
                    figure(
                        "arrival_error_p99_us_capture_512",
                        "arrival error p99 of every event, client stalled, captured",
                        "µs",
                        false,
                        arrival,
                        Target::AtMost(100.0),
                    ),
                    figure(
                        "itl_error_p99_us_capture_512",
                        "ITL error p99, client stalled, captured",
                        "µs",
                        false,
                        itl,
                        Target::AtMost(200.0),
                    ),
                ]
            }
            // These have no floor beside them: see `alone`.
            _ => Vec::new(),
        };
        found.into_iter().flatten().collect()
    }

    /// Figures without a target, for people: what a ratio is a ratio of.
    fn background(&self) -> Vec<Row> {
        let streams = self.cell.streams;
        let row = |what: &str, unit: &str, of: (Option<Spread>, Option<Spread>)| Row {
            what: format!("{what}, {streams} stream{}", if streams == 1 { "" } else { "s" }),
            ours: of.0.map_or_else(String::new, |s| shown(s, unit)),
            floor: of.1.map_or_else(String::new, |s| shown(s, unit)),
            target: String::new(),
            met: None,
        };
        match self.cell.what {
            What::Cpu => {
                vec![row("CPU a token", "µs", self.both(|s| Some(s.cpu_per_token_ns / 1e3)))]
            }
            What::Saturated => {
                let rate = self.both(|s| Some(s.tokens_per_second / 1e3));
                let cpu = self.both(|s| Some(s.cpu_per_token_ns / 1e3));
                vec![
                    row("saturated: 1,000 tokens/s", "", rate),
                    row("saturated: CPU a token", "µs", cpu),
                ]
            }
            What::Errors | What::Stalled | What::Capture => {
                let censored = self.both(|s| s.censored_share.map(|share| share * 100.0));
                let stalled = match self.cell.what {
                    What::Stalled => ", client stalled",
                    What::Capture => ", client stalled, captured",
                    _ => "",
                };
                let mut rows = vec![row(&format!("censored chunks{stalled}"), "%", censored)];
                if self.cell.stalled() {
                    let cpu = self.both(|s| Some(s.cpu_per_token_ns / 1e3));
                    rows.push(row(&format!("CPU a token{stalled}"), "µs", cpu));
                }
                rows
            }
            _ => Vec::new(),
        }
    }
}

impl Figures {
    pub(crate) fn new(cli: &Cli, cpus: Cpus) -> Self {
        let (quick, repetitions) = (cli.quick, cli.repetitions());
        Self { quick, repetitions, cpus, cells: Vec::new(), alone: Vec::new(), peers: Vec::new() }
    }

    /// The table.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for cell in &self.cells {
            rows.extend(cell.figures().into_iter().map(Figure::row));
            rows.extend(cell.background());
        }
        rows.extend(self.alone.iter().filter_map(alone).map(Figure::row));
        rows.extend(self.peers.iter().map(|peer| Row {
            what: format!("{}: CPU a token, {} streams, start left out", peer.name, peer.streams),
            ours: format!(
                "{:.2} µs{}{}",
                peer.cost.cpu_per_token_ns / 1e3,
                self.peer_ratio(peer).map_or_else(String::new, |r| format!(", {r:.1} × floor")),
                peer.cost.peak_rss_bytes.map_or_else(String::new, |b| format!(", {} MiB", b >> 20))
            ),
            floor: String::new(),
            target: String::new(),
            met: None,
        }));
        rows
    }

    fn peer_ratio(&self, peer: &PeerFigure) -> Option<f64> {
        let cpu = |c: &&CellFigures| c.cell.what == What::Cpu && c.cell.streams == peer.streams;
        let floor = self.cells.iter().find(cpu)?.spread(|p| Some(p.floor.cpu_per_token_ns))?;
        Some(peer.cost.cpu_per_token_ns / floor.median)
    }

    /// One object with the issue's names; medians, and their spread beside them.
    pub(crate) fn json(&self) -> Value {
        let mut all = Map::new();
        let mut spread = Map::new();
        let cells = self.cells.iter().flat_map(CellFigures::figures);
        for figure in cells.chain(self.alone.iter().filter_map(alone)) {
            let range = json!([rounded(figure.ours.min), rounded(figure.ours.max)]);
            put(&mut all, figure.key, figure.streams, json!(rounded(figure.ours.median)));
            put(&mut spread, figure.key, figure.streams, range);
        }
        let mut peers = Map::new();
        for peer in &self.peers {
            let ratio = json!(self.peer_ratio(peer).map(rounded));
            put(&mut peers, peer.name, Some(peer.streams), ratio);
        }
        all.insert("min_max".into(), spread.into());
        if !peers.is_empty() {
            all.insert("peer_cpu_per_token_vs_floor".into(), peers.into());
        }
        let how = json!({
            "repetitions": self.repetitions,
            "quick": self.quick,
            "release": !cfg!(debug_assertions),
            "pinned_apart": self.cpus.pinned.is_some(),
        });
        all.insert("how".into(), how);
        all.into()
    }
}

/// `map[key]`, or `map[key][streams]`, becomes `value`.
fn put(map: &mut Map<String, Value>, key: &str, streams: Option<u32>, value: Value) {
    let Some(streams) = streams else {
        map.insert(key.into(), value);
        return;
    };
    let inner = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        inner.insert(streams.to_string(), value);
    }
}

/// To three decimals, a small figure to five: more are noise.
fn rounded(figure: f64) -> f64 {
    let unit = if figure.abs() < 0.1 { 1e5 } else { 1e3 };
    (figure * unit).round() / unit
}

fn shown(spread: Spread, unit: &str) -> String {
    let number = |v: f64| {
        let digits = match v.abs() {
            100.0.. => 0,
            10.0.. => 1,
            0.1.. => 2,
            _ => 4,
        };
        format!("{v:.digits$}")
    };
    let text = format!("{} {unit}", number(spread.median));
    let text = text.trim_end();
    if spread.count < 2 {
        return text.to_owned();
    }
    format!("{text} ({} to {})", number(spread.min), number(spread.max))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cell::cells;

    fn sample(cost: f64, error: f64) -> Sample {
        Sample {
            cpu_per_token_ns: cost,
            tokens_per_second: 1e9 / cost,
            peak_rss_bytes: Some(30 << 20),
            arrival_p99_us: Some(error),
            ttft_p99_us: Some(error),
            itl_p99_us: Some(error),
            censored_share: Some(0.01),
        }
    }

    fn figures() -> Figures {
        let cli = Cli::parse_from(["x"]);
        let mut figures = Figures::new(&cli, Cpus { pinned: None });
        for cell in cells(&cli) {
            let keep = cell.keeps_arrivals();
            let pair = |cost, error| {
                let mut ours = sample(cost, error);
                if !keep {
                    ours.arrival_p99_us = None;
                }
                Pair { floor: sample(1000.0, 5.0), ours }
            };
            let pairs = vec![pair(1500.0, 60.0), pair(1200.0, 40.0), pair(1250.0, 50.0)];
            figures.cells.push(CellFigures { cell, pairs });
        }
        figures.alone.push(AloneFigure {
            key: "poisson_ks",
            what: "Poisson arrivals",
            unit: "",
            target: Some(Target::AtMost(0.022)),
            values: vec![0.014, 0.018, 0.025],
        });
        figures.peers.push(PeerFigure {
            name: "vllm",
            streams: 64,
            cost: PeerCost { cpu_per_token_ns: 6500.0, peak_rss_bytes: Some(1 << 30) },
        });
        figures
    }

    #[test]
    fn the_object_has_the_names_of_the_issue() {
        let json = figures().json();
        assert_eq!(json["cpu_per_token_vs_floor"]["64"], 1.25);
        assert_eq!(json["min_max"]["cpu_per_token_vs_floor"]["1000"], json!([1.2, 1.5]));
        assert_eq!(json["saturated_vs_floor"], 0.8);
        assert_eq!(json["poisson_ks"], 0.018);
        assert_eq!(json["min_max"]["poisson_ks"], json!([0.014, 0.025]));
        for key in ["arrival_error_p99_us", "ttft_error_p99_us", "itl_error_p99_us"] {
            let streams: Vec<&String> = json[key].as_object().expect(key).keys().collect();
            assert_eq!(streams.len(), 4, "{key}: {streams:?}");
            assert_eq!(json[key]["512"], 50.0, "{key}");
        }
        for key in ["arrival_error_p99_us_stalled_512", "arrival_error_p99_us_capture_512"] {
            assert_eq!(json[key], 50.0, "{key}");
        }
        assert_eq!(json["itl_error_p99_us_capture_512"], 50.0);
        assert_eq!(json["peer_cpu_per_token_vs_floor"]["vllm"]["64"], 6.5);
    }

    #[test]
    fn rows_say_whether_the_target_is_met() {
        let rows = figures().rows();
        let met =
            |what: &str| rows.iter().find(|r| r.what == what && r.met.is_some()).map(|r| r.met);
        assert_eq!(met("CPU a token, 64 streams"), Some(Some(true)));
        assert_eq!(met("arrival error p99, 512 streams"), Some(Some(true)));
        assert_eq!(met("TTFT error p99, 1 stream"), Some(Some(true)));
        assert_eq!(met("tokens/s absorbed, 64 streams"), Some(Some(true)));
        assert_eq!(met("Poisson arrivals"), Some(Some(true)));
        assert!(rows.iter().any(|r| r.what.starts_with("vllm:") && r.ours.contains("6.5 × floor")));
    }

    #[test]
    fn a_figure_stands_with_its_spread() {
        let spread = Spread { median: 1.234, min: 0.9, max: 123.4, count: 3 };
        assert_eq!(shown(spread, "× floor"), "1.23 × floor (0.90 to 123)");
        assert_eq!(shown(Spread { count: 1, ..spread }, ""), "1.23");
    }
}
