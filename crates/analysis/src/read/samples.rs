//! Rows of `gpu/*.parquet` and `engine/*.parquet`.

use std::path::Path;

use vllm_bench_record::columns::{engine as e, gpu as g};
use vllm_bench_record::{EngineSample, GpuSample, GpuSource, HistogramTotals, layout};

use super::{parts, readable, word};
use crate::error::AnalysisError;
use crate::frame::{Frame, instant};

const GPU_COLUMNS: &[&str] = &[
    g::AT_NS,
    g::GPU_INDEX,
    g::UUID,
    g::NAME,
    g::SOURCE,
    g::UTILIZATION_PCT,
    g::MEMORY_UTILIZATION_PCT,
    g::MEMORY_USED_BYTES,
    g::MEMORY_TOTAL_BYTES,
    g::TEMPERATURE_C,
    g::POWER_MW,
    g::ENERGY_MJ,
    g::SM_CLOCK_MHZ,
    g::MEMORY_CLOCK_MHZ,
    g::THROTTLE_REASONS,
    g::PCIE_TX_KB_S,
    g::PCIE_RX_KB_S,
];

const ENGINE_COLUMNS: &[&str] = &[
    e::AT_NS,
    e::SERVER_INDEX,
    e::RUNNING,
    e::WAITING,
    e::KV_CACHE_USAGE,
    e::PREFIX_CACHE_QUERIES,
    e::PREFIX_CACHE_HITS,
    e::PREEMPTIONS,
    e::PROMPT_TOKENS,
    e::GENERATION_TOKENS,
    e::REQUESTS_STOP,
    e::REQUESTS_LENGTH,
    e::REQUESTS_ABORT,
    e::REQUESTS_ERROR,
    e::PROCESS_START_UNIX_S,
];

/// What the first run directories do not have.
const GPU_ADDED: &[&str] = &[g::PROCESSES];
const ENGINE_ADDED: &[&str] = &[
    e::QUEUE_TIME_SUM_S,
    e::QUEUE_TIME_COUNT,
    e::PREFILL_TIME_SUM_S,
    e::PREFILL_TIME_COUNT,
    e::DECODE_TIME_SUM_S,
    e::DECODE_TIME_COUNT,
    e::INFERENCE_TIME_SUM_S,
    e::INFERENCE_TIME_COUNT,
    e::TTFT_SUM_S,
    e::TTFT_COUNT,
    e::E2E_LATENCY_SUM_S,
    e::E2E_LATENCY_COUNT,
];

