//! The packet filter: the kernel passes only segments from the servers' ports.
//!
//! Classic BPF, on packets without their link header. Source:
//! <https://www.kernel.org/doc/html/latest/networking/filter.html>.

/// One instruction: code, jump if true, jump if false, operand.
pub(crate) type Instruction = (u16, u8, u8, u32);

// <linux/bpf_common.h>
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_HALF_AT_X: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
const LOAD_X_HEADER: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
const LOAD_X: u16 = 0x01; // BPF_LDX | BPF_IMM
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ
const JUMP_SET: u16 = 0x45; // BPF_JMP | BPF_JSET
const AND: u16 = 0x54; // BPF_ALU | BPF_AND
const RETURN: u16 = 0x06; // BPF_RET

/// All of the packet. (To keep less would make the kernel copy what it otherwise shares.)
const WHOLE: u32 = u32::MAX;

/// Most ports of one filter: a jump reaches 255 instructions.
pub(crate) const MAX_PORTS: usize = 128;

/// Passes TCP segments whose source port is one of `ports` and whose
/// destination port is `shard` modulo `shards` (a power of two).
pub(crate) fn program(v6: bool, ports: &[u16], shard: u16, shards: u16) -> Vec<Instruction> {
    let ports = &ports[..ports.len().min(MAX_PORTS)];
    let mut all = Vec::new();
    // Jumps to the end are set when the end is known.
    const DROP: u8 = u8::MAX;
    if v6 {
        all.push((LOAD_BYTE, 0, 0, 6));
        all.push((JUMP_EQUAL, 0, DROP, 6));
        all.push((LOAD_X, 0, 0, 40));
    } else {
        all.push((LOAD_BYTE, 0, 0, 9));
        all.push((JUMP_EQUAL, 0, DROP, 6));
        all.push((LOAD_HALF, 0, 0, 6));
        all.push((JUMP_SET, DROP, 0, 0x1fff));
        all.push((LOAD_X_HEADER, 0, 0, 0));
    }
    if shards > 1 {
        all.push((LOAD_HALF_AT_X, 0, 0, 2));
        all.push((AND, 0, 0, u32::from(shards - 1)));
        all.push((JUMP_EQUAL, 0, DROP, u32::from(shard)));
    }
    all.push((LOAD_HALF_AT_X, 0, 0, 0));
    for (n, port) in ports.iter().enumerate() {
        // Past the ports still to come, and past the drop.
        let pass = (ports.len() - n) as u8;
        all.push((JUMP_EQUAL, pass, 0, u32::from(*port)));
    }
    let drop = all.len();
    all.push((RETURN, 0, 0, 0));
    all.push((RETURN, 0, 0, WHOLE));
    for (n, one) in all.iter_mut().enumerate().take(drop) {
        let far = (drop - n - 1) as u8;
        for jump in [&mut one.1, &mut one.2] {
            if *jump == DROP {
                *jump = far;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::segment::tests::headers;

    /// What the kernel does with a program; nothing but what is used here.
    fn passes(program: &[Instruction], packet: &[u8]) -> bool {
        let half = |at: u32| {
            let at = at as usize;
            u32::from(u16::from_be_bytes([packet[at], packet[at + 1]]))
        };
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let (code, yes, no, k) = program[at];
            at += 1;
            match code {
                LOAD_BYTE => a = packet[k as usize].into(),
                LOAD_HALF => a = half(k),
                LOAD_HALF_AT_X => a = half(x + k),
                LOAD_X_HEADER => x = u32::from(packet[k as usize] & 0xf) * 4,
                LOAD_X => x = k,
                AND => a &= k,
                JUMP_EQUAL => at += usize::from(if a == k { yes } else { no }),
                JUMP_SET => at += usize::from(if a & k != 0 { yes } else { no }),
                RETURN => return k > 0,
                other => panic!("an instruction nobody wrote: {other:#x}"),
            }
        }
    }

    #[test]
    fn passes_the_servers_ports_only() {
        for v6 in [false, true] {
            let packet = headers(v6, 4321, 1, 0x10, 100);
            for (ports, expected) in [
                (&[8000][..], true),
                (&[1, 8000], true),
                (&[8000, 2], true),
                (&[4321], false),
                (&[1, 2, 3], false),
                (&[], false),
            ] {
                assert_eq!(passes(&program(v6, ports, 0, 1), &packet), expected, "{ports:?}");
            }
            let mut udp = packet.clone();
            udp[if v6 { 6 } else { 9 }] = 17;
            assert!(!passes(&program(v6, &[8000], 0, 1), &udp));
        }
        let mut fragment = headers(false, 4321, 1, 0x10, 100);
        fragment[7] = 1;
        assert!(!passes(&program(false, &[8000], 0, 1), &fragment));
    }

    #[test]
    fn every_connection_is_of_one_shard() {
        for v6 in [false, true] {
            for port in 4000..4020 {
                let packet = headers(v6, port, 1, 0x10, 100);
                let passed: Vec<u16> = (0..8)
                    .filter(|&shard| passes(&program(v6, &[8000], shard, 8), &packet))
                    .collect();
                assert_eq!(passed, [port % 8]);
            }
        }
    }

    #[test]
    fn many_ports_are_within_the_reach_of_a_jump() {
        let ports: Vec<u16> = (7900..8100).collect();
        let all = program(false, &ports, 3, 4);
        assert!(passes(&all, &headers(false, 4323, 1, 0x10, 0)));
        assert!(!passes(&all, &headers(false, 4322, 1, 0x10, 0)));
    }
}
