//! Times and lengths of a trace, from text, exactly.

use super::generic::TimeUnit;

/// Nanoseconds of the time `text`: since whatever zero the trace has, or since 1970 for dates.
pub(crate) fn time(text: &str, unit: TimeUnit) -> Result<u64, String> {
    let text = text.trim();
    let nanos = match unit {
        TimeUnit::S => 1_000_000_000,
        TimeUnit::Ms => 1_000_000,
        TimeUnit::Us => 1000,
        TimeUnit::Ns => 1,
        TimeUnit::Datetime => {
            return if is_nan(text) {
                Err("is NaN: not a time".into())
            } else {
                datetime(text).ok_or_else(|| {
                    format!("is {text:?}: not a date and time such as 2023-11-16 18:15:46.6805900")
                })
            };
        }
    };
    decimal(text, nanos).map_err(|why| match why {
        Fault::NaN => "is NaN: not a time".into(),
        Fault::Negative => format!("is {text}: a time cannot be negative"),
        Fault::TooLarge => format!("is {text}: too large for a time"),
        Fault::NotANumber => format!("is {text:?}: not a number"),
    })
}

/// The number of tokens `text`.
pub(crate) fn tokens(text: &str) -> Result<u32, String> {
    let text = text.trim();
    // pandas writes whole numbers so where a column has gaps.
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) if text.parse::<f64>().is_ok_and(|n| n >= 0.0) => {
            return Err(format!("is {text}: not a whole number of tokens"));
        }
        _ => text,
    };
    match decimal(whole, 1).map(u32::try_from) {
        Ok(Ok(n)) => Ok(n),
        Ok(Err(_)) | Err(Fault::TooLarge) => Err(format!("is {text}: too large for a length")),
        Err(Fault::NaN) => Err("is NaN: not a length".into()),
        Err(Fault::Negative) => Err(format!("is {text}: a length cannot be negative")),
        Err(Fault::NotANumber) => Err(format!("is {text:?}: not a number")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NaN,
    Negative,
    TooLarge,
    NotANumber,
}

fn is_nan(text: &str) -> bool {
    text.trim_start_matches(['+', '-']).eq_ignore_ascii_case("nan")
}

/// `text` times `unit`, rounded to the nearest; digits as they stand, never through a float
/// unless there is an exponent.
fn decimal(text: &str, unit: u64) -> Result<u64, Fault> {
    if is_nan(text) {
        return Err(Fault::NaN);
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        let number: f64 = text.parse().map_err(|_| Fault::NotANumber)?;
        if number < 0.0 {
            return Err(Fault::Negative);
        }
        let scaled = (number * unit as f64).round();
        // 2⁶⁴ as a float; infinity is above it.
        return if scaled < 18_446_744_073_709_551_616.0 {
            Ok(scaled as u64)
        } else {
            Err(Fault::TooLarge)
        };
    }
    let whole: u64 =
        if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::TooLarge)? };
    // 18 digits are finer than a nanosecond in any unit, and a product with them fits.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_u128.pow(fraction.len() as u32);
    let part: u128 =
        if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| Fault::TooLarge)? };
    let part = (part * u128::from(unit) + scale / 2) / scale;
    u64::try_from(u128::from(whole) * u128::from(unit) + part).map_err(|_| Fault::TooLarge)
}

