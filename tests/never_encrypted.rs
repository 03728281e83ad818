//! Nothing that whoever is on the way can read is called encrypted: clear streams joined at any byte,
//! with the roles exchanged, behind TLS that ended, and bytes that mean nothing.

#[path = "common/random.rs"]
#[allow(dead_code, reason = "each test takes the kinds of numbers that it needs")]
mod random;
#[path = "common/streams.rs"]
mod streams;

use random::Random;
use watertight::capture::{Handshake, StreamStart, Transport};
use watertight::model::Protection;
use watertight::protocol::{self, DETECTORS, Detection, Seen, judge};

fn is_encrypted(detection: &Detection) -> bool {
    matches!(detection.protection, Protection::Encrypted(_))
}

/// Streams of which every byte is in the clear: no upgrade, no tunnel, no cipher frame.
fn clear_streams() -> Vec<streams::Case> {
    let all = streams::names();
    let cases = all.iter().flat_map(|name| streams::cases(name));
    let framed = |case: &streams::Case| {
        let holds = |bytes: &[u8]| bytes.windows(2).any(|pair| matches!(pair, [20..=23, 3]));
        holds(&case.start.forward) || holds(&case.start.backward)
    };
    cases
        .filter(|case| {
            let whole = judge(&case.seen());
            let clear = matches!(whole.protection, Protection::Plaintext(_));
            let cipher = whole.why.contains("cipher") || whole.why.contains("encrypt");
            clear && !cipher && !framed(case) && whole.protocol != "smb" && whole.protocol != "snmp"
        })
        .collect()
}

#[test]
fn clear_streams_are_not_encrypted_from_whichever_byte_they_are_seen() {
    let mut views = 0;
    for case in clear_streams() {
        let seen = case.seen();
        let stream = matches!(seen.transport, Transport::Tcp | Transport::Sctp);
        let most = if stream { seen.client.len().max(seen.server.len()).min(400) } else { 1 };
        for skipped in 0..most {
            let rest = |bytes: &'_ [u8]| -> Vec<u8> { bytes.get(skipped..).unwrap_or(&[]).to_vec() };
            let (client, server) = (rest(seen.client), rest(seen.server));
            for (handshake, late, holes) in [
                (Handshake::FirstPacket, true, false),
                (Handshake::GuessedByPort, true, true),
                (Handshake::Seen, false, true),
            ] {
                let both = Seen { client: &client, server: &server, handshake, late, holes, ..seen };
                let ends = Seen { client: seen.client, handshake, late, holes, server: &server, ..seen };
                let begins = Seen { server: seen.server, handshake, late, holes, client: &client, ..seen };
                for view in [both, ends, begins, both.swapped(), ends.swapped(), begins.swapped()] {
                    let found = judge(&view);
                    views += 1;
                    assert!(!is_encrypted(&found), "{} from byte {skipped}: {found:?}", case.title);
                }
            }
        }
    }
    assert!(views > 10_000, "{views}");
}

/// The handshake of a stream of TLS, and its last words.
fn handshake() -> (Vec<u8>, Vec<u8>) {
    let case = streams::cases("tls").into_iter().find(|case| case.title.starts_with("TLS 1.3 with a server"));
    let case = case.expect("a stream of TLS");
    let farewell = [&[23, 3, 3, 0, 19][..], &[0xa7; 19]].concat();
    let end = |bytes: &[u8]| [bytes, &farewell].concat();
    (end(&case.start.forward), end(&case.start.backward))
}

