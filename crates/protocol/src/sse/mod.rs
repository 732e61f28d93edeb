//! Server-sent events: bytes of a stream to events, and back.

mod decode;
mod encode;

pub use decode::{DEFAULT_MAX_EVENT_BYTES, SseDecoder, SseError, SseEvent};
pub use encode::{DONE, encode_data};
