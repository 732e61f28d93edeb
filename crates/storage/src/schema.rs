//! One column: its name, how it is taken from a record, and how it is stored.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Array, Float64Array, Int64Array, ListArray, ListBuilder,
    RecordBatch, StringBuilder, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
use arrow::error::ArrowError;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use vllm_bench_record::{SCHEMA_VERSION, StageInfo, columns::metadata};

use crate::table::Table;

/// What columns need besides the record itself.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub(crate) stages: Vec<StageInfo>,
    pub(crate) answers: bool,
}

type GetText<R> = for<'a> fn(&'a R, &'a Context) -> Option<&'a str>;

/// How a column's values are taken from a record; the variant is its type.
#[derive(Clone, Copy)]
pub(crate) enum Get<R> {
    Text(GetText<R>),
    I64(fn(&R) -> Option<i64>),
    U16(fn(&R) -> Option<u16>),
    U32(fn(&R, &Context) -> Option<u32>),
    U64(fn(&R) -> Option<u64>),
    F32(fn(&R) -> Option<f32>),
    F64(fn(&R, &Context) -> Option<f64>),
    I64List(fn(&R) -> Vec<Option<i64>>),
    U32List(fn(&R) -> Vec<Option<u32>>),
    BoolList(fn(&R) -> Vec<bool>),
}

/// How a column's values lie in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As they are.
    Plain,
    /// Differences in few bits: instants, durations, counters, small numbers.
    Delta,
    /// Few distinct values.
    Dictionary,
}

pub(crate) struct Column<R> {
    name: &'static str,
    required: bool,
    layout: Layout,
    get: Get<R>,
}

impl<R> Column<R> {
    /// A column that may hold nulls.
    pub(crate) fn nullable(name: &'static str, layout: Layout, get: Get<R>) -> Self {
        Self { name, required: false, layout, get }
    }

    /// A column without nulls.
    pub(crate) fn required(name: &'static str, layout: Layout, get: Get<R>) -> Self {
        Self { name, required: true, layout, get }
    }

    fn field(&self) -> Field {
        let list = |of| DataType::List(Arc::new(Field::new_list_field(of, true)));
        let data_type = match self.get {
            Get::Text(_) => DataType::Utf8,
            Get::I64(_) => DataType::Int64,
            Get::U16(_) => DataType::UInt16,
            Get::U32(_) => DataType::UInt32,
            Get::U64(_) => DataType::UInt64,
            Get::F32(_) => DataType::Float32,
            Get::F64(_) => DataType::Float64,
            Get::I64List(_) => list(DataType::Int64),
            Get::U32List(_) => list(DataType::UInt32),
            Get::BoolList(_) => list(DataType::Boolean),
        };
        Field::new(self.name, data_type, !self.required)
    }

    /// The leaf's path in the Parquet schema.
    fn path(&self) -> ColumnPath {
        match self.get {
            Get::I64List(_) | Get::U32List(_) | Get::BoolList(_) => ColumnPath::new(vec![
                self.name.into(),
                "list".into(),
                Field::LIST_FIELD_DEFAULT_NAME.into(),
            ]),
            _ => ColumnPath::from(self.name),
        }
    }

    fn array(&self, rows: &[R], context: &Context) -> ArrayRef {
        match self.get {
            Get::Text(get) => {
                let mut text = StringBuilder::new();
                rows.iter().for_each(|r| text.append_option(get(r, context)));
                Arc::new(text.finish())
            }
            Get::I64(get) => Arc::new(rows.iter().map(get).collect::<Int64Array>()),
            Get::U16(get) => Arc::new(rows.iter().map(get).collect::<UInt16Array>()),
            Get::U32(get) => {
                Arc::new(rows.iter().map(|r| get(r, context)).collect::<UInt32Array>())
            }
            Get::U64(get) => Arc::new(rows.iter().map(get).collect::<UInt64Array>()),
            Get::F32(get) => Arc::new(rows.iter().map(get).collect::<Float32Array>()),
            Get::F64(get) => {
                Arc::new(rows.iter().map(|r| get(r, context)).collect::<Float64Array>())
            }
            Get::I64List(get) => Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                rows.iter().map(|r| Some(get(r))),
            )),
            Get::U32List(get) => Arc::new(ListArray::from_iter_primitive::<UInt32Type, _, _>(
                rows.iter().map(|r| Some(get(r))),
            )),
            Get::BoolList(get) => {
                let mut lists = ListBuilder::new(BooleanBuilder::new());
                for row in rows {
                    lists.values().append_slice(&get(row));
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
        }
    }
}

pub(crate) fn schema<R>(columns: &[Column<R>]) -> Arc<Schema> {
    Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()))
}

pub(crate) fn batch<R>(
    columns: &[Column<R>],
    rows: &[R],
    context: &Context,
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter().map(|c| c.array(rows, context)).collect();
    RecordBatch::try_new(schema(columns), arrays)
}

pub(crate) fn properties<R>(table: Table, run_id: &str, columns: &[Column<R>]) -> WriterProperties {
    let entry = |key: &str, value: String| KeyValue::new(key.into(), value);
    let metadata = vec![
        entry(metadata::SCHEMA_VERSION, SCHEMA_VERSION.to_string()),
        entry(metadata::RUN_ID, run_id.into()),
        entry(metadata::TABLE, table.as_str().into()),
    ];
    let start = WriterProperties::builder()
        .set_created_by(concat!("vllm-bench ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_key_value_metadata(Some(metadata));
    columns
        .iter()
        .fold(start, |builder: WriterPropertiesBuilder, column| match column.layout {
            Layout::Plain => builder,
            Layout::Delta => {
                builder.set_column_encoding(column.path(), Encoding::DELTA_BINARY_PACKED)
            }
            Layout::Dictionary => builder.set_column_dictionary_enabled(column.path(), true),
        })
        .build()
}
