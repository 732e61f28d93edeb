//! The text of `/metrics`, in vLLM's order.

use vllm_bench_protocol::prometheus::{MetricKind, Writer};

use super::engine_metrics::EngineMetrics;
use super::histogram::Histogram;
use super::http_metrics::HttpMetrics;
use super::names::help;
use crate::config::SimulatorConfig;

/// Renders all metrics of a server that started at `started` (seconds since the Unix epoch).
pub(crate) fn render(
    engine: &EngineMetrics,
    http: &HttpMetrics,
    config: &SimulatorConfig,
    started: f64,
) -> String {
    let mut page = Page { writer: Writer::new(), model: &config.model, started };
    let name = "process_start_time_seconds";
    page.writer.family(name, help(name), MetricKind::Gauge);
    page.writer.sample(name, &[], started);
    page.levels(engine);
    page.tokens(engine);
    page.histograms(engine);
    page.cache_config(config);
    http.write(&mut page.writer, started);
    let name = "vllm_bench_simulator_aborted_sequences_total";
    let text = "Sequences whose client left (vLLM itself does not count these).";
    page.writer.family(name, text, MetricKind::Counter);
    page.writer.sample(name, &[], engine.aborted as f64);
    page.writer.finish()
}

struct Page<'a> {
    writer: Writer,
    model: &'a str,
    started: f64,
}

