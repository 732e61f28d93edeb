//! What the chunks of a stream have in common, and where they differ.

use std::borrow::Cow;

use crate::delta::{ChoiceDelta, Delta, StreamEvent};
use crate::endpoint::Endpoint;
use crate::few::Few;
use crate::parse::parse_event;
use crate::usage::Usage;

/// The JSON of a chunk with holes in it.
///
/// A hole is a whole token of JSON, or the items of a list, and what may fill
/// it is checked to be such. So data that is equal outside of the holes decodes to the same
/// but for what is in them: there is nothing to guess.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Each hole with what is before it.
    holes: Vec<(String, Hole)>,
    /// What is behind the last hole.
    end: String,
    model: Option<String>,
    index: u32,
    opening: bool,
    /// The text is reasoning.
    reasoning: bool,
    has_ids: bool,
    /// A running usage; two of its counts are holes.
    usage: Option<Usage>,
}

/// What may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    /// The inside of the text's quotes.
    Text,
    /// The inside of the brackets of `token_ids`.
    Ids,
    /// `usage.total_tokens`.
    Total,
    /// `usage.completion_tokens`.
    Completion,
}

/// What was in the holes.
#[derive(Debug, Default)]
pub(crate) struct Filling<'a> {
    text: Cow<'a, str>,
    ids: u32,
    total: u32,
    completion: u32,
}

impl Shape {
    /// The shape of `data`, which decoded to `delta`. `None` when there is no
    /// use in it: the chunk is not of the kind that repeats.
    pub(crate) fn learn(endpoint: Endpoint, data: &str, delta: &Delta<'_>) -> Option<Self> {
        let [choice] = &*delta.choices else { return None };
        let (text, reasoning) = match (&choice.text, &choice.reasoning) {
            (Some(Cow::Borrowed(text)), None) => (*text, false),
            (None, Some(Cow::Borrowed(text))) => (*text, true),
            _ => return None,
        };
        let repeats = choice.finish_reason.is_none()
            && choice.tool_call_text.is_none()
            && delta.metrics.is_none()
            && !(choice.opening && text.is_empty());
        if !repeats {
            return None;
        }
        // A borrowed text lies in the data: its place tells which of the strings it is.
        let begin = text.as_ptr().addr().checked_sub(data.as_ptr().addr())?;
        let end = begin + text.len();
        if !data.get(..begin)?.ends_with('"') || !data.get(end..)?.starts_with('"') {
            return None;
        }
        let mut places = vec![(begin, end, Hole::Text)];
        if choice.token_ids.is_some() {
            let begin = after(data, end, "\"token_ids\":")?;
            let begin = begin + usize::from(data[begin..].starts_with('['));
            places.push((begin, ids(data, begin)?.1, Hole::Ids));
        }
        if delta.usage.is_some() {
            for (key, hole) in
                [("\"total_tokens\":", Hole::Total), ("\"completion_tokens\":", Hole::Completion)]
            {
                let begin = after(data, end, key)?;
                places.push((begin, number(data, begin)?.1, hole));
            }
        }
        places.sort_unstable_by_key(|(begin, ..)| *begin);
        let mut holes = Vec::with_capacity(places.len());
        let mut done = 0;
        for (begin, end, hole) in places {
            holes.push((data[done..begin].to_owned(), hole));
            done = end;
        }
        let shape = Self {
            holes,
            end: data[done..].to_owned(),
            model: delta.model.as_deref().map(str::to_owned),
            index: choice.index,
            opening: choice.opening,
            reasoning,
            has_ids: choice.token_ids.is_some(),
            usage: delta.usage.clone(),
        };
        shape.is_true(endpoint, data, delta).then_some(shape)
    }

    /// Whether each hole is what it was taken for: what is in them is what `delta` has, and
    /// others in all of them decode to just these.
    fn is_true(&self, endpoint: Endpoint, data: &str, delta: &Delta<'_>) -> bool {
        let Some(filling) = self.read(data) else { return false };
        let other = Filling {
            text: Cow::Owned(format!("{}+", filling.text)),
            ids: filling.ids + 1,
            total: filling.total ^ 1,
            completion: filling.completion ^ 1,
        };
        if self.filled(filling) != *delta {
            return false;
        }
        let ids = vec!["7"; other.ids as usize].join(",");
        let mut probe = String::with_capacity(data.len() + 64);
        for (before, hole) in &self.holes {
            probe.push_str(before);
            match hole {
                Hole::Text => probe.push_str(&other.text),
                Hole::Ids => probe.push_str(&ids),
                Hole::Total => probe.push_str(&other.total.to_string()),
                Hole::Completion => probe.push_str(&other.completion.to_string()),
            }
        }
        probe.push_str(&self.end);
        match parse_event(endpoint, &probe) {
            Ok(StreamEvent::Delta(delta)) => delta == self.filled(other),
            _ => false,
        }
    }

