//! Folds an answer's bytes and their arrivals into what the record keeps. Sans-IO.

use std::borrow::Cow;

use hyper::StatusCode;
use vllm_bench_protocol::sse::{SseDecoder, SseError, SseEventRef};
use vllm_bench_protocol::{
    ApiError, ChoiceDelta, Delta, Endpoint, EventParser, ParseError, ServerMetrics, StreamEvent,
    TokenFold, TokenSource, Usage, parse_answer,
};
use vllm_bench_record::{
    ChunkArrival, ChunkTokenSource, Failure, FailureCause, RequestRecord, ServerTimings,
    TokenCount, TokenCountSource,
};

use crate::transport::ReadStamp;

/// Watches one answer.
pub(crate) struct Observer {
    endpoint: Endpoint,
    form: Form,
    seen: Seen,
}

/// What came so far.
struct Seen {
    keep_answer: bool,
    chunks: Vec<ChunkArrival>,
    /// Offset in the body behind each of `chunks`; `None` where nobody asked.
    offsets: Option<Vec<u64>>,
    /// The read that completed `chunks.last()`.
    last_chunk_read: u64,
    done: bool,
    failure: Option<Failure>,
    usage: Option<Usage>,
    /// `usage` is the whole answer's, not a running one.
    usage_is_whole: bool,
    metrics: Option<ServerMetrics>,
    model: Option<String>,
    finish_reason: Option<String>,
    answer: String,
    reasoning: String,
}

#[expect(clippy::large_enum_variant, reason = "nearly all answers are streams")]
enum Form {
    Stream {
        sse: SseDecoder,
        parser: EventParser,
        fold: TokenFold,
    },
    /// An answer that was not to be streamed.
    Whole(Vec<u8>),
    /// The body of an answer that is none: of another status, or not the stream asked for.
    Refusal {
        head: String,
        status: Option<StatusCode>,
        retry_after_s: Option<u32>,
        body: Vec<u8>,
    },
}

/// The answer is not what it should be; [`Seen::failure`] says why.
struct Failed;

/// Longest failure message kept, bytes.
const MESSAGE_LIMIT: usize = 500;

/// What is kept of the body of a refusal, bytes.
const REFUSAL_LIMIT: usize = 64 << 10;

/// Longest answer that is read whole, bytes.
const BODY_LIMIT: usize = 64 << 20;

impl Observer {
    /// `stream`: whether the answer is an event stream. `max_tokens` sizes the buffer of arrivals.
    pub(crate) fn new(
        endpoint: Endpoint,
        stream: bool,
        keep_answer: bool,
        max_tokens: Option<u32>,
    ) -> Self {
        let (form, capacity) = if stream {
            let form = Form::Stream {
                sse: SseDecoder::new(),
                parser: EventParser::new(endpoint),
                fold: TokenFold::new(),
            };
            (form, max_tokens.unwrap_or(256).min(65_536) as usize + 2)
        } else {
            (Form::Whole(Vec::new()), 1)
        };
        let seen = Seen {
            keep_answer,
            chunks: Vec::with_capacity(capacity),
            offsets: None,
            last_chunk_read: 0,
            done: false,
            failure: None,
            usage: None,
            usage_is_whole: false,
            metrics: None,
            model: None,
            finish_reason: None,
            answer: String::new(),
            reasoning: String::new(),
        };
        Self { endpoint, form, seen }
    }

    /// From now on notes where in the body each chunk ends.
    pub(crate) fn track_offsets(&mut self) {
        self.seen.offsets = Some(Vec::with_capacity(self.seen.chunks.capacity()));
    }

    /// Offset in the body just behind each chunk so far (behind the event that bore
    /// its tokens). Empty where they were not tracked.
    pub(crate) fn take_offsets(&mut self) -> Vec<u64> {
        self.seen.offsets.take().unwrap_or_default()
    }

    /// Takes bytes that arrived with `read`; the number of tokens they completed.
    /// After a failure the rest of the answer is not looked at.
    pub(crate) fn data(&mut self, bytes: &[u8], read: ReadStamp) -> u32 {
        let seen = &mut self.seen;
        if seen.failure.is_some() {
            return 0;
        }
        match &mut self.form {
            Form::Refusal { body, .. } => {
                let room = REFUSAL_LIMIT.saturating_sub(body.len());
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                0
            }
            Form::Whole(body) => {
                if body.len() + bytes.len() > BODY_LIMIT {
                    seen.fail(FailureCause::Malformed, "the body is longer than 64 MiB");
                } else {
                    body.extend_from_slice(bytes);
                }
                0
            }
            Form::Stream { sse, parser, fold } => {
                let mut tokens = 0;
                let mut events = sse.feed(bytes);
                while let Some(event) = events.next_event() {
                    let outcome = match event {
                        Ok(event) => seen.event(&event, parser, fold, read),
                        Err(error) => Err(seen.fail_sse(&error)),
                    };
                    match outcome {
                        Ok(here) => tokens += here,
                        Err(Failed) => break,
                    }
                }
                tokens
            }
        }
    }

