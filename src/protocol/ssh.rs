//! SSH (RFC 4253): the identification line of either side.

use super::bytes::{after_line, first_line, plain_name};
use super::{Detection, Probe, Seen, detector};
use crate::model::Encryption;

detector! {
    Ssh: "ssh"; Stream, ports [22, 2222], Encrypted;
    "SSH: the identification of either side";
    "RFC 4253"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (ahead, back) = (identification(seen.client), identification(seen.server));
    let why = match (ahead, back) {
        (Some(_), Some(_)) => "both sides identified themselves",
        (None, None) => return None,
        _ => "one side identified itself",
    };
    let detection = Detection::encrypted("ssh", Encryption::Ssh, why);
    match back.and_then(plain_name) {
        Some(software) => detection.with("server_software", software).certain(),
        None => detection.certain(),
    }
}

/// The software of an identification; a server may send other lines before (section 4.2).
fn identification(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = &bytes[..bytes.len().min(1_024)];
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
                return Some(&software[..end]);
            }
        }
        rest = after_line(rest)?;
    }
    None
}
