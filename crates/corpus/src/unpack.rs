//! Reading files that may be packed with gzip, with the sha256 of what is inside.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::CorpusError;
use crate::file::hex;

/// Opens a file; gzip is known by its first bytes, not by its name.
fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, CorpusError> {
    let file = File::open(path).map_err(CorpusError::io("open", path))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let packed =
        reader.fill_buf().map_err(CorpusError::io("read", path))?.starts_with(&[0x1f, 0x8b]);
    if packed {
        Ok(Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(reader))))
    } else {
        Ok(Box::new(reader))
    }
}

/// The whole content, unpacked.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, CorpusError> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(CorpusError::io("read", path))?;
    Ok(bytes)
}

/// The first byte of the content that is not a space or a byte order mark.
pub(crate) fn first_byte(path: &Path) -> Result<Option<u8>, CorpusError> {
    for byte in open(path)?.bytes() {
        let byte = byte.map_err(CorpusError::io("read", path))?;
        if !byte.is_ascii_whitespace() && ![0xef, 0xbb, 0xbf].contains(&byte) {
            return Ok(Some(byte));
        }
    }
    Ok(None)
}

/// The content, unpacked, hashed as it is read.
pub(crate) struct Hashed {
    inner: Box<dyn BufRead + Send>,
    hash: Sha256,
}

impl Hashed {
    pub(crate) fn open(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self { inner: open(path)?, hash: Sha256::new() })
    }

    /// Reads what is left and gives the sha256 of everything.
    pub(crate) fn finish(mut self) -> std::io::Result<String> {
        std::io::copy(&mut self, &mut std::io::sink())?;
        Ok(hex(&self.hash.finalize()))
    }
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hash.update(&into[..count]);
        Ok(count)
    }
}

/// The sha256 of a file's content, unpacked.
pub(crate) fn sha256_of(path: &Path) -> Result<String, CorpusError> {
    let mut hash = Sha256::new();
    let mut reader = open(path)?;
    loop {
        let bytes = reader.fill_buf().map_err(CorpusError::io("read", path))?;
        if bytes.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(bytes);
        let used = bytes.len();
        reader.consume(used);
    }
}

/// The lines of a file, with their numbers, and its sha256 at the end.
pub(crate) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    number: u64,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, CorpusError> {
        Ok(Self {
            path: path.to_owned(),
            reader: open(path)?,
            number: 0,
            hash: Sha256::new(),
            buffer: Vec::new(),
        })
    }

    /// The next line that is not blank, with its 1-based number. A last line without a line feed is a line.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &str)>, CorpusError> {
        loop {
            self.buffer.clear();
            self.reader
                .read_until(b'\n', &mut self.buffer)
                .map_err(CorpusError::io("read", &self.path))?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            self.hash.update(&self.buffer);
            self.number += 1;
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        let line = std::str::from_utf8(&self.buffer);
        let line = line
            .map_err(|e| CorpusError::line(&self.path, self.number, format!("not UTF-8: {e}")))?;
        let line = if self.number == 1 { line.trim_start_matches('\u{feff}') } else { line };
        Ok(Some((self.number, line.trim_end_matches(['\n', '\r']))))
    }

    /// Reads to the end and gives the sha256 of everything.
    pub(crate) fn finish(mut self) -> Result<String, CorpusError> {
        loop {
            let bytes = self.reader.fill_buf().map_err(CorpusError::io("read", &self.path))?;
            if bytes.is_empty() {
                return Ok(hex(&self.hash.finalize()));
            }
            self.hash.update(bytes);
            let used = bytes.len();
            self.reader.consume(used);
        }
    }
}
