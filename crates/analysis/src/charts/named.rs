//! A finished chart: its option, its words, and what the page adds.

use charming::Chart;
use serde::Serialize;
use serde_json::{Map, Value};

/// One chart with everything a page needs to show it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct NamedChart {
    /// File name and anchor: `ttft-cdf`.
    pub id: String,
    /// Heading.
    pub title: String,
    /// A sentence that says what to look for.
    pub note: String,
    /// What the chart shows, with its main figures, for those who do not see it.
    pub alt: String,
    /// The ECharts option, light colours, plain JSON without functions.
    pub option_json: String,
    /// Height on the page, CSS pixels.
    pub height: u32,
    /// Charts that are zoomed together.
    pub group: ZoomGroup,
    /// What the pointer shows.
    pub hover: Hover,
}

/// Which charts share a zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoomGroup {
    /// Zoomed alone.
    Alone,
    /// Zoomed with all charts over run time.
    Time,
}

/// A unit that the page formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Seconds since run start.
    Seconds,
    /// A share in percent.
    Percent,
    /// Tokens per second.
    TokensPerS,
    /// Requests per second.
    RequestsPerS,
    /// Requests.
    Requests,
    /// Tokens.
    Tokens,
    /// Watts.
    Watts,
    /// GiB of memory.
    Gib,
    /// Degrees Celsius.
    Celsius,
    /// Preempted requests.
    Preemptions,
    /// Requests in flight.
    Streams,
}

impl Unit {
    /// As axis titles write it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Seconds => "s",
            Self::Percent => "%",
            Self::TokensPerS => "tok/s",
            Self::RequestsPerS => "req/s",
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Watts => "W",
            Self::Gib => "GiB",
            Self::Celsius => "°C",
            Self::Preemptions => "preemptions",
            Self::Streams => "streams",
        }
    }
}

/// What the pointer shows; the page builds it from text nodes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Hover {
    /// Name of the x axis: `TTFT`.
    pub x_name: String,
    /// Its unit.
    pub x_unit: Option<Unit>,
    /// The unit of each y axis.
    pub y_units: Vec<Unit>,
    /// A distribution: a row reads `63 % ≤ 212 ms`.
    pub distribution: bool,
    /// Ready lines for each series (by position) and each of its points; empty: the page makes them.
    pub lines: Vec<Vec<Vec<String>>>,
    /// Stages for the heading over time: label, short label, start and end in seconds, warm-up.
    pub bands: Vec<(String, String, f64, f64, bool)>,
}

/// The words of a chart.
pub(super) struct Words {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) note: String,
    pub(super) alt: String,
}

/// Turns charming's chart into a [`NamedChart`], `patch` adding what charming lacks.
///
/// charming's own `to_string` would unwrap function marks anywhere in the text,
/// also in a model's name; serde leaves them what they are, a string.
pub(super) fn finish(
    words: Words,
    height: u32,
    group: ZoomGroup,
    hover: Hover,
    chart: &Chart,
    patch: impl FnOnce(&mut Map<String, Value>),
) -> NamedChart {
    let mut option = match serde_json::to_value(chart) {
        Ok(Value::Object(map)) => map,
        // charming's structs are maps of plain values.
        _ => Map::new(),
    };
    option.insert("animation".into(), Value::Bool(false));
    patch(&mut option);
    let Words { id, title, note, alt } = words;
    let option_json = Value::Object(option).to_string();
    NamedChart { id: id.to_owned(), title, note, alt, option_json, height, group, hover }
}
