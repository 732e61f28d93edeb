//! What the tests share.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod server;

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use vllm_bench_corpus::{
    BuildOptions, Corpus, CorpusError, CorpusHeader, CorpusSpec, Prompt, build_with,
};

/// A folder with files and a spec, built into a corpus.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    pub(crate) fn write_gz(&self, name: &str, text: &str) -> PathBuf {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text.as_bytes()).expect("in memory");
        self.write(name, packed.finish().expect("in memory"))
    }

    pub(crate) fn options(&self) -> BuildOptions {
        BuildOptions { base_dir: self.folder.path().to_owned(), ..BuildOptions::default() }
    }

    pub(crate) fn try_build(
        &self,
        spec: &str,
        options: &BuildOptions,
    ) -> Result<(CorpusHeader, Corpus), CorpusError> {
        let spec = CorpusSpec::parse(spec, "spec.toml")?;
        let out = self.path("corpus.jsonl");
        let header = build_with(&spec, options, &out, &mut |_| {})?;
        Ok((header, Corpus::open(&out)?))
    }

    pub(crate) fn build(&self, spec: &str) -> (CorpusHeader, Corpus) {
        self.try_build(spec, &self.options()).unwrap_or_else(|e| panic!("{e}\n{spec}"))
    }

    pub(crate) fn fault(&self, spec: &str) -> String {
        match self.try_build(spec, &self.options()) {
            Ok(_) => panic!("must be refused:\n{spec}"),
            Err(error) => error.to_string().replace(&self.folder.path().display().to_string(), "."),
        }
    }
}

pub(crate) fn prompts(corpus: &Corpus) -> Vec<Prompt> {
    corpus.prompts().map(|p| p.expect("verified")).collect()
}

/// The last message of a prompt.
pub(crate) fn question(prompt: &Prompt) -> &str {
    &prompt.messages.last().expect("never empty").content
}

/// Data that lies beside the project; `None`, and a line that says so, where it does not.
pub(crate) fn beside(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    let found = path.exists().then_some(path);
    if found.is_none() {
        let mut err = std::io::stderr();
        writeln!(err, "NOT RUN: needs ../shared/{name} beside the repository").expect("stderr");
    }
    found
}

/// A byte-level tokenizer without merges: one token a byte, `<s>` before a text when special tokens are asked for.
pub(crate) fn byte_tokenizer() -> String {
    let mut vocab = serde_json::Map::new();
    let mut next = 0;
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    for byte in 0..=255u8 {
        // GPT-2's table: unprintable bytes become characters from U+0100 on.
        let c = if printable(byte) {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(0xff + next).expect("a letter")
        };
        vocab.insert(c.to_string(), (u32::from(byte) + 10).into());
    }
    let special = |id: u32, content: &str| {
        serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    vocab.insert("<s>".into(), 1.into());
    vocab.insert("</s>".into(), 2.into());
    serde_json::json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [special(1, "<s>"), special(2, "</s>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": []}
    })
    .to_string()
}
