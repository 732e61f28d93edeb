//! What can go wrong when a simulated server is set up.

use std::net::SocketAddr;

/// Why a simulated server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// A setting is out of its range.
    #[error("{key} {problem}")]
    Config {
        /// The key, as in the configuration file.
        key: &'static str,
        /// What it must be.
        problem: String,
    },
    /// A fault that is not known or not written right.
    #[error("fault {text:?}: {problem}")]
    Fault {
        /// The fault as given.
        text: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The address is not free, or not ours.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A thread or the runtime could not be started.
    #[error("cannot start the server's threads")]
    Threads(#[source] std::io::Error),
}
