//! Writing to the terminal without panicking when the reader has gone.

use std::{
    error::Error as StdError,
    fmt,
    io::{self, Write as _},
};

use crate::{progress, style};

/// Writes results to standard output.
///
/// Progress lines on the terminal are taken away while it writes.
///
/// # Errors
/// When standard output cannot be written. A closed pipe (`... | head`) is an error that [`main`](crate::main) takes
/// as the end of a program that did what was asked: it prints nothing and exits with success.
pub fn print(text: impl fmt::Display) -> anyhow::Result<()> {
    let text = text.to_string();
    let written = progress::suspended(|| {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => anyhow::Error::new(ReaderGone),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    })
}

/// Writes a line for people to standard error; if that cannot be written, nothing can be said about it.
pub fn note(text: impl fmt::Display) {
    let line = format!("{text}\n");
    progress::suspended(|| {
        let _ = io::stderr().lock().write_all(line.as_bytes());
    });
}

/// [`note`] of what must not be overlooked.
pub fn warn(text: impl fmt::Display) {
    note(format_args!("{} {text}", style::stderr().yellow("warning:")));
}

/// Standard output was closed by its reader.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed by its reader")
    }
}

impl StdError for ReaderGone {}
