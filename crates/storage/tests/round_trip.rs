//! Whatever goes in comes back equal, and lies in the file as documented.

mod common;

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use vllm_bench_record::{
    ChunkArrival, ChunkTokenSource, EngineSample, Failure, FailureCause, GpuSample, Outcome,
    RequestRecord, ServerTimings, Timestamp, TokenCount, TokenCountSource, columns::requests as c,
};
use vllm_bench_storage::{Table, Writer, WriterOptions, read};

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..=i64::MAX as u64).prop_map(Timestamp::from_nanos)
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..=i64::MAX as u64).prop_map(Duration::from_nanos)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let failure = (0..FailureCause::ALL.len(), any::<String>(), of(any::<u32>())).prop_map(
        |(cause, message, retry_after_s)| {
            Outcome::Failed(Failure { cause: FailureCause::ALL[cause], message, retry_after_s })
        },
    );
    prop_oneof![Just(Outcome::Completed), Just(Outcome::Cancelled), failure]
}

fn token_count() -> impl Strategy<Value = TokenCount> {
    use TokenCountSource::{Chunks, RunningUsage, TokenIds, Usage};
    let source = prop_oneof![Just(Usage), Just(RunningUsage), Just(TokenIds), Just(Chunks)];
    (any::<u32>(), source).prop_map(|(count, source)| TokenCount { count, source })
}

fn chunks() -> impl Strategy<Value = Vec<ChunkArrival>> {
    let chunk = (instant(), any::<u32>(), any::<bool>(), of(duration())).prop_map(
        |(at, tokens, coalesced, client_lag)| ChunkArrival { at, tokens, coalesced, client_lag },
    );
    vec(chunk, 0..20)
}

/// A timing is present only with a figure in it; that is the one thing the columns cannot tell apart.
fn server() -> impl Strategy<Value = Option<ServerTimings>> {
    let ms = || of(prop::num::f64::NORMAL | prop::num::f64::ZERO);
    (ms(), ms(), ms(), ms()).prop_map(|(ttft_ms, queue_ms, generation_ms, mean_itl_ms)| {
        let timings = ServerTimings { ttft_ms, queue_ms, generation_ms, mean_itl_ms };
        (timings != ServerTimings::default()).then_some(timings)
    })
}

prop_compose! {
    fn record()(
        (request_id, prompt_id, model) in (any::<String>(), any::<String>(), of(any::<String>())),
        (answer, reasoning, finish_reason) in (of(any::<String>()), of(".*"), of("[a-z]{1,9}")),
        (stage_index, server_index, user, session, turn) in
            (0..2_u32, any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()),
        (corpus_prompt_tokens, max_tokens, prompt_tokens, cached_tokens) in
            (of(any::<u32>()), of(any::<u32>()), of(any::<u32>()), of(any::<u32>())),
        (scheduled_at, sent_at, written_at, headers_at, finished_at) in
            (instant(), of(instant()), of(instant()), of(instant()), of(instant())),
        (connect, http_status, outcome, output_tokens) in
            (of(duration()), of(any::<u16>()), outcome(), of(token_count())),
        (chunks, server) in (chunks(), server()),
        chunk_token_source in prop_oneof![
            Just(ChunkTokenSource::TokenIds),
            Just(ChunkTokenSource::RunningUsage),
            Just(ChunkTokenSource::Assumed),
            Just(ChunkTokenSource::WholeAnswer),
        ],
    ) -> RequestRecord {
        RequestRecord {
            request_id, stage_index, server_index, user, session, turn, prompt_id,
            corpus_prompt_tokens, max_tokens, scheduled_at, sent_at, written_at, headers_at,
            chunks, finished_at, connect, outcome, http_status, prompt_tokens, output_tokens,
            chunk_token_source, cached_tokens, finish_reason, server, model, answer, reasoning,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_records_come_back_equal(records in vec(record(), 0..30), part_rows in 1..40_usize) {
        let results = tempfile::tempdir().expect("a temporary folder");
        let run = common::create(results.path());
        let options = WriterOptions { part_rows, ..common::options() };
        let writer = Writer::start(&run, options).expect("a thread");
        for record in &records {
            prop_assert!(writer.request(record.clone()));
        }
        let report = writer.finish().expect("all written");
        prop_assert_eq!(report.requests.rows, records.len() as u64);
        prop_assert_eq!(report.requests.parts as usize, records.len().div_ceil(part_rows));
        prop_assert_eq!(read::requests(&run).expect("readable"), records);
    }
}

#[test]
fn samples_come_back_equal() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let (gpu, engine): (Vec<_>, Vec<_>) =
        (0..1000).map(|n| (common::gpu(n), common::engine(n))).unzip();
    let writer = Writer::start(&run, common::options()).expect("a thread");
    let handle = writer.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(handle.gpu(gpu.clone())));
        scope.spawn(|| assert!(handle.engine(engine.clone())));
    });
    writer.finish().expect("all written");
    assert_eq!(read::gpu(&run).expect("readable"), gpu);
    assert_eq!(read::engine(&run).expect("readable"), engine);
    assert_eq!(read::requests(&run).expect("readable"), []);
    assert!(!handle.gpu(gpu), "a finished writer takes nothing");
}

