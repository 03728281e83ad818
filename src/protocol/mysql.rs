//! MySQL and MariaDB: the server greets first; the client may ask for TLS before it logs in.

use super::bytes::{Cursor, contains, is_text};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::{Proof, Protection, WhyUnknown};

detector! {
    Mysql: "mysql"; Stream, ports [3306, 33060], Either;
    "MySQL and MariaDB: greeting, login, TLS upgrade, queries of a session joined late";
    "MySQL documentation, Client/Server Protocol"
}

/// `CLIENT_SSL` in the low half of the capabilities.
const CLIENT_SSL: u8 = 0x08;
/// `CLIENT_PROTOCOL_41`, in the second byte of the capabilities.
const NEWER: u8 = 0x02;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    if is_refusal(seen.server) && seen.client.is_empty() {
        return Detection::plain("mysql", "the server refused the client in the clear").certain();
    }
    let Some(after) = greeting(seen.server) else { return alone(seen).or_else(|| session(seen)) };
    match seen.client {
        [32, 0, 0, 1, _, flags, ..] if flags & CLIENT_SSL != 0 => {
            let client = &seen.client[seen.client.len().min(REQUEST)..];
            tls::upgraded("mysql", client, after, seen.time)
                .unwrap_or_else(|| match client {
                    // The next packet, whose capabilities are those of a login.
                    [_, _, 0, 2, _, flags, _, _, _, ..] if flags & NEWER != 0 => {
                        let why = "TLS was asked for, and the login followed in the clear";
                        Detection::new("mysql", Protection::Plaintext(Proof::UpgradeRefused), why)
                    }
                    _ => {
                        let why = "TLS was asked for, and no handshake followed";
                        Detection::unclear("mysql", WhyUnknown::HandshakeIncomplete, why)
                    }
                })
                .certain()
        }
        [] if tls::answers(after) => tls::upgraded("mysql", &[], after, seen.time)?.certain(),
        [] => Detection::plain("mysql", "server greeting in the clear").certain(),
        client => {
            let secret = contains(client, b"mysql_clear_password").then_some("mysql-password");
            let detection = Detection::plain("mysql", "login in the clear").with("user", "present");
            detection.with_credentials(secret).certain()
        }
    }
}

/// SSLRequest: 32 bytes behind a head, number 1, with the capability set.
const REQUEST: usize = 36;

/// A client whose server was not seen: it asks for TLS and begins with it, or logs in, which no other
/// protocol does with these capabilities and zeros (`HandshakeResponse41`).
fn alone(seen: &Seen<'_>) -> Option<Probe> {
    let [low, middle, 0, 1, _, flags, _, _, _, _, _, _, _, rest @ ..] = seen.client else { return None };
    let zeros = rest.get(..23)?.iter().all(|byte| *byte == 0);
    // MariaDB has capabilities of its own in the last four.
    let zeros = zeros || rest.get(..19)?.iter().all(|byte| *byte == 0);
    if !seen.server.is_empty() || flags & NEWER == 0 || !zeros {
        return None;
    }
    if (*low, *middle) == (32, 0) {
        let client = seen.client.get(REQUEST..)?;
        return (flags & CLIENT_SSL != 0).then(|| tls::upgraded("mysql", client, &[], seen.time))??.certain();
    }
    let user = Cursor(rest.get(23..)?).zero_ended()?;
    let fits = !user.is_empty() && is_text(user) && usize::from(*low) | usize::from(*middle) << 8 > REQUEST;
    let secret = contains(seen.client, b"mysql_clear_password").then_some("mysql-password");
    let detection = Detection::plain("mysql", "login in the clear").with("user", "present");
    fits.then(|| detection.with_credentials(secret))?.certain()
}

/// Protocol 10: length, number 0, version 10, a version text; returns what follows the packet.
fn greeting(server: &[u8]) -> Option<&[u8]> {
    let [a, b, 0, 0, 10, version @ ..] = server else { return None };
    let length = usize::from(*a) | usize::from(*b) << 8;
    let end = version.iter().take(64).position(|byte| *byte == 0)?;
    let text = end > 0 && version[..end].iter().all(u8::is_ascii_graphic) && version[0].is_ascii_digit();
    (text && (30..512).contains(&length)).then(|| server.get(4 + length..).unwrap_or(&[]))
}

/// An error instead of a greeting: number 0, 0xff, a code between 1000 and 4999.
fn is_refusal(server: &[u8]) -> bool {
    let [_, _, 0, 0, 0xff, low, high, text @ ..] = server else { return false };
    let code = u16::from_le_bytes([*low, *high]);
    (1_000..5_000).contains(&code) && is_text(text)
}

/// Queries of a session that was joined late: COM_QUERY or COM_STMT_PREPARE with text.
fn session(seen: &Seen<'_>) -> Option<Probe> {
    let [low, middle, high, number, command, text @ ..] = seen.client else { return None };
    let length = usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16;
    let text = &text[..text.len().min(length.saturating_sub(1)).min(64)];
    let words: [&[u8]; 10] = [
        b"SELECT",
        b"INSERT",
        b"UPDATE",
        b"DELETE",
        b"SHOW",
        b"SET ",
        b"BEGIN",
        b"COMMIT",
        b"CREATE",
        b"ROLLBACK",
    ];
    let query = *number == 0 && matches!(command, 3 | 22) && super::bytes::starts_with_any(text, &words);
    let answers = matches!(seen.server, [] | [_, _, _, 1, ..]);
    (query && answers).then(|| Detection::plain("mysql", "a query in the clear")).map(Probe::Certain)
}