    /// What `data` has in the holes; `None` when it is of another shape.
    pub(crate) fn read<'a>(&self, data: &'a str) -> Option<Filling<'a>> {
        let mut filling = Filling::default();
        let mut at = 0;
        for (before, hole) in &self.holes {
            if !data.as_bytes()[at..].starts_with(before.as_bytes()) {
                return None;
            }
            at += before.len();
            at = match hole {
                Hole::Text => {
                    let (text, end) = string(data, at)?;
                    filling.text = text;
                    end
                }
                Hole::Ids => {
                    let (ids, end) = ids(data, at)?;
                    filling.ids = ids;
                    end
                }
                Hole::Total => {
                    let (total, end) = number(data, at)?;
                    filling.total = total;
                    end
                }
                Hole::Completion => {
                    let (completion, end) = number(data, at)?;
                    filling.completion = completion;
                    end
                }
            };
        }
        (data.as_bytes()[at..] == *self.end.as_bytes()).then_some(filling)
    }

    /// The chunk with this in its holes.
    pub(crate) fn filled<'a>(&'a self, filling: Filling<'a>) -> Delta<'a> {
        let text = Some(filling.text);
        let (text, reasoning) = if self.reasoning { (None, text) } else { (text, None) };
        let usage = self.usage.as_ref().map(|usage| Usage {
            total_tokens: filling.total,
            completion_tokens: filling.completion,
            ..usage.clone()
        });
        Delta {
            model: self.model.as_deref().map(Cow::Borrowed),
            choices: Few::from(ChoiceDelta {
                index: self.index,
                opening: self.opening,
                text,
                reasoning,
                tool_call_text: None,
                token_ids: self.has_ids.then_some(filling.ids),
                finish_reason: None,
            }),
            usage,
            metrics: None,
        }
    }
}

/// Where the value of the first `key` behind `from` begins.
fn after(data: &str, from: usize, key: &str) -> Option<usize> {
    let at = from + data[from..].find(key)? + key.len();
    let spaces = data[at..].bytes().take_while(|byte| *byte == b' ').count();
    Some(at + spaces)
}

/// The text that begins at `at`, behind its quote, and where its other quote is.
fn string(data: &str, at: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = data.as_bytes();
    let mut end = at;
    let mut escapes = false;
    loop {
        match bytes.get(end)? {
            b'"' => break,
            b'\\' => {
                escapes = true;
                end += 2;
            }
            0..0x20 => return None,
            _ => end += 1,
        }
    }
    let text = if escapes {
        // With its quotes; serde_json knows the escapes.
        Cow::Owned(serde_json::from_str(&data[at - 1..=end]).ok()?)
    } else {
        Cow::Borrowed(&data[at..end])
    };
    Some((text, end))
}

