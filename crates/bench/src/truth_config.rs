//! How a truth server answers.

use serde::{Deserialize, Serialize};

use crate::pace::Pace;

/// How a truth server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthConfig {
    /// The pace of every answer.
    pub pace: Pace,
    /// Tokens where the request does not say how many.
    pub tokens: u32,
    /// Keep the clock before each token's write.
    pub log_writes: bool,
    /// Name of the served model.
    pub model: String,
}

impl Default for TruthConfig {
    /// 50 ms to the first token, 10 ms from token to token, 64 tokens, writes kept.
    fn default() -> Self {
        Self { pace: Pace::of_ms(50, 10), tokens: 64, log_writes: true, model: "truth".into() }
    }
}
