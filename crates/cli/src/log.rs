//! The log: tracing events on standard error, as much of them as was asked for.

use std::io::{self, Write};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{progress, style};

/// Installs the log for this process; a second call changes nothing.
pub(crate) fn install(quiet: bool, verbose: u8) {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.trim().is_empty() => {
            EnvFilter::builder().parse_lossy(directives)
        }
        _ => EnvFilter::builder().parse_lossy(directives(quiet, verbose)),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Stderr)
        .with_ansi(style::stderr().is_on())
        .with_target(verbose > 0)
        .without_time()
        .finish();
    // Fails only where one is installed already, as in tests that run several programs in one process.
    let _ = tracing_subscriber::util::SubscriberInitExt::try_init(subscriber);
}

fn directives(quiet: bool, verbose: u8) -> &'static str {
    match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,vllm_bench=info",
        (false, 2) => "info,vllm_bench=debug",
        (false, _) => "trace",
    }
}

/// Standard error, with progress lines taken away while a line is written.
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        progress::suspended(|| io::stderr().lock().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_parses_and_quiet_wins() {
        for (quiet, verbose) in
            [(true, 0), (true, 3), (false, 0), (false, 1), (false, 2), (false, 9)]
        {
            let text = directives(quiet, verbose);
            assert!(EnvFilter::builder().parse(text).is_ok(), "{text}");
        }
        assert_eq!(directives(true, 3), "error");
    }
}
