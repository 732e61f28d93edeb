//! HotpotQA: questions that need two passages, each question with distractors that a search engine found for it.

use std::fs::File;
use std::path::Path;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::clean::tidy;
use super::load::{Reading, Request};
use super::material::{Exchange, Material};
use super::{jsonl, parquet};
use crate::{CorpusError, unpack};

/// One question with its paragraphs.
struct Record {
    question: String,
    answer: Option<String>,
    /// Titles and texts.
    paragraphs: Vec<(String, String)>,
    /// Titles of those that hold the answer; empty where that is not told.
    supporting: Vec<String>,
}

/// Reads the Hub's Parquet, or JSON Lines of the published fields, or of `question`, `answers`, `document`.
pub(super) fn read(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    if parquet::is_parquet(path) {
        return from_parquet(path, request, material);
    }
    let (records, sha256) = jsonl::for_each(path, request.take(), |line, row| {
        let record = from_json(row).map_err(|message| CorpusError::line(path, line, message))?;
        add(record, request, material);
        Ok(())
    })?;
    Ok(Reading { records, sha256: Some(sha256) })
}

/// The first supporting passage is the one asked about; the others of them come first among those near it.
fn add(record: Record, request: &Request<'_>, material: &mut Material) {
    let (mut evidence, mut others) = (Vec::new(), Vec::new());
    for (title, text) in &record.paragraphs {
        let text = tidy(text, request.footnotes());
        let Some(at) = material.passage(Some(title), &text, request.passages()) else { continue };
        if record.supporting.contains(title) { &mut evidence } else { &mut others }.push(at);
    }
    if !request.questions() && !request.history() {
        return;
    }
    let mut near = evidence.split_off(evidence.len().min(1));
    near.extend(others);
    let alone = evidence.is_empty() && near.is_empty();
    material.exchange(Exchange {
        question: record.question.trim().to_owned(),
        as_history: request.history() && alone && record.answer.is_some(),
        as_question: request.questions(),
        answer: record.answer,
        passage: evidence.first().copied(),
        near,
    });
}

