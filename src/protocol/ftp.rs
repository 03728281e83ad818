//! FTP's control connection (RFC 959): AUTH TLS (RFC 4217), and whether the data connections follow.
//!
//! Data connections are flows of their own and are judged by what they carry.

use super::announces;
use super::bytes::{contains, starts};
use super::lines::{Shape, Upgrade};
use super::{Probe, Seen, detector};
use std::collections::BTreeSet;

detector! {
    Ftp: "ftp"; Stream, ports [21, 2121], Either;
    "FTP control: greeting, AUTH TLS and its refusal, PASS; PROT C is told";
    "RFC 959, 4217";
    begins [SHAPE.greeted(), SHAPE.joined()]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let Probe::Certain(mut detection) = SHAPE.probe(seen)? else { return None };
    for (fact, ports) in
        announces::PORTS.into_iter().zip([asked_ports(seen.client), answered_ports(seen.server)])
    {
        let list: Vec<String> = ports.iter().map(ToString::to_string).collect();
        detection = detection.with_some(fact, (!list.is_empty()).then(|| list.join(",")));
    }
    match contains(seen.client, b"\r\nPROT C\r\n") {
        true => detection.with("data_channel", "clear").certain(),
        false => detection.certain(),
    }
}

/// Data connections whose ports are kept.
const MOST: usize = 32;

/// `PORT h1,h2,h3,h4,p1,p2` (RFC 959) and `EPRT |1|address|port|` (RFC 2428): where the client waits.
fn asked_ports(client: &[u8]) -> BTreeSet<u16> {
    let one = |line: &[u8]| match line {
        line if starts(line, b"PORT ") => of_six(&line[5..]),
        line if starts(line, b"EPRT ") => of_fields(&line[5..]),
        _ => None,
    };
    lines(client).filter_map(one).take(MOST).collect()
}

/// `227 … (h1,h2,h3,h4,p1,p2)` (RFC 959) and `229 … (|||port|)` (RFC 2428): where the server waits.
fn answered_ports(server: &[u8]) -> BTreeSet<u16> {
    let behind = |line: &'_ [u8]| line.iter().position(|byte| *byte == b'(').map_or(4, |at| at + 1);
    let one = |line: &[u8]| match line {
        [b'2', b'2', b'7', b' ', ..] => of_six(&line[behind(line)..]),
        [b'2', b'2', b'9', b' ', ..] => of_fields(&line[behind(line)..]),
        _ => None,
    };
    lines(server).filter_map(one).take(MOST).collect()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

/// Six numbers below 256, of which the last two make a port; words may stand before them.
fn of_six(text: &[u8]) -> Option<u16> {
    let begin = text.iter().position(u8::is_ascii_digit)?;
    let mut numbers = text[begin..].split(|byte| *byte == b',').map(number);
    let all: [Option<u16>; 6] = std::array::from_fn(|_| numbers.next().flatten());
    let fits = |number: &Option<u16>| number.is_some_and(|number| number < 256);
    all.iter().all(fits).then(|| all[4].zip(all[5]))?.map(|(high, low)| high << 8 | low)
}

/// What stands in the last of three fields, whose borders are the first byte.
fn of_fields(text: &[u8]) -> Option<u16> {
    let (border, rest) = text.split_first()?;
    number(rest.split(|byte| byte == border).nth(2)?)
}

/// The digits that a text begins with.
fn number(text: &[u8]) -> Option<u16> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    str::from_utf8(&text[..end]).ok()?.parse().ok()
}

const SHAPE: Shape = Shape {
    name: "ftp",
    greetings: &[b"220 ", b"220-", b"120 ", b"421 ", b"530 "],
    verbs: &[
        b"USER ", b"AUTH ", b"FEAT", b"SYST", b"OPTS ", b"QUIT", b"PASS ", b"CWD ", b"PWD", b"TYPE ", b"NOOP",
    ],
    marks: &[b"FTP", b"\r\n331 ", b"\r\n230 "],
    upgrade: Upgrade {
        asks: &[b"AUTH TLS\r\n", b"AUTH SSL\r\n", b"AUTH TLS-C\r\n"],
        agrees: &[b"\n234 "],
        content: [&[], &[]],
    },
    secrets: &[(b"PASS ", "ftp-pass")],
};
