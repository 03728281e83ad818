//! Flows that another one announces: of a few bytes of a file nobody can tell what they are, but the
//! control connection can.

#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test takes plain segments and datagrams")]
mod frames;

use frames::{A, B, Ip, tcp, udp};
use watertight::analysis;
use watertight::inventory::Inventory;

/// Packets, a millisecond apart.
#[derive(Default)]
struct Tape(Vec<Vec<u8>>);

impl Tape {
    /// A connection with its handshake; what is said begins with `>` of the client or `<` of the server.
    fn stream(mut self, (client, server): (u16, u16), said: &[&str]) -> Tape {
        let (mut ahead, mut back) = (u32::from(client) << 12, u32::from(server) << 13);
        let mut put = |from_client: bool, flags: u8, text: &[u8]| {
            let (source, target, ports) =
                if from_client { (A, B, (client, server)) } else { (B, A, (server, client)) };
            let (own, other) = if from_client { (&mut ahead, back) } else { (&mut back, ahead) };
            let body = tcp(ports, *own, other, flags, text);
            *own += text.len() as u32 + u32::from(flags & 3 != 0);
            let id = self.0.len() as u16 + 1;
            self.0.push(Ip { id, hops: 64, source, target }.whole(6, &body));
        };
        put(true, 2, b"");
        put(false, 0x12, b"");
        for text in said {
            put(text.starts_with('>'), 0x18, &text.as_bytes()[1..]);
        }
        put(true, 0x11, b"");
        put(false, 0x11, b"");
        self
    }

    fn datagram(mut self, from_client: bool, (source, target): (u16, u16), bytes: &[u8]) -> Tape {
        let id = self.0.len() as u16 + 1;
        let (from, to) = if from_client { (A, B) } else { (B, A) };
        let ip = Ip { id, hops: 64, source: from, target: to };
        self.0.push(ip.whole(17, &udp(source, target, bytes)));
        self
    }

    /// Port called, protocol and protection of each flow.
    fn told(self) -> Vec<String> {
        let mut file =
            vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
        for (number, packet) in self.0.iter().enumerate() {
            let length = packet.len() as u32;
            [1_700_000_000, number as u32 * 1_000, length, length]
                .iter()
                .for_each(|word| file.extend(word.to_le_bytes()));
            file.extend(packet);
        }
        let captures = vec![("hand".to_owned(), Box::new(file.as_slice()) as Box<dyn std::io::Read + Send>)];
        let (observed, errors) = analysis::observe(captures, &Inventory::default(), 1);
        assert!(errors.is_empty(), "{errors:?}");
        let words = |seen: watertight::observed::ObservedFlow| {
            let (port, found) = (seen.flow.responder.port, &seen.detection);
            format!("{port} {} {}", found.protocol, found.protection.word())
        };
        observed.flows.iter().map(words).collect()
    }
}

const LOGIN: [&str; 4] = ["<220 hello\r\n", ">USER a\r\n", "<331 password\r\n", ">PASS s3cr3t\r\n"];

fn control(more: &[&str]) -> Tape {
    let said: Vec<&str> = LOGIN.iter().chain(["<230 welcome\r\n"].iter()).chain(more).copied().collect();
    Tape::default().stream((40_000, 21), &said)
}

#[test]
fn data_connections_are_as_clear_as_what_announced_them() {
    let file = |tape: Tape| tape.stream((40_001, 10_639), &["<hi\n"]);
    let passive = [">EPSV\r\n", "<229 Entering Extended Passive Mode (|||10639|)\r\n"];
    assert_eq!(file(control(&passive)).told(), ["21 ftp plaintext", "10639 ftp plaintext"]);
    let older = [">PASV\r\n", "<227 Entering Passive Mode (10,2,0,9,41,143).\r\n"];
    assert_eq!(file(control(&older)).told(), ["21 ftp plaintext", "10639 ftp plaintext"]);
    // Nobody announced this one.
    let other = [">EPSV\r\n", "<229 Entering Extended Passive Mode (|||10640|)\r\n"];
    assert_eq!(file(control(&other)).told(), ["21 ftp plaintext", "10639 unknown unknown"]);
    // Nothing was sent, so nothing can be said.
    let silent = control(&passive).stream((40_001, 10_639), &[]);
    assert_eq!(silent.told(), ["21 ftp plaintext", "10639 unknown unknown"]);
}

#[test]
fn a_transfer_is_as_clear_as_the_request_for_it() {
    let asked = || Tape::default().datagram(true, (50_000, 69), b"\0\x01f\0octet\0");
    // Refused, with a block of options, or empty: what follows comes from a port of the server's choice.
    for answer in [&b"\0\x05\0\x01File not found\0"[..], b"\0\x06blksize\x008192\0", b"\0\x03\0\x01"] {
        let told = asked().datagram(false, (40_727, 50_000), answer).told();
        assert_eq!(told, ["69 tftp plaintext", "50000 tftp plaintext"], "{answer:?}");
        let alone = Tape::default().datagram(false, (40_727, 50_000), answer).told();
        assert_eq!(alone, ["50000 unknown unknown"], "{answer:?}");
    }
}
