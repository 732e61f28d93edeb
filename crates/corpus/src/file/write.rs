//! Writing a corpus: under a temporary name, then renamed, so that a corpus is there whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::spool::Spool;
use super::{Footer, check};
use crate::{CorpusError, CorpusHeader};

/// Writes the corpus and gives the sha256 of the whole file.
pub(crate) fn write(
    out: &Path,
    header: &CorpusHeader,
    prompts: &mut Spool,
) -> Result<String, CorpusError> {
    let temporary = beside(out, "part");
    let written = write_to(&temporary, header, prompts);
    let renamed = written.and_then(|sha256| {
        std::fs::rename(&temporary, out).map_err(CorpusError::io("rename to", out))?;
        Ok(sha256)
    });
    if renamed.is_err() {
        // The first error is the one to tell; a leftover *.part is harmless.
        let _ = std::fs::remove_file(&temporary);
    }
    renamed
}

fn write_to(
    path: &Path,
    header: &CorpusHeader,
    prompts: &mut Spool,
) -> Result<String, CorpusError> {
    let file = File::create(path).map_err(CorpusError::io("create", path))?;
    let mut out = Hashing { inner: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new() };
    let failed = || CorpusError::io("write", path);
    let sealed = check::seal(header).map_err(std::io::Error::from);
    sealed.and_then(|line| writeln!(out, "{line}")).map_err(failed())?;
    for index in 0..prompts.len() {
        let mut line = prompts.line(index)?;
        line.push(b'\n');
        out.write_all(&line).map_err(failed())?;
    }
    let footer = Footer {
        end: true,
        prompts: prompts.len() as u32,
        sha256: check::hex(&out.hash.clone().finalize()),
    };
    let result = (|| {
        writeln!(out, "{}", serde_json::to_string(&footer)?)?;
        out.inner.flush()?;
        out.inner.get_ref().sync_all()?;
        Ok(check::hex(&out.hash.finalize_reset()))
    })();
    result.map_err(failed())
}

/// A name for what is on its way to become `out`.
pub(super) fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{ending}", std::process::id()));
    out.with_file_name(name)
}

struct Hashing {
    inner: BufWriter<File>,
    hash: Sha256,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
