//! One reading of a server's metrics.

/// One reading of a server's metrics, in the order of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exposition {
    pub(super) families: Vec<Family>,
    pub(super) samples: Vec<Sample>,
}

/// What `# HELP` and `# TYPE` say of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Family {
    /// The name without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// What it is; [`Untyped`](MetricKind::Untyped) when no line says so.
    pub kind: MetricKind,
    /// What it means.
    pub help: Option<String>,
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in cumulative buckets.
    Histogram,
    /// Quantiles.
    Summary,
    /// Not said.
    #[default]
    Untyped,
}

impl MetricKind {
    /// The word in the text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// One line with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name as written, with `_total`, `_bucket` and the like.
    pub name: String,
    /// The labels.
    pub labels: Labels,
    /// The value; NaN and infinities happen.
    pub value: f64,
}

/// Labels in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(pub(super) Vec<(String, String)>);

impl Labels {
    /// The value of `name`; `None` when there is no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn have(&self, wanted: &[(&str, &str)]) -> bool {
        wanted.iter().all(|(name, value)| self.get(name) == Some(value))
    }
}

/// A histogram, several series of it added up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Upper bound (`le`, the last is +Inf) and cumulative count, by bound.
    pub buckets: Vec<(f64, f64)>,
    /// Sum of what was observed; `None` when not exported.
    pub sum: Option<f64>,
    /// Number of observations; `None` when not exported.
    pub count: Option<f64>,
}

impl Exposition {
    /// All samples in the order of the text.
    pub fn all(&self) -> &[Sample] {
        &self.samples
    }

    /// All families in the order of the text.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// What is said of a family.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }

    /// The samples called exactly `name`: one for each combination of labels
    /// (of engines, reasons, …).
    pub fn samples(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The value of the first sample called `name`; `None` when there is
    /// none. A server of several engines has several: see [`sum`](Self::sum).
    pub fn value(&self, name: &str) -> Option<f64> {
        self.samples(name).next().map(|sample| sample.value)
    }

    /// The value of the first sample called `name` that has all these labels.
    pub fn value_with(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.with(name, labels).next()
    }

    /// All samples called `name` added up; `None` when there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.sum_with(name, &[])
    }

    /// All samples called `name` that have all these labels added up.
    pub fn sum_with(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.with(name, labels).reduce(|sum, value| sum + value)
    }

    fn with(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        let samples = self.samples(name).filter(|sample| sample.labels.have(labels));
        samples.map(|sample| sample.value)
    }

    /// The labels of the first sample called `name` (of an `_info` metric: all it says).
    pub fn labels(&self, name: &str) -> Option<&Labels> {
        self.samples(name).next().map(|sample| &sample.labels)
    }

    /// The histogram `name`, over all its series that have these labels;
    /// `None` when it has no bucket.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Option<Histogram> {
        let bucket = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.samples(&bucket).filter(|sample| sample.labels.have(labels)) {
            let Some(bound) = sample.labels.get("le").and_then(super::parse::number) else {
                continue;
            };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        (!buckets.is_empty()).then(|| Histogram {
            buckets,
            sum: self.sum_with(&format!("{name}_sum"), labels),
            count: self.sum_with(&format!("{name}_count"), labels),
        })
    }
}
