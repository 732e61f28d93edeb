//! Numbers as people read them: the one way in which tables, verdict and reports write them.

/// `1234567` as `1,234,567`.
pub fn count(n: u64) -> String {
    group(&n.to_string())
}

/// Puts commas into the integer part of a plain decimal number.
fn group(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = number.find('.').map_or((number, ""), |dot| number.split_at(dot));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// Three significant digits or the whole integer part, with commas: `0.123`, `12.3`, `1,234`.
pub fn number(value: f64) -> String {
    group(&plain(value))
}

/// [`number`] without commas.
pub fn plain(value: f64) -> String {
    // By the rounded value, so that 9.996 is 10.0 and not 10.00.
    let decimals = match value.abs() {
        v if v == 0.0 || v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A time in the unit that reads best: `350 µs`, `12.3 ms`, `4.56 s`, `12.3 min`.
pub fn time(ns: f64) -> String {
    match ns.abs() {
        v if v >= 599.5e9 => format!("{} min", number(ns / 60e9)),
        v if v >= 999.5e6 => format!("{} s", number(ns / 1e9)),
        v if v >= 999.5e3 || v == 0.0 => format!("{} ms", number(ns / 1e6)),
        _ => format!("{} µs", number(ns / 1e3)),
    }
}

/// A share from 0 to 1 as `12.3 %`. Neither 0 % nor 100 % is said of what only comes near them.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 {
        return "<0.01 %".into();
    }
    if percent < 100.0 && percent > 99.99 {
        return ">99.99 %".into();
    }
    let decimals = match percent {
        p if p == 0.0 || p == 100.0 => 0,
        p if (9.995..99.945).contains(&p) => 1,
        _ => 2,
    };
    format!("{percent:.decimals$} %")
}

/// `one` or `many` after its number: `1 request`, `2 requests`.
pub fn of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_more() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected);
        check(0.0, "0");
        check(0.1234, "0.123");
        check(9.996, "10.0");
        check(99.96, "100");
        check(1_234.5, "1,234");
        check(1_234_567.0, "1,234,567");
        check(-1_234.6, "-1,235");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(999), "999");
        assert_eq!([1, 2, 1_000].map(|n| of(n, "it", "them")), ["1 it", "2 them", "1,000 them"]);
    }

    #[test]
    fn times_and_shares_read_well() {
        assert_eq!(
            [0.0, 350e3, 12.34e6, 4.561e9, 740e9].map(time),
            ["0 ms", "350 µs", "12.3 ms", "4.56 s", "12.3 min"]
        );
        assert_eq!(
            [0.0, 1.0, 0.5, 0.0012, 1e-6, 0.999_999].map(percent),
            ["0 %", "100 %", "50.0 %", "0.12 %", "<0.01 %", ">99.99 %"]
        );
    }
}
