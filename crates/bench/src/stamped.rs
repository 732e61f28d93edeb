//! Socket reads with the kernel's receive stamps (`SO_TIMESTAMPING`, software).
//!
//! Source: <https://docs.kernel.org/networking/timestamping.html>.

use std::io::{self, IoSliceMut, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, TimestampingFlag, recvmsg, setsockopt,
};

/// Asks the kernel to stamp what arrives on `socket`; where it will not, reads have no stamp.
pub(crate) fn enable(socket: &impl AsFd) {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    // A refusal shows in each read, and from there in the logs.
    let _ = setsockopt(socket, Timestamping, &flags);
}

/// Longest wait for the kernel to begin to stamp.
const SETTLE: Duration = Duration::from_millis(500);

/// Waits until what arrives is really stamped; whether it is.
///
/// The first socket of a host that asks for stamps only schedules a kernel
/// worker that turns them on (`net_enable_timestamp`); until it has run, what
/// arrives has none. They stay on as long as any socket asks.
pub(crate) fn settle() -> io::Result<bool> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    sender.set_nodelay(true)?;
    let (receiver, _) = listener.accept()?;
    enable(&receiver);
    let mut reader = StampedReader::new(16);
    let until = Instant::now() + SETTLE;
    while Instant::now() < until {
        sender.write_all(b"?")?;
        std::thread::sleep(Duration::from_micros(100));
        match reader.read(&receiver) {
            Ok((_, Some(_))) => return Ok(true),
            Ok((_, None)) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Reads; holds its buffers, so that a read allocates nothing.
#[derive(Debug)]
pub(crate) struct StampedReader {
    buffer: Box<[u8]>,
    control: Vec<u8>,
}

impl StampedReader {
    /// Reads of at most `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            buffer: vec![0; size].into_boxed_slice(),
            control: nix::cmsg_space!(nix::sys::socket::Timestamps),
        }
    }

    /// One read that does not block: bytes (none at the end of the stream), and
    /// the stamp of the last segment among them, wall time in nanoseconds.
    pub(crate) fn read(&mut self, socket: &impl AsRawFd) -> io::Result<(&[u8], Option<i64>)> {
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let stamp = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampsns(stamps) => {
                    let at = stamps.system;
                    let ns = at.tv_sec() * 1_000_000_000 + at.tv_nsec();
                    (ns > 0).then_some(ns)
                }
                _ => None,
            })
        });
        let bytes = message.bytes;
        Ok((&self.buffer[..bytes], stamp))
    }
}
