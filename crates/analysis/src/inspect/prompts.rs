//! The prompts of chosen requests, from the corpus file where it is still the one that was sent.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::dataset::Dataset;
use crate::rows::RequestRow;

/// Where the prompts' texts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Prompts {
    /// The corpus file, which is the one that was sent.
    Corpus {
        /// The file.
        file: PathBuf,
    },
    /// They are not to be had.
    Missing {
        /// Why, and what to do.
        why: String,
    },
}

/// One message of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: String,
    /// What.
    pub content: String,
}

/// What is needed of a corpus line. Its head and foot have no id.
#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    messages: Option<Vec<Message>>,
}

/// The messages of the prompts of `rows` by prompt id.
pub(super) fn of(
    dataset: &Dataset,
    rows: &[&RequestRow],
    corpus: Option<&Path>,
) -> (Prompts, HashMap<String, Vec<Message>>) {
    let info = &dataset.manifest().corpus;
    let missing = |why: String| (Prompts::Missing { why }, HashMap::new());
    if corpus.is_none() && info.file.is_empty() {
        return missing("the manifest names no corpus file".into());
    }
    let file = corpus.map_or_else(|| PathBuf::from(&info.file), Path::to_owned);
    let wanted: HashSet<&str> = rows.iter().map(|row| row.prompt_id.as_str()).collect();
    match read(&file, &wanted) {
        Ok((sha256, texts)) if sha256.eq_ignore_ascii_case(&info.sha256) => {
            (Prompts::Corpus { file }, texts)
        }
        Ok(_) => missing(format!(
            "{} has changed since the run: its SHA-256 is another than the manifest's",
            file.display()
        )),
        Err(error) => missing(format!(
            "cannot read {}: {error}; name the corpus with --corpus",
            file.display()
        )),
    }
}

/// The file's SHA-256 and the wanted prompts, in one pass that holds one line.
fn read(
    file: &Path,
    wanted: &HashSet<&str>,
) -> io::Result<(String, HashMap<String, Vec<Message>>)> {
    let mut reader = BufReader::new(File::open(file)?);
    let (mut hash, mut texts, mut line) = (Sha256::new(), HashMap::new(), Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        hash.update(&line);
        // A line that is no prompt is none of ours; a damaged file shows in its hash.
        let Ok(Line { id: Some(id), messages: Some(messages) }) = serde_json::from_slice(&line)
        else {
            continue;
        };
        if wanted.contains(id.as_str()) {
            texts.insert(id, messages);
        }
    }
    let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex, texts))
}
