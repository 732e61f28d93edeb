//! The figures of an [`Economy`] as columns, the same for every surface.

use super::{Economy, EnergySource, Prices};
use crate::summary::Summary;
use crate::text;

/// One figure of an economy.
pub(crate) struct EconomyColumn {
    /// Its name with its unit in CSV files.
    pub(crate) key: &'static str,
    /// Two lines of a narrow head: what of, and the unit.
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// The name where there is room.
    pub(crate) long: &'static str,
    pub(crate) of: fn(&Economy) -> Option<f64>,
    /// It stands in the table of 80 columns, too.
    pub(crate) narrow: bool,
}

/// Every figure, in order.
pub(crate) const COLUMNS: [EconomyColumn; 11] = [
    EconomyColumn {
        key: "output_tokens_per_s_per_gpu",
        group: "tok/s",
        name: "a GPU",
        long: "output tok/s per GPU",
        of: |e| e.output_tokens_per_s_per_gpu,
        narrow: true,
    },
    EconomyColumn {
        key: "gpu_power_w",
        group: "watts",
        name: "mean",
        long: "power, W",
        of: |e| Some(e.energy?.mean_w),
        narrow: true,
    },
    EconomyColumn {
        key: "gpu_idle_power_w",
        group: "watts",
        name: "idle",
        long: "idle power, W",
        of: |e| e.energy?.idle_w,
        narrow: true,
    },
    EconomyColumn {
        key: "energy_per_output_token_j",
        group: "J/token",
        name: "all",
        long: "J per output token",
        of: |e| e.energy?.per_output_token_j,
        narrow: true,
    },
    EconomyColumn {
        key: "energy_above_idle_per_output_token_j",
        group: "J/token",
        name: "no idle",
        long: "J per output token above idle",
        of: |e| e.energy?.above_idle_per_output_token_j,
        narrow: true,
    },
    EconomyColumn {
        key: "energy_per_request_j",
        group: "J",
        name: "a request",
        long: "J per request",
        of: |e| e.energy?.per_request_j,
        narrow: false,
    },
    EconomyColumn {
        key: "cost_per_million_output_tokens",
        group: "cost of 1M",
        name: "output",
        long: "cost of 1M output tokens",
        of: |e| e.per_million_output_tokens,
        narrow: true,
    },
    EconomyColumn {
        key: "cost_per_million_tokens",
        group: "cost of 1M",
        name: "total",
        long: "cost of 1M tokens, prompts too",
        of: |e| e.per_million_tokens,
        narrow: true,
    },
    EconomyColumn {
        key: "cost_per_thousand_requests",
        group: "cost of 1,000",
        name: "requests",
        long: "cost of 1,000 requests",
        of: |e| e.per_thousand_requests,
        narrow: false,
    },
    EconomyColumn {
        key: "readers_kept_up_percent",
        group: "readers",
        name: "% kept",
        long: "answers as fast as people read, %",
        of: |e| Some(e.readers?.kept_up * 100.0),
        narrow: true,
    },
    EconomyColumn {
        key: "readers_fed",
        group: "readers",
        name: "fed",
        long: "readers fed at once",
        of: |e| e.readers?.fed,
        narrow: true,
    },
];

/// The columns in which any stage has a figure.
pub(crate) fn told(summary: &Summary) -> Vec<&'static EconomyColumn> {
    let any = |column: &&EconomyColumn| {
        summary.stages.iter().any(|s| s.economy.as_ref().and_then(column.of).is_some())
    };
    COLUMNS.iter().filter(any).collect()
}

/// What the figures rest on, a sentence each.
pub(crate) fn notes(summary: &Summary) -> Vec<String> {
    let economies = || summary.stages.iter().filter_map(|s| s.economy.as_ref());
    let mut notes = Vec::new();
    let Prices { gpu_hour, gpus, reading_speed } = summary.run.prices;
    let counted = economies().find_map(|e| e.gpus);
    match (gpu_hour, counted) {
        (Some(price), Some(n)) => notes.push(format!(
            "Costs: {} at {} an hour each ({}), for the time of the window.",
            text::of(n.into(), "GPU", "GPUs"),
            text::number(price),
            if gpus.is_some() { "as asked" } else { "those sampled" }
        )),
        (Some(_), None) => notes.push(
            "Costs: no GPU was sampled, so how many there are is not known; --gpus says it.".into(),
        ),
        (None, _) => notes.push("Costs: --gpu-hour PRICE adds them.".into()),
    }
    let sources: Vec<EnergySource> = economies().filter_map(|e| Some(e.energy?.source)).collect();
    if sources.contains(&EnergySource::Counter) {
        notes.push(
            "Energy: the driver's counter, of all sampled GPUs; idle is their power with nothing in flight.".into(),
        );
    }
    if sources.contains(&EnergySource::Power) {
        notes.push(
            "Energy: power readings integrated, for want of a counter; peaks between readings are not seen.".into(),
        );
    }
    if !sources.is_empty() && summary.run.gpu_source.as_deref() == Some("simulated") {
        notes.push("SIMULATED GPU: its energy is made up.".into());
    }
    if economies().any(|e| e.readers.is_some()) {
        notes.push(format!(
            "Readers: {} tokens a second each (--reading-speed); kept: answers whose TPOT keeps up; fed: output throughput over that speed.",
            text::number(reading_speed)
        ));
    }
    notes
}
