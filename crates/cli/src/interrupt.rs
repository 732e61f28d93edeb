//! Ctrl-C: once to stop in order, twice to leave at once.

use std::thread;

use crate::{Exit, note};

/// Calls `first` at the first Ctrl-C; the second ends the process with
/// [`Exit::Interrupted`]. Call it once, early.
///
/// # Errors
/// When the system lets no handler be installed.
pub fn on_interrupt(first: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("ctrl-c".into()).spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            note("stopping: requests in flight are recorded as cancelled; Ctrl-C again leaves at once");
            first();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        });
    })?;
    Ok(())
}
