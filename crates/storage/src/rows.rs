//! What a table's record type must offer, and typed access to the cells of a batch.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use arrow::array::{
    Array, ArrowPrimitiveType, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use vllm_bench_record::Timestamp;

use crate::error::StorageError;
use crate::schema::{Column, Context};
use crate::table::Table;

/// A record type that is one row of one table.
pub(crate) trait Row: Sized {
    const TABLE: Table;

    fn columns() -> Vec<Column<Self>>;

    /// Memory it holds, roughly.
    fn bytes(&self) -> usize;

    /// Its stage index, when the stage table does not have it.
    fn unknown_stage(&self, _context: &Context) -> Option<u32> {
        None
    }

    fn read(cells: &Cells<'_>, out: &mut Vec<Self>) -> Result<(), StorageError>;
}

/// Cells saturate at 292 years rather than wrap.
pub(crate) fn instant_ns(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn duration_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The cells of one batch of a part.
pub(crate) struct Cells<'a> {
    batch: &'a RecordBatch,
    path: &'a Path,
    /// Rows of the part before this batch.
    first_row: usize,
}

/// A list column: where each row's elements lie.
pub(crate) struct List<'a, A> {
    pub(crate) values: &'a A,
    offsets: &'a [i32],
}

impl<A> List<'_, A> {
    pub(crate) fn range(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }
}

impl<'a> Cells<'a> {
    pub(crate) fn new(batch: &'a RecordBatch, path: &'a Path, first_row: usize) -> Self {
        Self { batch, path, first_row }
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(crate) fn column<A: Array + 'static>(
        &self,
        name: &'static str,
    ) -> Result<&'a A, StorageError> {
        let column = self.batch.column_by_name(name);
        column.and_then(|c| c.as_any().downcast_ref()).ok_or_else(|| self.mistyped::<A>(name))
    }

    /// A column that older programs did not write yet; `None` where the part lacks it.
    pub(crate) fn added<A: Array + 'static>(
        &self,
        name: &'static str,
    ) -> Result<Option<&'a A>, StorageError> {
        self.batch.column_by_name(name).map(|_| self.column(name)).transpose()
    }

    pub(crate) fn list<A: Array + 'static>(
        &self,
        name: &'static str,
    ) -> Result<List<'a, A>, StorageError> {
        let list: &'a ListArray = self.column(name)?;
        let values =
            list.values().as_any().downcast_ref().ok_or_else(|| self.mistyped::<A>(name))?;
        Ok(List { values, offsets: list.value_offsets() })
    }

    pub(crate) fn value<T: ArrowPrimitiveType>(
        &self,
        array: &PrimitiveArray<T>,
        i: usize,
    ) -> Option<T::Native> {
        array.is_valid(i).then(|| array.value(i))
    }

    pub(crate) fn added_value<T: ArrowPrimitiveType>(
        &self,
        array: Option<&PrimitiveArray<T>>,
        i: usize,
    ) -> Option<T::Native> {
        array.and_then(|array| self.value(array, i))
    }

    pub(crate) fn required<T: ArrowPrimitiveType>(
        &self,
        name: &'static str,
        array: &PrimitiveArray<T>,
        i: usize,
    ) -> Result<T::Native, StorageError> {
        self.value(array, i).ok_or_else(|| self.bad(name, i, "is null"))
    }

    pub(crate) fn optional_text(&self, array: &StringArray, i: usize) -> Option<String> {
        array.is_valid(i).then(|| array.value(i).to_owned())
    }

    pub(crate) fn text(
        &self,
        name: &'static str,
        array: &StringArray,
        i: usize,
    ) -> Result<String, StorageError> {
        self.optional_text(array, i).ok_or_else(|| self.bad(name, i, "is null"))
    }

    pub(crate) fn word<W>(
        &self,
        name: &'static str,
        array: &StringArray,
        i: usize,
        from_word: fn(&str) -> Option<W>,
    ) -> Result<W, StorageError> {
        let word = self.text(name, array, i)?;
        from_word(&word).ok_or_else(|| self.bad(name, i, format!("unknown word {word:?}")))
    }

    /// Nanoseconds in row `i`.
    pub(crate) fn nanos(
        &self,
        name: &'static str,
        array: &Int64Array,
        i: usize,
    ) -> Result<Option<u64>, StorageError> {
        self.nanos_in(name, array, i, i)
    }

    /// Nanoseconds in element `i` of a list in row `row`.
    pub(crate) fn nanos_in(
        &self,
        name: &'static str,
        array: &Int64Array,
        i: usize,
        row: usize,
    ) -> Result<Option<u64>, StorageError> {
        let Some(ns) = self.value(array, i) else { return Ok(None) };
        u64::try_from(ns)
            .map(Some)
            .map_err(|_| self.bad(name, row, format!("{ns} ns is before run start")))
    }

    pub(crate) fn bad(
        &self,
        column: &'static str,
        row: usize,
        problem: impl Into<String>,
    ) -> StorageError {
        let (path, problem) = (self.path.to_path_buf(), problem.into());
        StorageError::Cell { path, row: self.first_row + row, column, problem }
    }

    fn mistyped<A>(&self, column: &'static str) -> StorageError {
        let name = std::any::type_name::<A>();
        StorageError::Column {
            path: self.path.to_path_buf(),
            column,
            expected: name.rsplit("::").next().unwrap_or(name).trim_end_matches('>').to_owned(),
            found: match self.batch.column_by_name(column) {
                None => "nothing".to_owned(),
                Some(found) => found.data_type().to_string(),
            },
        }
    }
}
