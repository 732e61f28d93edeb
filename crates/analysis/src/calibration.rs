//! How far the client's own times are off, in words: the error bar of a run.

use vllm_bench_record::{Calibration, SloMetric};

use crate::text;

/// What stands where a run was not calibrated.
pub(crate) const ABSENT: &str = "not calibrated";

/// `measured before the run at 64 streams × 100 tok/s: TTFT p99 ± 9.10 µs, …`.
pub(crate) fn line(calibration: &Calibration) -> String {
    let error = |p99_ns: f64| format!("p99 ± {}", text::time(p99_ns));
    let each = calibration.tokens_per_second / f64::from(calibration.streams.max(1));
    format!(
        "measured before the run at {} × {} tok/s: TTFT {}, ITL {}; up to {} tok/s on this host",
        text::of(u64::from(calibration.streams), "stream", "streams"),
        number(each),
        error(calibration.ttft_error.p99_ns),
        error(calibration.itl_error.p99_ns),
        number(calibration.max_tokens_per_second),
    )
}

/// The 99th percentile of this client's error in `metric`, nanoseconds; `None` for those that
/// were not calibrated.
pub(crate) fn error_ns(calibration: Option<&Calibration>, metric: SloMetric) -> Option<f64> {
    let calibration = calibration?;
    let error = match metric {
        SloMetric::Ttft | SloMetric::TtftFromSchedule => calibration.ttft_error,
        SloMetric::Itl => calibration.itl_error,
        _ => return None,
    };
    (error.count > 0).then_some(error.p99_ns)
}

/// Two significant digits are enough for a rate that another run finds elsewhere.
fn number(value: f64) -> String {
    if value < 100.0 || !value.is_finite() {
        let shown = text::number(value);
        return match shown.contains('.') {
            true => shown.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => shown,
        };
    }
    let unit = 10_f64.powi(value.log10().floor() as i32 - 1);
    text::count(((value / unit).round() * unit) as u64)
}

#[cfg(test)]
mod tests {
    use vllm_bench_record::ErrorQuantiles;

    use super::*;

    #[test]
    fn one_line_says_where_and_how_far() {
        let error = |p99_ns| ErrorQuantiles { count: 1_000, p50_ns: p99_ns / 4.0, p99_ns };
        let calibration = Calibration {
            streams: 64,
            tokens_per_second: 6_400.0,
            events: 12_800,
            coalesced: 3,
            arrival_error: error(5_200.0),
            ttft_error: error(9_100.0),
            itl_error: error(2_100.0),
            max_tokens_per_second: 191_234.0,
            cpu_ns_per_token: 4_100.0,
            seconds: 2.0,
        };
        assert_eq!(
            line(&calibration),
            "measured before the run at 64 streams × 100 tok/s: TTFT p99 ± 9.10 µs, ITL p99 ± 2.10 µs; \
             up to 190,000 tok/s on this host"
        );
        assert_eq!(error_ns(Some(&calibration), SloMetric::Itl), Some(2_100.0));
        assert_eq!(error_ns(Some(&calibration), SloMetric::Tpot), None);
        assert_eq!(error_ns(None, SloMetric::Ttft), None);
        assert_eq!(
            (number(50.0), number(12.5), number(1_234.0)),
            ("50".into(), "12.5".into(), "1,200".into())
        );
    }
}
