//! What is going on while a corpus is made, for whoever shows it.

/// One step of making a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A file is being downloaded.
    Downloading {
        /// Its path in the repository.
        file: String,
        /// Bytes that are here.
        done: u64,
        /// Bytes of the whole.
        total: u64,
    },
    /// A source file is being read.
    Reading {
        /// The source's name.
        source: String,
        /// The file.
        file: String,
    },
    /// A source was read.
    Loaded {
        /// The source's name.
        source: String,
        /// New passages.
        passages: usize,
        /// New questions.
        questions: usize,
        /// New ready-made prompts.
        prompts: usize,
    },
    /// Prompts are being put together and counted.
    Building {
        /// Prompts that are done.
        done: usize,
        /// Prompts asked for.
        total: usize,
    },
    /// Something worth telling.
    Note(String),
}
