//! `--clock capture`: the arrival of every TCP segment by stream offset, from
//! packet sockets beside the connections, so that every event's arrival is
//! exact even when this program is starved of CPU.
//!
//! A read carries one stamp, its last segment's. Here the kernel hands over a copy of
//! every segment with its own stamp, whenever this program gets to look:
//! [`Tap`](tap::Tap) reads them, [`Flow`](flow::Flow) keeps which byte of a connection
//! could be delivered when, [`Framing`](framing::Framing) knows at which byte of the connection a
//! byte of an answer's body lay, and [`Capture`] puts the two together when a request has ended.
//! In the timed path there is only the framing: a few steps a chunk header.

mod filter;
mod flow;
mod flows;
mod framing;
mod segment;
mod session;
#[cfg(target_os = "linux")]
mod tap;
mod trace;

pub(crate) use session::Capture;
pub use session::check_capture;
pub(crate) use trace::{Tracked, Tracker};
