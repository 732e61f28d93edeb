//! What a server says when it refuses, in its own words.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::text::truncated;

/// Most characters of the server's words that are kept; the rest is an ellipsis.
pub const MAX_MESSAGE_CHARS: usize = 1_000;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The server's words, at most [`MAX_MESSAGE_CHARS`] characters.
    pub message: String,
    /// `type` on the wire: `BadRequestError`, `NotFoundError`, ….
    pub kind: Option<String>,
    /// The request's key that is to blame.
    pub param: Option<String>,
    /// Mostly the HTTP status again.
    pub code: Option<ErrorCode>,
}

/// `code` of an error: a number in vLLM, a word in OpenAI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ErrorCode {
    /// A number, mostly the HTTP status.
    Number(i64),
    /// A word.
    Word(String),
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl ApiError {
    /// Only words.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self {
            message: truncated(message.as_ref().trim(), MAX_MESSAGE_CHARS),
            kind: None,
            param: None,
            code: None,
        }
    }

    /// An error as vLLM raises them (server side).
    pub fn vllm(message: impl AsRef<str>, kind: &str, param: Option<&str>, code: i64) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            param: param.map(str::to_owned),
            code: Some(ErrorCode::Number(code)),
            ..Self::new(message)
        }
    }

    /// Reads any error body: `{"error":{..}}`, `{"error":".."}`, `{"detail":..}`
    /// (a text or a list of pydantic complaints), `{"message":..}`, other
    /// text, bytes that are not UTF-8, and nothing at all. Never fails: what is not understood
    /// becomes the message as it is.
    pub fn from_body(body: &[u8]) -> Self {
        let known =
            serde_json::from_slice::<Value>(body).ok().and_then(|value| Self::from_value(&value));
        known.unwrap_or_else(|| {
            // Only what can be kept is decoded: a character is at most 4 bytes.
            let head = &body[..body.len().min(MAX_MESSAGE_CHARS * 4 + 4)];
            let text = String::from_utf8_lossy(head);
            if text.trim().is_empty() { Self::new("empty body") } else { Self::new(text) }
        })
    }

    /// Reads an error object; `None` when `value` is none.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Some(match error {
                Value::String(message) => {
                    Self { kind: text_of(value, "type"), ..Self::new(message) }
                }
                Value::Object(_) => {
                    Self::from_fields(error).unwrap_or_else(|| Self::new(error.to_string()))
                }
                other => Self::new(other.to_string()),
            });
        }
        match value.get("detail") {
            Some(Value::String(detail)) => Some(Self::new(detail)),
            Some(Value::Array(complaints)) => Some(Self::from_complaints(complaints)),
            Some(Value::Null) | None => Self::from_fields(value),
            Some(other) => Self::from_fields(other).or_else(|| Some(Self::new(other.to_string()))),
        }
    }

    fn from_fields(fields: &Value) -> Option<Self> {
        let message = fields.get("message")?;
        let message = match message.as_str() {
            Some(text) => text.to_owned(),
            None => message.to_string(),
        };
        Some(Self {
            kind: text_of(fields, "type"),
            param: text_of(fields, "param"),
            code: fields.get("code").and_then(|code| ErrorCode::deserialize(code).ok()),
            ..Self::new(message)
        })
    }

    fn from_complaints(complaints: &[Value]) -> Self {
        let place = |complaint: &Value| {
            let steps = complaint.get("loc")?.as_array()?.iter();
            let steps: Vec<String> = steps
                .map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
                .collect();
            Some(steps.join("."))
        };
        let words: Vec<String> = complaints
            .iter()
            .map(|complaint| {
                let message = text_of(complaint, "msg").unwrap_or_else(|| complaint.to_string());
                match place(complaint) {
                    Some(place) => format!("{place}: {message}"),
                    None => message,
                }
            })
            .collect();
        Self { param: complaints.first().and_then(place), ..Self::new(words.join("; ")) }
    }

    /// The body as vLLM writes it: `{"error":{"message":..,"type":..,"param":..,"code":..}}`.
    pub fn to_body(&self) -> String {
        #[derive(Serialize)]
        struct Fields<'a> {
            message: &'a str,
            r#type: Option<&'a str>,
            param: Option<&'a str>,
            code: Option<&'a ErrorCode>,
        }
        let fields = Fields {
            message: &self.message,
            r#type: self.kind.as_deref(),
            param: self.param.as_deref(),
            code: self.code.as_ref(),
        };
        match serde_json::to_string(&fields) {
            Ok(fields) => format!("{{\"error\":{fields}}}"),
            // Texts and a number always serialise; written without panicking all the same.
            Err(_) => json!({ "error": { "message": self.message } }).to_string(),
        }
    }
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(|text| truncated(text, MAX_MESSAGE_CHARS))
}
