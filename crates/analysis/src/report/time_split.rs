//! The report's table of where the time went.

use crate::charts::count;
use crate::report::tables::{Cell, Head, Table};
use crate::summary::Summary;
use crate::time_split::{PARTS, SUM, TimeSplit, TimeSplitSource, UNEQUAL, notes};

/// The definition of each of [`PARTS`], in their order.
const TERMS: [&str; PARTS.len()] = ["client-wait", "network", "queue", "prefill", "decode", "rest"];

/// A row for the means and, where answers tell, one for the medians of each stage that tells; no row
/// when none does.
pub(crate) fn table(summary: &Summary, names: &[String]) -> Table {
    let mut rows = Vec::new();
    for stage in &summary.stages {
        let Some(split) = &stage.time_split else { continue };
        let label = names.get(stage.index as usize).unwrap_or(&stage.label);
        for (statistic, of) in split.statistics() {
            let ms = |value: Option<f64>| Cell::number(value.map(|ns| ns / 1e6));
            let mut row = vec![
                Cell::text(label.clone()),
                Cell::text(statistic),
                Cell::text(split.source.as_str()),
                requests(split),
            ];
            row.extend(PARTS.iter().chain([&SUM]).map(|part| ms(of((part.of)(split)))));
            row.push(ms(split.front_end_ns.and_then(of)));
            row.push(ms(split.outside_ns.and_then(of)));
            row.push(ms(of(split.client_decode_ns)));
            rows.push(row);
        }
    }
    let mut columns =
        vec![Head::text("stage"), Head::text("of"), Head::text("told by"), Head::new("n")];
    columns.extend(PARTS.iter().zip(TERMS).map(|(part, term)| Head::term(part.name, term)));
    columns.push(Head::titled(
        SUM.short,
        "E2E latency from schedule: what the parts add up to, in the mean",
    ));
    columns.push(Head::titled(
        "front end alone",
        "of network and front end, what passed in the API server: its TTFT − queue − prefill, by its histograms; in no sum",
    ));
    columns.push(Head::titled(
        "outside",
        "outside of the server: E2E from sending − the server's own E2E latency, by its histograms; in no sum",
    ));
    columns.push(Head::titled(
        "client's decode",
        "last token − first token as the client saw them; in no sum",
    ));
    Table {
        name: "where the time went",
        caption: format!("Milliseconds. {}", notes(summary).join(" ")),
        columns,
        rows,
        ..Table::default()
    }
}

/// How many requests it is of, marked where the server's part is of others too.
fn requests(split: &TimeSplit) -> Cell {
    let mark = if split.difference().is_some() { UNEQUAL } else { "" };
    let told = match split.source {
        TimeSplitSource::Answers => format!(
            "{} of {} completed requests carry the server's own timings",
            count(split.requests),
            count(split.completed)
        ),
        TimeSplitSource::Histograms => format!(
            "{} completed requests of the stage, {} in the server's histograms",
            count(split.completed),
            count(split.server_requests.unwrap_or_default())
        ),
    };
    let text = format!("{}{mark}", count(split.requests));
    Cell::figure(text, split.requests as f64, "", told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::definitions::definition;

    #[test]
    fn every_part_is_defined() {
        for term in TERMS {
            assert!(!definition(term).is_empty(), "{term}");
        }
    }
}
