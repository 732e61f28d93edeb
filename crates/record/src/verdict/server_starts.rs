//! The server processes that a run saw.

use std::collections::BTreeMap;

use crate::engine::EngineSample;
use crate::engine_delta::SAME_START_S;

/// Start times of the server processes seen, by the servers' own account.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerStarts {
    /// The earliest and the latest start of each server that tells, seconds since the Unix epoch.
    starts: BTreeMap<u32, (f64, f64)>,
}

impl ServerStarts {
    /// Adds one reading.
    pub fn add(&mut self, sample: &EngineSample) {
        if let Some(start) = sample.process_start_unix_s {
            self.widen(sample.server_index, (start, start));
        }
    }

    /// Adds what another saw.
    pub fn merge(&mut self, other: &Self) {
        other.starts.iter().for_each(|(server, seen)| self.widen(*server, *seen));
    }

    fn widen(&mut self, server: u32, seen: (f64, f64)) {
        let (first, last) = self.starts.entry(server).or_insert(seen);
        (*first, *last) = (first.min(seen.0), last.max(seen.1));
    }

    /// Whether no server told when it started.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Servers that were seen as more than one process.
    pub fn restarted(&self) -> u64 {
        self.starts.values().filter(|(first, last)| last - first > SAME_START_S).count() as u64
    }
}
