//! A histogram with fixed bounds.

use std::time::Duration;

use vllm_bench_protocol::prometheus::Writer;

/// Observations by bucket; what is above the last bound counts in `count` alone.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

impl Histogram {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Histogram { buckets: bounds.iter().map(|&bound| (bound, 0)).collect(), sum: 0.0, count: 0 }
    }

    pub(crate) fn observe(&mut self, value: f64) {
        let at = self.buckets.partition_point(|&(bound, _)| bound < value);
        if let Some((_, count)) = self.buckets.get_mut(at) {
            *count += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    pub(crate) fn observe_time(&mut self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    pub(crate) fn write(&self, writer: &mut Writer, name: &str, labels: &[(&str, &str)]) {
        writer.histogram(name, labels, &self.buckets, self.sum, self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 3.0] {
            histogram.observe(value);
        }
        let mut writer = Writer::new();
        histogram.write(&mut writer, "h", &[]);
        let expected = "h_bucket{le=\"1.0\"} 2.0\nh_bucket{le=\"2.0\"} 3.0\nh_bucket{le=\"+Inf\"} 4.0\n\
                        h_count 4.0\nh_sum 6.0\n";
        assert_eq!(writer.finish(), expected);
    }
}
