//! The wire of an OpenAI-compatible vLLM server, both directions, without I/O: bytes in, values out.
//!
//! A client feeds what the socket gave to [`sse::SseDecoder`], turns each event into a
//! [`Delta`] with an [`EventParser`] and counts its tokens with [`TokenFold`]. A server
//! builds [`ChatChunk`]s and [`CompletionChunk`]s and frames them with [`sse::encode_data`].
//!
//! ```
//! use vllm_bench_protocol::{Endpoint, EventParser, StreamEvent, TokenFold, sse::SseDecoder};
//!
//! let (mut decoder, mut parser) = (SseDecoder::new(), EventParser::new(Endpoint::Chat));
//! let read = b"data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
//! let mut events = decoder.feed(read);
//! let event = events.next_event().expect("one whole event").expect("well formed");
//!
//! let StreamEvent::Delta(delta) = parser.parse(event.data).expect("a chunk") else {
//!     panic!("neither [DONE] nor an error");
//! };
//! assert_eq!(delta.choices[0].text.as_deref(), Some("Hi"));
//! assert_eq!(TokenFold::new().fold(&delta), 1);
//! ```

mod api_error;
mod chat;
mod completion;
mod delta;
mod endpoint;
mod event_parser;
mod few;
mod message;
mod models;
mod nullable;
mod parse;
pub mod prometheus;
mod request_parts;
mod shape;
pub mod sse;
mod text;
mod token_fold;
mod tokenize;
mod usage;

pub use api_error::{ApiError, ErrorCode, MAX_MESSAGE_CHARS};
pub use chat::{
    AssistantMessage, ChatChoice, ChatChoiceChunk, ChatChunk, ChatCompletion, ChatDelta,
    ChatRequest, FunctionCall, ToolCall,
};
pub use completion::{
    Completion, CompletionChoice, CompletionChoiceChunk, CompletionChunk, CompletionRequest,
};
pub use delta::{Answer, ChoiceDelta, Delta, StreamEvent};
pub use endpoint::{Endpoint, UnknownEndpoint};
pub use event_parser::EventParser;
pub use few::Few;
pub use message::{ChatMessage, Role};
pub use models::{ModelCard, ModelList, ModelPermission, ServerLoad, Version};
pub use nullable::Nullable;
pub use parse::{MAX_EXCERPT_CHARS, ParseError, parse_answer, parse_event};
pub use request_parts::{PromptInput, Stop, StreamOptions};
pub use token_fold::{TokenFold, TokenSource};
pub use tokenize::{DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse};
pub use usage::{AnswerHead, PromptTokensDetails, ServerMetrics, Usage};