#[test]
fn clear_streams_behind_tls_that_ended_are_not_encrypted() {
    let (client, server) = handshake();
    let whole = StreamStart { forward: client.clone(), backward: server.clone(), ..StreamStart::default() };
    assert!(
        is_encrypted(&judge(&Seen::new(Transport::Tcp, 40_000, 443, &whole))),
        "or the test shows nothing"
    );
    let mut tried = 0;
    for case in clear_streams().iter().filter(|case| case.transport == Transport::Tcp) {
        let long = |bytes: &[u8]| bytes.len() >= 5;
        if !long(&case.start.forward) && !long(&case.start.backward) {
            continue;
        }
        let start = StreamStart {
            forward: [&client, &case.start.forward[..]].concat(),
            backward: [&server, &case.start.backward[..]].concat(),
            ..StreamStart::default()
        };
        for port in [443, case.port] {
            let found = judge(&Seen::new(Transport::Tcp, 40_000, port, &start));
            assert!(!is_encrypted(&found), "{} behind TLS: {found:?}", case.title);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

/// Encrypted conversations that begin behind a clear one, or whose bytes somebody sends as data: no
/// protocol that has no upgrade goes over to them.
#[test]
fn what_is_told_of_encrypted_conversations_in_the_clear_is_clear() {
    let all = streams::names();
    let cases = || all.iter().flat_map(|name| streams::cases(name)).filter(|c| c.transport == Transport::Tcp);
    let encrypted: Vec<streams::Case> = cases().filter(|case| is_encrypted(&judge(&case.seen()))).collect();
    let mut tried = 0;
    for case in clear_streams().iter().filter(|case| case.transport == Transport::Tcp) {
        let one_sided = case.start.forward.is_empty() || case.start.backward.is_empty();
        if one_sided || protocol::may_upgrade(&judge(&case.seen())) {
            continue;
        }
        for told in &encrypted {
            let join = |a: &[u8], b: &[u8]| [a, b].concat();
            let (before, behind) = (case.seen(), told.seen());
            for (client, server) in [
                (join(before.client, behind.client), join(before.server, behind.server)),
                (join(before.client, behind.server), join(before.server, behind.client)),
                (join(before.client, behind.client), before.server.to_vec()),
                (before.client.to_vec(), join(before.server, behind.server)),
            ] {
                let seen = Seen { client: &client, server: &server, ..before };
                let joined = Seen { late: true, handshake: Handshake::FirstPacket, ..seen };
                // What is shorter may be the rest of a record as well as anything else.
                let long = before.client.len().min(before.server.len()) >= 60;
                for seen in [seen, joined].into_iter().filter(|seen| long || !seen.late) {
                    let found = judge(&seen);
                    // A call that does nothing comes before calls that are private.
                    if case.title == "a call of NFS" && told.title == "NFS with GSS privacy" {
                        continue;
                    }
                    assert!(!is_encrypted(&found), "{}, and then {}: {found:?}", case.title, told.title);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 5_000, "{tried}");
}

/// A conversation of datagrams that holds some of an encrypted protocol and some that can be read.
#[test]
fn datagrams_in_the_clear_beside_encrypted_ones_are_not_encrypted() {
    let all = streams::names();
    let cases: Vec<streams::Case> = all.iter().flat_map(|name| streams::cases(name)).collect();
    let cases: Vec<&streams::Case> = cases.iter().filter(|case| case.transport == Transport::Udp).collect();
    let join = |a: &[u8], b: &[u8]| [a, b].concat();
    let numbers = |a: &[u32], b: &[u32]| [a, b].concat();
    let (mut tried, mut tempered) = (0, 0);
    for clear in clear_streams().iter().filter(|case| case.transport == Transport::Udp) {
        let first = clear.seen();
        // What is known by both sides alone may be anything to who reads one datagram.
        let one = Seen { server: &[], server_lengths: &[], ..first };
        if !judge(&one).protection.is_plaintext() || matches!(judge(&one).protocol, "stun" | "unknown") {
            continue;
        }
        for encrypted in cases.iter().filter(|case| is_encrypted(&judge(&case.seen()))) {
            let other = encrypted.seen();
            let (client, lengths) =
                (join(other.client, first.client), numbers(other.client_lengths, first.client_lengths));
            let seen = Seen { client: &client, client_lengths: &lengths, ..other };
            for port in [first.server_port, other.server_port] {
                let found = judge(&Seen { server_port: port, ..seen });
                tried += 1;
                tempered += usize::from(found.why.contains("beside"));
                let told = format!("{}, and beside it {}: {found:?}", encrypted.title, clear.title);
                assert!(port != first.server_port || !is_encrypted(&found), "{told}");
            }
        }
    }
    assert!(tried > 500 && tempered > 100, "{tried} tried, {tempered} of them tempered");
}

/// Numbers that count, and text, of no protocol that anybody knows, behind packets of QUIC, DTLS and OpenVPN.
#[test]
fn datagrams_of_unknown_protocols_that_can_be_read_are_told_beside_encrypted_ones() {
    let numbers: Vec<u8> = (0..40_u32).flat_map(u32::to_be_bytes).collect();
    let text = b"list the accounts of the shop, please".to_vec();
    let mut tried = 0;
    for case in ["quic", "dtls", "openvpn"].into_iter().flat_map(streams::cases) {
        let seen = case.seen();
        if case.transport != Transport::Udp || !is_encrypted(&judge(&seen)) || case.title.contains("Google") {
            continue;
        }
        for first in [0_u8, 5, 0xfa] {
            for more in [[&[first], numbers.as_slice()].concat(), text.clone()] {
                let client = [seen.client, &more].concat();
                let lengths = [seen.client_lengths, &[more.len() as u32]].concat();
                let found = judge(&Seen { client: &client, client_lengths: &lengths, ..seen });
                assert!(!is_encrypted(&found), "{} and {first:#x}: {found:?}", case.title);
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

/// Encrypted streams that go on in the clear, on one side or on both.
#[test]
fn text_behind_encrypted_streams_is_told() {
    let text =
        b"GET /items?page=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: text/html, */*\r\n\r\n".repeat(4);
    let all = streams::names();
    let cases = all.iter().flat_map(|name| streams::cases(name));
    // A record that is longer than what was kept of it holds whatever follows.
    let cut = |case: &streams::Case| case.title.contains("what was kept");
    let mut tried = 0;
    for case in cases.filter(|case| case.transport == Transport::Tcp && !cut(case)) {
        let seen = case.seen();
        if !is_encrypted(&judge(&seen)) {
            continue;
        }
        let longer = |bytes: &[u8]| if bytes.is_empty() { Vec::new() } else { [bytes, &text].concat() };
        let (client, server) = (longer(seen.client), longer(seen.server));
        let views = [
            Seen { client: &client, server: &server, ..seen },
            Seen { client: &client, ..seen },
            Seen { server: &server, ..seen },
        ];
        for view in views.into_iter().filter(|view| view.client.len() + view.server.len() > text.len()) {
            let goes_on = view.client.len() + view.server.len() > seen.client.len() + seen.server.len();
            let found = judge(&view);
            assert!(!goes_on || !is_encrypted(&found), "{}, and then text: {found:?}", case.title);
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

/// One kind of bytes that mean nothing, of some length.
type Nonsense = fn(&mut Random, usize) -> Vec<u8>;

const NONSENSE: [(&str, Nonsense); 4] = [
    ("random bytes", |dice, count| (0..count).map(|_| dice.next() as u8).collect()),
    ("text", |dice, count| (0..count).map(|_| b' ' + dice.below(95) as u8).collect()),
    ("small numbers", |dice, count| (0..count).map(|_| dice.below(5) as u8).collect()),
    ("lines", |dice, count| {
        let words = [
            &b"SSH-"[..],
            b"2.0-",
            b"STARTTLS",
            b"OK ",
            b"220 ",
            b"\r\n",
            b"<",
            b">",
            b"a1 ",
            b"TLS",
            b"S",
            b"N",
        ];
        let mut text = Vec::new();
        while text.len() < count {
            text.extend_from_slice(words[dice.below(words.len())]);
        }
        text
    }),
];

#[test]
fn bytes_that_mean_nothing_are_not_encrypted_on_any_port() {
    let ports: Vec<u16> = DETECTORS.iter().flat_map(|detector| detector.ports()).copied().collect();
    let mut dice = Random(11);
    for round in 0..40_000 {
        let (kind, make) = NONSENSE[round % NONSENSE.len()];
        let mut start = StreamStart { late: dice.below(2) == 0, ..StreamStart::default() };
        let transport = [Transport::Tcp, Transport::Udp][dice.below(2)];
        let side = |dice: &mut Random| {
            let lengths: Vec<u32> = (0..dice.below(4)).map(|_| dice.below(300) as u32).collect();
            (make(dice, lengths.iter().sum::<u32>() as usize), lengths)
        };
        let ((forward, sent), (backward, answered)) = (side(&mut dice), side(&mut dice));
        // Lines may be longer than they were asked to be.
        let fit = |mut bytes: Vec<u8>, lengths: &[u32]| {
            bytes.truncate(lengths.iter().sum::<u32>() as usize);
            bytes
        };
        (start.forward, start.backward) = (fit(forward, &sent), fit(backward, &answered));
        if transport == Transport::Udp {
            (start.forward_lengths, start.backward_lengths) = (sent, answered);
        }
        let port = ports[dice.below(ports.len())];
        let seen = Seen::new(transport, 40_000, port, &start);
        let handshake = if start.late { Handshake::FirstPacket } else { Handshake::Seen };
        let found = judge(&Seen { handshake, ..seen });
        assert!(!is_encrypted(&found), "{kind} in round {round}, port {port}: {found:?} {start:?}");
    }
}
