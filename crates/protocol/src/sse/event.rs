//! One event of a stream.

/// One event that carried data, as it lies in what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEventRef<'a> {
    /// The `event` field; `None` for the default, `message`.
    pub event: Option<&'a str>,
    /// The `data` lines, joined by line feeds.
    pub data: &'a str,
    /// Offset in the stream just behind the event: behind the byte that made
    /// it complete. Of a blank line that ends in CR LF, that is the CR.
    pub end: u64,
}

impl SseEventRef<'_> {
    /// A copy to keep.
    pub fn to_owned(self) -> SseEvent {
        SseEvent { event: self.event.map(str::to_owned), data: self.data.to_owned(), end: self.end }
    }
}

/// One event that carried data, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent {
    /// The `event` field; `None` for the default, `message`.
    pub event: Option<String>,
    /// The `data` lines, joined by line feeds.
    pub data: String,
    /// Offset in the stream just behind the event, as in [`SseEventRef::end`].
    pub end: u64,
}
