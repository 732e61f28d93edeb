//! `/v1/completions`: the request, the streamed chunk and the whole answer.

mod answer;
mod chunk;
mod request;

pub use answer::{Completion, CompletionChoice};
pub use chunk::{CompletionChoiceChunk, CompletionChunk};
pub use request::CompletionRequest;