/// The published fields, as the Hub's tools write them and as the original file has them, or one joined document.
#[derive(Deserialize)]
#[serde(untagged)]
enum Context {
    Columns { title: Vec<String>, sentences: Vec<Vec<String>> },
    Pairs(Vec<(String, Vec<String>)>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Facts {
    Columns { title: Vec<String> },
    Pairs(Vec<(String, i64)>),
}

fn from_json(mut row: Map<String, Value>) -> Result<Record, String> {
    let question = jsonl::text(&row, &["question"])
        .ok_or_else(|| format!("no text under `question`; found {}", jsonl::keys(&row)))?
        .to_owned();
    let first = row.get("answers").and_then(Value::as_array).and_then(|all| all.first());
    let answer =
        first.and_then(Value::as_str).or_else(|| jsonl::text(&row, &["answer"])).map(str::to_owned);
    if let Some(document) = jsonl::text(&row, &["document"]) {
        let paragraphs = document.split("\n\n").map(titled).collect();
        return Ok(Record { question, answer, paragraphs, supporting: Vec::new() });
    }
    let context = row.remove("context").ok_or("neither `context` nor `document`")?;
    let context: Context = serde_json::from_value(context)
        .map_err(|_| "`context` is neither title and sentences nor a list of both".to_owned())?;
    let paragraphs = match context {
        Context::Columns { title, sentences } => {
            title.into_iter().zip(sentences.into_iter().map(|s| s.concat())).collect()
        }
        Context::Pairs(pairs) => pairs.into_iter().map(|(t, s)| (t, s.concat())).collect(),
    };
    let supporting = match row.remove("supporting_facts").map(serde_json::from_value).transpose() {
        Ok(Some(Facts::Columns { title })) => title,
        Ok(Some(Facts::Pairs(pairs))) => pairs.into_iter().map(|(title, _)| title).collect(),
        Ok(None) => Vec::new(),
        Err(_) => return Err("`supporting_facts` are neither titles nor pairs".to_owned()),
    };
    Ok(Record { question, answer, paragraphs, supporting })
}

/// `Title. Text`, parted at the first stop.
fn titled(paragraph: &str) -> (String, String) {
    match paragraph.split_once(". ") {
        Some((title, text)) => (title.trim().to_owned(), text.to_owned()),
        None => (String::new(), paragraph.to_owned()),
    }
}

fn from_parquet(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    let wrong = |e: &dyn std::fmt::Display| {
        CorpusError::source(path, format!("not readable as HotpotQA's Parquet: {e}"))
    };
    let file = File::open(path).map_err(CorpusError::io("open", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(256).build())
        .map_err(|e| wrong(&e))?;
    let (take, mut records) = (request.parquet_rows(), 0);
    for batch in reader {
        let batch = batch.map_err(|e| wrong(&e))?;
        let rows = rows(&batch).ok_or_else(|| {
            let schema = batch.schema();
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            wrong(&format!(
                "question, answer, context and supporting_facts are wanted, it has {}",
                names.join(", ")
            ))
        })?;
        for record in rows {
            if records == take {
                break;
            }
            add(record, request, material);
            records += 1;
        }
    }
    Ok(Reading { records, sha256: Some(unpack::sha256_of(path)?) })
}

/// All rows; `None` where a column is missing or of another type.
fn rows(batch: &RecordBatch) -> Option<Vec<Record>> {
    let questions = texts(batch.column_by_name("question")?)?;
    let answers = batch.column_by_name("answer").and_then(texts);
    let context = batch.column_by_name("context")?.as_struct_opt()?;
    let facts = batch.column_by_name("supporting_facts").and_then(|c| c.as_struct_opt());
    let titles = context.column_by_name("title")?.as_list_opt::<i32>()?;
    let sentences = context.column_by_name("sentences")?.as_list_opt::<i32>()?;
    let supporting = facts.and_then(|f| f.column_by_name("title")?.as_list_opt::<i32>());
    let record = |row: usize| {
        let paragraphs = sentences.value(row);
        let paragraphs = paragraphs.as_list_opt::<i32>()?;
        let bodies: Option<Vec<String>> =
            (0..paragraphs.len()).map(|i| Some(texts(&paragraphs.value(i))?.concat())).collect();
        Some(Record {
            question: questions.get(row)?.clone(),
            answer: answers.as_ref().and_then(|all| all.get(row).cloned()),
            paragraphs: texts(&titles.value(row))?.into_iter().zip(bodies?).collect(),
            supporting: supporting.and_then(|s| texts(&s.value(row))).unwrap_or_default(),
        })
    };
    (0..batch.num_rows()).map(record).collect()
}

fn texts(column: &ArrayRef) -> Option<Vec<String>> {
    let column = cast(column, &DataType::Utf8).ok()?;
    let column = column.as_string_opt::<i32>()?;
    Some(column.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(row: &str) -> Result<Record, String> {
        from_json(serde_json::from_str(row).expect(row))
    }

    #[test]
    fn three_layouts_are_one() {
        let published = r#"{"question": "Q?", "answer": "A", "context": {"title": ["T", "U"], "sentences": [["One. ", "Two."], ["Three."]]},
            "supporting_facts": {"title": ["U"], "sent_id": [0]}}"#;
        let original = r#"{"question": "Q?", "answer": "A", "context": [["T", ["One. ", "Two."]], ["U", ["Three."]]], "supporting_facts": [["U", 0]]}"#;
        let joined =
            r#"{"question": "Q?", "answers": ["A"], "document": "T. One. Two.\n\nU. Three."}"#;
        for (row, supporting) in [(published, "U"), (original, "U"), (joined, "")] {
            let record = record(row).unwrap_or_else(|e| panic!("{e}: {row}"));
            assert_eq!((record.question.as_str(), record.answer.as_deref()), ("Q?", Some("A")));
            let paragraphs = [("T", "One. Two."), ("U", "Three.")];
            let paragraphs = paragraphs.map(|(t, s)| (t.to_owned(), s.to_owned()));
            assert_eq!(record.paragraphs, paragraphs, "{row}");
            assert_eq!(record.supporting.concat(), supporting);
        }
        let fault = |row| record(row).err().expect("refused");
        assert!(fault(r#"{"q": 1}"#).contains("no text under `question`; found `q`"));
        assert!(fault(r#"{"question": "Q", "context": 3}"#).contains("`context` is neither"));
    }
}
