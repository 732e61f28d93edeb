//! Numbers as people read them, in one place.

/// A number with about three significant digits and thousands separated.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        a if a >= 99.95 || a == 0.0 => 0,
        a if a >= 9.995 => 1,
        a if a >= 0.0995 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |w| ("−", w));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A whole number with thousands separated.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Milliseconds, as seconds from 10 s on.
pub fn duration_ms(ms: f64) -> String {
    if ms.abs() >= 10_000.0 {
        format!("{} s", number(ms / 1e3))
    } else {
        format!("{} ms", number(ms))
    }
}

/// A span of time for a headline: `48 s`, `3 min 20 s`, `2 h 5 min`.
pub fn seconds(s: f64) -> String {
    let whole = s.max(0.0).round() as u64;
    match whole {
        0..10 => format!("{} s", number(s)),
        10..120 => format!("{whole} s"),
        120..7_200 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// Bytes in GiB or MiB.
pub fn bytes(n: u64) -> String {
    let mib = n as f64 / 1_048_576.0;
    if mib >= 1_024.0 {
        format!("{} GiB", number(mib / 1_024.0))
    } else {
        format!("{} MiB", number(mib))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits() {
        let cases = [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (0.5, "0.50"),
            (9.876, "9.88"),
            (98.76, "98.8"),
            (1_234_567.8, "1,234,568"),
            (-1_500.0, "−1,500"),
            (f64::NAN, "–"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(duration_ms(212.4), "212 ms");
        assert_eq!(duration_ms(12_340.0), "12.3 s");
        assert_eq!(seconds(200.2), "3 min 20 s");
        assert_eq!(seconds(9.4), "9.40 s");
        assert_eq!(seconds(7_500.0), "2 h 5 min");
        assert_eq!(bytes(24 << 30), "24.0 GiB");
        assert_eq!(count(1_234_567), "1,234,567");
    }
}
