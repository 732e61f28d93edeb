//! Prompts on their way into a corpus: kept in a file beside it until all are there and the header can be written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use vllm_bench_protocol::ChatMessage;

use super::check;
use super::read::prompt_id;
use crate::overlap::{Trace, Tracer};
use crate::{CorpusError, Prompt};

/// Makes lines of a corpus; shared by the threads that build prompts.
#[derive(Debug, Clone)]
pub(crate) struct Sealer {
    pub(crate) name: String,
    pub(crate) tracer: Tracer,
}

/// A prompt as it will stand in the corpus.
#[derive(Debug)]
pub(crate) struct Sealed {
    index: usize,
    pub(crate) tokens: u32,
    /// Of its first full block after the common head.
    pub(crate) key: Option<[u8; 32]>,
    line: String,
    trace: Vec<u8>,
}

/// What is remembered of a prompt.
#[derive(Debug, Clone, Copy)]
struct Slot {
    at: u64,
    trace: u32,
    line: u32,
    tokens: u32,
    key: Option<[u8; 32]>,
}

/// The file, and where each prompt lies in it. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
    end: u64,
    slots: Vec<Option<Slot>>,
}

impl Sealer {
    /// The line of prompt number `index`, whose tokens are `ids`.
    pub(crate) fn seal(
        &self,
        index: usize,
        ids: &[u32],
        key: Option<[u8; 32]>,
        messages: Vec<ChatMessage>,
        reference: Option<String>,
    ) -> Result<Sealed, CorpusError> {
        self.seal_turn(index, ids, key, messages, reference, None)
    }

    /// As [`seal`](Self::seal), of a turn: its conversation and its number in it.
    pub(crate) fn seal_turn(
        &self,
        index: usize,
        ids: &[u32],
        key: Option<[u8; 32]>,
        messages: Vec<ChatMessage>,
        reference: Option<String>,
        turn: Option<(u32, u32)>,
    ) -> Result<Sealed, CorpusError> {
        let tokens = ids.len() as u32;
        let mut prompt = Prompt::new(prompt_id(&self.name, index), tokens, messages, reference);
        (prompt.conversation, prompt.turn) = turn.unzip();
        let line = check::seal(&prompt).map_err(|e| CorpusError::Option {
            what: prompt.id.clone(),
            message: format!("does not become JSON: {e}"),
        })?;
        Ok(Sealed { index, tokens, key, line, trace: self.tracer.trace(ids).to_bytes() })
    }
}

impl Spool {
    /// A spool beside the corpus `out`; its folder is made if need be.
    pub(crate) fn create(out: &Path) -> Result<Self, CorpusError> {
        if let Some(folder) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(CorpusError::io("create", folder))?;
        }
        let path = super::write::beside(out, "spool");
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(CorpusError::io("create", &path))?;
        Ok(Self { path, file, end: 0, slots: Vec::new() })
    }

    /// Takes a prompt; one of the same number takes the place of the one before.
    pub(crate) fn put(&mut self, sealed: Sealed) -> Result<(), CorpusError> {
        let Sealed { index, tokens, key, line, mut trace } = sealed;
        let slot =
            Slot { at: self.end, trace: trace.len() as u32, line: line.len() as u32, tokens, key };
        trace.extend_from_slice(line.as_bytes());
        self.file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.write_all(&trace))
            .map_err(CorpusError::io("write", &self.path))?;
        self.end += trace.len() as u64;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        self.slots[index] = Some(slot);
        Ok(())
    }

    /// How many prompts there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Their lengths in tokens.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().flatten().map(|slot| slot.tokens)
    }

    /// Their keys; `None` of a prompt without a block of its own.
    pub(crate) fn keys(&self) -> Vec<Option<[u8; 32]>> {
        self.slots.iter().map(|slot| slot.and_then(|slot| slot.key)).collect()
    }

    /// The trace of prompt number `index`.
    pub(crate) fn trace(&mut self, index: u32) -> Result<Trace, CorpusError> {
        let slot = self.slot(index as usize);
        let bytes = self.read(slot.at, slot.trace)?;
        Trace::from_bytes(&bytes)
            .ok_or_else(|| CorpusError::source(&self.path, "was changed while the corpus was made"))
    }

    /// The line of prompt number `index`, as bytes without the line feed.
    pub(super) fn line(&mut self, index: usize) -> Result<Vec<u8>, CorpusError> {
        let slot = self.slot(index);
        self.read(slot.at + u64::from(slot.trace), slot.line)
    }

    fn slot(&self, index: usize) -> Slot {
        self.slots[index].expect("every prompt was put before the corpus is written")
    }

    fn read(&mut self, at: u64, length: u32) -> Result<Vec<u8>, CorpusError> {
        let mut bytes = vec![0; length as usize];
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(CorpusError::io("read", &self.path))?;
        Ok(bytes)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Nothing can be done about a leftover, and it is harmless.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_number_stays_and_the_file_goes() {
        let folder = tempfile::tempdir().expect("made");
        let out = folder.path().join("new/corpus.jsonl");
        let mut spool = Spool::create(&out).expect("made");
        let sealer = Sealer { name: "t".into(), tracer: Tracer::new(2, 100) };
        let seal = |index, ids: &[u32], text: &str| {
            sealer.seal(index, ids, None, vec![ChatMessage::user(text)], None).expect("seals")
        };
        for (index, ids, text) in
            [(1, &[1, 2, 3][..], "b"), (0, &[1, 2], "a"), (1, &[1, 2, 3, 4], "c")]
        {
            spool.put(seal(index, ids, text)).expect("written");
        }
        assert_eq!((spool.len(), spool.lengths().collect::<Vec<_>>()), (2, vec![2, 4]));
        let line = String::from_utf8(spool.line(1).expect("is there")).expect("UTF-8");
        assert!(line.starts_with("{\"id\":\"t-00001\",\"tokens\":4,") && line.contains("\"c\""));
        assert_eq!(spool.trace(0).expect("is there").chain.len(), 1);
        let path = spool.path.clone();
        drop(spool);
        assert!(!path.exists());
    }
}
