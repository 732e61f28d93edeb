//! Chat templates: the Jinja of `tokenizer_config.json`, rendered as transformers does.

use std::io::Write as _;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;
use vllm_bench_protocol::ChatMessage;

/// A compiled chat template with the special tokens it writes.
#[derive(Debug)]
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Value,
}

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles `source`; `special_tokens` are names such as `bos_token` and their texts.
    pub(super) fn new(source: &str, special_tokens: &[(String, String)]) -> Result<Self, String> {
        let mut environment = Environment::new();
        // As transformers' `apply_chat_template` sets up Jinja.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        // A block that only marks text for training; minijinja does not know it.
        let source = without_generation_tags(source);
        environment.add_template_owned(NAME, source).map_err(|e| words(&e))?;
        let special_tokens =
            special_tokens.iter().map(|(k, v)| (k.as_str(), Value::from(v.as_str()))).collect();
        Ok(Self { environment, special_tokens })
    }

    /// The text of a conversation, opened for the assistant's answer.
    pub(super) fn render(&self, messages: &[ChatMessage]) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|e| words(&e))?;
        let context = context! {
            messages => messages,
            add_generation_prompt => true,
            tools => Value::from(()),
            documents => Value::from(()),
            ..self.special_tokens.clone()
        };
        template.render(context).map_err(|e| words(&e))
    }
}

fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let Some(close) = rest[open..].find("%}").map(|at| open + at + 2) else { break };
        let word = rest[open + 2..close - 2]
            .trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        out.push_str(&rest[..open]);
        if word == "generation" || word == "endgeneration" {
            // An empty comment with the same whitespace marks keeps the text around it as it was.
            let left = if rest[open + 2..].starts_with('-') { "-" } else { "" };
            let right = if rest[..close - 2].ends_with('-') { "-" } else { "" };
            out.push_str(&format!("{{#{left} {right}#}}"));
        } else {
            out.push_str(&rest[open..close]);
        }
        rest = &rest[close..];
    }
    out.push_str(rest);
    out
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Templates that write today's date would make a corpus differ from day to day: they get this day. All dates of the same
/// form have nearly the same number of tokens.
const DAY: [(char, &str); 10] = [
    ('d', "26"),
    ('e', "26"),
    ('b', "Jul"),
    ('B', "July"),
    ('m', "07"),
    ('Y', "2025"),
    ('y', "25"),
    ('A', "Saturday"),
    ('a', "Sat"),
    ('j', "207"),
];

fn strftime_now(format: String) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('H' | 'I') => out.push_str("12"),
            Some('M' | 'S') => out.push_str("00"),
            Some('p') => out.push_str("PM"),
            Some('F') => out.push_str("2025-07-26"),
            Some('-') => {}
            Some(c) => match DAY.iter().find(|(key, _)| *key == c) {
                Some((_, text)) => out.push_str(text),
                None => out.extend(
                    ['%', c].into_iter().filter(|&c| c != '%').chain((c == '%').then_some('%')),
                ),
            },
            None => out.push('%'),
        }
    }
    out
}

/// Python's `json.dumps` as templates use it: nothing escaped for HTML, `", "` and `": "` between entries.
fn tojson(value: Value, arguments: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    let _: Option<bool> = arguments.get("ensure_ascii")?;
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let mut out = Vec::new();
    if let Some(indent) = indent {
        let indent = " ".repeat(indent);
        let format = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
        value
            .serialize(&mut serde_json::Serializer::with_formatter(&mut out, format))
            .map_err(failed)?;
    } else {
        value
            .serialize(&mut serde_json::Serializer::with_formatter(&mut out, Python))
            .map_err(failed)?;
    }
    arguments.assert_all_used()?;
    Ok(Value::from_safe_string(String::from_utf8_lossy(&out).into_owned()))
}

struct Python;

impl serde_json::ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
    ) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// The engine's error with what is behind it, on one line.
fn words(error: &Error) -> String {
    let mut text = Vec::new();
    let _ = write!(text, "{error}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, messages: &[ChatMessage]) -> Result<String, String> {
        ChatTemplate::new(template, &[("bos_token".into(), "<s>".into())])?.render(messages)
    }

    #[test]
    fn renders_as_transformers_does() {
        let user = [ChatMessage::user(" hi ")];
        let cases = [
            (
                "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m.content | trim }}{% endfor %}",
                "<s>[user]hi",
            ),
            ("{% if messages[0].content.strip().startswith('h') %}yes{% endif %}", "yes"),
            ("{% for m in messages %}\n  {% if true %}\n x\n  {% endif %}\n{% endfor %}\n", " x\n"),
            (
                "{% generation %}a{% endgeneration %} {%- generation -%} b {% endgeneration %}",
                "ab ",
            ),
            ("{% if tools is none and add_generation_prompt %}ok{% endif %}", "ok"),
            ("{{ {'a': [1, '<b>'], 'c': none} | tojson }}", "{\"a\": [1, \"<b>\"], \"c\": null}"),
            ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2025"),
            ("{% for m in messages %}{{ loop.index }}{% break %}{% endfor %}", "1"),
            ("<{{ messages[0].content }}>", "< hi >"),
        ];
        for (template, expected) in cases {
            assert_eq!(render(template, &user).expect(template), expected, "{template}");
        }
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let error =
            render("{{ raise_exception('roles must alternate') }}", &[]).expect_err("refused");
        assert!(error.contains("roles must alternate"), "{error}");
        assert!(render("{% if %}", &[]).expect_err("not Jinja").contains("syntax error"));
    }
}
