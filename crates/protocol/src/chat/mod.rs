//! `/v1/chat/completions`: the request, the streamed chunk and the whole answer.

mod answer;
mod chunk;
mod request;
mod tool;

pub use answer::{AssistantMessage, ChatChoice, ChatCompletion};
pub use chunk::{ChatChoiceChunk, ChatChunk, ChatDelta};
pub use request::ChatRequest;
pub use tool::{FunctionCall, ToolCall};
