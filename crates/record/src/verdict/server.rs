//! Whether the server was ours alone, the same throughout, and counts as we do.

use super::evidence::{Counts, Evidence};
use super::judge::{doubt, pass, unknown};
use super::{Check, CheckKind, CheckStatus};
use crate::engine_delta::EngineDelta;
use crate::words;

/// What to do where the server's counters are missing.
const READ_METRICS: &str = "Let the server export /metrics where this program can read it.";

pub(super) fn token_counts(evidence: &Evidence) -> Check {
    let kind = CheckKind::TokenCounts;
    let stages = &evidence.stages;
    let compared = |server: fn(&EngineDelta) -> Option<u64>, client: fn(&Counts) -> u64| {
        let pairs: Vec<(u64, u64)> = stages
            .iter()
            .filter_map(|s| Some((server(s.server.as_ref()?)?, client(&s.counts))))
            .collect();
        let total = pairs.iter().fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        let equal = pairs.iter().all(|(server, client)| server == client);
        (pairs.len() == stages.len() && !pairs.is_empty()).then_some((total, equal))
    };
    let prompt = compared(|d| d.prompt_tokens, |c| c.sent_prompt_tokens);
    let output = compared(|d| d.generation_tokens, |c| c.sent_output_tokens);
    let (Some((prompt, prompts_equal)), Some((output, outputs_equal))) = (prompt, output) else {
        return unknown(
            kind,
            "the server's counters were not read around every stage",
            "Whether client and server counted the same tokens cannot be told.",
            READ_METRICS,
        );
    };
    let figure = format!(
        "prompt {} by the server, {} by the client; output {}, {}",
        words::count(prompt.0),
        words::count(prompt.1),
        words::count(output.0),
        words::count(output.1)
    );
    if prompts_equal && outputs_equal {
        return pass(kind, figure, "Client and server counted the same tokens.");
    }
    if evidence.total(|s| s.counts.sent_uncounted) > 0 {
        return doubt(
            kind,
            CheckStatus::Warn,
            figure,
            "Counts differ, and some requests ended without the server's count of them (failed, cancelled, no usage).",
            "Mend the errors first; then the counts can be held against each other.",
        );
    }
    doubt(
        kind,
        CheckStatus::Fail,
        figure,
        "Client and server counted different tokens although every request was answered: somebody else used the server, or an answer's usage is wrong.",
        "Keep other clients away from the server; look at the stage's counts in summary.json.",
    )
}

pub(super) fn preemptions(evidence: &Evidence) -> Check {
    let kind = CheckKind::Preemptions;
    match evidence.sum(|s| s.server?.preemptions) {
        None => unknown(
            kind,
            "not exported",
            "Whether the server preempted requests cannot be told.",
            READ_METRICS,
        ),
        Some(0) => pass(kind, "0", "The KV cache held every running request."),
        Some(n) => doubt(
            kind,
            CheckStatus::Warn,
            words::count(n),
            "The server ran out of KV cache and computed requests again: latencies above this load are of that.",
            "Lower the concurrency, or give the server more KV cache (--gpu-memory-utilization, --max-model-len).",
        ),
    }
}

pub(super) fn same_server(evidence: &Evidence) -> Check {
    let kind = CheckKind::SameServer;
    let restarted = evidence.servers.restarted();
    let counters_say = evidence.stages.iter().any(|s| s.server.is_some_and(|d| d.restarted));
    if restarted > 0 || counters_say {
        return doubt(
            kind,
            CheckStatus::Fail,
            format!("{} restarted", words::of(restarted.max(1), "server was", "servers were")),
            "The server was restarted during the run: caches, compilation and counters began anew.",
            "Find out why it stopped, and run again.",
        );
    }
    if evidence.servers.is_empty() {
        return unknown(
            kind,
            "no start time exported",
            "Whether one process answered throughout cannot be told.",
            READ_METRICS,
        );
    }
    pass(kind, "one process throughout", "The same server process answered throughout.")
}

pub(super) fn other_traffic(evidence: &Evidence) -> Check {
    let kind = CheckKind::OtherTraffic;
    let read: Vec<(u64, u64)> =
        evidence.stages.iter().filter_map(|s| Some((s.server?.requests?, s.counts.sent))).collect();
    if read.is_empty() {
        return unknown(
            kind,
            "not exported",
            "Whether others used the server cannot be told.",
            READ_METRICS,
        );
    }
    let foreign: u64 = read.iter().map(|(server, ours)| server.saturating_sub(*ours)).sum();
    let ours: u64 = read.iter().map(|(_, ours)| ours).sum();
    if foreign == 0 {
        return pass(
            kind,
            format!("0 beside our {}", words::count(ours)),
            "Nobody else's requests ended on the server.",
        );
    }
    doubt(
        kind,
        CheckStatus::Fail,
        format!("{} beside our {}", words::of(foreign, "request", "requests"), words::count(ours)),
        "Somebody else used the server during the run: every figure is of both loads.",
        "Keep other clients away from the server, and run again.",
    )
}
