//! Parquet by column and row group: only what is needed is read.

use std::fs::File;
use std::path::Path;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::load::{Reading, Request};
use crate::{CorpusError, unpack};

/// One row, as far as it has what we read.
pub(super) struct Row<'a> {
    pub(super) title: Option<String>,
    pub(super) text: &'a str,
    pub(super) question: Option<&'a str>,
    pub(super) answer: Option<String>,
}

const TEXT: [&str; 5] = ["text", "context", "content", "passage", "body"];
const TITLE: [&str; 2] = ["title", "name"];

/// Whether a file is Parquet: by its first bytes.
pub(super) fn is_parquet(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"PAR1"
}

/// Calls `each` for rows of row groups spread evenly over the file, until as many as asked for were read.
pub(super) fn rows(
    path: &Path,
    request: &Request<'_>,
    mut each: impl FnMut(Row<'_>) -> Result<(), CorpusError>,
) -> Result<Reading, CorpusError> {
    let wrong = |e: &dyn std::fmt::Display| {
        CorpusError::source(path, format!("not readable as Parquet: {e}"))
    };
    let file = File::open(path).map_err(CorpusError::io("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| wrong(&e))?;
    let names: Vec<String> = builder.schema().fields().iter().map(|f| f.name().clone()).collect();
    let find = |keys: &[&str]| {
        keys.iter().find(|key| names.iter().any(|n| n == *key)).map(|key| (*key).to_owned())
    };
    let Some(text) = find(&TEXT) else {
        let message = format!("no column {}; it has {}", TEXT.join(", "), names.join(", "));
        return Err(CorpusError::source(path, message));
    };
    let columns = Columns {
        text,
        title: find(&TITLE),
        question: find(&["question"]),
        answers: find(&["answers"]),
    };
    let wanted: Vec<usize> = (0..names.len()).filter(|&i| columns.wants(&names[i])).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let take = request.parquet_rows();
    let groups =
        spread(builder.metadata().row_groups().iter().map(|g| g.num_rows().max(0) as u64), take);
    let reader = builder
        .with_projection(mask)
        .with_row_groups(groups)
        .with_batch_size(1024)
        .build()
        .map_err(|e| wrong(&e))?;
    let mut records = 0;
    for batch in reader {
        let batch = batch.map_err(|e| wrong(&e))?;
        records += columns.read(&batch, take - records, &mut each).map_err(|e| match e {
            Failed::Arrow(e) => wrong(&e),
            Failed::Caller(e) => e,
        })?;
        if records == take {
            break;
        }
    }
    Ok(Reading { records, sha256: Some(unpack::sha256_of(path)?) })
}

/// Row groups with at least `take` rows together, spread evenly over the file, in order.
fn spread(groups: impl Iterator<Item = u64>, take: u64) -> Vec<usize> {
    let sizes: Vec<u64> = groups.collect();
    let all: u64 = sizes.iter().sum();
    if all <= take {
        return (0..sizes.len()).collect();
    }
    let mut count = (take.saturating_mul(sizes.len() as u64)).div_ceil(all.max(1)) as usize;
    loop {
        let chosen: Vec<usize> = (0..count).map(|i| i * sizes.len() / count).collect();
        if count >= sizes.len() || chosen.iter().map(|&i| sizes[i]).sum::<u64>() >= take {
            return chosen;
        }
        count += 1;
    }
}

struct Columns {
    text: String,
    title: Option<String>,
    question: Option<String>,
    answers: Option<String>,
}

enum Failed {
    Arrow(arrow::error::ArrowError),
    Caller(CorpusError),
}

impl Columns {
    fn wants(&self, name: &str) -> bool {
        name == self.text
            || [&self.title, &self.question, &self.answers]
                .iter()
                .any(|c| c.as_deref() == Some(name))
    }

    fn read(
        &self,
        batch: &RecordBatch,
        most: u64,
        each: &mut impl FnMut(Row<'_>) -> Result<(), CorpusError>,
    ) -> Result<u64, Failed> {
        let strings = |name: &Option<String>| -> Result<Option<StringArray>, Failed> {
            let column = name.as_ref().and_then(|name| batch.column_by_name(name));
            column
                .map(|c| cast(c, &DataType::Utf8).map(|c| c.as_string::<i32>().clone()))
                .transpose()
                .map_err(Failed::Arrow)
        };
        let texts = strings(&Some(self.text.clone()))?;
        let (titles, questions) = (strings(&self.title)?, strings(&self.question)?);
        let answers = self.answers.as_ref().and_then(|name| batch.column_by_name(name));
        let Some(texts) = texts else { return Ok(0) };
        let rows = (batch.num_rows() as u64).min(most) as usize;
        for i in (0..rows).filter(|&i| texts.is_valid(i)) {
            let row = Row {
                title: value(titles.as_ref(), i).map(str::to_owned),
                text: texts.value(i),
                question: value(questions.as_ref(), i),
                answer: answers.and_then(|a| first_answer(a, i)),
            };
            each(row).map_err(Failed::Caller)?;
        }
        Ok(rows as u64)
    }
}

fn value(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|c| c.is_valid(row)).map(|c| c.value(row))
}

/// SQuAD's `answers`: a struct with a list `text`.
fn first_answer(answers: &ArrayRef, row: usize) -> Option<String> {
    let texts = answers.as_struct_opt()?.column_by_name("text")?;
    let list = texts.as_list_opt::<i32>()?;
    let values = if list.is_valid(row) { list.value(row) } else { return None };
    let values = cast(&values, &DataType::Utf8).ok()?;
    let values = values.as_string_opt::<i32>()?;
    (!values.is_empty() && values.is_valid(0)).then(|| values.value(0).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_groups_are_spread_evenly() {
        let check = |sizes: &[u64], take: u64, expected: &[usize]| {
            assert_eq!(spread(sizes.iter().copied(), take), expected, "{sizes:?} {take}");
        };
        check(&[10, 10, 10, 10], 20, &[0, 2]);
        check(&[10, 10, 10, 10], 100, &[0, 1, 2, 3]);
        check(&[10, 10, 10, 10], 1, &[0]);
        check(&[1, 1, 10, 10], 12, &[0, 1, 2]);
        check(&[], 5, &[]);
    }
}