/// Rewrites a part without the columns `added` to a table later.
fn rewrite_without(part: &Path, added: impl Fn(&str) -> bool) {
    let file = File::open(part).expect("it is there");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let metadata = reader.metadata().file_metadata().key_value_metadata().cloned();
    let fields = reader.schema().fields().iter().enumerate();
    let kept: Vec<_> = fields.filter(|(_, f)| !added(f.name())).map(|(i, _)| i).collect();
    assert!(kept.len() < reader.schema().fields().len(), "something is left out");
    let batches: Vec<_> = reader.build().expect("readable").map(|b| b.expect("readable")).collect();
    let batches: Vec<_> = batches.iter().map(|b| b.project(&kept).expect("columns")).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(metadata).build();
    let file = File::create(part).expect("writable");
    let mut writer =
        ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).expect("a writer");
    batches.iter().for_each(|b| writer.write(b).expect("written"));
    writer.close().expect("whole");
}

#[test]
fn parts_of_before_a_column_was_added_are_read_without_it() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let writer = Writer::start(&run, common::options()).expect("a thread");
    writer.gpu(vec![common::gpu(2)]);
    writer.engine(vec![common::engine(2)]);
    writer.finish().expect("all written");
    let part = |table| read::parts(&run, table).expect("a folder").remove(0);
    rewrite_without(&part(Table::Gpu), |name| name == "processes");
    rewrite_without(&part(Table::Engine), |name| {
        ["_sum_s", "_time_count", "ttft_count", "latency_count"].iter().any(|e| name.ends_with(e))
    });
    let gpu = GpuSample { processes: None, ..common::gpu(2) };
    assert_eq!(read::gpu(&run).expect("readable"), [gpu]);
    let engine = EngineSample { queue_time: None, e2e_latency: None, ..common::engine(2) };
    assert_eq!(read::engine(&run).expect("readable"), [engine]);
}

#[test]
fn hostile_text_comes_back_and_answers_can_be_switched_off() {
    let mut record = common::request(1);
    record.answer = Some(format!("a\0b\u{feff}\u{202e}\r\n{}", "日本".repeat(2_000_000)));
    record.reasoning = Some("\0".repeat(100));
    for answers in [true, false] {
        let results = tempfile::tempdir().expect("a temporary folder");
        let run = common::create(results.path());
        let writer =
            Writer::start(&run, WriterOptions { answers, ..common::options() }).expect("a thread");
        writer.request(record.clone());
        writer.finish().expect("all written");
        let back = read::requests(&run).expect("readable").remove(0);
        assert_eq!(back.answer, record.answer.clone().filter(|_| answers));
        assert_eq!(back.reasoning, record.reasoning.clone().filter(|_| answers));
        assert_eq!(back.chunks, record.chunks);
    }
}

