//! Records to Parquet and back: the run directory.
//!
//! [`RunDir`] is the folder of one run with its `manifest.json`; [`Writer`] is
//! a thread that takes records and closes Parquet parts of them, so that a
//! killed run loses at most the part that was open; [`read`] gives the records
//! back. Columns are documented in `docs/data.md`.
//!
//! ```
//! use vllm_bench_record::{EngineSample, Timestamp};
//! use vllm_bench_storage::{RunDir, Writer, WriterOptions, read};
//! # use vllm_bench_record::Manifest;
//! # fn manifest() -> Manifest {
//! #     serde_json::from_str(include_str!("../tests/manifest.json")).expect("a whole manifest")
//! # }
//!
//! let results = tempfile::tempdir()?;
//! let run = RunDir::create(results.path(), "20261124-221200-smoke", &manifest())?;
//! let writer = Writer::start(&run, WriterOptions::default())?;
//! writer.engine(vec![EngineSample { at: Timestamp::from_nanos(7), ..Default::default() }]);
//! let report = writer.finish()?;
//! run.link_latest()?;
//!
//! assert_eq!(report.engine.rows, 1);
//! let newest = RunDir::newest(results.path())?;
//! assert_eq!(read::engine(&newest)?[0].at, Timestamp::from_nanos(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod engine;
mod error;
mod gpu;
mod name;
mod part;
pub mod read;
mod requests;
mod rows;
mod run_dir;
mod schema;
mod table;
mod writer;

pub use error::StorageError;
pub use name::run_name;
pub use run_dir::RunDir;
pub use table::Table;
pub use writer::{TableReport, Writer, WriterHandle, WriterOptions, WriterReport};
