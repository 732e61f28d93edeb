//! What can be wrong with a stream of events.

/// A stream of events that is broken. Offsets count from the stream's first byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// Not UTF-8.
    #[error("event stream is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// The first byte that is wrong.
        offset: u64,
    },
    /// The stream ended inside an event.
    #[error("event stream ended inside an event that began at byte {offset}: `{tail}`")]
    Unterminated {
        /// Where that event began.
        offset: u64,
        /// How it begins, at most a few hundred characters.
        tail: String,
    },
    /// An event longer than the limit.
    #[error("event at byte {offset} is longer than {limit} bytes")]
    TooLong {
        /// Where that event began.
        offset: u64,
        /// The limit.
        limit: usize,
    },
}
