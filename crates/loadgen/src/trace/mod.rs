//! Replay of recorded traffic: who asked when, for how long a prompt and answer.

mod azure;
mod burstgpt;
mod csv;
mod generic;
mod json;
mod lines;
mod mooncake;
mod replay;
mod rows;
mod spec;
mod value;

pub use generic::{Columns, TimeUnit};
pub use replay::{TraceReplay, TraceRequest};
pub use spec::{OverLimit, TraceFormat, TraceSpec, ZeroTokens};
