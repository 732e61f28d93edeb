//! Counting with a model's own `tokenizer.json` and chat template.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;
use vllm_bench_protocol::{ChatMessage, Endpoint};

use super::by_word::ByWord;
use super::template::ChatTemplate;
use super::{Measure, TokenCounter, TokenizerIdentity};
use crate::file::hex;
use crate::{CorpusError, plain_text, unpack};

/// A `tokenizer.json` with the chat template that lies beside it.
///
/// The template is looked for in `chat_template.jinja`, then in `tokenizer_config.json` (`chat_template`, the one named
/// `default` where there are several), then in `chat_template.json`. A model without one is counted as
/// [`plain_text`](crate::plain_text) with its special tokens, and the identity says so.
#[derive(Debug)]
pub struct TokenizerCounter {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    /// Where words are proven to be encoded apart.
    by_word: Option<ByWord>,
    identity: TokenizerIdentity,
}

impl TokenizerCounter {
    /// Loads a tokenizer from a folder or from the path of its `tokenizer.json` (or `tokenizer.json.gz`).
    ///
    /// # Errors
    /// No such file, not a tokenizer, or a chat template that does not compile.
    pub fn open(path: &Path, endpoint: Endpoint) -> Result<Self, CorpusError> {
        let file = find_file(path)?;
        let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        let name = folder
            .canonicalize()
            .ok()
            .and_then(|f| f.file_name().map(|n| n.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "tokenizer.json".to_owned());
        Self::load(&file, &folder, name, endpoint)
    }

    /// As [`open`](Self::open), under another name in the header: the Hub id with its revision.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_as(path: &Path, name: String, endpoint: Endpoint) -> Result<Self, CorpusError> {
        let file = find_file(path)?;
        let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        Self::load(&file, &folder, name, endpoint)
    }

    fn load(
        file: &Path,
        folder: &Path,
        name: String,
        endpoint: Endpoint,
    ) -> Result<Self, CorpusError> {
        let failed =
            |message: String| CorpusError::Tokenizer { name: file.display().to_string(), message };
        let bytes = unpack::read_whole(file)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|e| failed(e.to_string()))?;
        // Some files carry the settings of a training run.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| failed(e.to_string()))?;
        let config = Config::read(folder)?;
        let mut origin = "none".to_owned();
        let mut template = None;
        if let (Endpoint::Chat, Some((source, from))) = (endpoint, &config.template) {
            let compiled = ChatTemplate::new(source, &config.special_tokens);
            template = Some(
                compiled
                    .map_err(|message| CorpusError::Template { name: name.clone(), message })?,
            );
            origin.clone_from(from);
        }
        let identity = TokenizerIdentity {
            name,
            sha256: Some(hex(&Sha256::digest(&bytes))),
            chat_template: origin,
            exact: true,
        };
        let by_word = ByWord::of(&tokenizer);
        Ok(Self { tokenizer, template, by_word, identity })
    }

    fn failed(&self, message: impl ToString) -> CorpusError {
        CorpusError::Tokenizer { name: self.identity.name.clone(), message: message.to_string() }
    }
}

impl TokenCounter for TokenizerCounter {
    fn identity(&self) -> TokenizerIdentity {
        self.identity.clone()
    }

    fn measure(&self, text: &str) -> Result<Measure, CorpusError> {
        if let Some(words) = &self.by_word {
            return words
                .starts(&self.tokenizer, text)
                .map(Measure::Starts)
                .map_err(|e| self.failed(e));
        }
        let encoding = self.tokenizer.encode(text, false).map_err(|e| self.failed(e))?;
        Ok(Measure::Starts(encoding.get_offsets().iter().map(|&(start, _)| start as u32).collect()))
    }

    fn prompt_ids(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, CorpusError> {
        let (text, special) = match &self.template {
            // The template writes its own begin-of-sequence: none is added, as vLLM does.
            Some(template) => {
                let rendered = template.render(messages);
                let failed = |message: String| CorpusError::Template {
                    name: self.identity.name.clone(),
                    message,
                };
                (rendered.map_err(failed)?, false)
            }
            None => (plain_text(messages), true),
        };
        if let Some(words) = &self.by_word {
            return words.ids(&self.tokenizer, &text, special).map_err(|e| self.failed(e));
        }
        let encoding = self.tokenizer.encode_fast(text, special).map_err(|e| self.failed(e))?;
        Ok(encoding.get_ids().to_vec())
    }
}

fn find_file(path: &Path) -> Result<PathBuf, CorpusError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let candidates = [path.join("tokenizer.json"), path.join("tokenizer.json.gz")];
    candidates
        .into_iter()
        .find(|file| file.is_file())
        .ok_or_else(|| CorpusError::Tokenizer {
            name: path.display().to_string(),
            message: "there is no tokenizer.json here (models with only a tokenizer.model or Tekken file are not supported: \
                      count by the server, --server URL)"
                .to_owned(),
        })
}

