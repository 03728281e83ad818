//! SSH (RFC 4253): the identification line of either side.

use super::bytes::{Cursor, after_line, contains, first_line, is_text, plain_name};
use super::spread::is_printable;
use super::{Detection, Probe, Seen, detector};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Ssh: "ssh"; Stream, ports [22, 2222], Either;
    "SSH: the identification of either side, a cipher that is none, and what is no SSH behind it";
    "RFC 4253"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let ahead = identification(seen.client);
    let back = identification(seen.server).or_else(|| behind_a_greeting(seen));
    let encrypted = |why| Detection::encrypted("ssh", Encryption::Ssh, why);
    if ahead.is_none() && back.is_none() {
        return None;
    }
    let worse = goes_on(&ahead, seen).max(goes_on(&back, seen));
    let detection = match (&ahead, &back) {
        (Some((_, client)), Some((_, server))) if agrees_on_none(client, server) => {
            let why = "both sides agreed on a cipher that does not encrypt";
            Detection::new("ssh", Protection::Plaintext(Proof::NullCipher), why)
        }
        (Some(_), None) if answers_otherwise(seen, seen.server) => other_answer(),
        (None, Some(_)) if answers_otherwise(seen, seen.client) => other_answer(),
        _ if worse == GoesOn::Readable => read_on(),
        _ if is_first_version(seen) => by_first_version(ahead.map_or(&[], |(_, behind)| behind)),
        _ if worse == GoesOn::Strangely => {
            let why = "what follows the identification is no packet of SSH";
            Detection::unclear("ssh", WhyUnknown::Ambiguous, why)
        }
        (Some(_), None) if speaks(seen.server) => read_on(),
        (None, Some(_)) if speaks(seen.client) => read_on(),
        (Some(_), None) if is_text(head(seen.server)) => other_answer(),
        (None, Some(_)) if is_text(head(seen.client)) => other_answer(),
        (Some((_, only)), None) | (None, Some((_, only))) if offers_none(only) => {
            let why = "one side offers a cipher that does not encrypt, and the other's choice was not seen";
            Detection::unclear("ssh", WhyUnknown::Ambiguous, why)
        }
        _ if worse == GoesOn::Not => without_an_exchange(seen),
        _ if worse == GoesOn::Ended => {
            let why = "the key exchange was ended before it agreed on keys";
            Detection::unclear("ssh", WhyUnknown::HandshakeIncomplete, why)
        }
        (Some(_), Some(_)) => encrypted("both sides identified themselves, and a key exchange followed"),
        _ => encrypted("one side identified itself, and a key exchange followed"),
    };
    match back.and_then(|(software, _)| plain_name(software)) {
        Some(software) => detection.with("server_software", software).certain(),
        None => detection.certain(),
    }
}

/// Whether a side has nothing but version 1, which then both speak; 1.99 means both versions.
fn is_first_version(seen: &Seen<'_>) -> bool {
    let old = |side: &[u8]| side.starts_with(b"SSH-1.") && !side.starts_with(b"SSH-1.99-");
    old(seen.client) || old(seen.server)
}

/// The client names the cipher in the clear, behind a length and padding (draft-ylonen-ssh-protocol-00):
/// it may be none, and the version is broken whatever it is.
fn by_first_version(client: &[u8]) -> Detection {
    const SESSION_KEY: u8 = 3;
    let cipher = || {
        let mut cursor = Cursor(client);
        let length = cursor.u32()?;
        cursor.take(8 - length as usize % 8)?;
        (cursor.u8()? == SESSION_KEY && length <= 35_000).then(|| cursor.u8()).flatten()
    };
    let detection = match cipher() {
        Some(0) => {
            let why = "version 1, and the client took no cipher";
            Detection::new("ssh", Protection::Plaintext(Proof::NullCipher), why)
        }
        Some(1..=6) => {
            let why = "version 1, which is broken, with the cipher that the client named";
            Detection::encrypted("ssh", Encryption::Ssh, why)
        }
        _ => {
            let why = "version 1, whose cipher was not seen to be named";
            Detection::unclear("ssh", WhyUnknown::HandshakeIncomplete, why)
        }
    };
    detection.with("version", "SSH1")
}

/// Whether a side said something, from its beginning on, that is no identification.
fn answers_otherwise(seen: &Seen<'_>, side: &[u8]) -> bool {
    let whole = !seen.late && !seen.holes;
    !side.is_empty() && whole && identification(side).is_none() && !b"SSH-".starts_with(side)
}

fn read_on() -> Detection {
    let why = "what follows the identification, or the keys, can be read: no cipher is used";
    Detection::new("ssh", Protection::Plaintext(Proof::NullCipher), why)
}

/// Whoever listens can send an identification, and go on in the clear: what protects is agreed on behind it.
fn without_an_exchange(seen: &Seen<'_>) -> Detection {
    let (what, why) = match (seen.late || seen.holes, seen.cut) {
        (true, _) => (
            WhyUnknown::LateStart,
            "a line with which SSH begins, joined late or with bytes missing, and nothing behind it",
        ),
        (false, true) => {
            (WhyUnknown::CutBySnaplen, "a line with which SSH begins, and the capture cut what is behind it")
        }
        (false, false) => {
            (WhyUnknown::HandshakeIncomplete, "a line with which SSH begins, and no key exchange behind it")
        }
    };
    Detection::unclear("ssh", what, why)
}

fn other_answer() -> Detection {
    let why = "one side identified itself, and the other said something else";
    Detection::unclear("ssh", WhyUnknown::HandshakeIncomplete, why)
}

