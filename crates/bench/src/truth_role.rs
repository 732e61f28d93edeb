//! A program that plays the truth server: how it is started, and what it does then.
//!
//! The server shares no thread and no allocator with the client that is
//! measured: it is a process of its own, the same program once more. Such a
//! program asks [`TruthRole::of_arguments`] before it looks at its arguments
//! itself, and plays the role that it finds there.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::truth_config::TruthConfig;

/// First argument of a truth server's process. The role follows, as JSON.
const WORD: &str = "truth-server";

/// A program that answers to [`TruthRole::of_arguments`], usually the caller's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthCommand {
    /// Its file.
    pub program: PathBuf,
    /// What stands before the role among its arguments; nothing for most.
    pub arguments: Vec<OsString>,
}

impl TruthCommand {
    /// `program`, with no arguments of its own.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new() }
    }
}

/// What a truth server's process does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthRole {
    /// How it answers.
    pub config: TruthConfig,
    /// The CPU it runs on; any without.
    pub cpu: Option<usize>,
}

impl TruthRole {
    /// The role that a process was started with; `None` where `arguments` (the
    /// program's name first) are anything else.
    pub fn of_arguments(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter().skip(1);
        let (word, role, None) = (arguments.next()?, arguments.next()?, arguments.next()) else {
            return None;
        };
        (word == WORD).then(|| serde_json::from_str(role.to_str()?).ok()).flatten()
    }

    /// As arguments, for [`of_arguments`](Self::of_arguments) of the process that is started.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn to_arguments(&self) -> [String; 2] {
        let role = serde_json::to_string(self).expect("plain data is JSON");
        [WORD.into(), role]
    }

    /// Serves: says its address as the first line of standard output, answers
    /// until standard input ends (so it ends with its parent, whatever becomes
    /// of that), then writes its log to standard output.
    ///
    /// # Errors
    /// When there is no port, the loop cannot go on, or nobody takes the log.
    #[cfg(target_os = "linux")]
    pub fn play(&self) -> Result<(), BenchError> {
        use std::io::{Write as _, stdin, stdout};
        use std::net::{Ipv4Addr, SocketAddr};

        if let Some(cpu) = self.cpu {
            crate::process::pin(None, cpu)?;
        }
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = crate::server::TruthServer::bind(self.config.clone(), any)?;
        let told = BenchError::system::<std::io::Error>("tell the parent");
        let mut out = stdout();
        writeln!(out, "{}", server.addr()).and_then(|()| out.flush()).map_err(told)?;
        let log = server.serve(&stdin())?;
        log.write(&mut out.lock()).map_err(BenchError::system("hand the log over"))
    }

    /// There is no truth server here.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn play(&self) -> Result<(), BenchError> {
        Err(BenchError::NotHere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_goes_through_arguments_and_nothing_else_is_one() {
        let role = TruthRole { cpu: Some(1), ..TruthRole::default() };
        let [word, json] = role.to_arguments();
        let of = |arguments: &[&str]| TruthRole::of_arguments(arguments.iter().map(OsString::from));
        assert_eq!(of(&["run", &word, &json]), Some(role));
        for other in [
            &["run"][..],
            &["run", &word],
            &["run", &word, "scenario.toml"],
            &["run", "scenario.toml", &json],
            &["run", &word, &json, "--quiet"],
        ] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }
}