    /// The body ended as its framing said; `read` brought its last byte.
    pub(crate) fn end(&mut self, read: ReadStamp) {
        let seen = &mut self.seen;
        if seen.failure.is_some() {
            return;
        }
        match &mut self.form {
            Form::Stream { sse, .. } => {
                if let Err(error) = sse.finish() {
                    seen.fail(FailureCause::Malformed, &error.to_string());
                } else if !seen.done {
                    seen.fail(FailureCause::NoDone, "the stream ended without [DONE]");
                }
            }
            Form::Whole(body) => {
                let body = std::mem::take(body);
                seen.whole(self.endpoint, &body, read);
            }
            Form::Refusal { .. } => self.refused(),
        }
    }

    /// The transport broke; what has come of a refusal still tells why.
    pub(crate) fn broken(&mut self) {
        if matches!(self.form, Form::Refusal { .. }) {
            self.refused();
        }
    }

    /// The head has a status other than 200: the body says why.
    pub(crate) fn error_status(&mut self, status: StatusCode, retry_after_s: Option<u32>) {
        self.form = Form::Refusal {
            head: status.to_string(),
            status: Some(status),
            retry_after_s,
            body: Vec::new(),
        };
    }

    /// A stream was asked for and something else came.
    pub(crate) fn not_a_stream(&mut self, content_type: &str) {
        self.form = Form::Refusal {
            head: format!("asked for text/event-stream, got {content_type}"),
            status: None,
            retry_after_s: None,
            body: Vec::new(),
        };
    }

    fn refused(&mut self) {
        let Form::Refusal { head, status, retry_after_s, body } = &self.form else { return };
        let error = ApiError::from_body(body);
        let cause = match status {
            Some(_) => FailureCause::HttpStatus,
            None if error.kind.is_some() || error.code.is_some() => FailureCause::ErrorInStream,
            None => FailureCause::Malformed,
        };
        let words = error.message.trim();
        let message = if words.is_empty() { head.clone() } else { format!("{head}: {words}") };
        if self.seen.failure.is_none() {
            self.seen.failure =
                Some(Failure { cause, message: cut(&message), retry_after_s: *retry_after_s });
        }
    }

    /// Whether the answer failed already: the connection need not be read on.
    pub(crate) const fn failed(&self) -> bool {
        self.seen.failure.is_some()
    }

    /// Arrival of the newest token, for the between-tokens limit.
    pub(crate) fn last_token(&self) -> Option<vllm_bench_record::Timestamp> {
        self.seen.chunks.last().map(|c| c.at)
    }

    /// Writes what was seen into `record`; the failure, if there was one.
    pub(crate) fn fill(self, record: &mut RequestRecord) -> Option<Failure> {
        let seen = self.seen;
        let (source, folded) = match &self.form {
            Form::Stream { fold, .. } => {
                let source = match fold.source() {
                    TokenSource::TokenIds => ChunkTokenSource::TokenIds,
                    TokenSource::RunningUsage => ChunkTokenSource::RunningUsage,
                    TokenSource::Assumed => ChunkTokenSource::Assumed,
                };
                (source, fold.counted())
            }
            Form::Whole(_) => {
                (ChunkTokenSource::WholeAnswer, seen.chunks.first().map_or(0, |c| c.tokens))
            }
            Form::Refusal { .. } => (ChunkTokenSource::Assumed, 0),
        };
        record.chunk_token_source = source;
        record.output_tokens = match &seen.usage {
            Some(usage) if seen.usage_is_whole => {
                Some(TokenCount { count: usage.completion_tokens, source: TokenCountSource::Usage })
            }
            // A running usage is of one choice; the fold has added them up.
            _ if folded > 0 => {
                let source = match source {
                    ChunkTokenSource::TokenIds => TokenCountSource::TokenIds,
                    ChunkTokenSource::RunningUsage => TokenCountSource::RunningUsage,
                    _ => TokenCountSource::Chunks,
                };
                Some(TokenCount { count: folded, source })
            }
            _ => None,
        };
        record.chunks = seen.chunks;
        record.prompt_tokens = seen.usage.as_ref().map(|u| u.prompt_tokens);
        record.cached_tokens = seen.usage.as_ref().and_then(Usage::cached_tokens);
        record.server = seen.metrics.map(|m| ServerTimings {
            ttft_ms: m.time_to_first_token_ms,
            queue_ms: m.queue_time_ms,
            generation_ms: m.generation_time_ms,
            mean_itl_ms: m.mean_itl_ms,
        });
        record.model = seen.model;
        record.finish_reason = seen.finish_reason;
        if seen.keep_answer {
            record.answer = (!record.chunks.is_empty() || seen.done).then_some(seen.answer);
            record.reasoning = (!seen.reasoning.is_empty()).then_some(seen.reasoning);
        }
        seen.failure
    }
}

