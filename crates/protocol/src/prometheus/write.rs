//! Values to text, as Python's prometheus-client writes it (for a server).

use std::fmt::Write as _;

use super::exposition::MetricKind;

/// Writes one exposition.
///
/// ```
/// use vllm_bench_protocol::prometheus::{MetricKind, Writer};
///
/// let mut writer = Writer::new();
/// writer.family("hits_total", "Hits.", MetricKind::Counter);
/// writer.sample("hits_total", &[("engine", "0")], 3.0);
/// assert_eq!(
///     writer.finish(),
///     "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{engine=\"0\"} 3.0\n"
/// );
/// ```
#[derive(Debug, Clone, Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines before a metric's samples.
    pub fn family(&mut self, name: &str, help: &str, kind: MetricKind) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(&help);
        self.text.push_str("\n# TYPE ");
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(kind.as_str());
        self.text.push('\n');
    }

    /// One line with a value; labels in the order given (vLLM's are sorted by name).
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.text.push(' ');
        self.number(value);
        self.text.push('\n');
    }

    /// The samples of a histogram without its family lines. `buckets` are
    /// upper bounds and the observations in each bucket alone, in order; what
    /// was above all of them counts in `count` only.
    pub fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        sum: f64,
        count: u64,
    ) {
        let bucket = format!("{name}_bucket");
        // vLLM's client sorts labels by name, so `le` has its place among them.
        let at = labels.partition_point(|(label, _)| *label < "le");
        let mut line = |bound: &str, observed: u64| {
            let mut labels = labels.to_vec();
            labels.insert(at, ("le", bound));
            self.sample(&bucket, &labels, observed as f64);
        };
        let mut below = 0_u64;
        for &(bound, observed) in buckets {
            below += observed;
            line(&text_of(bound), below);
        }
        line("+Inf", count);
        self.sample(&format!("{name}_count"), labels, count as f64);
        self.sample(&format!("{name}_sum"), labels, sum);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }

    fn number(&mut self, value: f64) {
        self.text.push_str(&text_of(value));
    }
}

/// Python's shortest form, but from a million on with an exponent, as
/// prometheus-client writes it: always `e+0` and then the exponent.
fn text_of(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if !(1e6..1e16).contains(&value) {
        return python_form(value);
    }
    let plain = format!("{value:?}");
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, "0"));
    if whole.len() <= 6 {
        return plain;
    }
    let mantissa = format!("{}.{}{fraction}", &whole[..1], &whole[1..]);
    let mantissa = mantissa.trim_end_matches(['0', '.']);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{mantissa}e+0{}", whole.len() - 1);
    text
}

fn python_form(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        // Python writes at least two digits of exponent, and its sign.
        let text = format!("{value:e}");
        if let Some((mantissa, exponent)) = text.split_once('e') {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            return format!("{mantissa}e{sign}{digits:0>2}");
        }
    }
    // Rust writes 0.0001 to 0.00001 with an exponent already: Display does not.
    let text = format!("{value}");
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_python_client_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-1.0, "-1.0"),
            (0.1, "0.1"),
            (3153.0, "3153.0"),
            (999_999.0, "999999.0"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (12_345_678.0, "1.2345678e+07"),
            (4_885_192_704.0, "4.885192704e+09"),
            (1_795_541_087.811_991_5, "1.7955410878119915e+09"),
            (12_345_678_901.0, "1.2345678901e+010"),
            (2e16, "2e+16"),
            (-4_885_192_704.0, "-4885192704.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.03584800025808159, "0.03584800025808159"),
            (1e300, "1e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(text_of(value), text);
        }
    }
}
