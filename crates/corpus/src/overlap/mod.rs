//! What the prompts of a corpus share, in the order in which they stand: the prefix cache that a run would meet.

mod cache;
mod stats;
mod trace;

pub(crate) use stats::overlap;
pub use stats::{LimitedCache, Overlap};
pub(crate) use trace::{Trace, Tracer};