impl Seen {
    /// Takes one event of the stream; its tokens.
    fn event(
        &mut self,
        event: &SseEventRef<'_>,
        parser: &mut EventParser,
        fold: &mut TokenFold,
        read: ReadStamp,
    ) -> Result<u32, Failed> {
        // Whatever follows a token-bearing event in the same read makes
        // that event's arrival a bound, not an instant.
        if self.last_chunk_read == read.read
            && let Some(last) = self.chunks.last_mut()
        {
            last.coalesced = true;
        }
        let delta = match parser.parse(event.data) {
            Ok(StreamEvent::Delta(delta)) => delta,
            Ok(StreamEvent::Done) => {
                self.done = true;
                return Ok(0);
            }
            Ok(StreamEvent::Error(error)) => {
                self.fail(FailureCause::ErrorInStream, &error.message);
                return Err(Failed);
            }
            Ok(_) => return Ok(0),
            Err(error) => {
                self.fail(FailureCause::Malformed, &error.to_string());
                return Err(Failed);
            }
        };
        let tokens = fold.fold(&delta);
        if tokens > 0 {
            self.chunk(tokens, event.end, read);
            self.last_chunk_read = read.read;
        }
        self.keep(delta);
        Ok(tokens)
    }

    /// Notes a chunk of `tokens` that ends at `offset` of the body.
    fn chunk(&mut self, tokens: u32, offset: u64, read: ReadStamp) {
        self.chunks.push(ChunkArrival {
            at: read.at,
            tokens,
            coalesced: false,
            client_lag: read.client_lag,
        });
        if let Some(offsets) = &mut self.offsets {
            offsets.push(offset);
        }
    }

    fn keep(&mut self, delta: Delta<'_>) {
        if self.model.is_none() {
            self.model = delta.model.map(Cow::into_owned);
        }
        if delta.usage.is_some() {
            self.usage_is_whole = delta.choices.is_empty();
            self.usage = delta.usage;
        }
        if delta.metrics.is_some() {
            self.metrics = delta.metrics;
        }
        self.keep_choices(&delta.choices);
    }

