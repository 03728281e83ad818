//! DNS (RFC 1035) over UDP and TCP, with its multicast kin (RFC 6762, 4795); its answers give
//! names to addresses.

use super::bytes::{Cursor, plain_name};
use super::seen::Fit;
use super::{Detection, Probe, Seen, detector, netbios};
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
    // A header like that of DNS, and names of its own (RFC 1002, section 4.2).
    if seen.hinted(&[137]) && !seen.is_stream() && seen.datagrams().any(netbios::is_name_query) {
        return None;
    }
    let hinted = || seen.hinted(&TRUSTED);
    let why = match seen.fits(|bytes| message(seen, bytes).is_some_and(|message| message.is_whole())) {
        Fit::Both => "question and answer in the clear",
        Fit::TheOnlySide if hinted() || is_answer(seen) => "message in the clear",
        Fit::OneOfTwo if hinted() => return Detection::plain(name(seen), "one side fits").unsure(),
        _ => return None,
    };
    let mut detection = Detection::plain(name(seen), why);
    let mut told = Told::default();
    for message in
        seen.datagrams().filter_map(|bytes| message(seen, bytes)).filter(Message::is_whole).take(MOST)
    {
        message.tell(&mut told);
    }
    if let Some(question) = told.question {
        detection = detection.with("query", question);
    }
    told.names.truncate(MOST);
    detection.names = told.names;
    detection.names.sort();
    detection.names.dedup();
    detection.certain()
}

fn name(seen: &Seen<'_>) -> &'static str {
    match () {
        () if seen.hinted(&[5353]) => "mdns",
        () if seen.hinted(&[5355]) => "llmnr",
        () => "dns",
    }
}

/// Without a hint, one side alone is enough only where it answers its own question.
fn is_answer(seen: &Seen<'_>) -> bool {
    let mut told = Told::default();
    let first = seen.datagrams().next().and_then(|bytes| message(seen, bytes)).filter(Message::is_whole);
    first.is_some_and(|message| {
        message.tell(&mut told);
        !told.names.is_empty()
    })
}

/// What messages say.
#[derive(Default)]
struct Told {
    /// The first question that is a name.
    question: Option<String>,
    names: Vec<(IpAddr, String)>,
}

/// A message with its header taken off.
#[derive(Clone, Copy)]
struct Message<'a> {
    bytes: &'a [u8],
    flags: u16,
    /// Questions, answers, authorities, additional records.
    counts: [u16; 4],
}

/// One datagram, or the first message of a stream behind its length (RFC 1035, section 4.2.2).
fn message<'a>(seen: &Seen<'_>, bytes: &'a [u8]) -> Option<Message<'a>> {
    if !seen.is_stream() {
        return header(bytes);
    }
    let length = usize::from(Cursor(bytes).u16()?);
    header(bytes.get(2..)?.get(..length).unwrap_or(&bytes[2..])).filter(|_| length >= 12)
}

/// Known operation and small counts.
fn header(bytes: &[u8]) -> Option<Message<'_>> {
    let mut cursor = Cursor(bytes);
    cursor.u16()?;
    let flags = cursor.u16()?;
    let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
    let operation = flags >> 11 & 15;
    let sane = operation <= 6 && flags & 0x40 == 0 && counts[0] <= 16 && counts.iter().all(|n| *n <= 512);
    let empty = counts.iter().all(|n| *n == 0);
    (sane && (!empty || flags & 0x8000 != 0)).then_some(Message { bytes, flags, counts })
}

