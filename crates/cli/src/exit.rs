//! The exit codes of every program: the one place that lists them, and how an error carries one.

use std::{error::Error as StdError, fmt, process::ExitCode};

/// How a program ends. The number is what the shell sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Everything that was asked for was done, and every check that was asked for holds.
    Success = 0,
    /// It failed on the way: disk, network, a server that went away.
    Failure = 1,
    /// A flag, scenario, spec, corpus or run directory is wrong; no request was sent.
    BadInput = 2,
    /// The server is not there, not ready, or refused what the scenario needs; nothing was measured.
    Preflight = 3,
    /// The run is complete and stored, but its verdict fails: an SLO is missed or the result is not to be trusted.
    Verdict = 4,
    /// The comparison is complete, and a run is worse than its baseline.
    Regression = 5,
    /// Interrupted by Ctrl-C; what was measured until then is stored.
    Interrupted = 130,
}

impl Exit {
    /// Every code, in ascending order.
    pub const ALL: [Self; 7] = [
        Self::Success,
        Self::Failure,
        Self::BadInput,
        Self::Preflight,
        Self::Verdict,
        Self::Regression,
        Self::Interrupted,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the code says, in one short line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done, and every check that was asked for holds",
            Self::Failure => "failed on the way: disk, network, a server that went away",
            Self::BadInput => {
                "a flag, scenario, spec, corpus or run directory is wrong; no request was sent"
            }
            Self::Preflight => {
                "the server is not there, not ready or refused; nothing was measured"
            }
            Self::Verdict => "the run is complete and stored, but its verdict fails",
            Self::Regression => "a compared run is worse than its baseline",
            Self::Interrupted => "interrupted by Ctrl-C; what was measured until then is stored",
        }
    }

    /// The code that an error carries: the outermost [`exit_with`], [`Exit::Failure`] if there is none.
    pub fn of(error: &anyhow::Error) -> Self {
        let attached = error.chain().find_map(|cause| cause.downcast_ref::<WithExit>());
        attached.map_or(Self::Failure, |attached| attached.exit)
    }

    /// The list that closes every `--help`.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:");
        for exit in Self::ALL {
            text.push_str(&format!("\n  {:<4} {}", exit.code(), exit.meaning()));
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Attaches an exit code to an error; its text and causes stay as they are.
pub fn exit_with(exit: Exit, error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(WithExit { exit, error: error.into() })
}

/// [`exit_with`] on a `Result`, for use before `?`.
pub trait OrExit<T> {
    /// Attaches `exit` to the error, if there is one.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|error| exit_with(exit, error))
    }
}

/// Stands in the chain for the error it holds: same text, same source, so that nothing is printed twice.
#[derive(Debug)]
struct WithExit {
    exit: Exit,
    error: anyhow::Error,
}

impl fmt::Display for WithExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for WithExit {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn the_outermost_code_wins_and_survives_context() {
        let inner = exit_with(Exit::BadInput, anyhow!("inner"));
        assert_eq!(Exit::of(&inner), Exit::BadInput);
        let wrapped = Err::<(), _>(inner).context("outer").expect_err("was an error");
        assert_eq!(Exit::of(&wrapped), Exit::BadInput);
        let again = exit_with(Exit::Preflight, wrapped);
        assert_eq!(Exit::of(&again), Exit::Preflight);
        assert_eq!(Exit::of(&anyhow!("plain")), Exit::Failure);
    }

    #[test]
    fn a_code_changes_neither_text_nor_causes() {
        let plain = anyhow!("root").context("middle").context("top");
        let expected: Vec<String> = plain.chain().map(ToString::to_string).collect();
        let coded = exit_with(Exit::Verdict, plain);
        let found: Vec<String> = coded.chain().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn codes_ascend_and_are_all_in_the_help() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        let help = Exit::help();
        for exit in Exit::ALL {
            assert!(
                help.contains(&format!("\n  {:<4} {}", exit.code(), exit.meaning())),
                "{exit:?}"
            );
        }
    }
}
