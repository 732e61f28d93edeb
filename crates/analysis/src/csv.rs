//! The summary as CSV (RFC 4180): one line a stage, units in the column names.

use vllm_bench_record::{Level, StageEnd};

use crate::columns::{LATENCIES, PERCENTILES};
use crate::economy::COLUMNS;
use crate::search;
use crate::stage::{FiguresFrom, StageSummary};
use crate::summary::Summary;

/// One line a stage below a line of names. What is unknown is an empty field.
pub fn document(summary: &Summary) -> String {
    let mut out = line(names(summary).iter().map(String::as_str));
    for stage in &summary.stages {
        out.push_str(&line(row(summary, stage).iter().map(String::as_str)));
    }
    out
}

fn names(summary: &Summary) -> Vec<String> {
    let fixed = [
        "run_id",
        "scenario",
        "model",
        "stage",
        "concurrency",
        "rate",
        "probe",
        "probe_outcome",
        "arrivals",
        "max_in_flight",
        "requests_capped",
        "ended",
        "window",
        "window_s",
        "requests",
        "completed",
        "failed",
        "cancelled",
        "success_rate",
        "early_stops",
        "requests_due_per_s",
        "requests_sent_per_s",
        "requests_completed_per_s",
        "output_tokens_per_s",
        "total_tokens_per_s",
        "in_flight_mean",
        "in_flight_max",
        "prompt_tokens_mean",
        "output_tokens_mean",
        "cached_tokens",
        "cached_share",
        "chunks_coalesced_share",
        "chunks_multi_token_share",
        "goodput_per_s",
        "goodput_share",
        "slo_met",
    ];
    let mut names: Vec<String> = fixed.map(str::to_owned).into();
    for latency in &LATENCIES {
        names.push(format!("{}_count", latency.key));
        names.push(format!("{}_mean_ms", latency.key));
        for (percentile, _) in &PERCENTILES {
            names.extend(
                ["", "_low", "_high"].map(|end| format!("{}_{percentile}{end}_ms", latency.key)),
            );
        }
    }
    names.extend(["send_lag_p50_ms", "send_lag_p99_ms"].map(str::to_owned));
    names.extend(COLUMNS.iter().map(|column| column.key.to_owned()));
    names.extend(summary.run.slo.keys().map(|name| format!("slo_{name}_met")));
    names
}

fn row(summary: &Summary, stage: &StageSummary) -> Vec<String> {
    let figures = stage.figures();
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    let whole = |value: Option<u64>| value.map_or_else(String::new, |v| v.to_string());
    let truth = |value: Option<bool>| value.map_or_else(String::new, |v| v.to_string());
    let window = figures.map(|_| match stage.figures_from {
        FiguresFrom::Steady => "steady",
        FiguresFrom::Whole => "whole",
    });
    let goodput = figures.and_then(|f| f.goodput);
    let open = stage.open.as_ref();
    let search = summary.run.search.as_ref();
    let probe = search.and_then(|search| search::probe_of(search, stage.index));
    let mut fields = vec![
        summary.run.run_id.clone(),
        summary.run.scenario.clone(),
        summary.run.model.clone().unwrap_or_default(),
        stage.label.clone(),
        match stage.level {
            Level::Concurrency(users) => users.to_string(),
            Level::Rate(_) => String::new(),
        },
        match stage.level {
            Level::Concurrency(_) => String::new(),
            Level::Rate(rate) => rate.to_string(),
        },
        whole(probe.map(|(n, _)| n as u64)),
        probe.map(|(_, p)| search::outcome(p.outcome)).unwrap_or_default().to_owned(),
        open.map(|o| o.arrivals.clone()).unwrap_or_default(),
        whole(open.and_then(|o| o.max_in_flight).map(u64::from)),
        whole(open.map(|o| o.capped)),
        ended(stage.ended),
        window.unwrap_or_default().to_owned(),
        number(figures.map(|f| f.seconds)),
        stage.requests.to_string(),
        stage.completed.to_string(),
        stage.failed.to_string(),
        stage.cancelled.to_string(),
        number(stage.success_rate),
        whole(stage.early_stops),
        number(figures.and_then(|f| f.due_per_s)),
        number(figures.and_then(|f| f.sent_per_s)),
        number(figures.and_then(|f| f.completed_per_s)),
        number(figures.and_then(|f| f.output_tokens_per_s)),
        number(figures.and_then(|f| f.total_tokens_per_s)),
        number(figures.and_then(|f| f.in_flight_mean)),
        whole(figures.map(|f| u64::from(f.in_flight_max))),
        number(figures.and_then(|f| f.prompt_tokens).map(|s| s.mean)),
        number(figures.and_then(|f| f.output_tokens).map(|s| s.mean)),
        whole(figures.and_then(|f| f.cached_tokens)),
        number(figures.and_then(|f| f.cached_share)),
        number(figures.and_then(|f| f.chunks.coalesced)),
        number(figures.and_then(|f| f.chunks.multi_token)),
        number(goodput.and_then(|g| g.per_s)),
        number(goodput.and_then(|g| g.share)),
        truth(stage.slo_met()),
    ];
    let ms = |ns: Option<f64>| number(ns.map(|ns| ns / 1e6));
    for latency in &LATENCIES {
        let stat = figures.and_then(latency.of);
        fields.push(whole(stat.map(|s| s.count)));
        fields.push(ms(stat.map(|s| s.mean)));
        for (_, of) in &PERCENTILES {
            let p = stat.as_ref().map(of);
            fields.extend([
                ms(p.map(|p| p.value)),
                ms(p.and_then(|p| p.low)),
                ms(p.and_then(|p| p.high)),
            ]);
        }
    }
    let lag = figures.and_then(|f| f.send_lag_ns);
    fields.extend([ms(lag.map(|s| s.p50.value)), ms(lag.map(|s| s.p99.value))]);
    fields.extend(COLUMNS.iter().map(|c| number(stage.economy.as_ref().and_then(c.of))));
    fields.extend(stage.slo.iter().map(|slo| truth(slo.met)));
    fields
}

/// The word that the manifest has for it.
fn ended(end: Option<StageEnd>) -> String {
    let word = end.and_then(|end| serde_json::to_value(end).ok());
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// One record, CRLF at its end as RFC 4180 has it.
pub(crate) fn line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let fields: Vec<String> = fields.map(field).collect();
    format!("{}\r\n", fields.join(","))
}

/// Quoted where it must be. A text that a spreadsheet would take for a formula gets an apostrophe;
/// numbers stay what they are.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '@', '\t', '\r'])
        || (text.starts_with('-') && text.parse::<f64>().is_err());
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_disarmed() {
        let check = |text: &str, expected: &str| assert_eq!(field(text), expected);
        check("cc 1", "cc 1");
        check("a,b", "\"a,b\"");
        check("say \"x\"\n", "\"say \"\"x\"\"\n\"");
        check("=1+1", "'=1+1");
        check("-0.5", "-0.5");
        check("-cmd", "'-cmd");
        assert_eq!(line(["a", "", "b"].into_iter()), "a,,b\r\n");
    }
}
