//! From evidence to the verdict: one check a kind, in their order.

use super::evidence::{Evidence, StageEvidence};
use super::{Check, CheckKind, CheckStatus, Verdict};
use super::{cache, calibrated, chunks, client, clock, gpu, requests, schedule, server, window};

impl Verdict {
    /// Judges a run. Every kind has its check.
    pub fn of(evidence: &Evidence) -> Self {
        let check = |kind| match kind {
            CheckKind::RunComplete => requests::run_complete(evidence),
            CheckKind::Errors => requests::errors(evidence),
            CheckKind::SentOnce => requests::sent_once(evidence),
            CheckKind::CacheFree => cache::cache_free(evidence),
            CheckKind::TokenCounts => server::token_counts(evidence),
            CheckKind::EarlyStops => requests::early_stops(evidence),
            CheckKind::ScheduleKept => schedule::schedule_kept(evidence),
            CheckKind::Clock => clock::clock(evidence),
            CheckKind::Calibrated => calibrated::calibrated(evidence),
            CheckKind::ClientLag => client::client_lag(evidence),
            CheckKind::ClientCpu => client::client_cpu(evidence),
            CheckKind::ChunkTokens => chunks::chunk_tokens(evidence),
            CheckKind::ChunksApart => chunks::chunks_apart(evidence),
            CheckKind::SteadyWindow => window::steady_window(evidence),
            CheckKind::Samples => window::samples(evidence),
            CheckKind::Preemptions => server::preemptions(evidence),
            CheckKind::SameServer => server::same_server(evidence),
            CheckKind::OtherTraffic => server::other_traffic(evidence),
            CheckKind::GpuClocks => gpu::gpu_clocks(evidence),
            CheckKind::GpuShared => gpu::gpu_shared(evidence),
        };
        Self { checks: CheckKind::ALL.into_iter().map(check).collect() }
    }
}

pub(super) fn pass(kind: CheckKind, figure: impl Into<String>, meaning: &str) -> Check {
    Check {
        kind,
        status: CheckStatus::Pass,
        figure: figure.into(),
        meaning: meaning.into(),
        advice: None,
    }
}

pub(super) fn unknown(
    kind: CheckKind,
    figure: impl Into<String>,
    meaning: &str,
    advice: &str,
) -> Check {
    doubt(kind, CheckStatus::Unknown, figure, meaning, advice)
}

pub(super) fn doubt(
    kind: CheckKind,
    status: CheckStatus,
    figure: impl Into<String>,
    meaning: &str,
    advice: &str,
) -> Check {
    Check {
        kind,
        status,
        figure: figure.into(),
        meaning: meaning.into(),
        advice: Some(advice.into()),
    }
}

/// What a check found in one stage.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) status: CheckStatus,
    /// How bad, among findings of the same status.
    pub(super) weight: f64,
    pub(super) figure: String,
}

/// The worst of what a check found in the stages, its stage named where there are several;
/// `None` when no stage had anything to find.
pub(super) fn worst(
    evidence: &Evidence,
    find: impl Fn(&StageEvidence) -> Option<Finding>,
) -> Option<Finding> {
    let found = evidence.stages.iter().filter_map(|stage| Some((stage, find(stage)?)));
    let (stage, mut finding) = found
        .max_by(|(_, a), (_, b)| a.status.cmp(&b.status).then(a.weight.total_cmp(&b.weight)))?;
    if evidence.stages.len() > 1 {
        finding.figure = format!("{} in {}", finding.figure, stage.label);
    }
    Some(finding)
}
