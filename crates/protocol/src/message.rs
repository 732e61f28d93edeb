//! One message of a conversation.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One message of a conversation, as sent to a server and as kept in a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// The text. A list of content parts is read too: its text parts, joined
    /// by line feeds as vLLM joins them; other parts are refused. `null` and
    /// an absent key read as empty text.
    #[serde(default, deserialize_with = "content_text")]
    pub content: String,
}

impl ChatMessage {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }

    /// A system line.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// What the person says.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// What the model said before.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One part of a content list.
#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

fn content_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Content;

    impl<'de> Visitor<'de> for Content {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a list of text parts or null")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
            Ok(text)
        }

        fn visit_unit<E: de::Error>(self) -> Result<String, E> {
            Ok(String::new())
        }

        fn visit_none<E: de::Error>(self) -> Result<String, E> {
            Ok(String::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<String, A::Error> {
            let mut texts: Vec<String> = Vec::new();
            while let Some(part) = parts.next_element::<Part>()? {
                match part.text {
                    Some(text) if part.kind == "text" => texts.push(text),
                    _ => {
                        return Err(de::Error::custom(format_args!(
                            "content part of type `{}`; only text parts are supported",
                            part.kind
                        )));
                    }
                }
            }
            Ok(texts.join("\n"))
        }
    }

    deserializer.deserialize_any(Content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ChatMessage, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn content_is_text_parts_or_nothing() {
        let cases = [
            (r#"{"role":"user","content":"a"}"#, "a"),
            (r#"{"role":"user","content":"a\nb"}"#, "a\nb"),
            (
                r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
                "a\nb",
            ),
            (r#"{"role":"user","content":[]}"#, ""),
            (r#"{"role":"user","content":null}"#, ""),
            (r#"{"role":"user"}"#, ""),
        ];
        for (json, expected) in cases {
            assert_eq!(read(json).expect(json), ChatMessage::user(expected), "{json}");
        }
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let error = read(r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#)
            .expect_err("an image");
        assert!(error.to_string().contains("`image_url`"), "{error}");
        let error = read(r#"{"role":"robot","content":""}"#).expect_err("no such role");
        assert!(error.to_string().contains("`system`, `user`, `assistant`, `tool`"), "{error}");
        read(r#"{"role":"user","content":7}"#).expect_err("a number");
    }
}
