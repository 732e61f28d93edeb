//! Text to [`Exposition`].
//!
//! Reads the Prometheus text format 0.0.4 and, of OpenMetrics, what servers
//! mix in: the `# EOF` line and exemplars, which are passed over.

use super::exposition::{Exposition, Family, Labels, MetricKind, Sample};
use crate::text::truncated;

/// Most characters of a wrong line that are quoted.
const MAX_LINE_CHARS: usize = 120;

/// A line that is not of the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}: `{text}`")]
#[non_exhaustive]
pub struct PrometheusError {
    /// 1-based.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
    /// How the line begins.
    pub text: String,
}

/// Reads the whole text.
pub fn parse(text: &str) -> Result<Exposition, PrometheusError> {
    let mut exposition = Exposition::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches([' ', '\t']);
        if line.is_empty() {
            continue;
        }
        let problem = match line.strip_prefix('#') {
            Some(comment) => read_comment(comment, &mut exposition),
            None => read_sample(line).map(|sample| exposition.samples.push(sample)),
        };
        problem.map_err(|problem| PrometheusError {
            line: index + 1,
            problem,
            text: truncated(line, MAX_LINE_CHARS),
        })?;
    }
    Ok(exposition)
}

fn read_comment(comment: &str, exposition: &mut Exposition) -> Result<(), &'static str> {
    let mut words = comment.trim_start_matches([' ', '\t']).splitn(3, [' ', '\t']);
    match (words.next(), words.next(), words.next()) {
        (Some("HELP"), Some(name), help) => {
            let help = unescaped(help.unwrap_or("").trim_start(), false)?;
            family(exposition, name).help = Some(help);
        }
        (Some("TYPE"), Some(name), kind) => {
            family(exposition, name).kind = match kind.map_or("", str::trim) {
                "counter" => MetricKind::Counter,
                "gauge" | "info" | "stateset" => MetricKind::Gauge,
                "histogram" | "gaugehistogram" => MetricKind::Histogram,
                "summary" => MetricKind::Summary,
                "untyped" | "unknown" => MetricKind::Untyped,
                _ => return Err("unknown metric type"),
            };
        }
        // Any other comment says nothing.
        _ => {}
    }
    Ok(())
}

fn family<'a>(exposition: &'a mut Exposition, name: &str) -> &'a mut Family {
    // HELP and TYPE of a metric stand together: look at the last first.
    let at = exposition.families.iter().rposition(|family| family.name == name);
    let at = at.unwrap_or_else(|| {
        exposition.families.push(Family { name: name.to_owned(), ..Family::default() });
        exposition.families.len() - 1
    });
    &mut exposition.families[at]
}

fn read_sample(line: &str) -> Result<Sample, &'static str> {
    let end = line.find(['{', ' ', '\t']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err("bad metric name");
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Labels::default(), rest),
    };
    // The value, perhaps a timestamp, perhaps an exemplar behind ` # `.
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().and_then(number).ok_or("no number for a value")?;
    match words.next() {
        None | Some("#") => {}
        Some(timestamp) => {
            number(timestamp).ok_or("no number for a timestamp")?;
            if !matches!(words.next(), None | Some("#")) {
                return Err("something behind the timestamp");
            }
        }
    }
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// The labels behind `{`, and what follows `}`.
fn read_labels(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((Labels(labels), rest));
        }
        let (name, after) = rest.split_once('=').ok_or("label without a value")?;
        let name = name.trim_end_matches([' ', '\t']);
        if !is_name(name) {
            return Err("bad label name");
        }
        let quoted = after.trim_start_matches([' ', '\t']);
        let quoted = quoted.strip_prefix('"').ok_or("label value without quotes")?;
        let end = closing_quote(quoted).ok_or("label value without its closing quote")?;
        labels.push((name.to_owned(), unescaped(&quoted[..end], true)?));
        rest = quoted[end + 1..].trim_start_matches([' ', '\t']);
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return Err("no comma between labels"),
        };
    }
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let closing = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closing
    })
}

fn unescaped(text: &str, quotes: bool) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('\\') => plain.push('\\'),
            Some('n') => plain.push('\n'),
            Some('"') if quotes => plain.push('"'),
            // Help texts of real servers have stray backslashes.
            Some(other) if !quotes => plain.extend(['\\', other]),
            None if !quotes => plain.push('\\'),
            _ => return Err("unknown escape in a label value"),
        }
    }
    Ok(plain)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b':'));
    first && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'.'))
}

/// A number as Prometheus writes it, `+Inf` and `NaN` included.
pub(super) fn number(word: &str) -> Option<f64> {
    // Rust reads `inf`, `infinity`, `nan` in any case, and signs: a superset.
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Sample {
        let read = parse(line).expect(line);
        assert_eq!(read.samples.len(), 1, "{line}");
        read.samples[0].clone()
    }

    #[test]
    fn values() {
        let cases = [
            ("a 1", 1.0),
            ("a{} 1.5", 1.5),
            ("a -2e3 1700000000000", -2000.0),
            ("a\t+Inf", f64::INFINITY),
            ("a -Inf", f64::NEG_INFINITY),
            ("a 4.885192704e+09", 4_885_192_704.0),
            ("a_bucket{le=\"1\"} 3 # {trace_id=\"x\"} 0.5 1700000000.0", 3.0),
            ("  a 7  ", 7.0),
        ];
        for (line, value) in cases {
            assert_eq!(one(line).value, value, "{line}");
        }
        assert!(one("a NaN").value.is_nan());
    }

    #[test]
    fn label_values_are_unescaped() {
        let sample = one(r#"a{x="b\\c\"d\ne",y="}, =", z = "" , } 1"#);
        let labels: Vec<_> = sample.labels.iter().collect();
        assert_eq!(labels, [("x", "b\\c\"d\ne"), ("y", "}, ="), ("z", "")]);
        assert_eq!(sample.labels.get("y"), Some("}, ="));
        assert_eq!(sample.labels.get("w"), None);
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("a", "no value"),
            ("a x", "no number for a value"),
            ("a 1 x", "no number for a timestamp"),
            ("a 1 2 3", "something behind the timestamp"),
            ("1a 1", "bad metric name"),
            ("a{b} 1", "label without a value"),
            ("a{b=c} 1", "label value without quotes"),
            ("a{b=\"c} 1", "label value without its closing quote"),
            ("a{b=\"c\" d=\"e\"} 1", "no comma between labels"),
            ("a{0=\"c\"} 1", "bad label name"),
            (r#"a{b="\q"} 1"#, "unknown escape in a label value"),
            ("<html>", "no value"),
            ("# TYPE a banana", "unknown metric type"),
        ];
        for (line, problem) in cases {
            let error = parse(&format!("ok 1\n\n{line}\n")).expect_err(line);
            assert_eq!((error.line, error.problem), (3, problem), "{line}");
            assert!(error.to_string().contains("line 3"), "{error}");
        }
    }

    #[test]
    fn families() {
        let read = parse("# HELP a What\\nit \\is.\n# TYPE a counter\na 1\n#\n# hello\n# EOF\n")
            .expect("fine");
        let family = read.family("a").expect("said");
        assert_eq!(family.kind, MetricKind::Counter);
        assert_eq!(family.help.as_deref(), Some("What\nit \\is."));
        assert_eq!(read.family("b"), None);
        assert_eq!(parse("").expect("empty"), Exposition::default());
    }
}
