//! What stops a run: everything a server does is an outcome instead.

use std::io;

/// Why load could not be generated at all. A failed request is never this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The server's URL cannot be used.
    #[error("server URL {url:?}: {reason}")]
    Url {
        /// The URL, without user info.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server's host name does not resolve.
    #[error("cannot resolve {host}")]
    Resolve {
        /// Host and port.
        host: String,
        /// The resolver's word.
        #[source]
        source: io::Error,
    },
    /// A header name or value is not valid HTTP.
    #[error("header {name:?}: {reason}")]
    Header {
        /// The header's name; values may be secrets and are not shown.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The extra certificate authority cannot be used.
    #[error("certificate authority: {0}")]
    Certificate(String),
    /// The plan itself is impossible.
    #[error("load plan: {0}")]
    Plan(String),
    /// A request of an open loop does not say when it is due.
    #[error("request {request_id}: an open loop sends by the schedule, and it has no due time")]
    NotScheduled {
        /// The request.
        request_id: String,
    },
    /// A request of an open loop is due before the one ahead of it.
    #[error(
        "request {request_id}: due {due:?} into the stage, earlier than the one before it ({before:?})"
    )]
    Unordered {
        /// The request.
        request_id: String,
        /// When it is due.
        due: std::time::Duration,
        /// When the one before it is.
        before: std::time::Duration,
    },
    /// Packets may not be captured.
    #[error(
        "capturing packets needs the capability NET_RAW: setcap cap_net_raw+ep PROGRAM, or docker run --cap-add NET_RAW"
    )]
    CapturePermission(#[source] io::Error),
    /// Packets cannot be captured.
    #[error("cannot capture packets")]
    Capture(#[source] io::Error),
    /// Capturing reads plain HTTP only.
    #[error(
        "{url}: capturing packets tells the arrival of events of plain HTTP only, not of https"
    )]
    CaptureTls {
        /// The server.
        url: String,
    },
    /// A worker thread could not be started.
    #[error("cannot start a load-generator thread")]
    Worker(#[source] io::Error),
}
