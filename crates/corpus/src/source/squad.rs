//! SQuAD: paragraphs of Wikipedia with questions about them.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::clean::tidy;
use super::load::{Reading, Request};
use super::material::{Exchange, Material};
use super::parquet;
use crate::file::hex;
use crate::{CorpusError, unpack};

#[derive(Deserialize)]
struct Squad {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    #[serde(default)]
    title: Option<String>,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    #[serde(default)]
    qas: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    question: String,
    #[serde(default)]
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
}

/// Reads SQuAD's own JSON, or the Hub's Parquet form of it.
pub(super) fn read(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    if parquet::is_parquet(path) {
        return parquet::rows(path, request, |row| {
            let title = row.title.as_deref().map(|t| t.replace('_', " "));
            let about = material.passage(
                title.as_deref(),
                &tidy(row.text, request.footnotes()),
                request.passages(),
            );
            if let Some(question) = row.question {
                ask(question, row.answer.as_deref(), about, request, material);
            }
            Ok(())
        });
    }
    let bytes = unpack::read_whole(path)?;
    let squad: Squad = serde_json::from_slice(&bytes).map_err(|e| {
        CorpusError::line(
            path,
            e.line() as u64,
            format!("not SQuAD's form (data, paragraphs, context, qas): {e}"),
        )
    })?;
    let mut records = 0;
    for article in squad.data {
        let title = article.title.map(|t| t.replace('_', " "));
        for paragraph in article.paragraphs {
            let context = tidy(&paragraph.context, request.footnotes());
            let about = material.passage(title.as_deref(), &context, request.passages());
            for question in paragraph.qas {
                if records == request.take() {
                    return Ok(Reading { records, sha256: Some(hex(&Sha256::digest(&bytes))) });
                }
                records += 1;
                let answer = question.answers.first().map(|a| a.text.as_str());
                ask(&question.question, answer, about, request, material);
            }
        }
    }
    Ok(Reading { records, sha256: Some(hex(&Sha256::digest(&bytes))) })
}

fn ask(
    question: &str,
    answer: Option<&str>,
    about: Option<usize>,
    request: &Request<'_>,
    material: &mut Material,
) {
    if request.questions() || request.history() {
        material.exchange(Exchange {
            question: question.trim().to_owned(),
            answer: answer.map(str::to_owned),
            passage: about,
            near: Vec::new(),
            as_question: request.questions(),
            as_history: request.history() && answer.is_some(),
        });
    }
}
