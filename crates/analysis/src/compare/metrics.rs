//! The metrics that runs are compared by.

use super::Better;
use crate::stage::{StageSummary, WindowSummary};
use crate::stat::Percentile;

/// A figure before it is held against another.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) value: f64,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) low_samples: bool,
}

impl Found {
    fn plain(value: f64) -> Self {
        Self { value, low: None, high: None, low_samples: false }
    }
}

impl From<Percentile> for Found {
    fn from(p: Percentile) -> Self {
        Self { value: p.value, low: p.low, high: p.high, low_samples: p.low_samples }
    }
}

/// A metric that runs are compared by.
pub(super) struct Metric {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) better: Better,
    pub(super) of: fn(&StageSummary, &WindowSummary) -> Option<Found>,
}

/// All of them, in the order in which they are shown.
pub(super) const METRICS: [Metric; 14] = [
    Metric {
        key: "requests_completed_per_s",
        name: "completed requests, req/s",
        better: Better::Higher,
        of: |_, w| w.completed_per_s.map(Found::plain),
    },
    Metric {
        key: "requests_sent_per_s",
        name: "sent requests of open loops, req/s",
        better: Better::Higher,
        of: |s, w| s.open.as_ref().and(w.sent_per_s).map(Found::plain),
    },
    Metric {
        key: "output_tokens_per_s",
        name: "output, tok/s",
        better: Better::Higher,
        of: |_, w| w.output_tokens_per_s.map(Found::plain),
    },
    Metric {
        key: "total_tokens_per_s",
        name: "prompt and output, tok/s",
        better: Better::Higher,
        of: |_, w| w.total_tokens_per_s.map(Found::plain),
    },
    Metric {
        key: "success_rate",
        name: "answered, share",
        better: Better::Higher,
        of: |s, _| s.success_rate.map(Found::plain),
    },
    Metric {
        key: "ttft_p50_ns",
        name: "TTFT p50, ms",
        better: Better::Lower,
        of: |_, w| Some(w.ttft_ns?.p50.into()),
    },
    Metric {
        key: "ttft_p95_ns",
        name: "TTFT p95, ms",
        better: Better::Lower,
        of: |_, w| Some(w.ttft_ns?.p95.into()),
    },
    Metric {
        key: "ttft_p99_ns",
        name: "TTFT p99, ms",
        better: Better::Lower,
        of: |_, w| Some(w.ttft_ns?.p99.into()),
    },
    Metric {
        key: "ttft_from_schedule_p95_ns",
        name: "TTFT from schedule p95, ms",
        better: Better::Lower,
        of: |s, w| {
            let queued = s.open.is_some() || w.waits_to_send();
            Some(w.ttft_from_schedule_ns.filter(|_| queued)?.p95.into())
        },
    },
    Metric {
        key: "tpot_p50_ns",
        name: "TPOT p50, ms",
        better: Better::Lower,
        of: |_, w| Some(w.tpot_ns?.p50.into()),
    },
    Metric {
        key: "tpot_p95_ns",
        name: "TPOT p95, ms",
        better: Better::Lower,
        of: |_, w| Some(w.tpot_ns?.p95.into()),
    },
    Metric {
        key: "itl_p99_ns",
        name: "ITL p99, ms",
        better: Better::Lower,
        of: |_, w| Some(w.itl_ns?.p99.into()),
    },
    Metric {
        key: "e2e_p50_ns",
        name: "E2E p50, ms",
        better: Better::Lower,
        of: |_, w| Some(w.e2e_ns?.p50.into()),
    },
    Metric {
        key: "e2e_p95_ns",
        name: "E2E p95, ms",
        better: Better::Lower,
        of: |_, w| Some(w.e2e_ns?.p95.into()),
    },
];
