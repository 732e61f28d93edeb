//! Prompts by a retrieval plan: chunks of documents, drawn as a retriever would have found them, to a length that is met
//! to the token.

mod collection;
mod compose;
mod draft;
mod draw;
mod fit;
mod ledger;
mod plan;
mod planner;
mod questions;

pub(crate) use plan::retrieve;