/// The count that begins at `at`, and its end. None of more than nine digits.
fn number(data: &str, at: usize) -> Option<(u32, usize)> {
    let digits = data.as_bytes()[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = at + digits;
    // A zero in front of digits is no number in JSON.
    if !(1..=9).contains(&digits) || (digits > 1 && data.as_bytes()[at] == b'0') {
        return None;
    }
    Some((data[at..end].parse().ok()?, end))
}

/// How many numbers stand in the list that begins at `at`, behind its bracket,
/// and where they end. `None` when it is empty, or has anything else in it.
fn ids(data: &str, at: usize) -> Option<(u32, usize)> {
    let mut count = 1;
    let mut end = number(data, at)?.1;
    while data.as_bytes().get(end) == Some(&b',') {
        end = number(data, end + 1)?.1;
        count += 1;
    }
    (data.as_bytes().get(end) == Some(&b']')).then_some((count, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = r#""usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}"#;

    fn shape(endpoint: Endpoint, data: &str) -> Option<Shape> {
        match parse_event(endpoint, data).expect(data) {
            StreamEvent::Delta(delta) => Shape::learn(endpoint, data, &delta),
            other => panic!("{data}: {other:?}"),
        }
    }

    fn holes(data: &str) -> Option<Vec<Hole>> {
        let shape = shape(Endpoint::Chat, data)?;
        Some(shape.holes.iter().map(|(_, hole)| *hole).collect())
    }

    #[test]
    fn only_chunks_that_repeat_are_learned() {
        use Hole::{Completion, Ids, Text, Total};
        let cases = [
            (r#"{"choices":[{"delta":{"content":"a"}}]}"#, Some(vec![Text])),
            (r#"{"choices":[{"delta":{"reasoning":"a"}}]}"#, Some(vec![Text])),
            (r#"{"choices":[{"delta":{"content":""}}]}"#, Some(vec![Text])),
            (r#"{"choices":[{"delta":{"role":"x","content":"a"}}]}"#, Some(vec![Text])),
            (r#"{"choices":[{"delta":{"role":"x","content":""}}]}"#, None),
            (r#"{"choices":[{"delta":{"content":"a\n"}}]}"#, None),
            (r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#, None),
            (r#"{"choices":[{"delta":{"content":"a"},"token_ids":[4,5]}]}"#, Some(vec![Text, Ids])),
            (r#"{"choices":[{"delta":{"content":"a"},"token_ids":[]}]}"#, None),
            (r#"{"choices":[{"token_ids":[4],"delta":{"content":"a"}}]}"#, None),
            (r#"{"choices":[{"delta":{}}]}"#, None),
            (r#"{"choices":[]}"#, None),
            (r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"a"}}]}"#, None),
        ];
        for (data, expected) in cases {
            assert_eq!(holes(data), expected, "{data}");
            let with_usage = format!("{},{USAGE}}}", data.strip_suffix('}').expect("an object"));
            let expected = expected.map(|holes| [holes, vec![Total, Completion]].concat());
            assert_eq!(holes(&with_usage), expected, "{with_usage}");
        }
    }

    #[test]
    fn what_only_looks_like_a_count_is_not_taken_for_one() {
        // Another object's counts stand in front of those of the usage.
        let data = format!(
            r#"{{"choices":[{{"delta":{{"content":"a"}}}}],"x":{{"total_tokens":7,"completion_tokens":2}},{USAGE}}}"#
        );
        assert_eq!(holes(&data), None);
        let data =
            r#"{"choices":[{"delta":{"content":"a"},"x":{"token_ids":[1]},"token_ids":[1]}]}"#;
        assert_eq!(holes(data), None);
        // One more number in the other list than in the true one, which is empty.
        let data =
            r#"{"choices":[{"delta":{"content":"a"},"x":{"token_ids":[1]},"token_ids":[]}]}"#;
        assert_eq!(holes(data), None);
    }

    #[test]
    fn holes_take_only_what_json_allows() {
        let data =
            format!(r#"{{"choices":[{{"delta":{{"content":"a"}},"token_ids":[4]}}],{USAGE}}}"#);
        let shape = shape(Endpoint::Chat, &data).expect("it repeats");
        let filled = |text: &str, ids: &str, total: &str| {
            let data = data.replace(r#""a""#, text).replace("[4]", ids);
            let data = data.replace(":7", &format!(":{total}"));
            let same = shape.read(&data).map(|filling| {
                let parsed = parse_event(Endpoint::Chat, &data).expect(&data);
                assert_eq!(parsed, StreamEvent::Delta(shape.filled(filling)), "{data}");
            });
            same.is_some()
        };
        for text in [r#""""#, r#""b c""#, r#""\"\\\n""#, r#""\ud83c\udf89ß""#, "\"世\u{7f}\""] {
            assert!(filled(text, "[4]", "7"), "{text}");
        }
        for text in [r#""\x""#, r#""\ud83c""#, "\"\n\"", r#"null"#, r#""a","b":"c""#, r#""a\""#] {
            assert!(!filled(text, "[4]", "7"), "{text}");
        }
        assert!(filled(r#""a""#, "[0,10,999999999]", "0"));
        for ids in ["[]", "[01]", "[1,]", "[1.5]", "[-1]", "[1 ]", "null", "[9999999999]"] {
            assert!(!filled(r#""a""#, ids, "7"), "{ids}");
        }
        for total in ["", "07", "7.0", "7e1", "-7", "null", "4294967296"] {
            assert!(!filled(r#""a""#, "[4]", total), "{total}");
        }
    }
}
