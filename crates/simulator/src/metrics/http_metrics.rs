//! Requests by path, method and status, as the instrumentator in front of vLLM counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use vllm_bench_protocol::prometheus::{MetricKind, Writer};

use super::histogram::Histogram;
use super::names::{HTTP_BOUNDS, HTTP_HANDLER_BOUNDS, help};

/// Accounts of finished HTTP requests. `/health`, `/ping`, `/load`, `/version` and `/metrics` are not counted.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    by_status: BTreeMap<(&'static str, String, &'static str), u64>,
    by_handler: BTreeMap<&'static str, Sizes>,
    all: Histogram,
    by_method: BTreeMap<(&'static str, String), Histogram>,
}

#[derive(Debug, Default)]
struct Sizes {
    count: u64,
    requests: u64,
    responses: u64,
}

/// One finished HTTP request.
pub(crate) struct HttpRequest {
    /// The path, or `none` for a path that nobody serves.
    pub(crate) handler: &'static str,
    pub(crate) method: String,
    pub(crate) status: u16,
    pub(crate) time: Duration,
    /// `Content-Length` of both sides; 0 where there is none, as in a stream.
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        HttpMetrics {
            by_status: BTreeMap::new(),
            by_handler: BTreeMap::new(),
            all: Histogram::new(&HTTP_BOUNDS),
            by_method: BTreeMap::new(),
        }
    }

    pub(crate) fn finished(&mut self, request: HttpRequest) {
        let status = match request.status {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        *self.by_status.entry((request.handler, request.method.clone(), status)).or_default() += 1;
        let sizes = self.by_handler.entry(request.handler).or_default();
        sizes.count += 1;
        sizes.requests += request.request_bytes;
        sizes.responses += request.response_bytes;
        self.all.observe_time(request.time);
        self.by_method
            .entry((request.handler, request.method))
            .or_insert_with(|| Histogram::new(&HTTP_HANDLER_BOUNDS))
            .observe_time(request.time);
    }

    pub(super) fn write(&self, writer: &mut Writer, created: f64) {
        let name = "http_requests";
        writer.family("http_requests_total", help(name), MetricKind::Counter);
        let labels: Vec<_> = self
            .by_status
            .keys()
            .map(|(handler, method, status)| {
                [("handler", *handler), ("method", method), ("status", *status)]
            })
            .collect();
        for (labels, count) in labels.iter().zip(self.by_status.values()) {
            writer.sample("http_requests_total", labels, *count as f64);
        }
        self.created(writer, name, created, labels.iter().map(|labels| &labels[..]));

        let handlers: Vec<_> =
            self.by_handler.keys().map(|handler| [("handler", *handler)]).collect();
        let sizes =
            |pick: fn(&Sizes) -> u64| self.by_handler.values().map(move |s| (s.count, pick(s)));
        for (name, sums) in [
            ("http_request_size_bytes", sizes(|sizes| sizes.requests).collect::<Vec<_>>()),
            ("http_response_size_bytes", sizes(|sizes| sizes.responses).collect()),
        ] {
            writer.family(name, help(name), MetricKind::Summary);
            for (labels, (count, sum)) in handlers.iter().zip(sums) {
                writer.sample(&format!("{name}_count"), labels, count as f64);
                writer.sample(&format!("{name}_sum"), labels, sum as f64);
            }
            self.created(writer, name, created, handlers.iter().map(|labels| &labels[..]));
        }

        let name = "http_request_duration_highr_seconds";
        writer.family(name, help(name), MetricKind::Histogram);
        self.all.write(writer, name, &[]);
        self.created(writer, name, created, [&[][..]].into_iter());

        let name = "http_request_duration_seconds";
        writer.family(name, help(name), MetricKind::Histogram);
        let labels: Vec<_> = self
            .by_method
            .keys()
            .map(|(handler, method)| [("handler", *handler), ("method", method.as_str())])
            .collect();
        for (labels, histogram) in labels.iter().zip(self.by_method.values()) {
            histogram.write(writer, name, labels);
        }
        self.created(writer, name, created, labels.iter().map(|labels| &labels[..]));
    }

    fn created<'a>(
        &self,
        writer: &mut Writer,
        name: &str,
        created: f64,
        labels: impl Iterator<Item = &'a [(&'a str, &'a str)]>,
    ) {
        let created_name = format!("{name}_created");
        writer.family(&created_name, help(name), MetricKind::Gauge);
        for labels in labels {
            writer.sample(&created_name, labels, created);
        }
    }
}
