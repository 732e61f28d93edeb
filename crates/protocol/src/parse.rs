//! From the JSON of one event, or of a whole answer, to what measuring needs of it.
//!
//! Nothing else is decoded: unknown keys, log-probabilities and prompt token
//! ids are skipped, token ids are counted.

use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::delta::{Answer, ChoiceDelta, Delta, StreamEvent};
use crate::endpoint::Endpoint;
use crate::text::truncated;
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
pub fn parse_event(endpoint: Endpoint, data: &str) -> Result<StreamEvent, ParseError> {
    if data == "[DONE]" || data.trim() == "[DONE]" {
        return Ok(StreamEvent::Done);
    }
    Ok(match decode(endpoint, data)? {
        Decoded::Error(error) => StreamEvent::Error(error),
        Decoded::Delta(delta) => StreamEvent::Delta(delta),
    })
}

/// Decodes an answer that was not streamed.
pub fn parse_answer(endpoint: Endpoint, body: &[u8]) -> Result<Answer, ParseError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| ParseError::NotUtf8 { valid_up_to: error.valid_up_to() })?;
    match decode(endpoint, text)? {
        Decoded::Error(error) => Err(ParseError::Server(error)),
        Decoded::Delta(Delta { model, choices, usage, metrics }) => {
            Ok(Answer { model, choices, usage, metrics })
        }
    }
}

enum Decoded {
    Error(ApiError),
    Delta(Delta),
}

fn decode(endpoint: Endpoint, data: &str) -> Result<Decoded, ParseError> {
    match endpoint {
        Endpoint::Chat => decode_as::<FromChat>(endpoint, data),
        Endpoint::Completions => decode_as::<FromCompletion>(endpoint, data),
    }
}

fn decode_as<C>(endpoint: Endpoint, data: &str) -> Result<Decoded, ParseError>
where
    C: DeserializeOwned + Into<ChoiceDelta>,
{
    let malformed = |problem| ParseError::Malformed {
        endpoint,
        excerpt: truncated(data, MAX_EXCERPT_CHARS),
        problem,
    };
    let chunk: WireChunk<C> = serde_json::from_str(data).map_err(malformed)?;
    match chunk {
        WireChunk { choices: Some(choices), error: None, model, usage, metrics } => {
            // The same layout: the list is reused, not copied.
            let choices = choices.into_iter().map(Into::into).collect();
            Ok(Decoded::Delta(Delta { model, choices, usage, metrics }))
        }
        // Rare: read it again, whole.
        _ => {
            let value: Value = serde_json::from_str(data).map_err(malformed)?;
            match ApiError::from_value(&value) {
                Some(error) => Ok(Decoded::Error(error)),
                None => {
                    Err(ParseError::NotAnAnswer { excerpt: truncated(data, MAX_EXCERPT_CHARS) })
                }
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: DeserializeOwned"))]
struct WireChunk<C> {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Option<Vec<C>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    metrics: Option<ServerMetrics>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireChatChoice {
    #[serde(default)]
    index: u32,
    #[serde(alias = "message")]
    delta: WireDelta,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    token_ids: Option<Length>,
}

#[derive(Deserialize)]
struct WireDelta {
    #[serde(default)]
    role: Option<IgnoredAny>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<WireToolCall>>,
}

#[derive(Deserialize)]
struct WireToolCall {
    #[serde(default)]
    function: Option<WireFunction>,
}

#[derive(Deserialize)]
struct WireFunction {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct WireCompletionChoice {
    #[serde(default)]
    index: u32,
    text: String,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    token_ids: Option<Length>,
}

/// A choice as the chat endpoint writes it.
#[derive(Deserialize)]
#[serde(from = "WireChatChoice")]
struct FromChat(ChoiceDelta);

/// A choice as the completions endpoint writes it.
#[derive(Deserialize)]
#[serde(from = "WireCompletionChoice")]
struct FromCompletion(ChoiceDelta);

impl From<FromChat> for ChoiceDelta {
    fn from(FromChat(choice): FromChat) -> Self {
        choice
    }
}

impl From<FromCompletion> for ChoiceDelta {
    fn from(FromCompletion(choice): FromCompletion) -> Self {
        choice
    }
}

impl From<WireChatChoice> for FromChat {
    fn from(choice: WireChatChoice) -> Self {
        let delta = choice.delta;
        Self(ChoiceDelta {
            index: choice.index,
            opening: delta.role.is_some(),
            text: delta.content,
            // Servers in transition send both names with the same text.
            reasoning: delta.reasoning.or(delta.reasoning_content),
            tool_call_text: delta.tool_calls.and_then(tool_call_text),
            token_ids: choice.token_ids.map(|Length(ids)| ids),
            finish_reason: choice.finish_reason,
        })
    }
}

impl From<WireCompletionChoice> for FromCompletion {
    fn from(choice: WireCompletionChoice) -> Self {
        Self(ChoiceDelta {
            index: choice.index,
            text: Some(choice.text),
            token_ids: choice.token_ids.map(|Length(ids)| ids),
            finish_reason: choice.finish_reason,
            ..ChoiceDelta::default()
        })
    }
}

fn tool_call_text(calls: Vec<WireToolCall>) -> Option<String> {
    let texts = calls
        .into_iter()
        .filter_map(|call| call.function)
        .flat_map(|function| [function.name, function.arguments])
        .flatten();
    texts.reduce(|joined, text| joined + &text)
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