/// Nanoseconds since 1970 of `2023-11-16 18:15:46.6805900`, with a `T` or a blank between,
/// any number of decimals, and at the end nothing, `Z` or an offset such as `+01:00`.
fn datetime(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>, low: i64, high: i64| -> Option<i64> {
        let digits = text.get(range)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|n| (low..=high).contains(n))
    };
    let is = |at: usize, allowed: &str| {
        text.as_bytes().get(at).is_some_and(|&b| allowed.contains(char::from(b)))
    };
    if !(is(4, "-") && is(7, "-") && is(10, " Tt") && is(13, ":") && is(16, ":")) {
        return None;
    }
    let (year, month) = (number(0..4, 1970, 9999)?, number(5..7, 1, 12)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(8..10, 1, last)?;
    let (hour, minute, second) =
        (number(11..13, 0, 23)?, number(14..16, 0, 59)?, number(17..19, 0, 60)?);
    let rest = &text[19..];
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("0", rest),
    };
    if fraction.is_empty() {
        return None;
    }
    let nanos = decimal(&format!("0.{fraction}"), 1_000_000_000).ok()?;
    let offset = match zone {
        "" | "Z" | "z" => 0,
        _ => {
            let at = text.len() - zone.len();
            let colon = usize::from(zone.len() == 6 && is(at + 3, ":"));
            let minutes = 60 * number(at + 1..at + 3, 0, 14)?
                + number(at + 3 + colon..at + 5 + colon, 0, 59)?;
            match (zone.as_bytes()[0], zone.len() == 5 + colon) {
                (b'+', true) => minutes * 60,
                (b'-', true) => -minutes * 60,
                _ => return None,
            }
        }
    };
    let days = days_since_1970(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Days from 1970-01-01, by the count of days in eras of 400 years that begin in March.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year % 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (year / 400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_digit_by_digit() {
        for (text, unit, nanos) in [
            ("0", TimeUnit::S, 0),
            ("19440110.1", TimeUnit::S, 19_440_110_100_000_000),
            ("0.0000000005", TimeUnit::S, 1),
            ("0.00000000049", TimeUnit::S, 0),
            ("9007199254740.993", TimeUnit::Us, 9_007_199_254_740_993),
            ("3536999", TimeUnit::Ms, 3_536_999_000_000),
            (" 7 ", TimeUnit::Ns, 7),
            ("+.5", TimeUnit::Ms, 500_000),
            ("1.5e3", TimeUnit::Ms, 1_500_000_000),
        ] {
            assert_eq!(time(text, unit), Ok(nanos), "{text}");
        }
        for (text, says) in [
            ("NaN", "is NaN"),
            ("-nan", "is NaN"),
            ("-1", "cannot be negative"),
            ("inf", "too large"),
            ("99999999999999999999", "too large"),
            ("1e300", "too large"),
            ("soon", "not a number"),
            (".", "not a number"),
            ("1,5", "not a number"),
        ] {
            let message = time(text, TimeUnit::S).expect_err(text);
            assert!(message.contains(says), "{text}: {message}");
        }
    }

    #[test]
    fn dates_are_read_to_the_nanosecond() {
        let read = |text: &str| time(text, TimeUnit::Datetime);
        assert_eq!(read("1970-01-01 00:00:00"), Ok(0));
        assert_eq!(read("2000-02-29T23:59:59.999999999Z"), Ok(951_868_799_999_999_999));
        assert_eq!(read("2023-11-16 18:15:46.6805900"), Ok(1_700_158_546_680_590_000));
        assert_eq!(read("2024-05-12 00:00:10.009930+00:00"), Ok(1_715_472_010_009_930_000));
        assert_eq!(read("2024-05-12T01:00:10+0100"), read("2024-05-11T19:00:10-05:00"));
        assert_eq!(read("nan"), Err("is NaN: not a time".into()));
        for bad in [
            "",
            "2023-11-16",
            "2023-13-16 18:15:46",
            "2023-02-29 18:15:46",
            "1900-01-01 00:00:00",
            "2023-11-16 24:15:46",
            "2023-11-16 18:15:46.",
            "2023-11-16 18:15:46 UTC",
            "2023-11-16 18:15:46+1",
            "2023-11-16 18:15:4",
            "16/11/2023 18:15:46",
            "2023-11-16 18:15:46+01:000",
            "2023-11-16 18:15:4é",
        ] {
            assert!(read(bad).expect_err(bad).contains("not a date and time"), "{bad}");
        }
    }

    #[test]
    fn lengths_are_whole() {
        assert_eq!(tokens("4808"), Ok(4808));
        assert_eq!(tokens("472.0"), Ok(472));
        for (text, says) in [
            ("-3", "a length cannot be negative"),
            ("-3.0", "a length cannot be negative"),
            ("-2.5", "a length cannot be negative"),
            ("NaN", "is NaN: not a length"),
            ("4.5", "not a whole number"),
            ("5000000000", "too large"),
            ("1e30", "too large"),
            ("many", "not a number"),
        ] {
            let message = tokens(text).expect_err(text);
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}