    fn keep_choices(&mut self, choices: &[ChoiceDelta<'_>]) {
        for choice in choices.iter().filter(|choice| choice.index == 0) {
            if let Some(reason) = &choice.finish_reason {
                self.finish_reason = Some(reason.as_ref().to_owned());
            }
            if self.keep_answer {
                for text in [&choice.text, &choice.tool_call_text].into_iter().flatten() {
                    self.answer.push_str(text);
                }
                if let Some(text) = &choice.reasoning {
                    self.reasoning.push_str(text);
                }
            }
        }
    }

    /// Takes an answer that was not streamed.
    fn whole(&mut self, endpoint: Endpoint, body: &[u8], read: ReadStamp) {
        if std::str::from_utf8(body).is_err() {
            return self.fail(FailureCause::NotUtf8, "the body is not UTF-8");
        }
        let answer = match parse_answer(endpoint, body) {
            Ok(answer) => answer,
            Err(ParseError::Server(error)) => {
                return self.fail(FailureCause::ErrorInStream, &error.message);
            }
            Err(error) => return self.fail(FailureCause::Malformed, &error.to_string()),
        };
        self.done = true;
        let tokens = answer.tokens().unwrap_or(0);
        self.model = answer.model.map(Cow::into_owned);
        self.usage_is_whole = answer.usage.is_some();
        self.usage = answer.usage;
        self.metrics = answer.metrics;
        self.keep_choices(&answer.choices);
        if tokens > 0 {
            self.chunk(tokens, body.len() as u64, read);
        }
    }

    fn fail_sse(&mut self, error: &SseError) -> Failed {
        let cause = match error {
            SseError::NotUtf8 { .. } => FailureCause::NotUtf8,
            _ => FailureCause::Malformed,
        };
        self.fail(cause, &error.to_string());
        Failed
    }

    /// Everything after this is ignored; the first failure stands.
    fn fail(&mut self, cause: FailureCause, message: &str) {
        if self.failure.is_none() {
            let message = cut(message);
            self.failure = Some(Failure { cause, message, retry_after_s: None });
        }
    }
}

/// `message` cut to what a record keeps, at a character.
pub(crate) fn cut(message: &str) -> String {
    if message.len() <= MESSAGE_LIMIT {
        return message.to_owned();
    }
    let mut end = MESSAGE_LIMIT;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use vllm_bench_record::Timestamp;

    use super::*;

    /// The recorded traffic of a real vLLM, kept with the protocol crate.
    const FIXTURES: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/fixtures/vllm-0.32");

    fn read(n: u64) -> ReadStamp {
        ReadStamp { at: Timestamp::from_nanos(n), client_lag: None, read: n }
    }

    /// What is left of an answer that comes in `pieces`, a read each. Chunk marks
    /// and instants depend on the reads and are left out.
    fn observe(endpoint: Endpoint, pieces: &[&[u8]]) -> (RequestRecord, Vec<u64>, Option<Failure>) {
        let mut observer = Observer::new(endpoint, true, true, None);
        observer.track_offsets();
        let mut tokens = 0;
        for (n, piece) in pieces.iter().enumerate() {
            tokens += observer.data(piece, read(n as u64 + 1));
        }
        observer.end(read(pieces.len() as u64));
        let mut record = blank();
        let offsets = observer.take_offsets();
        let failure = observer.fill(&mut record);
        assert_eq!(offsets.len(), record.chunks.len());
        assert_eq!(tokens, record.chunks.iter().map(|c| c.tokens).sum::<u32>());
        for chunk in &mut record.chunks {
            chunk.at = Timestamp::ZERO;
            chunk.coalesced = false;
        }
        (record, offsets, failure)
    }

    fn blank() -> RequestRecord {
        RequestRecord::due("", Timestamp::ZERO)
    }

    fn streams() -> Vec<(String, Endpoint, Vec<u8>)> {
        let mut streams = Vec::new();
        for entry in
            std::fs::read_dir(Path::new(FIXTURES)).expect("the recordings are in the project")
        {
            let path = entry.expect("listable").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            let body = std::fs::read(&path).expect("readable");
            if name.ends_with(".body") && body.starts_with(b"data: ") {
                let completion = body.windows(15).any(|w| w == b"text_completion");
                let endpoint = if completion { Endpoint::Completions } else { Endpoint::Chat };
                streams.push((name, endpoint, body));
            }
        }
        assert!(streams.len() >= 25, "{}", streams.len());
        streams
    }

    #[test]
    fn every_recorded_stream_is_observed_whole() {
        for (name, endpoint, body) in streams() {
            let (record, offsets, failure) = observe(endpoint, &[&body]);
            // Two of the recordings were cut off by whoever recorded them.
            let whole = body.ends_with(b"data: [DONE]\n\n");
            assert_eq!(failure.is_none(), whole, "{name}: {failure:?}");
            assert!(!record.chunks.is_empty(), "{name}");
            // Each chunk ends with a blank line, and no two at the same place.
            assert!(offsets.is_sorted_by(|a, b| a < b), "{name}: {offsets:?}");
            assert!(offsets.iter().all(|&end| body[..end as usize].ends_with(b"}\n\n")), "{name}");
            let counted: u32 = record.chunks.iter().map(|c| c.tokens).sum();
            let exact = record.chunk_token_source != ChunkTokenSource::Assumed;
            if exact && let Some(total) = record.output_tokens {
                assert_eq!(counted, total.count, "{name}");
            }
        }
    }

    #[test]
    fn where_the_reads_cut_does_not_matter() {
        for (name, endpoint, body) in streams() {
            let whole = observe(endpoint, &[&body]);
            // Long recordings at every seventh byte: every kind of place is met.
            let step = if body.len() > 6_000 { 7 } else { 1 };
            for cut in (1..body.len()).step_by(step) {
                let (a, b) = body.split_at(cut);
                assert_eq!(observe(endpoint, &[a, b]), whole, "{name} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(observe(endpoint, &bytes), whole, "{name} byte by byte");
        }
    }
}
