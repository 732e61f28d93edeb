//! The server over run time, from its own `/metrics`: requests, KV cache, preemptions.

use super::gpu::Gauge;
use super::input::{TimeSeries, Timeline};
use super::named::{NamedChart, Unit};

/// Requests running and waiting in the server, one series each and a server.
pub fn engine_requests(series: &[TimeSeries], timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "engine-requests",
        title: "Requests in the server",
        note: "In a closed loop as many should run as the stage has streams. Waiting above zero: \
               the server's batch is full, and TTFT pays for it.",
        axis: "requests",
        unit: Unit::Requests,
        max: None,
        level: None,
        slider: false,
    }
    .draw(series, timeline)
}

/// KV-cache use in percent, one series a server.
pub fn engine_kv_cache(series: &[TimeSeries], timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "engine-kv-cache",
        title: "KV-cache use",
        note: "At 100 % there is no room for another token: new requests wait, and running ones are preempted.",
        axis: "KV cache in use",
        unit: Unit::Percent,
        max: Some(100.0),
        level: None,
        slider: false,
    }
    .draw(series, timeline)
}

/// Preemptions since the run's start, one series a server.
pub fn engine_preemptions(series: &[TimeSeries], timeline: &Timeline) -> NamedChart {
    Gauge {
        id: "engine-preemptions",
        title: "Preemptions",
        note: "Requests thrown out of a full KV cache since the run began; each is computed again later. \
               Flat at zero is right.",
        axis: "preemptions since run start",
        unit: Unit::Preemptions,
        max: None,
        level: None,
        slider: true,
    }
    .draw(series, timeline)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn running_and_waiting_are_two_lines() {
        let series = |name: &str| TimeSeries { name: name.into(), points: vec![(0.5, Some(4.0))] };
        let timeline = Timeline { bands: vec![], end_s: 1.0 };
        let chart = engine_requests(&[series("running"), series("waiting")], &timeline);
        let option: Value = serde_json::from_str(&chart.option_json).expect("an option is JSON");
        assert_eq!(option["series"][1]["name"], "waiting");
        assert_eq!(option["yAxis"]["minInterval"], 1.0);
        let kv = engine_kv_cache(&[series("server 0")], &timeline);
        let option: Value = serde_json::from_str(&kv.option_json).expect("an option is JSON");
        assert_eq!(option["yAxis"]["max"], 100.0);
        assert!(engine_preemptions(&[], &timeline).alt.starts_with("Preemptions over the run."));
    }
}
