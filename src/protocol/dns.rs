//! DNS (RFC 1035) over UDP and TCP, with its multicast kin (RFC 6762, 4795); its answers give
//! names to addresses.

use super::bytes::{Cursor, plain_name};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

detector! {
    Dns: "dns", also ["mdns", "llmnr"]; Both, ports [53, 5353, 5355, 1053, 9153], Clear;
    "DNS, multicast DNS and LLMNR: header, questions and answers, which name addresses";
    "RFC 1035, 6762, 4795"
}

/// Ports on which one message is enough; elsewhere both sides must fit.
const TRUSTED: [u16; 3] = [53, 5353, 5355];
/// More records or names than this are not read.
const MOST: usize = 64;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let hinted = seen.hinted(&TRUSTED);
    let name = match () {
        () if seen.hinted(&[5353]) => "mdns",
        () if seen.hinted(&[5355]) => "llmnr",
        () => "dns",
    };
    let why = match seen.fits(|bytes| messages(seen, bytes).is_some()) {
        Fit::Both => "question and answer in the clear",
        Fit::TheOnlySide if hinted || is_answer(seen) => "message in the clear",
        Fit::OneOfTwo if hinted => return Detection::plain(name, "one side fits").unsure(),
        _ => return None,
    };
    let mut detection = Detection::plain(name, why);
    let all: Vec<Message> = seen.datagrams().filter_map(|bytes| messages(seen, bytes)).take(MOST).collect();
    if let Some(question) = all.iter().find_map(|message| message.question.clone()) {
        detection = detection.with("query", question);
    }
    detection.names = all.into_iter().flat_map(|message| message.names).take(MOST).collect();
    detection.names.sort();
    detection.names.dedup();
    detection.certain()
}

/// Without a hint, one side alone is enough only where it answers its own question.
fn is_answer(seen: &Seen<'_>) -> bool {
    seen.datagrams()
        .next()
        .and_then(|bytes| messages(seen, bytes))
        .is_some_and(|message| !message.names.is_empty())
}

/// What a message says.
struct Message {
    question: Option<String>,
    names: Vec<(IpAddr, String)>,
}

/// One datagram, or the first message of a stream behind its length (RFC 1035, section 4.2.2).
fn messages(seen: &Seen<'_>, bytes: &[u8]) -> Option<Message> {
    if !seen.is_stream() {
        return parse(bytes);
    }
    let length = usize::from(Cursor(bytes).u16()?);
    parse(bytes.get(2..)?.get(..length).unwrap_or(&bytes[2..])).filter(|_| length >= 12)
}

/// Known operation, small counts, and names that parse.
fn parse(bytes: &[u8]) -> Option<Message> {
    let mut cursor = Cursor(bytes);
    cursor.u16()?;
    let flags = cursor.u16()?;
    let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
    let operation = flags >> 11 & 15;
    let sane = operation <= 6 && flags & 0x40 == 0 && counts[0] <= 16 && counts.iter().all(|n| *n <= 512);
    if !sane || counts.iter().all(|n| *n == 0) && flags & 0x8000 == 0 {
        return None;
    }
    let mut message = Message { question: None, names: Vec::new() };
    if counts.iter().all(|n| *n == 0) {
        // An answer that only reports an error.
        return (flags & 15 != 0 && bytes.len() == 12).then_some(message);
    }
    for number in 0..counts[0] {
        let name = name(bytes, &mut cursor)?;
        let (kind, class) = (cursor.u16()?, cursor.u16()?);
        if !is_class(kind, class) {
            return None;
        }
        if number == 0 {
            message.question = plain_name(name.as_bytes());
        }
    }
    let records = usize::from(counts[1]) + usize::from(counts[2]) + usize::from(counts[3]);
    for number in 0..records.min(MOST) {
        match record(bytes, &mut cursor) {
            Some((kind, name, body)) if number < usize::from(counts[1]) => {
                let asked = message.question.clone().or_else(|| plain_name(name.as_bytes()));
                message.names.extend(address(kind, body).zip(asked));
            }
            Some(_) => {}
            // The first record of a message without a question must parse; others may be cut.
            None if counts[0] == 0 && number == 0 => return None,
            None => break,
        }
    }
    Some(message)
}

fn is_class(kind: u16, class: u16) -> bool {
    kind > 0 && (matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) || kind == 41)
}

/// Name, type, class, time to live, content.
fn record<'a>(bytes: &'a [u8], cursor: &mut Cursor<'a>) -> Option<(u16, String, &'a [u8])> {
    let name = name(bytes, cursor)?;
    let (kind, class) = (cursor.u16()?, cursor.u16()?);
    cursor.u32()?;
    let body = cursor.vector16()?;
    is_class(kind, class).then_some((kind, name, body))
}

fn address(kind: u16, body: &[u8]) -> Option<IpAddr> {
    match (kind, body) {
        (1, [a, b, c, d]) => Some(Ipv4Addr::new(*a, *b, *c, *d).into()),
        (28, body) => <[u8; 16]>::try_from(body).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// A name, its pointers followed backwards only, so that it ends (RFC 1035, section 4.1.4).
fn name<'a>(bytes: &'a [u8], cursor: &mut Cursor<'a>) -> Option<String> {
    let (mut text, mut labels) = (String::new(), 0);
    let mut here = *cursor;
    let mut jumped = None;
    loop {
        match here.u8()? {
            0 => break,
            length @ 1..=63 => {
                if labels > 0 {
                    text.push('.');
                }
                labels += 1;
                text.push_str(&String::from_utf8_lossy(here.take(usize::from(length))?));
            }
            high @ 0xc0.. => {
                let target = usize::from(high & 0x3f) << 8 | usize::from(here.u8()?);
                jumped.get_or_insert(here);
                // Only to before the pointer itself; and a way back through the same labels makes them many.
                if target + 2 >= bytes.len() - here.0.len() || labels > MOST {
                    return None;
                }
                here = Cursor(&bytes[target..]);
            }
            _ => return None,
        }
        if labels > 127 {
            return None;
        }
    }
    *cursor = jumped.unwrap_or(here);
    Some(text)
}
