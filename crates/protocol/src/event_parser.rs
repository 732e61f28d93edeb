//! The events of one stream, one after the other.

use crate::delta::StreamEvent;
use crate::endpoint::Endpoint;
use crate::parse::{ParseError, parse_event};
use crate::shape::Shape;

/// Decodes the events of one stream: to the same as [`parse_event`], in a
/// tenth of its time.
///
/// The chunks of an answer are equal byte for byte but for their text, their
/// running usage and their token ids. What is the same was decoded once; it is compared,
/// and only the rest is read.
///
/// ```
/// use vllm_bench_protocol::{Endpoint, EventParser, StreamEvent, parse_event};
///
/// let mut parser = EventParser::new(Endpoint::Completions);
/// for data in [r#"{"choices":[{"text":"Hi"}]}"#, r#"{"choices":[{"text":" you"}]}"#] {
///     let event = parser.parse(data).expect("a chunk");
///     assert_eq!(event, parse_event(Endpoint::Completions, data).expect("a chunk"));
/// }
/// ```
#[derive(Debug)]
pub struct EventParser {
    endpoint: Endpoint,
    /// Newest first.
    shapes: Vec<Shape>,
    /// Shapes learned so far.
    learned: usize,
}

/// Most shapes that are tried on a chunk: one a choice, or one each for reasoning and text.
const MAX_SHAPES: usize = 4;

/// Most shapes that are learned from a stream: where chunks differ in more
/// than a shape can say, learning is in vain.
const MAX_LEARNED: usize = 8;

impl EventParser {
    /// For one stream of this endpoint.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, shapes: Vec::new(), learned: 0 }
    }

    /// Decodes the data of the next event.
    ///
    /// # Errors
    /// As [`parse_event`].
    pub fn parse<'a>(&'a mut self, data: &'a str) -> Result<StreamEvent<'a>, ParseError> {
        let known = self.shapes.iter().enumerate();
        if let Some((at, filling)) =
            known.filter_map(|(at, shape)| Some((at, shape.read(data)?))).next()
        {
            return Ok(StreamEvent::Delta(self.shapes[at].filled(filling)));
        }
        let event = parse_event(self.endpoint, data)?;
        if let StreamEvent::Delta(delta) = &event
            && self.learned < MAX_LEARNED
            && let Some(shape) = Shape::learn(self.endpoint, data, delta)
        {
            self.learned += 1;
            self.shapes.insert(0, shape);
            self.shapes.truncate(MAX_SHAPES);
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks of a recording that are read by a shape, of all its events.
    fn by_shape(name: &str, endpoint: Endpoint) -> (usize, usize) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vllm-0.32");
        let path = format!("{folder}/{name}.body");
        let body = std::fs::read_to_string(&path).expect(&path);
        let mut parser = EventParser::new(endpoint);
        let (mut known, mut all) = (0, 0);
        for data in body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
            known += usize::from(parser.shapes.iter().any(|shape| shape.read(data).is_some()));
            all += 1;
            parser.parse(data).expect(data);
        }
        (known, all)
    }

    #[test]
    fn most_chunks_are_read_by_a_shape() {
        use Endpoint::{Chat, Completions};
        // All but the opening chunk, those until the first text without escapes, the
        // finishing one, the usage and the end.
        let found = [
            by_shape("chat-stream-usage", Chat),
            by_shape("chat-stream-tokenids", Chat),
            by_shape("chat-stream-continuous", Chat),
            by_shape("chat-stream-utf8", Chat),
            by_shape("completion-stream-continuous", Completions),
            // Two choices in turn: a shape each.
            by_shape("chat-stream-n2", Chat),
        ];
        assert_eq!(found, [(13, 19), (13, 19), (13, 19), (42, 47), (14, 18), (8, 16)]);
    }

    #[test]
    fn learning_in_vain_ends() {
        let mut parser = EventParser::new(Endpoint::Completions);
        for created in 0..100 {
            let data = format!(r#"{{"created":{created},"choices":[{{"text":"a"}}]}}"#);
            parser.parse(&data).expect("a chunk");
        }
        assert_eq!((parser.learned, parser.shapes.len()), (MAX_LEARNED, MAX_SHAPES));
    }
}
