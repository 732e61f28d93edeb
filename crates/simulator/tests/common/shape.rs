//! The shape of JSON: keys in order and kinds of values, with the words that mean something.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value without what differs between two servers.
#[derive(Clone, PartialEq)]
pub(crate) enum Shape {
    Null,
    Bool,
    Number,
    Text(String),
    List(Vec<Shape>),
    Object(Vec<(String, Shape)>),
}

impl Shape {
    pub(crate) fn of(json: &str) -> Self {
        let whole: Shape =
            serde_json::from_str(json).unwrap_or_else(|problem| panic!("{problem}: {json}"));
        whole.without_content("")
    }

    /// Texts that differ by nature become empty, lists keep each shape once, and objects whose keys are
    /// tokens keep none.
    fn without_content(self, key: &str) -> Self {
        match self {
            Shape::Text(_)
                if !["object", "role", "finish_reason", "type", "owned_by"].contains(&key) =>
            {
                Shape::Text(String::new())
            }
            Shape::List(items) => {
                let mut kept: Vec<Shape> = Vec::new();
                for item in items {
                    let item = match item {
                        Shape::Object(_) if key == "top_logprobs" && !item.has("token") => {
                            Shape::Object(Vec::new())
                        }
                        item => item.without_content(key),
                    };
                    if !kept.contains(&item) {
                        kept.push(item);
                    }
                }
                Shape::List(kept)
            }
            Shape::Object(fields) => {
                let field = |(name, value): (String, Shape)| {
                    let value = value.without_content(&name);
                    (name, value)
                };
                let mut fields: Vec<_> = fields.into_iter().map(field).collect();
                // Values of serde_json do not keep their order, so log-probabilities have another one.
                if fields.iter().any(|(name, _)| name == "logprob") {
                    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                Shape::Object(fields)
            }
            other => other,
        }
    }

    fn has(&self, key: &str) -> bool {
        matches!(self, Shape::Object(fields) if fields.iter().any(|(name, _)| name == key))
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Null => f.write_str("null"),
            Shape::Bool => f.write_str("bool"),
            Shape::Number => f.write_str("number"),
            Shape::Text(text) => write!(f, "{text:?}"),
            Shape::List(items) => f.debug_list().entries(items).finish(),
            Shape::Object(fields) => {
                f.debug_map().entries(fields.iter().map(|(k, v)| (k, v))).finish()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ShapeVisitor;

        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
                Ok(Shape::Bool)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
                Ok(Shape::Number)
            }

            fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
                Ok(Shape::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Shape::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Shape, A::Error> {
                let mut object = Vec::new();
                while let Some(field) = fields.next_entry()? {
                    object.push(field);
                }
                Ok(Shape::Object(object))
            }
        }

        from.deserialize_any(ShapeVisitor)
    }
}
