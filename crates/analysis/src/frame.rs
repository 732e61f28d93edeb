//! One Parquet part through polars, its columns as plain vectors.

use std::path::{Path, PathBuf};

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Expr, HiveOptions, LazyFrame, PlRefPath,
    PolarsResult, ScanArgsParquet, UInt32Chunked, col,
};
use vllm_bench_record::Timestamp;

use crate::error::AnalysisError;

/// The rows of one part.
pub(crate) struct Frame {
    path: PathBuf,
    data: DataFrame,
}

/// A column's values, one a row.
type Values<T> = Result<Vec<Option<T>>, AnalysisError>;

impl Frame {
    /// Reads `columns` of the part at `path`, and of the `added` ones those that it has, where
    /// `keep` holds.
    pub(crate) fn read(
        path: &Path,
        columns: &[&str],
        added: &[&str],
        keep: Option<Expr>,
    ) -> PolarsResult<Self> {
        let mut frame = scan(path)?;
        let mut names = columns.to_vec();
        if !added.is_empty() {
            let schema = frame.collect_schema()?;
            names.extend(added.iter().filter(|name| schema.contains(name)));
        }
        let frame = frame.select(names.into_iter().map(col).collect::<Vec<_>>());
        let frame = match keep {
            Some(keep) => frame.filter(keep),
            None => frame,
        };
        Ok(Self { path: path.to_owned(), data: frame.collect()? })
    }

    pub(crate) fn rows(&self) -> usize {
        self.data.height()
    }

    fn column(&self, name: &str, as_type: DataType) -> Result<Column, AnalysisError> {
        let column = self.data.column(name).and_then(|c| c.strict_cast(&as_type));
        column.map_err(|source| self.failed(source))
    }

    pub(crate) fn failed(&self, source: polars::error::PolarsError) -> AnalysisError {
        AnalysisError::Frame { path: self.path.clone(), source: Box::new(source) }
    }

    pub(crate) fn bad(&self, column: &str, problem: impl Into<String>) -> AnalysisError {
        AnalysisError::Column {
            path: self.path.clone(),
            column: column.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Values<String> {
        let column = self.column(name, DataType::String)?;
        let values = column.str().map_err(|e| self.failed(e))?;
        Ok(values.iter().map(|v| v.map(str::to_owned)).collect())
    }

    pub(crate) fn u16(&self, name: &str) -> Values<u16> {
        let column = self.column(name, DataType::UInt16)?;
        Ok(column.u16().map_err(|e| self.failed(e))?.iter().collect())
    }

    pub(crate) fn u32(&self, name: &str) -> Values<u32> {
        let column = self.column(name, DataType::UInt32)?;
        Ok(column.u32().map_err(|e| self.failed(e))?.iter().collect())
    }

    pub(crate) fn u64(&self, name: &str) -> Values<u64> {
        let column = self.column(name, DataType::UInt64)?;
        Ok(column.u64().map_err(|e| self.failed(e))?.iter().collect())
    }

    pub(crate) fn f32(&self, name: &str) -> Values<f32> {
        let column = self.column(name, DataType::Float32)?;
        Ok(column.f32().map_err(|e| self.failed(e))?.iter().collect())
    }

    pub(crate) fn f64(&self, name: &str) -> Values<f64> {
        let column = self.column(name, DataType::Float64)?;
        Ok(column.f64().map_err(|e| self.failed(e))?.iter().collect())
    }

    /// Instants or durations, nanoseconds: an `int64` that is not negative.
    pub(crate) fn nanos(&self, name: &str) -> Values<u64> {
        let column = self.column(name, DataType::Int64)?;
        let values = column.i64().map_err(|e| self.failed(e))?;
        let checked = |v: Option<i64>| match v.map(u64::try_from).transpose() {
            Ok(v) => Ok(v),
            Err(_) => Err(self.bad(name, "a negative time")),
        };
        values.iter().map(checked).collect()
    }

    /// The values of a column by `read`; null where the part, of an older program, lacks it.
    pub(crate) fn added<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self, &str) -> Values<T>,
    ) -> Values<T> {
        if self.data.schema().contains(name) {
            return read(self, name);
        }
        Ok((0..self.rows()).map(|_| None).collect())
    }

    /// Refuses nulls.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        values: Vec<Option<T>>,
    ) -> Result<Vec<T>, AnalysisError> {
        values
            .into_iter()
            .collect::<Option<Vec<T>>>()
            .ok_or_else(|| self.bad(name, "a null where a value must be"))
    }

    /// A list column of times: appends every element to `out` and gives the lengths.
    pub(crate) fn nanos_lists<T>(
        &self,
        name: &str,
        out: &mut Vec<T>,
        make: impl Fn(Option<u64>) -> Option<T>,
    ) -> Result<Vec<usize>, AnalysisError> {
        self.lists(name, DataType::Int64, |series| {
            let before = out.len();
            for value in series.i64().map_err(|e| self.failed(e))?.iter() {
                let nanos = value
                    .map(u64::try_from)
                    .transpose()
                    .map_err(|_| self.bad(name, "a negative time"))?;
                out.push(
                    make(nanos).ok_or_else(|| self.bad(name, "a null where a value must be"))?,
                );
            }
            Ok(out.len() - before)
        })
    }

    pub(crate) fn u32_lists(
        &self,
        name: &str,
        out: &mut Vec<u32>,
    ) -> Result<Vec<usize>, AnalysisError> {
        self.lists(name, DataType::UInt32, |series| {
            let values: &UInt32Chunked = series.u32().map_err(|e| self.failed(e))?;
            self.append(name, values.iter(), out)
        })
    }

    pub(crate) fn bool_lists(
        &self,
        name: &str,
        out: &mut Vec<bool>,
    ) -> Result<Vec<usize>, AnalysisError> {
        self.lists(name, DataType::Boolean, |series| {
            let values: &BooleanChunked = series.bool().map_err(|e| self.failed(e))?;
            self.append(name, values.iter(), out)
        })
    }

    fn append<T>(
        &self,
        name: &str,
        values: impl Iterator<Item = Option<T>>,
        out: &mut Vec<T>,
    ) -> Result<usize, AnalysisError> {
        let before = out.len();
        for value in values {
            out.push(value.ok_or_else(|| self.bad(name, "a null where a value must be"))?);
        }
        Ok(out.len() - before)
    }

    /// Calls `each` with every row's list; a null list is an empty one.
    fn lists(
        &self,
        name: &str,
        of: DataType,
        mut each: impl FnMut(&polars::prelude::Series) -> Result<usize, AnalysisError>,
    ) -> Result<Vec<usize>, AnalysisError> {
        let column = self.column(name, DataType::List(Box::new(of)))?;
        let lists = column.list().map_err(|e| self.failed(e))?;
        (0..lists.len())
            .map(|row| lists.get_as_series(row).map_or(Ok(0), |series| each(&series)))
            .collect()
    }
}

/// A lazy frame of one part, whose path is taken as it is written: no globbing, no hive folders.
fn scan(path: &Path) -> PolarsResult<LazyFrame> {
    let args = ScanArgsParquet {
        glob: false,
        hive_options: HiveOptions { enabled: Some(false), ..HiveOptions::default() },
        ..ScanArgsParquet::default()
    };
    LazyFrame::scan_parquet(PlRefPath::try_from_path(path)?, args)
}

/// An instant of a column of nanoseconds.
pub(crate) fn instant(nanos: Option<u64>) -> Option<Timestamp> {
    nanos.map(Timestamp::from_nanos)
}
