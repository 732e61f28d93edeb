//! RAG prompts: passages are joined until the length is right, one of them is cut at a sentence, the whole is counted.

mod assemble;
mod choose;
mod cut;
mod deck;
mod fit;
mod job;
mod plan;
mod retrieve;
mod text;

pub(crate) use assemble::assemble;
pub(crate) use job::common_head;
pub(crate) use retrieve::retrieve;
pub(crate) use text::sentence_ends;