/// What lies beside a `tokenizer.json`.
#[derive(Default)]
struct Config {
    /// The template and the file it came from.
    template: Option<(String, String)>,
    special_tokens: Vec<(String, String)>,
}

impl Config {
    fn read(folder: &Path) -> Result<Self, CorpusError> {
        let config = read_json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let map = read_json(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
        let mut special_tokens: Vec<(String, String)> = Vec::new();
        for object in [&config, &map].into_iter().filter_map(Value::as_object) {
            for (key, value) in object.iter().filter(|(key, _)| key.ends_with("_token")) {
                let text = value.as_str().or_else(|| value.get("content").and_then(Value::as_str));
                if let Some(text) = text.filter(|_| !special_tokens.iter().any(|(k, _)| k == key)) {
                    special_tokens.push((key.clone(), text.to_owned()));
                }
            }
        }
        let jinja = folder.join("chat_template.jinja");
        let template = if jinja.is_file() {
            let text = std::fs::read_to_string(&jinja).map_err(CorpusError::io("read", &jinja))?;
            Some((text, "chat_template.jinja".to_owned()))
        } else {
            let other = read_json(&folder.join("chat_template.json"))?.unwrap_or_default();
            template_of(&config)
                .map(|text| (text, "tokenizer_config.json".to_owned()))
                .or_else(|| template_of(&other).map(|text| (text, "chat_template.json".to_owned())))
        };
        Ok(Self { template, special_tokens })
    }
}

/// `chat_template`: a text, or a list of named ones of which `default` counts.
fn template_of(config: &Value) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => {
            let named =
                list.iter().find(|t| t.get("name").and_then(Value::as_str) == Some("default"));
            named?.get("template")?.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

fn read_json(path: &Path) -> Result<Option<Value>, CorpusError> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(CorpusError::io("read", path))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| CorpusError::source(path, format!("not JSON: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of the real data beside the project, encoded by words and whole; with what makes it hard.
    #[test]
    fn by_word_and_whole_are_the_same() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let folder = shared.join("tokenizers/mistral-7b-instruct-v0.3");
        if !folder.exists() {
            use std::io::Write as _;
            writeln!(std::io::stderr(), "NOT RUN: needs ../shared/tokenizers").expect("stderr");
            return;
        }
        let counter = TokenizerCounter::open(&folder, Endpoint::Chat).expect("loads");
        let words = counter.by_word.as_ref().expect("Mistral's words are apart");
        let mut texts: Vec<String> = [
            "",
            " ",
            "  ",
            "a",
            "\n",
            "\n\n a\n  b \n",
            "▁a ▁ b",
            "a[INST] b [/INST]",
            "</s> x",
            "語の 漢字\n語",
            "\u{1F600} \u{1F600}x\u{7}",
            "tab\tand  two   spaces",
            " lead",
            "[INST][INST] x<s>",
        ]
        .map(str::to_owned)
        .to_vec();
        for file in ["databricks-dolly-15k.jsonl.gz", "wikipedia-passages.jsonl.gz"] {
            let bytes = unpack::read_whole(&shared.join("datasets").join(file)).expect("is there");
            for line in String::from_utf8(bytes).expect("UTF-8").lines().step_by(7) {
                let row: Value = serde_json::from_str(line).expect("JSON");
                let fields = row.as_object().expect("an object").values();
                let fields: Vec<&str> = fields.filter_map(Value::as_str).collect();
                texts.push(fields.join("\n\n[2] "));
            }
        }
        for text in &texts {
            for special in [false, true] {
                let whole = counter.tokenizer.encode(text.as_str(), special).expect("encodes");
                let ids = words.ids(&counter.tokenizer, text, special).expect("encodes");
                assert_eq!(ids, whole.get_ids(), "{text:?}");
                if !special {
                    let starts = words.starts(&counter.tokenizer, text).expect("encodes");
                    let expected: Vec<u32> =
                        whole.get_offsets().iter().map(|o| o.0 as u32).collect();
                    assert_eq!(starts, expected, "{text:?}");
                }
            }
        }
        assert!(texts.len() > 3000, "{}", texts.len());
    }
}
