//! The columns of `engine/*.parquet` and the way back to an [`EngineSample`].

use arrow::array::{Float64Array, Int64Array, UInt32Array, UInt64Array};
use vllm_bench_record::columns::engine as c;
use vllm_bench_record::{EngineSample, HistogramTotals, Timestamp};

use crate::error::StorageError;
use crate::rows::{Cells, Row, instant_ns};
use crate::schema::{Column, Get, Layout};
use crate::table::Table;

impl Row for EngineSample {
    const TABLE: Table = Table::Engine;

    fn columns() -> Vec<Column<Self>> {
        use Layout::{Delta, Dictionary, Plain};
        vec![
            Column::required(c::AT_NS, Delta, Get::I64(|s| Some(instant_ns(s.at)))),
            Column::required(c::SERVER_INDEX, Delta, Get::U32(|s, _| Some(s.server_index))),
            Column::nullable(c::RUNNING, Dictionary, Get::F64(|s, _| s.running)),
            Column::nullable(c::WAITING, Dictionary, Get::F64(|s, _| s.waiting)),
            Column::nullable(c::KV_CACHE_USAGE, Plain, Get::F64(|s, _| s.kv_cache_usage)),
            Column::nullable(c::PREFIX_CACHE_QUERIES, Delta, Get::U64(|s| s.prefix_cache_queries)),
            Column::nullable(c::PREFIX_CACHE_HITS, Delta, Get::U64(|s| s.prefix_cache_hits)),
            Column::nullable(c::PREEMPTIONS, Delta, Get::U64(|s| s.preemptions)),
            Column::nullable(c::PROMPT_TOKENS, Delta, Get::U64(|s| s.prompt_tokens)),
            Column::nullable(c::GENERATION_TOKENS, Delta, Get::U64(|s| s.generation_tokens)),
            Column::nullable(c::REQUESTS_STOP, Delta, Get::U64(|s| s.requests_stop)),
            Column::nullable(c::REQUESTS_LENGTH, Delta, Get::U64(|s| s.requests_length)),
            Column::nullable(c::REQUESTS_ABORT, Delta, Get::U64(|s| s.requests_abort)),
            Column::nullable(c::REQUESTS_ERROR, Delta, Get::U64(|s| s.requests_error)),
            Column::nullable(
                c::PROCESS_START_UNIX_S,
                Dictionary,
                Get::F64(|s, _| s.process_start_unix_s),
            ),
            Column::nullable(
                c::QUEUE_TIME_SUM_S,
                Plain,
                Get::F64(|s, _| Some(s.queue_time?.sum_s)),
            ),
            Column::nullable(c::QUEUE_TIME_COUNT, Delta, Get::U64(|s| Some(s.queue_time?.count))),
            Column::nullable(
                c::PREFILL_TIME_SUM_S,
                Plain,
                Get::F64(|s, _| Some(s.prefill_time?.sum_s)),
            ),
            Column::nullable(
                c::PREFILL_TIME_COUNT,
                Delta,
                Get::U64(|s| Some(s.prefill_time?.count)),
            ),
            Column::nullable(
                c::DECODE_TIME_SUM_S,
                Plain,
                Get::F64(|s, _| Some(s.decode_time?.sum_s)),
            ),
            Column::nullable(c::DECODE_TIME_COUNT, Delta, Get::U64(|s| Some(s.decode_time?.count))),
            Column::nullable(
                c::INFERENCE_TIME_SUM_S,
                Plain,
                Get::F64(|s, _| Some(s.inference_time?.sum_s)),
            ),
            Column::nullable(
                c::INFERENCE_TIME_COUNT,
                Delta,
                Get::U64(|s| Some(s.inference_time?.count)),
            ),
            Column::nullable(c::TTFT_SUM_S, Plain, Get::F64(|s, _| Some(s.ttft?.sum_s))),
            Column::nullable(c::TTFT_COUNT, Delta, Get::U64(|s| Some(s.ttft?.count))),
            Column::nullable(
                c::E2E_LATENCY_SUM_S,
                Plain,
                Get::F64(|s, _| Some(s.e2e_latency?.sum_s)),
            ),
            Column::nullable(c::E2E_LATENCY_COUNT, Delta, Get::U64(|s| Some(s.e2e_latency?.count))),
        ]
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }

