//! Quantiles by software arithmetic, so that a seed gives the same lengths on every machine.

/// The standard normal quantile of `p`, 0 < p < 1: Acklam's approximation with one step of Halley's method.
pub(super) fn normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
    let sum = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |p: f64| {
        let q = libm::sqrt(-2.0 * libm::log(p));
        sum(&C, q) / (sum(&D, q) * q + 1.0)
    };
    const LOW: f64 = 0.02425;
    let x = if p < LOW {
        tail(p)
    } else if p > 1.0 - LOW {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        sum(&A, r) * q / (sum(&B, r) * r + 1.0)
    };
    let error = 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2) - p;
    let step = error * libm::sqrt(2.0 * std::f64::consts::PI) * libm::exp(x * x / 2.0);
    x - step / (1.0 + x * step / 2.0)
}

/// The log-normal quantile of `p` for this mean, `spread` the standard deviation as a share of it.
pub(super) fn log_normal(p: f64, mean: f64, spread: f64) -> f64 {
    let variance = libm::log(1.0 + spread * spread);
    libm::exp(libm::log(mean) - variance / 2.0 + libm::sqrt(variance) * normal(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959963984540054),
            (0.001, -3.090232306167813),
            (0.84134474606854, 1.0),
            (1e-9, -5.997807015007),
        ] {
            assert!((normal(p) - z).abs() < 1e-8, "{p}: {}", normal(p));
        }
        // Median exp(mu) = mean / sqrt(1 + cv^2).
        assert!((log_normal(0.5, 1000.0, 1.0) - 1000.0 / 2f64.sqrt()).abs() < 1e-6);
        assert!((log_normal(0.3, 1000.0, 0.0) - 1000.0).abs() < 1e-6);
    }
}
