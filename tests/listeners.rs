//! What else a listener may have heard of a connection that looks encrypted: other bytes under the same
//! numbers, and text behind missing packets, behind a reset that nobody took, or after the end.

#[path = "common/files.rs"]
#[allow(dead_code, reason = "this test writes pcap alone")]
mod files;
#[path = "common/frames.rs"]
#[allow(dead_code, reason = "this test needs Ethernet and TCP alone")]
mod frames;

use files::{Timed, pcap};
use frames::{ethernet, from_a, from_b, tcp};
use std::io::Read;
use watertight::analysis;
use watertight::inventory::Inventory;

const SYN: u8 = 2;
const RST: u8 = 4;
const FIN: u8 = 0x11;
const SYN_ACK: u8 = 0x12;
const DATA: u8 = 0x18;

/// A client that says one thing, and a server another, in the clear.
const ASKS: &[u8] = b"GET /accounts/of/everybody HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n";
/// Where sides begin.
const CLIENT: u32 = 1_000_001;
const SERVER: u32 = 7_000_001;

/// One packet: who sends, sequence, flags, payload.
type Segment<'a> = (char, u32, u8, &'a [u8]);

/// What is said of a connection between A:4000 and B:80 whose handshake was seen: word and reason.
fn told(segments: &[Segment<'_>]) -> Vec<(String, String)> {
    let opening: [Segment<'_>; 2] = [('a', CLIENT - 1, SYN, b""), ('b', SERVER - 1, SYN_ACK, b"")];
    let packets: Vec<Timed> = opening.iter().chain(segments).enumerate().map(packet).collect();
    let input: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(pcap(1, &packets)));
    let (observed, errors) = analysis::observe(vec![("a.pcap".to_owned(), input)], &Inventory::default(), 1);
    assert!(errors.is_empty(), "{errors:?}");
    let flows = observed.flows.iter();
    let told =
        flows.map(|seen| (seen.detection.protection.word().to_owned(), seen.detection.why.to_string()));
    told.collect()
}

fn packet((number, (who, sequence, flags, payload)): (usize, &Segment<'_>)) -> Timed {
    let id = number as u16 + 1;
    let (ip, ports) = if *who == 'a' { (from_a(id), (4_000, 80)) } else { (from_b(id), (80, 4_000)) };
    (number as u64 * 1_000, ethernet(0x0800, &ip.whole(6, &tcp(ports, *sequence, 1, *flags, payload))))
}

const NEW_KEYS: [u8; 16] = [0, 0, 0, 12, 10, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An identification, the packet that begins the key exchange of SSH, and that which takes keys into use.
fn hello(name: &str) -> Vec<u8> {
    let lists = ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256"];
    let mut packet = [&[4, 20][..], &[0xa7; 16]].concat();
    for list in lists {
        packet.extend((list.len() as u32).to_be_bytes());
        packet.extend(list.as_bytes());
    }
    packet.resize(packet.len() + 40, 0);
    [format!("SSH-2.0-{name}\r\n").as_bytes(), &(packet.len() as u32).to_be_bytes(), &packet, &NEW_KEYS]
        .concat()
}

/// The verdict where a connection of SSH goes on like this; lengths of what was said before are given.
fn goes_on<'a>(more: impl Fn(u32, u32) -> Vec<Segment<'a>>) -> Vec<(String, String)> {
    let (client, server) = (hello("client"), hello("server"));
    let before: [Segment<'_>; 2] = [('a', CLIENT, DATA, &client), ('b', SERVER, DATA, &server)];
    let more = more(CLIENT + client.len() as u32, SERVER + server.len() as u32);
    told(&before.into_iter().chain(more).collect::<Vec<_>>())
}

fn words(told: &[(String, String)]) -> Vec<&str> {
    told.iter().map(|(word, _)| word.as_str()).collect()
}

#[test]
fn other_bytes_under_the_same_numbers_are_not_encrypted() {
    let other = goes_on(|_, _| vec![('a', CLIENT, DATA, ASKS)]);
    assert!(other[0].0 == "unknown" && other[0].1.contains("sent again were others"), "{other:?}");
    let early = goes_on(|client, _| vec![('a', client + 9, DATA, ASKS), ('a', client, DATA, &[0; 90])]);
    assert_eq!(words(&early), ["unknown"], "{early:?}");
    let (client, server) = (hello("client"), hello("server"));
    let same = goes_on(|_, _| vec![('a', CLIENT + 40, DATA, &client[40..]), ('b', SERVER, DATA, &server)]);
    assert_eq!(words(&same), ["encrypted"], "{same:?}");
    let kept_alive = goes_on(|client, _| vec![('a', client - 1, DATA, &[0x55])]);
    assert_eq!(words(&kept_alive), ["encrypted"], "{kept_alive:?}");
}

#[test]
fn text_behind_missing_packets_is_plaintext() {
    let text = goes_on(|client, server| {
        vec![('a', client + 300, DATA, ASKS), ('b', server, FIN, b""), ('a', client + 900, FIN, b"")]
    });
    assert!(text[0].0 == "plaintext" && text[0].1.contains("behind missing packets"), "{text:?}");
    let sealed: Vec<u8> = (0..90_u8).map(|n| n.wrapping_mul(151) ^ n.rotate_left(3)).collect();
    let other = goes_on(|client, _| vec![('a', client + 300, DATA, &sealed)]);
    assert_eq!(words(&other), ["encrypted"], "{other:?}");
}

#[test]
fn a_reset_far_from_what_its_sender_said_ends_nothing() {
    let far = goes_on(|client, server| {
        vec![('b', server.wrapping_add(90_000_000), RST, b""), ('a', client, DATA, ASKS)]
    });
    assert_eq!(words(&far), ["plaintext"], "{far:?}");
    // Before its sender said anything.
    let client = hello("client");
    let before = told(&[
        ('a', CLIENT, DATA, &client),
        ('b', SERVER.wrapping_add(90_000_000), RST, b""),
        ('a', CLIENT + client.len() as u32, DATA, ASKS),
    ]);
    assert_eq!(words(&before), ["plaintext"], "{before:?}");
}

#[test]
fn text_after_the_end_is_plaintext() {
    let reset = goes_on(|client, server| vec![('b', server, RST, b""), ('a', client, DATA, ASKS)]);
    assert!(reset[0].0 == "plaintext" && reset[0].1.contains("after its end"), "{reset:?}");
    let parted = goes_on(|client, server| {
        vec![('b', server, FIN, b""), ('a', client, FIN, b""), ('a', client + 1, DATA, ASKS)]
    });
    assert_eq!(words(&parted), ["plaintext"], "{parted:?}");
    // A handshake that seemed to come to nothing is a question then.
    let question = told(&[
        ('a', CLIENT, DATA, b"SSH-2.0-a\r\n"),
        ('b', SERVER, RST, b""),
        ('a', CLIENT + 11, DATA, ASKS),
    ]);
    assert!(question[0].0 == "unknown" && question[0].1.contains("said later"), "{question:?}");
    let reason =
        goes_on(|_, server| vec![('b', server, RST, b"the connection was closed by the firewall, go away")]);
    assert_eq!(words(&reason), ["encrypted"], "{reason:?}");
    let under_way = goes_on(|client, server| vec![('b', server, RST, b""), ('a', client, DATA, &[0xa7; 80])]);
    assert_eq!(words(&under_way), ["encrypted"], "{under_way:?}");
}

#[test]
fn text_behind_what_was_looked_at_is_plaintext() {
    let sealed: Vec<u8> = (0..600_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let long = |last: &'static [u8]| {
        let told = goes_on(|client, server| {
            let each = (0..80).flat_map(|n| {
                [('a', client + n * 600, DATA, &sealed[..]), ('b', server + n * 600, DATA, &sealed[..])]
            });
            each.chain([('a', client + 80 * 600, DATA, last)]).collect()
        });
        words(&told).join(" ")
    };
    assert_eq!((long(b"").as_str(), long(&ASKS[..31]).as_str()), ("encrypted", "encrypted"));
    assert_eq!(long(ASKS), "plaintext");
}
