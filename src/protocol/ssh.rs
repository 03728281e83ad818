//! SSH (RFC 4253): the identification line of either side.

use super::bytes::{Cursor, after_line, ends_in_text, first_line, plain_name};
use super::{Detection, Probe, Seen, detector};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Ssh: "ssh"; Stream, ports [22, 2222], Either;
    "SSH: the identification of either side, and a cipher that is none";
    "RFC 4253"
}

/// How a side begins.
#[derive(Clone, Copy)]
struct Identification<'a> {
    version: &'static [u8],
    software: &'a [u8],
    /// What stands behind its line.
    behind: &'a [u8],
}

const FIRST: &[u8] = b"SSH-1.5-";
const SECOND: &[u8] = b"SSH-2.0-";
/// Of a server that knows both (section 5.1).
const EITHER: &[u8] = b"SSH-1.99-";

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let ahead = identification(seen.client);
    let back = identification(seen.server).or_else(|| behind_a_greeting(seen));
    let encrypted = |why| Detection::encrypted("ssh", Encryption::Ssh, why);
    let detection = match (&ahead, &back) {
        (None, None) => return None,
        (Some(client), Some(server)) if agrees_on_none(client.behind, server.behind) => {
            let why = "both sides agreed on a cipher that does not encrypt";
            Detection::new("ssh", Protection::Plaintext(Proof::NullCipher), why)
        }
        _ if !seen.holes && breaks_off(&[ahead, back]) => {
            let why = "SSH begins, and what follows is none";
            Detection::unclear("ssh", WhyUnknown::Ambiguous, why)
        }
        (Some(_), Some(_)) => encrypted("both sides identified themselves"),
        (Some(_), None) if answers_otherwise(seen, seen.server) => other_answer(),
        (None, Some(_)) if answers_otherwise(seen, seen.client) => other_answer(),
        (Some(one), None) | (None, Some(one)) if one.behind.is_empty() && (seen.late || seen.holes) => {
            let why = "a line of one side with which SSH begins, joined late and with nothing behind it";
            Detection::unclear("ssh", WhyUnknown::LateStart, why)
        }
        _ => encrypted("one side identified itself"),
    };
    match back.and_then(|server| plain_name(server.software)) {
        Some(software) => detection.with("server_software", software).certain(),
        None => detection.certain(),
    }
}

/// Whether a side said something, from its beginning on, that is no identification.
fn answers_otherwise(seen: &Seen<'_>, side: &[u8]) -> bool {
    let whole = !seen.late && !seen.holes;
    !side.is_empty() && whole && identification(side).is_none() && !b"SSH-".starts_with(side)
}

fn other_answer() -> Detection {
    let why = "one side identified itself, and the other said something else";
    Detection::unclear("ssh", WhyUnknown::HandshakeIncomplete, why)
}

/// Whether packets of the second version break off before the keys are changed, or text stands behind
/// that (sections 6 and 7.3). The first version has other packets, and who knows both does not say which
/// one it is.
fn breaks_off(sides: &[Option<Identification<'_>>; 2]) -> bool {
    let says = |version: &[u8]| sides.iter().flatten().any(|side| side.version == version);
    says(SECOND) && !says(FIRST) && sides.iter().flatten().any(|side| ends_otherwise(side.behind))
}

fn ends_otherwise(packets: &[u8]) -> bool {
    const LONGEST: u32 = 35_000;
    const NEWKEYS: u8 = 21;
    let mut cursor = Cursor(packets);
    while let Some(length) = cursor.u32() {
        if !(5..=LONGEST).contains(&length) {
            return true;
        }
        match cursor.take(length as usize) {
            Some([_, NEWKEYS, ..]) => return ends_in_text(cursor.0),
            Some(_) => {}
            None => return false,
        }
    }
    false
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

/// The identification with which a side begins; packets stand behind it, where others go on with text.
fn identification(bytes: &[u8]) -> Option<Identification<'_>> {
    if !bytes.starts_with(b"SSH-") {
        return None;
    }
    let line = first_line(&bytes[..bytes.len().min(1_024)]);
    let version = [SECOND, EITHER, FIRST].into_iter().find(|version| line.starts_with(version))?;
    let software = &line[version.len()..];
    let end = software.iter().position(|b| *b == b' ').unwrap_or(software.len());
    let behind = after_line(bytes).unwrap_or(&[]);
    is_packet(behind).then_some(Identification { version, software: &software[..end], behind })
}

/// Whether bytes can begin a packet: its length has four bytes and is far below 2^24 (sections 6 and 6.1).
fn is_packet(bytes: &[u8]) -> bool {
    matches!(bytes, [] | [0, ..])
}

/// The identification of a server that sends other lines before (section 4.2). What others tell each
/// other may hold such a line as well: the client identified itself, or the negotiation follows.
fn behind_a_greeting<'a>(seen: &Seen<'a>) -> Option<Identification<'a>> {
    if seen.late || seen.holes || answers_otherwise(seen, seen.client) {
        return None;
    }
    let goes_on = |behind: &[u8]| identification(seen.client).is_some() || ciphers(behind).is_some();
    let head = &seen.server[..seen.server.len().min(1_024)];
    // Nearly nobody else has this letter there, and looking at lines takes longer.
    let marked = |at: usize| head[..at].ends_with(b"\nSS") && head[at..].starts_with(b"H-");
    let found = memchr::memchr_iter(b'H', head).find(|at| marked(*at))?;
    let begin = found - 2;
    let lines = memchr::memchr_iter(b'\n', &head[..begin]).count();
    identification(&seen.server[begin..]).filter(|server| lines < 8 && goes_on(server.behind))
}
