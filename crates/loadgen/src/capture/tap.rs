//! Packet sockets (`AF_PACKET`) that get a copy of what the servers send. Linux.
//!
//! One a version of IP and shard. They ask for IPv4 or IPv6 and not for all
//! packets: what leaves this host (on loopback the same packet once more) is then
//! not shown, and the sending path pays nothing. The kernel queues each with its own receive
//! stamp (a few µs after TCP's own on loopback, where each taker's copy is stamped apart); where a network card's segments are merged on the way in (GRO), the stamp
//! is that of the merged packet, which is also when TCP gets it.
//!
//! Source: packet(7).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, RxqOvfl};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, Timestamps, getsockopt, recvmsg, setsockopt,
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::filter::program;
use super::segment::HEADERS;
use crate::error::LoadError;
use crate::kernel_clock::{enable, stamp_of};
use crate::target::Target;

/// The sockets.
#[derive(Debug)]
pub(crate) struct Tap {
    sockets: Vec<PacketSocket>,
    buffer: Box<[u8; HEADERS]>,
    control: Vec<u8>,
}

#[derive(Debug)]
struct PacketSocket {
    socket: Socket,
    /// Packets the kernel had no room for, as it last said.
    dropped: u32,
}

/// What the kernel should be able to keep for us, bytes: a packet takes about
/// 2 KiB, so this is some 300 ms of 50,000 events a second.
const ROOM: usize = 32 << 20;

/// Most sockets that share the connections of one version of IP, where one
/// alone gets less room (`net.core.rmem_max`).
const MAX_SHARDS: usize = 8;

// <linux/if_ether.h>
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

impl Tap {
    /// Opens what sees all that `targets` send.
    pub(crate) fn open(targets: &[Target]) -> Result<Self, LoadError> {
        let addrs: Vec<SocketAddr> = targets.iter().flat_map(|t| t.addrs()).copied().collect();
        Self::open_for(&addrs, ROOM).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => LoadError::CapturePermission(error),
            _ => LoadError::Capture(error),
        })
    }

    /// `wanted`: bytes the kernel should keep, over all sockets of a version of IP.
    fn open_for(addrs: &[SocketAddr], wanted: usize) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for v6 in [false, true] {
            let mut ports: Vec<u16> =
                addrs.iter().filter(|a| a.is_ipv6() == v6).map(SocketAddr::port).collect();
            ports.sort_unstable();
            ports.dedup();
            if ports.is_empty() {
                continue;
            }
            let (first, room) = open_socket(v6)?;
            let shards = wanted.div_ceil(room.max(1)).next_power_of_two().min(MAX_SHARDS);
            let mut opened = vec![first];
            for _ in 1..shards {
                opened.push(open_socket(v6)?.0);
            }
            for (shard, socket) in opened.iter().enumerate() {
                let filter: Vec<SockFilter> = program(v6, &ports, shard as u16, shards as u16)
                    .into_iter()
                    .map(|(code, yes, no, k)| SockFilter::new(code, yes, no, k))
                    .collect();
                socket.attach_filter(&filter)?;
            }
            sockets.extend(opened.into_iter().map(|socket| PacketSocket { socket, dropped: 0 }));
        }
        let control = nix::cmsg_space!(Timestamps, u32);
        let mut tap = Self { sockets, buffer: Box::new([0; HEADERS]), control };
        // What came before the filters were there is none of ours.
        tap.read(|_, _, _| {});
        Ok(tap)
    }

    /// Reads all that has come: headers, length of the packet, stamp (wall time, ns).
    pub(crate) fn read(&mut self, mut each: impl FnMut(&[u8], usize, Option<i64>)) {
        for one in &mut self.sockets {
            // An error other than "nothing there" is a link going down, said once; the
            // next read goes on.
            while let Ok((length, stamp, dropped)) =
                receive(&one.socket, &mut self.buffer[..], &mut self.control)
            {
                one.dropped = dropped.unwrap_or(one.dropped);
                each(&self.buffer[..length.min(HEADERS)], length, stamp);
            }
        }
    }

    /// Packets that the kernel had no room for.
    pub(crate) fn dropped(&self) -> u64 {
        self.sockets.iter().map(|s| u64::from(s.dropped)).sum()
    }
}

