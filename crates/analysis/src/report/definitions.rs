//! What the words mean, for hover and for the end of the page; `docs/metrics.md` at length.

use serde::Serialize;

/// One defined term.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Definition {
    id: &'static str,
    name: &'static str,
    text: &'static str,
}

/// Every term that a page uses.
pub(crate) const DEFINITIONS: &[Definition] = &[
    Definition {
        id: "ttft",
        name: "TTFT",
        text: "Time to first token: from just before the first byte of the request is sent, on a connection that is already open, to the arrival of the first event that carries a generated token.",
    },
    Definition {
        id: "ttft-from-schedule",
        name: "TTFT from schedule",
        text: "The same counted from when the load plan wanted the request to start. It parts from TTFT when the client itself queues.",
    },
    Definition {
        id: "e2e",
        name: "E2E latency",
        text: "From just before the first byte of the request is sent to the arrival of the last event that carries a token.",
    },
    Definition {
        id: "tpot",
        name: "TPOT",
        text: "Time per output token after the first: time from the first to the last token-bearing event, divided by the output tokens without those of the first event. None for fewer than two events.",
    },
    Definition {
        id: "itl",
        name: "ITL",
        text: "Inter-token latency: the gap to the token-bearing event before, divided by the tokens that arrived with it, counted once for each of them.",
    },
    Definition {
        id: "icl",
        name: "ICL",
        text: "Inter-chunk latency: the gap itself, once an event. It parts from ITL where events carry several tokens.",
    },
    Definition {
        id: "throughput",
        name: "Rates",
        text: "Output tokens per second count the tokens that arrived in the window, of all requests; total tokens add the prompts that were answered in it; requests per second are completions.",
    },
    Definition {
        id: "request-throughput",
        name: "Throughput of a request",
        text: "Output tokens of one request divided by its E2E latency.",
    },
    Definition {
        id: "concurrency",
        name: "Concurrency, streams",
        text: "Requests kept in flight: each stream sends its next request when the answer to the last one has ended.",
    },
    Definition {
        id: "open-loop",
        name: "Open loop, requests asked for",
        text: "Requests arrive by a schedule, at a rate, whatever the server does: what it does not answer in time piles up, as it would with users who do not wait for each other.",
    },
    Definition {
        id: "in-flight",
        name: "In flight",
        text: "Requests sent and not yet ended: their mean over time, and the most at once.",
    },
    Definition {
        id: "send-lag",
        name: "Send lag",
        text: "From when a request was due until its first byte was sent: how late this client was, or how long its limit of requests in flight held the request back.",
    },
    Definition {
        id: "client-error",
        name: "Client error",
        text: "How far this program's own times are off: measured just before the run, on the same host, against a server whose writes are known to the nanosecond.",
    },
    Definition {
        id: "steady-window",
        name: "Steady window",
        text: "From the first to the last instant with at least 95 % of the stage's concurrency in flight; in an open loop from the end of its declared warm-up to the last arrival. Rates and percentiles are of it where it holds most of the stage.",
    },
    Definition {
        id: "percentile",
        name: "p50, p90, p95, p99",
        text: "Percentiles by linear interpolation between order statistics (Hyndman–Fan type 7). Intervals are of 95 % confidence, by order statistics. A * marks percentiles of fewer samples than MLPerf LoadGen's early-stopping floor.",
    },
    Definition {
        id: "failed",
        name: "Failed requests",
        text: "Anything but a whole, well-formed answer. They are counted with their cause, and none of their latencies enters a percentile.",
    },
    Definition {
        id: "slo",
        name: "Objective (SLO)",
        text: "A limit that the scenario sets. A stage meets it when its figure is within the limit; a question mark says that the limit lies inside the figure's interval.",
    },
    Definition {
        id: "client-wait",
        name: "Client wait",
        text: "From when the load plan wanted the request to start until it was sent.",
    },
    Definition {
        id: "network",
        name: "Network and front end",
        text: "The client's TTFT without the server's queue and prefill: the way there and back, HTTP, tokenizing and detokenizing, and what this program read late. It is found by subtraction. Front end alone, where the server's histograms tell, is what of it passed in the API server.",
    },
    Definition {
        id: "queue",
        name: "Queue",
        text: "In the server's queue until the scheduler first took the request up, by the server's clock.",
    },
    Definition {
        id: "prefill",
        name: "Prefill",
        text: "From when the scheduler took the request up to its first token, by the server's clock. This is the time_to_first_token_ms of vLLM's answers, which leaves the queue out.",
    },
    Definition {
        id: "decode",
        name: "Decode",
        text: "From the first to the last token, by the server's clock.",
    },
    Definition {
        id: "rest",
        name: "Does not add up",
        text: "E2E latency from schedule minus all the parts: how much longer the client saw tokens come than the server made them. Below zero when they came closer together.",
    },
    Definition {
        id: "kv-cache",
        name: "KV cache",
        text: "The GPU memory that holds the keys and values of all tokens in flight. When it is full, vLLM preempts a running request and computes it again later.",
    },
    Definition {
        id: "warm-up",
        name: "Warm-up",
        text: "Requests sent before the first measured stage. They are drawn hatched and are in no figure.",
    },
];

/// The text of the term `id`; empty for an unknown one.
pub(crate) fn definition(id: &str) -> &'static str {
    DEFINITIONS.iter().find(|d| d.id == id).map_or("", |d| d.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_unique_and_those_used_exist() {
        let mut ids: Vec<_> = DEFINITIONS.iter().map(|d| d.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), DEFINITIONS.len());
        for used in [
            "ttft",
            "ttft-from-schedule",
            "tpot",
            "itl",
            "e2e",
            "throughput",
            "send-lag",
            "in-flight",
        ] {
            assert!(!definition(used).is_empty(), "{used}");
        }
    }
}
