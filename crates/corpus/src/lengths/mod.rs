//! The lengths that prompts aim at.

mod bell;
mod column;
mod quantile;
mod wanted;

pub(crate) use bell::targets;
pub(crate) use wanted::Lengths;
