//! A process that does nothing but keep its CPU busy.

use std::io::{Read as _, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Spins until standard input ends, so not longer than the parent lives.
pub(crate) fn spin() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    thread::spawn(|| {
        // An error is an end too.
        let _ = stdin().read(&mut [0]);
        ENDED.store(true, Ordering::Relaxed);
    });
    while !ENDED.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}