impl Page<'_> {
    fn levels(&mut self, engine: &EngineMetrics) {
        for name in [
            "estimated_flops_per_gpu",
            "estimated_read_bytes_per_gpu",
            "estimated_write_bytes_per_gpu",
        ] {
            self.counter(name, "", &[("", 0)]);
        }
        self.gauge("num_requests_running", "", &[("", engine.running as f64)]);
        self.gauge("num_requests_waiting", "", &[("", engine.waiting as f64)]);
        let reasons = [("capacity", engine.waiting as f64), ("deferred", 0.0)];
        self.gauge("num_requests_waiting_by_reason", "reason", &reasons);
        let states = [("awake", 1.0), ("weights_offloaded", 0.0), ("discard_all", 0.0)];
        self.gauge("engine_sleep_state", "sleep_state", &states);
        self.gauge("kv_cache_usage_perc", "", &[("", engine.kv_usage)]);
    }

    fn tokens(&mut self, engine: &EngineMetrics) {
        self.counter("prefix_cache_queries", "", &[("", engine.prefix_queries)]);
        self.counter("prefix_cache_hits", "", &[("", engine.prefix_hits)]);
        for name in [
            "external_prefix_cache_queries",
            "external_prefix_cache_hits",
            "mm_cache_queries",
            "mm_cache_hits",
        ] {
            self.counter(name, "", &[("", 0)]);
        }
        self.counter("num_preemptions", "", &[("", engine.preemptions)]);
        self.counter("prompt_tokens", "", &[("", engine.prompt_tokens)]);
        let sources = [
            ("local_compute", engine.prompt_tokens - engine.cached_tokens),
            ("local_cache_hit", engine.cached_tokens),
            ("external_kv_transfer", 0),
        ];
        self.counter("prompt_tokens_by_source", "source", &sources);
        self.counter("prompt_tokens_cached", "", &[("", engine.cached_tokens)]);
        let tiers = [
            ("device", engine.prefix_hits),
            ("host", 0),
            ("p2p", 0),
            ("disk", 0),
            ("external_unspecified", 0),
        ];
        self.counter("prompt_tokens_cached_by_source", "source", &tiers);
        self.counter("generation_tokens", "", &[("", engine.generation_tokens)]);
        let reasons = [
            ("stop", engine.stopped),
            ("length", engine.at_length),
            ("abort", 0),
            ("error", 0),
            ("repetition", 0),
        ];
        self.counter("request_success", "finished_reason", &reasons);
        let limits = [("max_num_queued_reqs", 0), ("max_num_queued_tokens", 0)];
        self.counter("admission_rejections", "reason", &limits);
    }

    fn histograms(&mut self, engine: &EngineMetrics) {
        for (name, histogram) in [
            ("request_prompt_tokens", &engine.request_prompt_tokens),
            ("request_generation_tokens", &engine.request_generation_tokens),
            ("iteration_tokens_total", &engine.iteration_tokens),
            ("request_max_num_generation_tokens", &engine.request_max_generation_tokens),
            ("request_params_n", &engine.request_n),
            ("request_params_max_tokens", &engine.request_max_tokens),
            ("time_to_first_token_seconds", &engine.ttft),
            ("inter_token_latency_seconds", &engine.itl),
            ("request_time_per_output_token_seconds", &engine.tpot),
            ("e2e_request_latency_seconds", &engine.e2e),
            ("request_queue_time_seconds", &engine.queue),
            ("request_inference_time_seconds", &engine.inference),
            ("request_prefill_time_seconds", &engine.prefill),
            ("request_decode_time_seconds", &engine.decode),
            ("request_num_preemptions", &engine.request_preemptions),
            ("request_prefill_kv_computed_tokens", &engine.request_computed_tokens),
        ] {
            self.histogram(name, histogram);
        }
    }

    /// What the cache is like; keys that make no sense here have vLLM's defaults.
    fn cache_config(&mut self, config: &SimulatorConfig) {
        let tokens = u64::from(config.num_blocks) * u64::from(config.block_size);
        let concurrency = format!("{:?}", tokens as f64 / f64::from(config.max_model_len));
        let (tokens, blocks) = (tokens.to_string(), config.num_blocks.to_string());
        let block = config.block_size.to_string();
        let caching = if config.prefix_caching { "True" } else { "False" };
        let labels = [
            ("_block_size_resolved", "True"),
            ("block_size", &block),
            ("cache_dtype", "auto"),
            ("cache_hit_alignment_tokens", "None"),
            ("effective_attention_block_size", &block),
            ("enable_mamba_shared_prefix_checkpoint", "False"),
            ("enable_prefix_caching", caching),
            ("engine", "0"),
            ("gpu_memory_utilization", "0.92"),
            ("hash_block_size", "None"),
            ("is_attention_free", "False"),
            ("kv_cache_dtype_skip_layers", "[]"),
            ("kv_cache_layout", "None"),
            ("kv_cache_max_concurrency", &concurrency),
            ("kv_cache_memory_bytes", "None"),
            ("kv_cache_size_tokens", &tokens),
            ("kv_offloading_backend", "native"),
            ("kv_offloading_size", "None"),
            ("kv_sharing_fast_prefill", "False"),
            ("mamba_block_size", "None"),
            ("mamba_cache_dtype", "auto"),
            ("mamba_cache_mode", "none"),
            ("mamba_page_size_padded", "None"),
            ("mamba_ssm_cache_dtype", "float32"),
            ("num_cpu_blocks", "None"),
            ("num_gpu_blocks", &blocks),
            ("num_gpu_blocks_override", "None"),
            ("prefix_cache_retention_interval", "0"),
            ("prefix_caching_hash_algo", "sha256"),
            ("prefix_match_unit", "None"),
            ("replayssm_buffer_len", "16"),
            ("skip_page_size_padded", "None"),
            ("sliding_window", "None"),
            ("swa_bounded_replay", "True"),
            ("use_kda_recoverssm", "False"),
            ("use_replayssm", "False"),
            ("user_specified_block_size", "True"),
        ];
        let name = "vllm:cache_config_info";
        self.writer.family(name, help(name), MetricKind::Gauge);
        self.writer.sample(name, &labels, 1.0);
    }

    fn gauge(&mut self, name: &str, label: &str, values: &[(&str, f64)]) {
        let name = format!("vllm:{name}");
        self.writer.family(&name, help(&name), MetricKind::Gauge);
        for &(word, value) in values {
            self.sample(&name, label, word, value);
        }
    }

    fn counter(&mut self, name: &str, label: &str, values: &[(&str, u64)]) {
        let name = format!("vllm:{name}");
        let (total, created) = (format!("{name}_total"), format!("{name}_created"));
        self.writer.family(&total, help(&name), MetricKind::Counter);
        for &(word, value) in values {
            self.sample(&total, label, word, value as f64);
        }
        self.writer.family(&created, help(&name), MetricKind::Gauge);
        for &(word, _) in values {
            self.sample(&created, label, word, self.started);
        }
    }

    fn histogram(&mut self, name: &str, histogram: &Histogram) {
        let name = format!("vllm:{name}");
        self.writer.family(&name, help(&name), MetricKind::Histogram);
        histogram.write(&mut self.writer, &name, &[("engine", "0"), ("model_name", self.model)]);
        let created = format!("{name}_created");
        self.writer.family(&created, help(&name), MetricKind::Gauge);
        self.sample(&created, "", "", self.started);
    }

    /// A sample with vLLM's two labels and, where `label` is not empty, a third; sorted by name.
    fn sample(&mut self, name: &str, label: &str, word: &str, value: f64) {
        let mut labels = vec![("engine", "0"), ("model_name", self.model)];
        // Queue limits are the front end's, which has no engine.
        if name.starts_with("vllm:admission") {
            labels.remove(0);
        }
        if !label.is_empty() {
            let at = labels.partition_point(|(other, _)| *other < label);
            labels.insert(at, (label, word));
        }
        self.writer.sample(name, &labels, value);
    }
}
