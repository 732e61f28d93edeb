//! The corpus file: JSON Lines with a header, one prompt a line, and a footer.
//!
//! ```text
//! {"vllm_bench_corpus":1,"name":"rag", ... ,"check":"0123456789abcdef"}
//! {"id":"rag-00000","tokens":1371,"messages":[...],"reference":"...","check":"..."}
//! {"end":true,"prompts":1500,"sha256":"<of all bytes before this line>"}
//! ```
//!
//! `check` is the first 16 hex digits of the sha256 of the line before it: it tells which line was changed.

mod check;
mod read;
mod spool;
mod write;

pub(crate) use check::hex;
pub use read::Corpus;
pub(crate) use spool::{Sealed, Sealer, Spool};
pub(crate) use write::write;

use serde::{Deserialize, Serialize};

/// The last line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    end: bool,
    prompts: u32,
    sha256: String,
}
