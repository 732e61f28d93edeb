//! One captured TCP segment: what its headers say. Sans-IO.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One end of a connection. (`SocketAddr` has more to IPv6 than packets tell.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub ip: IpAddr,
    pub port: u16,
}

impl From<std::net::SocketAddr> for End {
    fn from(addr: std::net::SocketAddr) -> Self {
        Self { ip: addr.ip(), port: addr.port() }
    }
}

/// A connection, as its packets name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    pub server: End,
    pub client: End,
}

/// A segment on its way from server to client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub flow: FlowKey,
    /// Sequence number of its first byte.
    pub sequence: u32,
    /// It opens the connection: its sequence number is the initial one.
    pub syn: bool,
    /// Bytes of the stream it carries.
    pub length: u32,
}

const TCP: u8 = 6;
const SYN: u8 = 0x02;

/// Longest IP header and TCP header: all that is read of a packet.
pub(crate) const HEADERS: usize = 120;

impl Segment {
    /// Takes the headers of an IP packet apart; `wire_length` is that of the whole
    /// packet, for packets whose header does not tell (longer than 64 KiB).
    /// `None` for what is not a whole TCP header behind a plain IP header.
    pub(crate) fn parse(packet: &[u8], wire_length: usize) -> Option<Self> {
        let half = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
        let (from, to, header, stated) = match packet.first()? >> 4 {
            4 => {
                let header = usize::from(packet[0] & 0xf) * 4;
                let fragment = half(6)? & 0x1fff;
                if header < 20 || *packet.get(9)? != TCP || fragment != 0 {
                    return None;
                }
                let ip = |at: usize| -> Option<IpAddr> {
                    let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
                    Some(Ipv4Addr::from(octets).into())
                };
                (ip(12)?, ip(16)?, header, usize::from(half(2)?))
            }
            6 => {
                if *packet.get(6)? != TCP {
                    return None;
                }
                let ip = |at: usize| -> Option<IpAddr> {
                    let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                    Some(Ipv6Addr::from(octets).into())
                };
                let stated = match half(4)? {
                    0 => 0,
                    payload => 40 + usize::from(payload),
                };
                (ip(8)?, ip(24)?, 40, stated)
            }
            _ => return None,
        };
        let tcp = packet.get(header..header + 20)?;
        let data = header + usize::from(tcp[12] >> 4) * 4;
        // A short frame may carry padding: the header's length comes first.
        let whole = if stated == 0 { wire_length } else { stated };
        let length = whole.checked_sub(data)?;
        Some(Self {
            flow: FlowKey {
                server: End { ip: from, port: half(header)? },
                client: End { ip: to, port: half(header + 2)? },
            },
            sequence: u32::from_be_bytes(tcp[4..8].try_into().ok()?),
            syn: tcp[13] & SYN != 0,
            length: u32::try_from(length).ok()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The headers of a segment from port 8000 to `client_port`, IPv4 or IPv6.
    pub(crate) fn headers(v6: bool, client_port: u16, seq: u32, flags: u8, data: u16) -> Vec<u8> {
        let mut packet = if v6 {
            let mut ip = vec![0; 40];
            ip[0] = 0x60;
            ip[4..6].copy_from_slice(&(20 + data).to_be_bytes());
            ip[6] = TCP;
            ip[23] = 1;
            ip[39] = 1;
            ip
        } else {
            let mut ip = vec![0; 24]; // with an option
            ip[0] = 0x46;
            ip[2..4].copy_from_slice(&(44 + data).to_be_bytes());
            ip[9] = TCP;
            ip[12..16].copy_from_slice(&[127, 0, 0, 1]);
            ip[16..20].copy_from_slice(&[127, 0, 0, 1]);
            ip
        };
        let mut tcp = [0; 20];
        tcp[..2].copy_from_slice(&8000_u16.to_be_bytes());
        tcp[2..4].copy_from_slice(&client_port.to_be_bytes());
        tcp[4..8].copy_from_slice(&seq.to_be_bytes());
        tcp[12] = 0x50;
        tcp[13] = flags;
        packet.extend(tcp);
        packet
    }

    #[test]
    fn headers_of_both_versions_are_taken_apart() {
        for v6 in [false, true] {
            let packet = headers(v6, 4321, 0xdead_beef, 0x18, 300);
            let found = Segment::parse(&packet, 9_999).expect("a segment");
            assert_eq!(found.flow.server.port, 8000);
            assert_eq!(found.flow.client.port, 4321);
            assert_eq!(found.flow.client.ip.is_ipv6(), v6);
            assert!(found.flow.client.ip.is_loopback());
            assert_eq!((found.sequence, found.length, found.syn), (0xdead_beef, 300, false));
            for cut in 0..packet.len() {
                assert_eq!(Segment::parse(&packet[..cut], 9_999), None, "cut at {cut}");
            }
            let opening = Segment::parse(&headers(v6, 1, 7, 0x12, 0), 60).expect("a segment");
            assert_eq!((opening.syn, opening.length), (true, 0), "padding is not data");
        }
    }

    #[test]
    fn a_packet_too_long_for_its_header_is_as_long_as_it_is() {
        for v6 in [false, true] {
            let mut packet = headers(v6, 1, 0, 0x10, 0);
            let at = if v6 { 4 } else { 2 };
            packet[at..at + 2].fill(0);
            let found = Segment::parse(&packet, packet.len() + 100_000).expect("a segment");
            assert_eq!(found.length, 100_000);
        }
    }

    #[test]
    fn what_is_no_segment_is_none() {
        let mut udp = headers(false, 1, 0, 0, 0);
        udp[9] = 17;
        let mut fragment = headers(false, 1, 0, 0, 0);
        fragment[7] = 1;
        let mut extended = headers(true, 1, 0, 0, 0);
        extended[6] = 0;
        let mut short = headers(false, 1, 0, 0, 0);
        short[0] = 0x44;
        for packet in [&udp[..], &fragment, &extended, &short, &[0x50; 64], &[]] {
            assert_eq!(Segment::parse(packet, packet.len()), None);
        }
    }
}
