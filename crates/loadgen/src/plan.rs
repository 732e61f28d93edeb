//! What a stage sends: prepared requests and when to stop.

use std::time::Duration;

use bytes::Bytes;

use crate::error::LoadError;

/// One request, ready to go: its body is serialised, its length known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedRequest {
    /// Unique in the run; sent as `X-Request-Id`.
    pub request_id: String,
    /// The corpus line it came from.
    pub prompt_id: String,
    /// Its session, unique in the run.
    pub session: u32,
    /// 0-based turn of its session.
    pub turn: u32,
    /// The JSON body.
    pub body: Bytes,
    /// Prompt length by the corpus, tokens.
    pub prompt_tokens: Option<u32>,
    /// `max_tokens` of the body.
    pub max_tokens: Option<u32>,
}

/// A closed-loop stage: a fixed number of users, each with one request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Index into the manifest's stages; copied into the records.
    pub index: u32,
    /// Users.
    pub concurrency: u32,
    /// When no new request is sent any more. Requests in flight are then
    /// waited for.
    pub until: Until,
}

/// What ends a stage. The end of the requests handed in always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Until {
    /// Requests in all.
    pub requests: Option<u64>,
    /// Requests of each user.
    pub requests_per_user: Option<u32>,
    /// Time since the stage's start.
    pub duration: Option<Duration>,
}

impl Stage {
    /// The most requests it can send; `None` when only a duration bounds it.
    pub fn max_requests(&self) -> Option<u64> {
        let per_user =
            self.until.requests_per_user.map(|n| u64::from(n) * u64::from(self.concurrency));
        [self.until.requests, per_user].into_iter().flatten().min()
    }

    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let plan = |what: &str| Err(LoadError::Plan(what.into()));
        if self.concurrency == 0 {
            return plan("concurrency must be at least 1");
        }
        if self.max_requests() == Some(0) {
            return plan("a stage must send at least 1 request");
        }
        if self.until == Until::default() {
            return plan("a stage needs a number of requests or a duration");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_bound_counts() {
        let until = Until { requests: Some(10), requests_per_user: Some(4), duration: None };
        let stage = |concurrency| Stage { index: 0, concurrency, until };
        assert_eq!(stage(2).max_requests(), Some(8));
        assert_eq!(stage(3).max_requests(), Some(10));
        assert!(stage(0).check().is_err());
        assert!(Stage { index: 0, concurrency: 1, until: Until::default() }.check().is_err());
    }
}
