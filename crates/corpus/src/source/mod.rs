//! Sources of text, each read into the same material: passages, exchanges and ready-made prompts.

mod array;
mod clean;
mod dolly;
pub(crate) mod encyclopedia;
mod folder;
mod hotpot;
mod hub;
mod invent;
mod jsonl;
mod load;
mod material;
mod parquet;
mod passages;
mod prompts;
mod squad;

pub use encyclopedia::{Article, Encyclopedia};
pub use hub::HubOptions;
pub(crate) use hub::{HubFile, HubKind, fetch, fetch_if_there};
pub(crate) use load::load;
pub(crate) use material::{Exchange, Material, Passage, Ready};