/// All GPU readings by time. `expected`: the run meant to take some.
pub(crate) fn gpu(
    run_dir: &Path,
    expected: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<GpuSample>, AnalysisError> {
    let mut samples = Vec::new();
    for path in parts(run_dir, layout::GPU)? {
        if let Some(frame) = readable(&path, layout::GPU, GPU_COLUMNS, GPU_ADDED, warnings) {
            gpu_rows(&frame, &mut samples)?;
        }
    }
    if expected && samples.is_empty() {
        warnings.push("the run meant to sample GPUs, but no sample was recorded".into());
    }
    samples.sort_by_key(|s| (s.at, s.gpu_index));
    Ok(samples)
}

/// All readings of the servers' `/metrics` by time. `expected`: the run meant to take some.
pub(crate) fn engine(
    run_dir: &Path,
    expected: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<EngineSample>, AnalysisError> {
    let mut samples = Vec::new();
    for path in parts(run_dir, layout::ENGINE)? {
        if let Some(frame) = readable(&path, layout::ENGINE, ENGINE_COLUMNS, ENGINE_ADDED, warnings)
        {
            engine_rows(&frame, &mut samples)?;
        }
    }
    if expected && samples.is_empty() {
        warnings.push(
            "the run meant to sample the server's /metrics, but no sample was recorded".into(),
        );
    }
    samples.sort_by_key(|s| (s.at, s.server_index));
    Ok(samples)
}

fn gpu_rows(frame: &Frame, out: &mut Vec<GpuSample>) -> Result<(), AnalysisError> {
    let at = frame.required(g::AT_NS, frame.nanos(g::AT_NS)?)?;
    let gpu_index = frame.required(g::GPU_INDEX, frame.u32(g::GPU_INDEX)?)?;
    let (mut uuid, mut name) = (frame.text(g::UUID)?.into_iter(), frame.text(g::NAME)?.into_iter());
    let source = frame.required(g::SOURCE, frame.text(g::SOURCE)?)?;
    let (utilization, memory_utilization) =
        (frame.f32(g::UTILIZATION_PCT)?, frame.f32(g::MEMORY_UTILIZATION_PCT)?);
    let (used, total) = (frame.u64(g::MEMORY_USED_BYTES)?, frame.u64(g::MEMORY_TOTAL_BYTES)?);
    let (temperature, power) = (frame.f32(g::TEMPERATURE_C)?, frame.u64(g::POWER_MW)?);
    let (energy, throttle) = (frame.u64(g::ENERGY_MJ)?, frame.u64(g::THROTTLE_REASONS)?);
    let (sm, memory) = (frame.u32(g::SM_CLOCK_MHZ)?, frame.u32(g::MEMORY_CLOCK_MHZ)?);
    let (tx, rx) = (frame.u32(g::PCIE_TX_KB_S)?, frame.u32(g::PCIE_RX_KB_S)?);
    let processes = frame.added(g::PROCESSES, Frame::u32)?;
    for (i, source) in source.into_iter().enumerate() {
        let source = word(frame, g::SOURCE, Some(source), GpuSource::from_word)?
            .ok_or_else(|| frame.bad(g::SOURCE, "no value"))?;
        out.push(GpuSample {
            at: instant(Some(at[i])).unwrap_or_default(),
            gpu_index: gpu_index[i],
            uuid: uuid.next().flatten(),
            name: name.next().flatten(),
            source,
            utilization_pct: utilization[i],
            memory_utilization_pct: memory_utilization[i],
            memory_used_bytes: used[i],
            memory_total_bytes: total[i],
            temperature_c: temperature[i],
            power_mw: power[i],
            energy_mj: energy[i],
            sm_clock_mhz: sm[i],
            memory_clock_mhz: memory[i],
            throttle_reasons: throttle[i],
            pcie_tx_kb_s: tx[i],
            pcie_rx_kb_s: rx[i],
            processes: processes[i],
        });
    }
    Ok(())
}

fn engine_rows(frame: &Frame, out: &mut Vec<EngineSample>) -> Result<(), AnalysisError> {
    let at = frame.required(e::AT_NS, frame.nanos(e::AT_NS)?)?;
    let server_index = frame.required(e::SERVER_INDEX, frame.u32(e::SERVER_INDEX)?)?;
    let (running, waiting) = (frame.f64(e::RUNNING)?, frame.f64(e::WAITING)?);
    let (kv, start) = (frame.f64(e::KV_CACHE_USAGE)?, frame.f64(e::PROCESS_START_UNIX_S)?);
    let (queries, hits) = (frame.u64(e::PREFIX_CACHE_QUERIES)?, frame.u64(e::PREFIX_CACHE_HITS)?);
    let (preemptions, prompt) = (frame.u64(e::PREEMPTIONS)?, frame.u64(e::PROMPT_TOKENS)?);
    let (generation, stop) = (frame.u64(e::GENERATION_TOKENS)?, frame.u64(e::REQUESTS_STOP)?);
    let (length, abort) = (frame.u64(e::REQUESTS_LENGTH)?, frame.u64(e::REQUESTS_ABORT)?);
    let error = frame.u64(e::REQUESTS_ERROR)?;
    let queue_time = totals(frame, e::QUEUE_TIME_SUM_S, e::QUEUE_TIME_COUNT)?;
    let prefill_time = totals(frame, e::PREFILL_TIME_SUM_S, e::PREFILL_TIME_COUNT)?;
    let decode_time = totals(frame, e::DECODE_TIME_SUM_S, e::DECODE_TIME_COUNT)?;
    let inference_time = totals(frame, e::INFERENCE_TIME_SUM_S, e::INFERENCE_TIME_COUNT)?;
    let ttft = totals(frame, e::TTFT_SUM_S, e::TTFT_COUNT)?;
    let e2e_latency = totals(frame, e::E2E_LATENCY_SUM_S, e::E2E_LATENCY_COUNT)?;
    for i in 0..frame.rows() {
        out.push(EngineSample {
            at: instant(Some(at[i])).unwrap_or_default(),
            server_index: server_index[i],
            running: running[i],
            waiting: waiting[i],
            kv_cache_usage: kv[i],
            prefix_cache_queries: queries[i],
            prefix_cache_hits: hits[i],
            preemptions: preemptions[i],
            prompt_tokens: prompt[i],
            generation_tokens: generation[i],
            requests_stop: stop[i],
            requests_length: length[i],
            requests_abort: abort[i],
            requests_error: error[i],
            process_start_unix_s: start[i],
            queue_time: queue_time[i],
            prefill_time: prefill_time[i],
            decode_time: decode_time[i],
            inference_time: inference_time[i],
            ttft: ttft[i],
            e2e_latency: e2e_latency[i],
        });
    }
    Ok(())
}

/// A histogram's totals, one a row.
fn totals(
    frame: &Frame,
    sum: &str,
    count: &str,
) -> Result<Vec<Option<HistogramTotals>>, AnalysisError> {
    let (sums, counts) = (frame.added(sum, Frame::f64)?, frame.added(count, Frame::u64)?);
    let totals = sums.into_iter().zip(counts).map(|(sum_s, count)| {
        let (sum_s, count) = sum_s.zip(count)?;
        Some(HistogramTotals { sum_s, count })
    });
    Ok(totals.collect())
}
