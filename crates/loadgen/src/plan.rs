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
    /// When it is due, from the stage's start: what an open loop sends by. A closed loop sends
    /// when a user is free and does not look at it.
    pub due: Option<Duration>,
}

/// One stretch of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Index into the manifest's stages; copied into the records.
    pub index: u32,
    /// How hard.
    pub load: Load,
    /// When no new request is sent any more. Requests in flight are then
    /// waited for.
    pub until: Until,
}

/// What decides when a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Closed loop: this many users, each with one request in flight; a slot that
    /// becomes free is the next request.
    Closed {
        /// Users.
        concurrency: u32,
    },
    /// Open loop: each request at its [`due`](PreparedRequest::due), whatever has come of
    /// those before.
    Open {
        /// Most requests in flight; those that come due beyond it wait for a free slot, in order.
        max_in_flight: Option<u32>,
        /// Connections opened before the start. More are opened as they are needed.
        connections: u32,
    },
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

impl Load {
    /// Connections that are opened before the start.
    pub const fn connections(self) -> u32 {
        match self {
            Self::Closed { concurrency } => concurrency,
            Self::Open { connections, .. } => connections,
        }
    }
}

impl Stage {
    /// The most requests it can send; `None` when only a duration bounds it.
    pub fn max_requests(&self) -> Option<u64> {
        let per_user = match self.load {
            Load::Closed { concurrency } => {
                self.until.requests_per_user.map(|n| u64::from(n) * u64::from(concurrency))
            }
            Load::Open { .. } => None,
        };
        [self.until.requests, per_user].into_iter().flatten().min()
    }

    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let plan = |what: &str| Err(LoadError::Plan(what.into()));
        match self.load {
            Load::Closed { concurrency: 0 } => return plan("concurrency must be at least 1"),
            Load::Open { max_in_flight: Some(0), .. } => {
                return plan("max_in_flight must be at least 1");
            }
            Load::Open { .. } if self.until.requests_per_user.is_some() => {
                return plan("an open loop has no users: requests_per_user says nothing there");
            }
            _ => {}
        }
        if self.max_requests() == Some(0) {
            return plan("a stage must send at least 1 request");
        }
        // The end of an open loop's schedule is the end of its requests.
        if matches!(self.load, Load::Closed { .. }) && self.until == Until::default() {
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
        let stage = |concurrency| Stage { index: 0, load: Load::Closed { concurrency }, until };
        assert_eq!(stage(2).max_requests(), Some(8));
        assert_eq!(stage(3).max_requests(), Some(10));
        assert!(stage(0).check().is_err());
        assert!(Stage { until: Until::default(), ..stage(1) }.check().is_err());
        let load = Load::Open { max_in_flight: None, connections: 1 };
        let open = Stage { index: 0, load, until: Until::default() };
        assert!(open.check().is_ok());
        assert!(Stage { until, ..open }.check().is_err(), "there are no users");
    }
}