/// A socket for one version of IP, and how many bytes the kernel keeps for it.
fn open_socket(v6: bool) -> io::Result<(Socket, usize)> {
    let ether = if v6 { ETH_P_IPV6 } else { ETH_P_IP };
    let protocol = Protocol::from(i32::from(ether.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    if setsockopt(&socket, RcvBufForce, &ROOM).is_err() {
        // Without the right to more it is what `net.core.rmem_max` allows.
        setsockopt(&socket, RcvBuf, &ROOM)?;
    }
    setsockopt(&socket, RxqOvfl, &1)?;
    if !enable(&socket) {
        return Err(io::Error::other("the kernel stamps no packets here"));
    }
    let room = getsockopt(&socket, RcvBuf)?;
    Ok((socket, room))
}

/// One packet: its length, its stamp, and how many were dropped so far.
/// (`recvmmsg` would save little, and nix does not restore its control lengths.)
fn receive(
    socket: &Socket,
    buffer: &mut [u8],
    control: &mut [u8],
) -> nix::Result<(usize, Option<i64>, Option<u32>)> {
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(control), flags)?;
    let (mut stamp, mut dropped) = (None, None);
    for one in message.cmsgs()? {
        match one {
            ControlMessageOwned::ScmTimestampsns(stamps) => stamp = stamp_of(&stamps),
            ControlMessageOwned::RxqOvfl(count) => dropped = Some(count),
            _ => {}
        }
    }
    Ok((message.bytes, stamp, dropped))
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "a test that cannot run here says so")]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::capture::segment::Segment;

    /// Opens a tap on a listener of our own; `None`, said, where this is not permitted.
    fn tap(addr: &str, wanted: usize) -> Option<(TcpListener, Tap)> {
        let listener = match TcpListener::bind(addr) {
            Ok(listener) => listener,
            Err(error) => {
                println!("not run: {addr}: {error}");
                return None;
            }
        };
        let at = listener.local_addr().expect("it is bound");
        match Tap::open_for(&[at], wanted) {
            Ok(tap) => Some((listener, tap)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("not run: a packet socket needs NET_RAW");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn sees_the_server_once(addr: &str, wanted: usize, shards: usize) {
        let Some((listener, mut tap)) = tap(addr, wanted) else { return };
        assert_eq!(tap.sockets.len(), shards);
        let server = listener.local_addr().expect("it is bound");
        let mut clients = BTreeSet::new();
        let mut held = Vec::new();
        for _ in 0..12 {
            let mut client = TcpStream::connect(server).expect("it listens");
            let (mut there, _) = listener.accept().expect("it connected");
            there.write_all(&[b'x'; 777]).expect("open");
            client.write_all(b"not from the server").expect("open");
            client.read_exact(&mut [0; 777]).expect("it wrote");
            clients.insert(client.local_addr().expect("open").port());
            held.push((client, there));
        }
        let (mut opened, mut bytes) = (BTreeSet::new(), 0);
        tap.read(|packet, length, _| {
            let segment = Segment::parse(packet, length).expect("only segments pass");
            assert_eq!(segment.flow.server, server.into());
            if segment.syn {
                assert!(opened.insert(segment.flow.client.port), "each packet is seen once");
            }
            bytes += segment.length;
        });
        assert_eq!((opened, bytes), (clients, 12 * 777));
        assert_eq!(tap.dropped(), 0);
    }

    #[test]
    fn sees_what_a_server_sends_once() {
        sees_the_server_once("127.0.0.1:0", 1, 1);
        sees_the_server_once("[::1]:0", 1, 1);
    }

    #[test]
    fn shards_share_the_connections() {
        // More than any host gives one socket.
        for addr in ["127.0.0.1:0", "[::1]:0"] {
            sees_the_server_once(addr, 1 << 40, MAX_SHARDS);
        }
    }
}
