//! The kernel's receive stamps (Linux `SO_TIMESTAMPING`, software) on the run clock.
//!
//! The kernel stamps each segment as it takes it from the network, whenever
//! this program gets to run: the arrival does not move although the program is
//! late. Stamps are wall time; the offset to the run clock is read again during
//! the run, because wall time is slewed.
//!
//! Source: <https://docs.kernel.org/networking/timestamping.html>.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vllm_bench_record::{RunClock, Timestamp};

/// Maps wall time to the run clock. Shared by all connections of a stage.
#[derive(Debug, Clone)]
pub(crate) struct WallMap {
    clock: RunClock,
    /// Wall time at run start, as of the last reading, ns since the epoch.
    offset_ns: Arc<AtomicI64>,
}

/// Brackets tried for one reading; the narrowest counts.
const BRACKETS: usize = 64;

/// How often the offset is read again. At the kernel's largest slew (500 ppm)
/// it moves 0.1 ms in this time, at an ordinary one a few µs.
pub(crate) const REFRESH: Duration = Duration::from_millis(200);

impl WallMap {
    pub(crate) fn new(clock: RunClock) -> Self {
        let map = Self { clock, offset_ns: Arc::default() };
        map.refresh();
        map
    }

    /// Reads the offset again: wall time between two readings of the run clock.
    pub(crate) fn refresh(&self) {
        let mut best = (Duration::MAX, 0);
        for _ in 0..BRACKETS {
            let before = self.clock.now();
            let wall = SystemTime::now();
            let after = self.clock.now();
            let width = after.since(before);
            if width < best.0 {
                let middle = before.as_nanos() + width.as_nanos() as u64 / 2;
                best = (width, wall_ns(wall) - middle as i64);
            }
        }
        self.offset_ns.store(best.1, Ordering::Relaxed);
    }

    /// A wall-clock stamp on the run clock; `None` when it is before run start.
    pub(crate) fn to_run(&self, wall_ns: i64) -> Option<Timestamp> {
        let ns = wall_ns - self.offset_ns.load(Ordering::Relaxed);
        u64::try_from(ns).ok().map(Timestamp::from_nanos)
    }
}

fn wall_ns(wall: SystemTime) -> i64 {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as i64
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{KeepStamping, Receiver, enable, stamp_of};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::net::{Ipv4Addr, UdpSocket};
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::{Duration, Instant};

    use nix::sys::socket::sockopt::Timestamping;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, TimestampingFlag, Timestamps, recvmsg,
        setsockopt,
    };

    /// Asks the kernel to stamp what arrives on `socket`. False where it will not.
    pub(crate) fn enable(socket: &impl AsFd) -> bool {
        let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        setsockopt(socket, Timestamping, &flags).is_ok()
    }

    /// The software stamp of `stamps`, wall time in ns; `None` where there is none.
    pub(crate) fn stamp_of(stamps: &Timestamps) -> Option<i64> {
        let at = stamps.system;
        let ns = at.tv_sec() * 1_000_000_000 + at.tv_nsec();
        (ns > 0).then_some(ns)
    }

    /// A socket of our own that keeps the kernel stamping.
    ///
    /// The kernel stamps nothing until the first socket asks, and begins a
    /// little after it has asked (the switch is thrown by a work queue); with the last such
    /// socket it ends. Without this the first answers of a stage could come unstamped.
    #[derive(Debug)]
    pub(crate) struct KeepStamping {
        _socket: UdpSocket,
    }

    /// How long the kernel may take to begin.
    const BEGIN: Duration = Duration::from_millis(200);

    impl KeepStamping {
        /// Asks, and waits until stamps come. `None` where none do.
        pub(crate) fn begin() -> Option<Self> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            socket.connect(socket.local_addr().ok()?).ok()?;
            if !enable(&socket) {
                return None;
            }
            let (mut receiver, mut byte) = (Receiver::new(), [0]);
            let deadline = Instant::now() + BEGIN;
            while Instant::now() < deadline {
                socket.send(&byte).ok()?;
                std::thread::sleep(Duration::from_micros(100));
                if let Ok((_, Some(_))) = receiver.recv(&socket, &mut byte) {
                    return Some(Self { _socket: socket });
                }
            }
            None
        }
    }

    /// Reads with stamps; holds the control buffer, so that a read allocates nothing.
    #[derive(Debug)]
    pub(crate) struct Receiver {
        control: Vec<u8>,
    }

    impl Receiver {
        pub(crate) fn new() -> Self {
            Self { control: nix::cmsg_space!(Timestamps) }
        }

        /// One read: bytes, and the stamp of the last segment among them, wall
        /// time in ns, where the kernel gave one.
        pub(crate) fn recv(
            &mut self,
            socket: &impl AsRawFd,
            into: &mut [u8],
        ) -> io::Result<(usize, Option<i64>)> {
            let mut slices = [IoSliceMut::new(into)];
            let message = recvmsg::<SockaddrStorage>(
                socket.as_raw_fd(),
                &mut slices,
                Some(&mut self.control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let stamp = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampsns(stamps) => stamp_of(&stamps),
                    _ => None,
                })
            });
            Ok((message.bytes, stamp))
        }
    }
}

/// Elsewhere the kernel stamps nothing.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct KeepStamping;

#[cfg(not(target_os = "linux"))]
impl KeepStamping {
    pub(crate) fn begin() -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_maps_to_the_run_clock() {
        let clock = RunClock::start();
        let map = WallMap::new(clock);
        let before = clock.now();
        let mapped = map.to_run(wall_ns(SystemTime::now())).expect("after the start");
        let after = clock.now();
        // The offset is as good as its narrowest bracket; a scheduler's pause
        // between the readings can only widen what is allowed here.
        let slack = Duration::from_millis(1);
        assert!(mapped >= before - slack && mapped <= after + slack);
        assert_eq!(map.to_run(0), None);
    }
}
