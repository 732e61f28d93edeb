//! A truth server in a process of its own, seen from the parent.

use std::io::{BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::error::BenchError;
use crate::truth_log::TruthLog;
use crate::truth_role::{TruthCommand, TruthRole};

/// A truth server that runs. Dropped, it is killed; when this process dies, it ends by itself.
#[derive(Debug)]
pub struct TruthProcess {
    child: Owned,
    /// Its end is the server's.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    addr: SocketAddr,
}

#[derive(Debug)]
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl TruthProcess {
    /// Starts `command` in `role`; returns when it listens.
    ///
    /// # Errors
    /// When it cannot be started, or does not say where it listens.
    pub fn start(command: &TruthCommand, role: &TruthRole) -> Result<Self, BenchError> {
        let name = command.program.display();
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .args(role.to_arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the parent, which ends it in order.
            .process_group(0)
            .spawn()
            .map(Owned)
            .map_err(BenchError::system(format!("start {name}")))?;
        let stdin = child.0.stdin.take();
        let stdout = child.0.stdout.take().expect("standard output is piped");
        let mut stdout = BufReader::new(stdout);
        match first_line(&mut stdout).parse() {
            Ok(addr) => Ok(Self { child, stdin, stdout, addr }),
            Err(_) => {
                drop(stdin);
                drop(stdout);
                Err(failed(&mut child, format!("{name} did not say where it listens")))
            }
        }
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it; what it did.
    ///
    /// # Errors
    /// When it failed, or its log does not come whole.
    pub fn finish(mut self) -> Result<TruthLog, BenchError> {
        drop(self.stdin.take());
        match TruthLog::read(&mut self.stdout, "the truth server's output".as_ref()) {
            Ok(log) => Ok(log),
            Err(error) => Err(failed(&mut self.child, error.to_string())),
        }
    }
}

/// The longest line that can be an address; a program that says more is another one.
const ADDRESS: u64 = 64;

fn first_line(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = Vec::new();
    // What cannot be read is no address, and so an error for the caller.
    let _ = std::io::BufRead::read_until(&mut out.take(ADDRESS), b'\n', &mut line);
    String::from_utf8_lossy(&line).trim().to_owned()
}

/// Kills what went wrong and takes its last words.
fn failed(child: &mut Owned, reason: String) -> BenchError {
    let _ = child.0.kill();
    let mut words = String::new();
    if let Some(stderr) = child.0.stderr.take() {
        let _ = stderr.take(2_000).read_to_string(&mut words);
    }
    let words = words.trim().replace('\n', " / ");
    BenchError::TruthProcess {
        reason: if words.is_empty() { reason } else { format!("{reason}: {words}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_no_truth_server_are_told_of() {
        for (program, words) in [
            ("/nonexistent/truth", "cannot start /nonexistent/truth"),
            ("false", "false did not say where it listens"),
            ("yes", "yes did not say where it listens"),
            ("cat", "cat did not say where it listens: cat: "),
        ] {
            let command = TruthCommand::new(program);
            let error = TruthProcess::start(&command, &TruthRole::default()).expect_err(program);
            assert!(error.to_string().starts_with(words), "{error}");
        }
    }
}
