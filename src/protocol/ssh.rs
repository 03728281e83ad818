//! SSH (RFC 4253): the identification line of either side.

use super::bytes::{Cursor, after_line, first_line, plain_name};
use super::{Detection, Probe, Seen, detector};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Ssh: "ssh"; Stream, ports [22, 2222], Either;
    "SSH: the identification of either side, and a cipher that is none";
    "RFC 4253"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (ahead, back) = (identification(seen.client), identification(seen.server));
    let encrypted = |why| Detection::encrypted("ssh", Encryption::Ssh, why);
    let detection = match (&ahead, &back) {
        (None, None) => return None,
        (Some((_, client)), Some((_, server))) if agrees_on_none(client, server) => {
            let why = "both sides agreed on a cipher that does not encrypt";
            Detection::new("ssh", Protection::Plaintext(Proof::NullCipher), why)
        }
        (Some(_), Some(_)) => encrypted("both sides identified themselves"),
        (Some(_), None) if answers_otherwise(seen, seen.server) => other_answer(),
        (None, Some(_)) if answers_otherwise(seen, seen.client) => other_answer(),
        _ => encrypted("one side identified itself"),
    };
    match back.and_then(|(software, _)| plain_name(software)) {
        Some(software) => detection.with("server_software", software).certain(),
        None => detection.certain(),
    }
}

/// Whether a side said something, from its beginning on, that is no identification.
fn answers_otherwise(seen: &Seen<'_>, side: &[u8]) -> bool {
    !side.is_empty() && !seen.late && !seen.holes && !side.starts_with(b"SSH-") && !b"SSH-".starts_with(side)
}

fn other_answer() -> Detection {
    let why = "one side identified itself, and the other said something else";
    Detection::unclear("ssh", WhyUnknown::HandshakeIncomplete, why)
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

/// The software of an identification, and what stands behind its line; a server may send other lines
/// before (section 4.2).
fn identification(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = &bytes[..bytes.len().min(1_024)];
    let mut rest = head;
    // Nearly nobody else has this letter there, and looking at lines takes longer.
    let marked = |at: usize| rest[..at].ends_with(b"SS") && rest[at..].starts_with(b"H-");
    if !memchr::memchr_iter(b'H', rest).any(marked) {
        return None;
    }
    for _ in 0..8 {
        // Nearly no line of others begins like that.
        if rest.starts_with(b"SSH-") {
            let line = first_line(rest);
            let versions = [b"SSH-2.0-".as_slice(), b"SSH-1.99-", b"SSH-1.5-"];
            if let Some(software) = versions.into_iter().find_map(|version| line.strip_prefix(version)) {
                let end = software.iter().position(|b| *b == b' ').unwrap_or(software.len());
                return Some((
                    &software[..end],
                    after_line(&bytes[head.len() - rest.len()..]).unwrap_or(&[]),
                ));
            }
        }
        rest = after_line(rest)?;
    }
    None
}