impl Message<'_> {
    /// Whether the names of questions parse, and the first record where there is no question.
    fn is_whole(&self) -> bool {
        if self.counts.iter().all(|n| *n == 0) {
            // An answer that only reports an error.
            return self.flags & 15 != 0 && self.bytes.len() == 12;
        }
        let mut cursor = self.behind_the_header();
        (0..self.counts[0]).all(|_| self.question(&mut cursor).is_some())
            && (self.counts[0] > 0 || self.record(&mut cursor).is_some())
    }

    fn behind_the_header(&self) -> Cursor<'_> {
        Cursor(self.bytes.get(12..).unwrap_or(&[]))
    }

    /// Adds the question, and the addresses of answers under its name.
    fn tell(&self, told: &mut Told) {
        let mut cursor = self.behind_the_header();
        let mut asked_at = None;
        for _ in 0..self.counts[0] {
            let Some(name) = self.question(&mut cursor) else { return };
            asked_at.get_or_insert(name);
        }
        // The text of a question is made where somebody asks for it.
        let mut question: Option<Option<String>> = None;
        let text = || asked_at.and_then(|name| self.text(name));
        let records: usize = self.counts[1..].iter().map(|count| usize::from(*count)).sum();
        // Records behind the answers only had to parse.
        for _ in 0..records.min(MOST).min(usize::from(self.counts[1])) {
            // Records may be cut.
            let Some((kind, name, body)) = self.record(&mut cursor) else { break };
            if let Some(address) = address(kind, body)
                && let Some(asked) = question.get_or_insert_with(text).clone().or_else(|| self.text(name))
            {
                told.names.push((address, asked));
            }
        }
        if told.question.is_none() {
            told.question = question.unwrap_or_else(text);
        }
    }

    /// A name that was asked for: where it begins.
    fn question(&self, cursor: &mut Cursor<'_>) -> Option<usize> {
        let name = self.name(cursor, None)?;
        let (kind, class) = (cursor.u16()?, cursor.u16()?);
        is_class(kind, class).then_some(name)
    }

    /// Name, type, class, time to live, content.
    fn record<'a>(&self, cursor: &mut Cursor<'a>) -> Option<(u16, usize, &'a [u8])> {
        let name = self.name(cursor, None)?;
        let (kind, class) = (cursor.u16()?, cursor.u16()?);
        cursor.u32()?;
        let body = cursor.vector16()?;
        is_class(kind, class).then_some((kind, name, body))
    }

    /// The name that begins at a place, where it can be shown.
    fn text(&self, from: usize) -> Option<String> {
        let mut text = Vec::with_capacity(64);
        self.name(&mut Cursor(self.bytes.get(from..)?), Some(&mut text))?;
        plain_name(&text)
    }

    /// Passes over a name and tells where it began; its pointers are followed backwards only, so
    /// that it ends (RFC 1035, section 4.1.4).
    fn name(&self, cursor: &mut Cursor<'_>, mut text: Option<&mut Vec<u8>>) -> Option<usize> {
        let at = |cursor: &Cursor<'_>| self.bytes.len() - cursor.0.len();
        let begin = at(cursor);
        let mut here = Cursor(&self.bytes[begin..]);
        let (mut labels, mut left) = (0, None);
        loop {
            match here.u8()? {
                0 => break,
                length @ 1..=63 => {
                    let label = here.take(usize::from(length))?;
                    if let Some(text) = text.as_deref_mut() {
                        if labels > 0 {
                            text.push(b'.');
                        }
                        text.extend_from_slice(label);
                    }
                    labels += 1;
                }
                high @ 0xc0.. => {
                    let target = usize::from(high & 0x3f) << 8 | usize::from(here.u8()?);
                    left.get_or_insert(here.0.len());
                    // Only to before the pointer itself; and a way back through the same labels makes them many.
                    if target + 2 >= at(&here) || labels > MOST {
                        return None;
                    }
                    here = Cursor(&self.bytes[target..]);
                }
                _ => return None,
            }
            if labels > 127 {
                return None;
            }
        }
        let left = left.unwrap_or(here.0.len());
        cursor.take(cursor.0.len().checked_sub(left)?)?;
        Some(begin)
    }
}

fn is_class(kind: u16, class: u16) -> bool {
    kind > 0 && (matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) || kind == 41)
}

fn address(kind: u16, body: &[u8]) -> Option<IpAddr> {
    match (kind, body) {
        (1, [a, b, c, d]) => Some(Ipv4Addr::new(*a, *b, *c, *d).into()),
        (28, body) => <[u8; 16]>::try_from(body).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}