    fn read(cells: &Cells<'_>, out: &mut Vec<Self>) -> Result<(), StorageError> {
        let counter = |name| cells.column::<UInt64Array>(name);
        let float = |name| cells.column::<Float64Array>(name);

        let at = cells.column::<Int64Array>(c::AT_NS)?;
        let server = cells.column::<UInt32Array>(c::SERVER_INDEX)?;
        let (running, waiting) = (float(c::RUNNING)?, float(c::WAITING)?);
        let (usage, start) = (float(c::KV_CACHE_USAGE)?, float(c::PROCESS_START_UNIX_S)?);
        let queries = counter(c::PREFIX_CACHE_QUERIES)?;
        let (hits, preemptions) = (counter(c::PREFIX_CACHE_HITS)?, counter(c::PREEMPTIONS)?);
        let (prompt, generation) = (counter(c::PROMPT_TOKENS)?, counter(c::GENERATION_TOKENS)?);
        let (stop, length) = (counter(c::REQUESTS_STOP)?, counter(c::REQUESTS_LENGTH)?);
        let (abort, error) = (counter(c::REQUESTS_ABORT)?, counter(c::REQUESTS_ERROR)?);
        let histogram = |sum, count| Histogram::of(cells, sum, count);
        let queue_time = histogram(c::QUEUE_TIME_SUM_S, c::QUEUE_TIME_COUNT)?;
        let prefill_time = histogram(c::PREFILL_TIME_SUM_S, c::PREFILL_TIME_COUNT)?;
        let decode_time = histogram(c::DECODE_TIME_SUM_S, c::DECODE_TIME_COUNT)?;
        let inference_time = histogram(c::INFERENCE_TIME_SUM_S, c::INFERENCE_TIME_COUNT)?;
        let ttft = histogram(c::TTFT_SUM_S, c::TTFT_COUNT)?;
        let e2e_latency = histogram(c::E2E_LATENCY_SUM_S, c::E2E_LATENCY_COUNT)?;

        for i in 0..cells.len() {
            let at_ns = cells.nanos(c::AT_NS, at, i)?;
            out.push(Self {
                at: at_ns
                    .map(Timestamp::from_nanos)
                    .ok_or_else(|| cells.bad(c::AT_NS, i, "is null"))?,
                server_index: cells.required(c::SERVER_INDEX, server, i)?,
                running: cells.value(running, i),
                waiting: cells.value(waiting, i),
                kv_cache_usage: cells.value(usage, i),
                prefix_cache_queries: cells.value(queries, i),
                prefix_cache_hits: cells.value(hits, i),
                preemptions: cells.value(preemptions, i),
                prompt_tokens: cells.value(prompt, i),
                generation_tokens: cells.value(generation, i),
                requests_stop: cells.value(stop, i),
                requests_length: cells.value(length, i),
                requests_abort: cells.value(abort, i),
                requests_error: cells.value(error, i),
                process_start_unix_s: cells.value(start, i),
                queue_time: queue_time.value(cells, i),
                prefill_time: prefill_time.value(cells, i),
                decode_time: decode_time.value(cells, i),
                inference_time: inference_time.value(cells, i),
                ttft: ttft.value(cells, i),
                e2e_latency: e2e_latency.value(cells, i),
            });
        }
        Ok(())
    }
}

/// The two columns of a histogram's totals, which older programs did not write.
struct Histogram<'a> {
    sum: Option<&'a Float64Array>,
    count: Option<&'a UInt64Array>,
}

impl<'a> Histogram<'a> {
    fn of(cells: &Cells<'a>, sum: &'static str, count: &'static str) -> Result<Self, StorageError> {
        Ok(Self { sum: cells.added(sum)?, count: cells.added(count)? })
    }

    fn value(&self, cells: &Cells<'_>, i: usize) -> Option<HistogramTotals> {
        Some(HistogramTotals {
            sum_s: cells.added_value(self.sum, i)?,
            count: cells.added_value(self.count, i)?,
        })
    }
}
