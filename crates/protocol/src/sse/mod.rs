//! Server-sent events: bytes of a stream to events, and back.

mod decode;
mod encode;
mod error;
mod event;
mod fields;
mod scan;

pub use decode::{DEFAULT_MAX_EVENT_BYTES, SseDecoder, SseEvents};
pub use encode::{DONE, encode_data};
pub use error::SseError;
pub use event::{SseEvent, SseEventRef};
