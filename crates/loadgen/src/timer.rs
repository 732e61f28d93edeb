//! Waits until shortly before an instant, as closely as the system can.
//!
//! tokio's timers are a wheel of 1 ms. A timerfd beside them wakes within some tens of
//! microseconds, and the stretch that is left is spun away by whoever waits.

use std::time::{Duration, Instant};

/// How long before the instant a timer of the kernel is armed: what a wake-up takes. On two
/// busy cores the median send was 7 to 8 µs late with 100, and 16 to 45 with 40.
#[cfg(target_os = "linux")]
const AHEAD: Duration = Duration::from_micros(100);

/// The same for tokio's wheel: its step, and what it may round up.
const AHEAD_COARSE: Duration = Duration::from_millis(2);

/// A timer of one thread.
#[derive(Debug)]
pub(crate) enum Alarm {
    #[cfg(target_os = "linux")]
    Kernel(kernel::Timer),
    Coarse,
}

impl Alarm {
    /// The best there is; else the reason why it is tokio's. Must be called in a runtime.
    pub(crate) fn new() -> (Self, Option<String>) {
        #[cfg(target_os = "linux")]
        let why = match kernel::Timer::new() {
            Ok(timer) => return (Self::Kernel(timer), None),
            Err(error) => format!("no timerfd ({error})"),
        };
        #[cfg(not(target_os = "linux"))]
        let why = "this system has no timerfd";
        let line = format!(
            "{why}: requests are sent by a 1 ms timer, and each thread spins up to 2 ms before a send"
        );
        (Self::Coarse, Some(line))
    }

    /// How long before its instant [`wait`](Self::wait) may return.
    pub(crate) const fn ahead(&self) -> Duration {
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(_) => AHEAD,
            Self::Coarse => AHEAD_COARSE,
        }
    }

    /// Returns within [`ahead`](Self::ahead) before `at`, or as soon after as the thread runs.
    /// Cancel safe.
    pub(crate) async fn wait(&self, at: Instant) {
        let Some(wake) = at.checked_sub(self.ahead()).filter(|wake| *wake > Instant::now()) else {
            return;
        };
        match self {
            #[cfg(target_os = "linux")]
            Self::Kernel(timer) => {
                if timer.wait(wake).await.is_err() {
                    // Armed and polled without fail so far; a send too late is a send.
                    tokio::time::sleep_until(wake.into()).await;
                }
            }
            Self::Coarse => tokio::time::sleep_until(wake.into()).await,
        }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::time::{Duration, Instant};

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use nix::time::{ClockId as Clock, clock_gettime};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A timerfd in the runtime's poll.
    #[derive(Debug)]
    pub(crate) struct Timer {
        fd: AsyncFd<Fd>,
        /// One instant on both clocks; they are the same one, whose readings std does not show.
        anchor: (Instant, Duration),
    }

    #[derive(Debug)]
    struct Fd(TimerFd);

    impl AsRawFd for Fd {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let fd = Fd(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?);
            // tokio's new name for it is an unsafe fn, because of types that do not own what they
            // are registered for. This one does.
            #[expect(deprecated, reason = "the crate has no unsafe code, and `Fd` owns its file")]
            let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
            Ok(Self { fd, anchor: anchor()? })
        }

        /// Returns at `wake` or as soon after as the thread runs.
        pub(crate) async fn wait(&self, wake: Instant) -> io::Result<()> {
            let (instant, monotonic) = self.anchor;
            let at = monotonic + wake.saturating_duration_since(instant);
            self.fd.get_ref().0.set(
                Expiration::OneShot(TimeSpec::from_duration(at)),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?;
            // Arming resets the count of expirations, so nothing is ever read; readiness
            // that is left of an earlier arming is cleared here.
            while Instant::now() < wake {
                self.fd.readable().await?.clear_ready();
            }
            Ok(())
        }
    }

    /// The narrowest of a few brackets: a preemption between readings does not count.
    fn anchor() -> nix::Result<(Instant, Duration)> {
        let mut best = (Duration::MAX, Instant::now(), Duration::ZERO);
        for _ in 0..16 {
            let before = Instant::now();
            let monotonic = Duration::from(clock_gettime(Clock::CLOCK_MONOTONIC)?);
            let width = before.elapsed();
            if width < best.0 {
                best = (width, before + width / 2, monotonic);
            }
        }
        Ok((best.1, best.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never earlier than promised; how late depends on the machine and is not asserted.
    fn check(alarm: impl FnOnce() -> Alarm) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let alarm = alarm();
            for micros in [0, 50, 500, 3_000, 7_000] {
                let at = Instant::now() + Duration::from_micros(micros);
                alarm.wait(at).await;
                assert!(Instant::now() + alarm.ahead() >= at);
                // A wait given up half-way leaves nothing that wakes the next one early.
                let gone = alarm.wait(Instant::now() + Duration::from_millis(4));
                let _ = tokio::time::timeout(Duration::from_millis(1), gone).await;
            }
        });
    }

    #[test]
    fn neither_timer_is_early() {
        check(|| Alarm::Coarse);
        check(|| {
            let (alarm, degraded) = Alarm::new();
            assert_eq!(degraded.is_none(), cfg!(target_os = "linux"));
            alarm
        });
    }
}
