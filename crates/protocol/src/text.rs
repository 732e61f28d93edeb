//! Other people's words: borrowed where they can be, and at most so many.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A text of JSON, borrowed when it has no escapes. (serde's own `Cow` copies
/// inside an `Option`.)
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

/// The words of a text that may be absent.
pub(crate) fn text(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(words)| words)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Words)
    }
}

/// `text`, cut after `limit` characters with an ellipsis in place of the rest.
pub(crate) fn truncated(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_escapes_are_copied() {
        let read = |json: &'static str| serde_json::from_str::<Text<'static>>(json).expect(json).0;
        assert!(matches!(read(r#""Gr\u00fc\n""#), Cow::Owned(text) if text == "Grü\n"));
        assert!(matches!(read(r#""Grüße""#), Cow::Borrowed("Grüße")));
        assert!(matches!(read(r#""""#), Cow::Borrowed("")));
        serde_json::from_str::<Text<'_>>("7").expect_err("a number");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(truncated("Grüße", 5), "Grüße");
        assert_eq!(truncated("Grüße", 3), "Grü…");
        assert_eq!(truncated("", 0), "");
    }
}
