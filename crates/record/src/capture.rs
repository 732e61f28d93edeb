//! What a packet capture saw of a run.

use serde::{Deserialize, Serialize};

/// What the capture of `--clock capture` saw, over all stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaptureInfo {
    /// Segments from the servers' ports.
    pub segments: u64,
    /// Segments that the kernel had no room to keep for the capture.
    pub lost: u64,
    /// Chunks whose exact arrival is known.
    pub resolved_chunks: u64,
    /// Chunks whose segment was not captured: they keep the kernel's stamp of their read,
    /// and are marked coalesced where that is only a bound.
    pub unresolved_chunks: u64,
}

impl CaptureInfo {
    /// Adds what another stage's capture saw.
    pub const fn add(&mut self, other: Self) {
        self.segments += other.segments;
        self.lost += other.lost;
        self.resolved_chunks += other.resolved_chunks;
        self.unresolved_chunks += other.unresolved_chunks;
    }
}
