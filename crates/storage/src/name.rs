//! Names of run directories.

use time::OffsetDateTime;
use time::macros::format_description;

/// The longest part of a name that a scenario may give, bytes.
const LONGEST: usize = 64;

/// `YYYYMMDD-HHMMSS-<scenario>` in UTC, from the run's wall start
/// ([`RunClock::wall_start_unix_ns`](vllm_bench_record::RunClock::wall_start_unix_ns)).
/// Names sort by time. Letters of the scenario's name that a file name or a
/// shell could trip over become `-`.
///
/// ```
/// let name = vllm_bench_storage::run_name(1_795_541_087_000_000_000, "RAG / heavy");
/// assert_eq!(name, "20261124-172447-RAG-heavy");
/// ```
pub fn run_name(wall_start_unix_ns: u64, scenario: &str) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    let when = OffsetDateTime::from_unix_timestamp_nanos(i128::from(wall_start_unix_ns))
        .ok()
        .and_then(|t| t.format(format).ok())
        .unwrap_or_else(|| wall_start_unix_ns.to_string());
    format!("{when}-{}", safe(scenario))
}

/// `name` as one component of a path.
pub(crate) fn safe(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let kept = c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let c = if kept { c } else { '-' };
        if out.len() + c.len_utf8() > LONGEST {
            break;
        }
        if c != '-' || !out.ends_with('-') {
            out.push(c);
        }
    }
    // A leading dot would hide the folder, and `..` would leave it.
    let out = out.trim_start_matches(['.', '-']).trim_end_matches('-');
    if out.is_empty() { "run".to_owned() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn names_stay_one_path_component() {
        for (given, expected) in [
            ("smoke", "smoke"),
            ("rag-1.5", "rag-1.5"),
            ("../../etc/passwd", "etc-passwd"),
            ("..", "run"),
            ("", "run"),
            ("a b\0c\nd", "a-b-c-d"),
            ("Größe", "Größe"),
        ] {
            assert_eq!(safe(given), expected, "{given:?}");
        }
        assert!(safe(&"ß".repeat(500)).len() <= super::LONGEST);
    }
}
