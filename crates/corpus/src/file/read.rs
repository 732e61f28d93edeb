//! Reading a corpus: all of it is verified once, then prompts are fetched one by one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Footer, check};
use crate::{CorpusError, CorpusHeader, Prompt};

/// A verified corpus file. It keeps where the prompts are, not their texts.
#[derive(Debug)]
pub struct Corpus {
    path: PathBuf,
    header: CorpusHeader,
    /// Start of each prompt's line, and the end of the last.
    offsets: Vec<u64>,
    sha256: String,
    file: Mutex<File>,
}

impl Corpus {
    /// Opens a corpus and verifies every line of it.
    ///
    /// # Errors
    /// [`CorpusError::NotACorpus`], or [`CorpusError::CorpusLine`] naming the line that is cut, edited, missing or out of order.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CorpusError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(CorpusError::io("open", path))?;
        let mut lines = Lines::new(path, BufReader::with_capacity(1 << 20, &file));
        let header = read_header(&mut lines)?;
        let mut offsets = Vec::with_capacity(header.prompts as usize + 1);
        loop {
            let before = lines.hash.clone();
            let start = lines.offset;
            let Some(line) = lines.next()? else {
                return Err(lines.wrong(format!(
                    "the file ends here, after {} of {} prompts: it was cut short",
                    offsets.len(),
                    header.prompts
                )));
            };
            offsets.push(start);
            if line.starts_with("{\"end\":") {
                let footer = serde_json::from_str::<Footer>(&line);
                let footer =
                    footer.map_err(|e| lines.wrong(format!("the last line is damaged: {e}")))?;
                verify_end(&mut lines, &header, offsets.len() - 1, &footer, before)?;
                break;
            }
            let prompt = read_prompt(&line).map_err(|message| lines.wrong(message))?;
            let expected = prompt_id(&header.name, offsets.len() - 1);
            if prompt.id != expected {
                return Err(lines.wrong(format!(
                    "expected prompt {expected}, found {}: a line is missing, doubled or out of order",
                    prompt.id
                )));
            }
        }
        let sha256 = check::hex(&lines.hash.finalize());
        Ok(Self { path: path.to_owned(), header, offsets, sha256, file: Mutex::new(file) })
    }

    /// The first line: how the corpus was made.
    pub fn header(&self) -> &CorpusHeader {
        &self.header
    }

    /// How many prompts there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// sha256 of the whole file, lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Prompt number `index`, read from the file.
    ///
    /// # Errors
    /// No such prompt; the file cannot be read; its line was changed since the corpus was opened.
    pub fn prompt(&self, index: usize) -> Result<Prompt, CorpusError> {
        let [start, end] = match self.offsets.get(index..index + 2) {
            Some(&[start, end]) => [start, end],
            _ => return Err(CorpusError::NoSuchPrompt { index, prompts: self.len() }),
        };
        let mut line = vec![0; (end - start) as usize];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(start))
                .and_then(|_| file.read_exact(&mut line))
                .map_err(CorpusError::io("read", &self.path))?;
        }
        let wrong = |message: String| CorpusError::CorpusLine {
            path: self.path.clone(),
            line: index as u64 + 2,
            message,
        };
        let line = String::from_utf8(line).map_err(|_| wrong("not UTF-8".to_owned()))?;
        read_prompt(line.trim_end_matches('\n')).map_err(wrong)
    }

    /// All prompts in order.
    pub fn prompts(&self) -> impl Iterator<Item = Result<Prompt, CorpusError>> + '_ {
        (0..self.len()).map(|i| self.prompt(i))
    }
}

/// The id of prompt number `index` of the corpus `name`.
pub(crate) fn prompt_id(name: &str, index: usize) -> String {
    format!("{name}-{index:05}")
}

fn read_header(lines: &mut Lines<impl BufRead>) -> Result<CorpusHeader, CorpusError> {
    let path = lines.path.clone();
    let not =
        |message: &str| CorpusError::NotACorpus { path: path.clone(), message: message.to_owned() };
    let line = match lines.next() {
        Ok(Some(line)) => line,
        Ok(None) => return Err(not("the file is empty")),
        Err(CorpusError::CorpusLine { message, .. }) => return Err(not(&message)),
        Err(other) => return Err(other),
    };
    let version = serde_json::from_str::<serde_json::Value>(&line)
        .ok()
        .and_then(|value| value.get("vllm_bench_corpus").and_then(serde_json::Value::as_u64));
    match version {
        Some(1) => {}
        Some(other) => {
            return Err(not(&format!("it has format {other}, this program reads format 1")));
        }
        None if line.starts_with("{\"vllm_bench_corpus\":") => {
            return Err(lines.wrong("the header is damaged: it is not JSON any more".to_owned()));
        }
        None => {
            return Err(not(
                "its first line is not a corpus header (ready-made prompts become one by kind = \"prompts\")",
            ));
        }
    }
    let json = check::unseal(&line).map_err(|message| lines.wrong(message.to_owned()))?;
    serde_json::from_str(&json).map_err(|e| lines.wrong(format!("the header does not read: {e}")))
}

fn read_prompt(line: &str) -> Result<Prompt, String> {
    let json = check::unseal(line)?;
    serde_json::from_str(&json).map_err(|e| format!("not a prompt: {e}"))
}

fn verify_end(
    lines: &mut Lines<impl BufRead>,
    header: &CorpusHeader,
    found: usize,
    footer: &Footer,
    before: Sha256,
) -> Result<(), CorpusError> {
    if found != header.prompts as usize || footer.prompts != header.prompts {
        return Err(lines.wrong(format!(
            "the header says {} prompts, {found} are here and the footer says {}",
            header.prompts, footer.prompts
        )));
    }
    if check::hex(&before.finalize()) != footer.sha256 {
        return Err(lines.wrong(
            "the footer's sha256 is not that of the lines before it: the file was edited"
                .to_owned(),
        ));
    }
    if lines.next()?.is_some() {
        return Err(lines.wrong("there is something after the footer".to_owned()));
    }
    Ok(())
}

/// Lines with their number, offset and running hash.
struct Lines<R> {
    path: PathBuf,
    inner: R,
    number: u64,
    offset: u64,
    hash: Sha256,
}

impl<R: BufRead> Lines<R> {
    fn new(path: &Path, inner: R) -> Self {
        Self { path: path.to_owned(), inner, number: 0, offset: 0, hash: Sha256::new() }
    }

    fn next(&mut self) -> Result<Option<String>, CorpusError> {
        let mut bytes = Vec::new();
        self.inner.read_until(b'\n', &mut bytes).map_err(CorpusError::io("read", &self.path))?;
        self.number += 1;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.offset += bytes.len() as u64;
        self.hash.update(&bytes);
        if bytes.pop() != Some(b'\n') {
            return Err(self.wrong("this line has no end: the file was cut short".to_owned()));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| self.wrong("not UTF-8".to_owned()))
    }

    fn wrong(&self, message: String) -> CorpusError {
        CorpusError::CorpusLine { path: self.path.clone(), line: self.number, message }
    }
}