/// How a side goes on behind its identification, what is told before all else last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum GoesOn {
    /// Not at all.
    Not,
    /// With packets of the key exchange.
    Well,
    /// With packets, one of which ends the connection in the clear: nothing was agreed on.
    Ended,
    /// With something else.
    Strangely,
    /// With text, or with text behind the keys: a cipher that is none may be taken up later.
    Readable,
}

/// Packets are in the clear up to the one that takes the new keys into use (RFC 4253, sections 6 and 7.3).
fn goes_on(side: &Option<(&[u8], &[u8])>, seen: &Seen<'_>) -> GoesOn {
    const DISCONNECT: u8 = 1;
    const NEW_KEYS: u8 = 21;
    const LONGEST: u32 = 35_000;
    /// Length, padding, and kind of a packet.
    const SHORTEST: usize = 6;
    /// Text of fewer bytes may be chance.
    const ENOUGH: usize = 16;
    let mut rest = side.map_or(&[][..], |(_, behind)| behind);
    if rest.len() < SHORTEST {
        return GoesOn::Not;
    }
    let mut cursor = Cursor(rest);
    while let (Some(length), Some(padding), Some(kind)) = (cursor.u32(), cursor.u8(), cursor.u8()) {
        let known = matches!(kind, 1..=7 | 20..=49) && padding >= 4 && (2..=LONGEST).contains(&length);
        if !known {
            let text = rest.len() >= ENOUGH && is_text(head(rest));
            // The first version has other packets; where some are missing, what follows another need not
            // be the next one.
            let old = [seen.client, seen.server].into_iter().any(|side| contains(side, b"SSH-1."));
            return match (text || old && texts(rest).next().is_some(), seen.holes || old) {
                (true, _) => GoesOn::Readable,
                (false, true) => GoesOn::Well,
                (false, false) => GoesOn::Strangely,
            };
        }
        let whole = cursor.take(length as usize - 2).is_some();
        rest = cursor.0;
        match (whole, kind) {
            (_, DISCONNECT) => return GoesOn::Ended,
            (false, _) => return GoesOn::Well,
            (true, NEW_KEYS) => break,
            (true, _) => {}
        }
    }
    if texts(rest).next().is_some() { GoesOn::Readable } else { GoesOn::Well }
}

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(64)]
}

/// Runs of so many printable bytes that no cipher made them. Lengths of packets may be in the clear, so
/// that the spread of the values proves nothing.
fn texts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const ENOUGH: usize = 32;
    bytes.split(|byte| !is_printable(byte)).filter(|run| run.len() >= ENOUGH)
}

/// Whether a side whose identification was not seen holds text other than the lists of a key exchange,
/// in which there are no spaces.
fn speaks(side: &[u8]) -> bool {
    texts(side).any(|text| text.contains(&b' '))
}

/// A cipher that is none is on the list of one side, of which the other is not known.
fn offers_none(behind: &[u8]) -> bool {
    let lists = ciphers(behind);
    lists.is_some_and(|lists| {
        lists.iter().any(|list| list.split(|byte| *byte == b',').any(|name| name == b"none"))
    })
}

/// Whether the first cipher of the client that the server has too is `none`, in either direction (RFC
/// 4253, sections 6.3 and 7.1).
fn agrees_on_none(client: &[u8], server: &[u8]) -> bool {
    let (Some(asked), Some(offered)) = (ciphers(client), ciphers(server)) else { return false };
    let is_comma = |byte: &u8| *byte == b',';
    asked.iter().zip(offered).any(|(asked, offered)| {
        let is_offered = |name: &&[u8]| offered.split(is_comma).any(|other| other == *name);
        asked.split(is_comma).find(is_offered) == Some(b"none".as_slice())
    })
}

/// The ciphers of both directions in a KEXINIT: behind length, padding, number, and cookie come lists of
/// key exchanges, of host keys, and these.
fn ciphers(bytes: &[u8]) -> Option<[&[u8]; 2]> {
    const KEXINIT: u8 = 20;
    let mut cursor = Cursor(bytes);
    cursor.take(5)?;
    if cursor.u8()? != KEXINIT {
        return None;
    }
    cursor.take(16)?;
    let mut list = || {
        let length = cursor.u32()?;
        cursor.take(length as usize)
    };
    let (_exchanges, _keys) = (list()?, list()?);
    Some([list()?, list()?])
}

/// The software of the identification with which a side begins, and what stands behind its line.
fn identification(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if !bytes.starts_with(b"SSH-") {
        return None;
    }
    let line = first_line(&bytes[..bytes.len().min(1_024)]);
    let versions = [b"SSH-2.0-".as_slice(), b"SSH-1.99-", b"SSH-1.5-"];
    let software = versions.into_iter().find_map(|version| line.strip_prefix(version))?;
    let end = software.iter().position(|b| *b == b' ').unwrap_or(software.len());
    Some((&software[..end], after_line(bytes).unwrap_or(&[])))
}

/// The identification of a server that sends other lines before (section 4.2). What others tell each
/// other may hold such a line as well: the client identified itself, or the negotiation follows.
fn behind_a_greeting<'a>(seen: &Seen<'a>) -> Option<(&'a [u8], &'a [u8])> {
    if seen.late || seen.holes || answers_otherwise(seen, seen.client) {
        return None;
    }
    let head = &seen.server[..seen.server.len().min(1_024)];
    // Nearly nobody else has this letter there, and looking at lines takes longer.
    let marked = |at: usize| head[..at].ends_with(b"\nSS") && head[at..].starts_with(b"H-");
    let begin = memchr::memchr_iter(b'H', head).find(|at| marked(*at))? - 2;
    let lines = memchr::memchr_iter(b'\n', &head[..begin]).count();
    let goes_on = |behind: &[u8]| identification(seen.client).is_some() || ciphers(behind).is_some();
    identification(&seen.server[begin..]).filter(|(_, behind)| lines < 8 && goes_on(behind))
}
