//! The report's section on arrivals: its table, and what its chart is drawn from.

use std::collections::BTreeSet;

use vllm_bench_record::{InFlight, Span, Timestamp};

use crate::arrivals::{self, open_stages};
use crate::charts::{ArrivalSeries, arrival_bin_s, busy_rate};
use crate::dataset::Dataset;
use crate::report::tables::{Cell, Head, Table};
use crate::stat::Stat;
use crate::summary::Summary;

/// The series of the chart; `None` for a run without an open loop.
pub(crate) fn series(dataset: &Dataset, end_s: f64) -> Option<ArrivalSeries> {
    let stages = &dataset.manifest().stages;
    let caps: BTreeSet<Option<u32>> =
        stages.iter().filter_map(|s| s.load.open()).map(|open| open.max_in_flight).collect();
    if caps.is_empty() {
        return None;
    }
    let rows = dataset.requests();
    let bin_s = arrival_bin_s(rows.len(), end_s);
    let rate = |instants: &mut dyn Iterator<Item = Timestamp>| {
        let bins: Vec<(i64, f64)> =
            instants.map(|at| ((at.as_secs_f64() / bin_s) as i64, 1.0)).collect();
        busy_rate(&bins, bin_s, end_s)
    };
    let completed = rows.iter().filter(|row| row.completed());
    let in_flight = InFlight::of(rows.iter().filter_map(|row| row.in_flight()));
    let at = |s: f64| Timestamp::from_nanos((s.max(0.0) * 1e9) as u64);
    let due = rate(&mut rows.iter().map(|row| row.scheduled_at));
    let mean = |&(middle, _): &(f64, f64)| {
        let span = Span { from: at(middle - bin_s / 2.0), to: at(middle + bin_s / 2.0) };
        (middle, in_flight.mean(span).unwrap_or(0.0))
    };
    Some(ArrivalSeries {
        in_flight: due.iter().map(mean).collect(),
        due,
        sent: rate(&mut rows.iter().filter_map(|row| row.sent_at)),
        completed: rate(&mut completed.filter_map(|row| row.finished_at)),
        cap: if caps.len() == 1 { caps.into_iter().next().flatten() } else { None },
        bin_s,
    })
}

/// One line an open-loop stage; without rows where there is none.
pub(crate) fn table(summary: &Summary, names: &[String]) -> Table {
    let rows = open_stages(summary).map(|(stage, open)| {
        let name = names.get(stage.index as usize).unwrap_or(&stage.label);
        let figures = stage.figures();
        let number = |value: Option<f64>| Cell::number(value);
        let percentiles = |stat: Option<&Stat>| {
            [Cell::percentile(stat, |s| s.p50), Cell::percentile(stat, |s| s.p99)]
        };
        let lag = figures.and_then(|f| f.send_lag_ns.as_ref());
        let mut row = vec![
            Cell::level(name, stage.level),
            number(figures.and_then(|f| f.due_per_s)),
            number(figures.and_then(|f| f.sent_per_s)),
            number(figures.and_then(|f| f.completed_per_s)),
            number(figures.and_then(|f| f.in_flight_mean)),
            figures.map_or_else(|| Cell::number(None), |f| Cell::count(f.in_flight_max.into())),
            match open.capped {
                0 => Cell::count(0),
                n => Cell::count(n).classed("unsure"),
            },
        ];
        row.extend(percentiles(lag));
        row.extend(percentiles(figures.and_then(|f| f.ttft_ns.as_ref())));
        row.extend(percentiles(figures.and_then(|f| f.ttft_from_schedule_ns.as_ref())));
        row
    });
    let pair = || [Head::new("p50"), Head::new("p99")];
    let mut columns = vec![
        Head::text("stage"),
        Head::titled("due", "asked for by the schedule, per second"),
        Head::titled("sent", "sent, per second"),
        Head::titled("completed", "completed, per second"),
        Head::titled("mean", "requests in flight, the mean over time"),
        Head::titled("max", "most requests in flight at once"),
        Head::titled("waited", "requests that waited for the limit of requests in flight"),
    ];
    columns.extend((0..3).flat_map(|_| pair()));
    Table {
        name: "arrivals",
        caption: "Requests come when the schedule says, whatever the server does. From sending, TTFT \
                  is the server's; from schedule it is the user's wait, with what the client and its limit held back."
            .into(),
        pinned: true,
        sortable: true,
        groups: vec![
            Head::new(""),
            Head::new("requests per second").over(3),
            Head::term("in flight", "in-flight").over(2),
            Head::new(""),
            Head::term("send lag ms", "send-lag").over(2),
            Head::term("TTFT ms", "ttft").over(2),
            Head::term("TTFT from schedule ms", "ttft-from-schedule").over(2),
        ],
        columns,
        rows: rows.collect(),
    }
}

/// How requests arrived and what is to be known of it, a line each.
pub(crate) fn told(summary: &Summary, names: &[String]) -> Vec<String> {
    arrivals::told(summary, |stage| names.get(stage.index as usize).unwrap_or(&stage.label).clone())
}