/// The file as another program sees it: metadata, encodings, derived columns.
#[test]
fn parts_are_stored_as_documented() {
    let results = tempfile::tempdir().expect("a temporary folder");
    let run = common::create(results.path());
    let writer = Writer::start(&run, common::options()).expect("a thread");
    let records: Vec<_> = (0..3000).map(common::request).collect();
    records.iter().for_each(|r| assert!(writer.request(r.clone())));
    let report = writer.finish().expect("all written");

    let parts = read::parts(&run, Table::Requests).expect("a folder");
    assert_eq!(parts, [run.path().join("requests/part-00000.parquet")]);
    assert_eq!(report.requests.bytes, parts[0].metadata().expect("it is there").len());
    let file = std::fs::File::open(&parts[0]).expect("it is there");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let meta = reader.metadata();
    let pairs: Vec<_> = meta
        .file_metadata()
        .key_value_metadata()
        .into_iter()
        .flatten()
        .filter_map(|kv| Some((kv.key.as_str(), kv.value.as_deref()?)))
        .filter(|(key, _)| key.starts_with("vllm_bench."))
        .collect();
    assert_eq!(
        pairs,
        [
            ("vllm_bench.schema_version", "1"),
            ("vllm_bench.run_id", "20261124-172447-smoke"),
            ("vllm_bench.table", "requests"),
        ]
    );

    let leaf = |name: &str| {
        let columns = meta.row_group(0).columns();
        columns.iter().find(|k| k.column_path().string() == name).expect("a column")
    };
    for name in [c::SCHEDULED_AT_NS, c::TTFT_NS, "chunk_at_ns.list.item", "chunk_tokens.list.item"]
    {
        let encodings: Vec<_> = leaf(name).encodings().collect();
        assert!(encodings.contains(&Encoding::DELTA_BINARY_PACKED), "{name}: {encodings:?}");
        assert!(!encodings.contains(&Encoding::RLE_DICTIONARY), "{name}: {encodings:?}");
    }
    for name in [c::STAGE, c::OUTCOME, c::MODEL, c::CHUNK_TOKEN_SOURCE] {
        assert!(leaf(name).dictionary_page_offset().is_some(), "{name}");
    }
    for name in [c::REQUEST_ID, c::ANSWER] {
        assert!(leaf(name).dictionary_page_offset().is_none(), "{name}");
    }
    for column in meta.row_group(0).columns() {
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{}", column.column_path());
    }

    // Derived columns hold what the record's own methods say.
    let row = reader.get_row_iter(None).expect("rows").next().expect("a row").expect("readable");
    let cell = |name: &str| {
        let (_, field) = row.get_column_iter().find(|(n, _)| *n == name).expect("a column");
        field.to_string()
    };
    let ns = |d: Option<Duration>| d.expect("a whole request").as_nanos().to_string();
    let first = &records[0];
    assert_eq!(cell(c::TTFT_NS), ns(first.ttft()));
    assert_eq!(cell(c::TTFT_FROM_SCHEDULE_NS), ns(first.ttft_from_schedule()));
    assert_eq!(cell(c::E2E_NS), ns(first.e2e()));
    assert_eq!(cell(c::E2E_FROM_SCHEDULE_NS), ns(first.e2e_from_schedule()));
    assert_eq!(cell(c::TPOT_NS), ns(first.tpot()));
    assert_eq!(cell(c::SEND_LAG_NS), ns(first.send_lag()));
    assert_eq!(cell(c::STAGE), "\"cc 4\"");
    assert_eq!(cell(c::PHASE), "\"measure\"");
    assert_eq!(cell(c::CONCURRENCY), "4");
    assert_eq!(cell(c::CHUNK_TOKENS), "[2, 1, 2]");
    assert_eq!(cell(c::FIRST_TOKEN_AT_NS), "41000000");
    assert_eq!(cell(c::LAST_TOKEN_AT_NS), "71000000");
}
