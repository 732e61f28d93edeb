//! From the JSON of one event, or of a whole answer, to what measuring needs of it.
//!
//! Nothing else is decoded: unknown keys, log-probabilities and prompt token
//! ids are skipped, token ids are counted.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::delta::{Answer, ChoiceDelta, Delta, StreamEvent};
use crate::endpoint::Endpoint;
use crate::few::Few;
use crate::text::{Text, text, truncated};
use crate::usage::{ServerMetrics, Usage};

/// Most characters of a malformed event or body that an error quotes.
pub const MAX_EXCERPT_CHARS: usize = 200;

/// An event or a body that is not what the protocol says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not JSON, or not of the shape of an answer of this endpoint.
    #[error("not a {endpoint} answer: {problem}: `{excerpt}`")]
    Malformed {
        /// What was expected.
        endpoint: Endpoint,
        /// How it begins, at most [`MAX_EXCERPT_CHARS`] characters.
        excerpt: String,
        /// What is wrong and where.
        problem: serde_json::Error,
    },
    /// JSON with neither `choices` nor an error.
    #[error("neither an answer nor an error: `{excerpt}`")]
    NotAnAnswer {
        /// How it begins, at most [`MAX_EXCERPT_CHARS`] characters.
        excerpt: String,
    },
    /// A body that is not UTF-8.
    #[error("the body is not UTF-8 after {valid_up_to} bytes")]
    NotUtf8 {
        /// Bytes before the first that is wrong.
        valid_up_to: usize,
    },
    /// An error object in place of an answer that was not streamed.
    #[error("the server answered with an error: {0}")]
    Server(ApiError),
}

/// Decodes the data of one event. `[DONE]` and error objects are events like others.
pub fn parse_event(endpoint: Endpoint, data: &str) -> Result<StreamEvent<'_>, ParseError> {
    if data == "[DONE]" || data.trim() == "[DONE]" {
        return Ok(StreamEvent::Done);
    }
    Ok(match decode(endpoint, data)? {
        Ok(delta) => StreamEvent::Delta(delta),
        Err(error) => StreamEvent::Error(error),
    })
}

/// Decodes an answer that was not streamed.
pub fn parse_answer(endpoint: Endpoint, body: &[u8]) -> Result<Answer<'_>, ParseError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| ParseError::NotUtf8 { valid_up_to: error.valid_up_to() })?;
    match decode(endpoint, text)? {
        Ok(Delta { model, choices, usage, metrics }) => {
            Ok(Answer { model, choices, usage, metrics })
        }
        Err(error) => Err(ParseError::Server(error)),
    }
}

/// A chunk or whole answer, or the server's error in its place.
type Decoded<'a> = Result<Delta<'a>, ApiError>;

fn decode(endpoint: Endpoint, data: &str) -> Result<Decoded<'_>, ParseError> {
    match endpoint {
        Endpoint::Chat => decode_as::<WireChatChoice<'_>>(endpoint, data),
        Endpoint::Completions => decode_as::<WireCompletionChoice<'_>>(endpoint, data),
    }
}

fn decode_as<'a, C>(endpoint: Endpoint, data: &'a str) -> Result<Decoded<'a>, ParseError>
where
    C: Deserialize<'a> + Into<ChoiceDelta<'a>>,
{
    let malformed = |problem| ParseError::Malformed {
        endpoint,
        excerpt: truncated(data, MAX_EXCERPT_CHARS),
        problem,
    };
    let chunk: WireChunk<'a, C> = serde_json::from_str(data).map_err(malformed)?;
    match chunk {
        WireChunk { choices: Some(choices), error: None, model, usage, metrics } => {
            let choices = choices.map(Into::into);
            Ok(Ok(Delta { model: text(model), choices, usage, metrics }))
        }
        // Rare: read it again, whole.
        _ => {
            let value: Value = serde_json::from_str(data).map_err(malformed)?;
            match ApiError::from_value(&value) {
                Some(error) => Ok(Err(error)),
                None => {
                    Err(ParseError::NotAnAnswer { excerpt: truncated(data, MAX_EXCERPT_CHARS) })
                }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: Deserialize<'de>"))]
struct WireChunk<'a, C> {
    #[serde(default, borrow)]
    model: Option<Text<'a>>,
    #[serde(default)]
    choices: Option<Few<C>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    metrics: Option<ServerMetrics>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

/// A choice as the chat endpoint writes it.
#[derive(Deserialize)]
struct WireChatChoice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(alias = "message", borrow)]
    delta: WireDelta<'a>,
    #[serde(default, borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(default)]
    token_ids: Option<Length>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(default)]
    role: Option<IgnoredAny>,
    #[serde(default, borrow)]
    content: Option<Text<'a>>,
    #[serde(default, borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(default, borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<WireToolCall<'a>>>,
}

#[derive(Deserialize)]
struct WireToolCall<'a> {
    #[serde(default, borrow)]
    function: Option<WireFunction<'a>>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(default, borrow)]
    name: Option<Text<'a>>,
    #[serde(default, borrow)]
    arguments: Option<Text<'a>>,
}

/// A choice as the completions endpoint writes it.
#[derive(Deserialize)]
struct WireCompletionChoice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(default)]
    token_ids: Option<Length>,
}

impl<'a> From<WireChatChoice<'a>> for ChoiceDelta<'a> {
    fn from(choice: WireChatChoice<'a>) -> Self {
        let delta = choice.delta;
        Self {
            index: choice.index,
            opening: delta.role.is_some(),
            text: text(delta.content),
            // Servers in transition send both names with the same text.
            reasoning: text(delta.reasoning.or(delta.reasoning_content)),
            tool_call_text: delta.tool_calls.and_then(tool_call_text),
            token_ids: choice.token_ids.map(|Length(ids)| ids),
            finish_reason: text(choice.finish_reason),
        }
    }
}

impl<'a> From<WireCompletionChoice<'a>> for ChoiceDelta<'a> {
    fn from(choice: WireCompletionChoice<'a>) -> Self {
        Self {
            index: choice.index,
            text: Some(choice.text.0),
            token_ids: choice.token_ids.map(|Length(ids)| ids),
            finish_reason: text(choice.finish_reason),
            ..ChoiceDelta::default()
        }
    }
}

fn tool_call_text(calls: Vec<WireToolCall<'_>>) -> Option<Cow<'_, str>> {
    let texts = calls
        .into_iter()
        .filter_map(|call| call.function)
        .flat_map(|function| [function.name, function.arguments])
        .filter_map(text);
    texts.reduce(|joined, text| joined + text)
}

/// The length of a list whose items do not matter.
struct Length(u32);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl<'de> Visitor<'de> for Counting {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of token ids")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Length, A::Error> {
                let mut length = 0_u32;
                while items.next_element::<IgnoredAny>()?.is_some() {
                    length = length.saturating_add(1);
                }
                Ok(Length(length))
            }
        }

        deserializer.deserialize_seq(Counting)
    }
}
