//! TLS 1.0 to 1.3 and SSL 3 (RFC 8446, 5246, 6101), from the first byte or joined late.
//!
//! Upgrades inside other protocols ask [`upgraded`] about the bytes behind the upgrade; datagrams
//! are left to `dtls`, and QUIC reads its hellos with [`hello`].

pub(super) mod certificate;
pub(super) mod hello;
mod joined;
mod mutual;
pub(super) mod record;
mod remember;

use super::bytes::is_text;
use super::first::First;
use super::spread::is_readable;
use super::{Detection, Probe, Seen, detector};
use crate::capture::{Exchange, StillWanted};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};
use certificate::{describe, describe_client, leaf};
use hello::{Carrier, Hello, fingerprint, is_null_cipher, version_name, weakness};
use mutual::{ClientCertificate, behind_another, client_certificate};
use record::{
    ALERT, CHANGE_CIPHER, DATA, HANDSHAKE, Record, Records, are_readable, begin_with_text, handshake,
    messages, records, say,
};
use std::iter;

detector! {
    Tls: "tls"; Stream, ports [443, 6443, 8443], Either;
    "TLS: hellos of both sides, or chained records of a connection that was joined late";
    "RFC 8446, 5246, 6101";
    until heard
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (client, server) = (seen.client, seen.server);
    if !starts_record(client) && !starts_record(server) {
        // An old hello is answered by a record as well.
        return joined::behind_a_piece(seen);
    }
    let handshake = judge(client, server, seen.time).or_else(|| judge(server, client, seen.time));
    if let Some(detection) = handshake {
        // Where one side says something else first, another detector may know what (NATS).
        let other = |bytes: &[u8]| !bytes.is_empty() && !record::begins(bytes);
        // A web server that was called by TLS says so in the clear, and nothing more comes of it.
        if server.starts_with(b"HTTP/1.") && begins(client) {
            return detection.certain();
        }
        return detection.certain_if(!other(server) && !other(behind_old_hello(client, server)));
    }
    joined::late(seen)
}

/// Behind both hellos, kinds, lengths and beginnings of records are asked for: one of data that ends behind all
/// that is kept is the last one.
fn heard(exchange: &Exchange<'_>) -> StillWanted {
    match record::ends_in_data_behind(exchange.said(), exchange.limit)
        && answers(exchange.called)
        && begins(exchange.caller)
    {
        true => StillWanted::TheOther,
        false => StillWanted::Both,
    }
}

/// First bytes of a record.
pub(super) const RECORD: First = First::range(CHANGE_CIPHER, 24);

/// About as many facts as a handshake tells.
const MOST_FACTS: usize = 14;

/// The kinds of handshake messages that are asked for.
const CERTIFICATE: u8 = 11;
const CLIENT_KEY: u8 = 16;

/// An alert of TLS 1.3: two bytes, the type of the content, and a tag (RFC 8446, section 5.2).
const SEALED_ALERT: usize = 19;

/// The verdict on two directions, `client` first; `None` where no hello was seen. `time` is the
/// flow's, in nanoseconds since 1970.
pub(super) fn judge(client: &[u8], server: &[u8], time: u64) -> Option<Detection> {
    let client = behind_old_hello(client, server);
    let (from_client, from_server) = (records(client), records(server));
    let (client_flight, server_flight) = (handshake(&from_client), handshake(&from_server));
    let client_hello = client_hello(&client_flight);
    let server_hello = server_hello(&server_flight, &from_server);
    if client_hello.is_none() && server_hello.is_none() {
        return None;
    }
    let early = client_hello.as_ref().is_some_and(|hello| hello.early_data);
    let shown = client_certificate(
        server_hello.as_ref(),
        early,
        (&from_client, &client_flight),
        (&from_server, &server_flight),
    );
    let (protection, why) = verdict(&Handshake {
        client: &from_client,
        server: &from_server,
        client_flight: &client_flight,
        in_the_clear: !server.is_empty() && from_server.is_empty(),
        says: from_server.is_empty() && says(server),
        strange: !client.is_empty() && from_client.is_empty(),
        behind: [record::behind(client, &from_client), record::behind(server, &from_server)],
        offers_null: client_hello.as_ref().is_some_and(Hello::offers_null_cipher),
        hello: server_hello.as_ref(),
        silent: server.is_empty(),
        shown,
    });
    let mut detection = Detection::new("tls", protection, why);
    detection.facts.reserve_exact(MOST_FACTS);
    let certificate = |flight| messages(flight).find(|(kind, _)| *kind == CERTIFICATE);
    let (client_hello, server_hello) = (client_hello.as_ref(), server_hello.as_ref());
    // In the order of the names of facts, in which they are kept.
    detection = describe_offer(detection, client_hello);
    if let Some(found) = certificate(&server_flight).and_then(|(_, body)| leaf(body)) {
        detection = describe(detection, found, time);
    }
    detection = describe_cipher(detection, server_hello).with("client_certificate", shown.word());
    if let Some(found) = certificate(&client_flight).and_then(|(_, body)| leaf(body)) {
        detection = describe_client(detection, found);
    }
    Some(describe_rest(detection, client_hello, server_hello, Carrier::Stream))
}

/// What a verdict on a handshake rests on.
struct Handshake<'a> {
    client: &'a [Record<'a>],
    server: &'a [Record<'a>],
    client_flight: &'a [u8],
    /// What came from the server is no TLS.
    in_the_clear: bool,
    /// It is text.
    says: bool,
    /// What came from the client, behind an old hello if there was one, is no TLS.
    strange: bool,
    /// What either side sent behind its records, and is none.
    behind: [&'a [u8]; 2],
    /// The client would take a cipher that does not encrypt.
    offers_null: bool,
    hello: Option<&'a Hello>,
    /// Nothing at all came from the server.
    silent: bool,
    shown: ClientCertificate,
}

fn verdict(seen: &Handshake<'_>) -> (Protection, &'static str) {
    let data = |records: &[Record<'_>]| records.iter().any(|r| r.kind == DATA && r.length > 0);
    let has = |records: &[Record<'_>], kind| records.iter().any(|r| r.kind == kind);
    let keyed =
        messages(seen.client_flight).any(|(kind, _)| kind == CLIENT_KEY) && has(seen.client, CHANGE_CIPHER);
    let flows = data(seen.client) || data(seen.server) || keyed;
    let incomplete = Protection::Unknown(WhyUnknown::HandshakeIncomplete);
    match (seen.hello, seen.shown) {
        (Some(hello), _) if is_null_cipher(hello.cipher) => {
            (Protection::Plaintext(Proof::NullCipher), "the agreed cipher does not encrypt")
        }
        // Also where the handshake failed: who goes on then, goes on in the clear.
        _ if seen.behind.iter().any(|rest| !rest.is_empty()) && !seen.strange => after_tls(seen.behind),
        (None, _) if !flows && seen.silent => (incomplete, "a ClientHello without an answer"),
        (None, _) if !flows && seen.in_the_clear || seen.says => {
            (incomplete, "a ClientHello, and an answer that is no TLS")
        }
        (None, _) if !flows => (incomplete, "the handshake failed"),
        (Some(hello), _) if hello.version <= 0x0303 && seen.offers_null && agrees_anew(seen) => (
            Protection::Unknown(WhyUnknown::Ambiguous),
            "the client offers ciphers that do not encrypt, and another handshake was hidden",
        ),
        (Some(_), _) if seen.strange => (
            Protection::Unknown(WhyUnknown::Ambiguous),
            "a ServerHello, and a client that goes on with something else",
        ),
        (hello, _) if can_be_read(hello, seen) => (
            Protection::Plaintext(Proof::NullCipher),
            "records whose content can be read: their cipher does not encrypt",
        ),
        (Some(hello), _) if !hello::is_registered(hello.cipher) => (
            Protection::Unknown(WhyUnknown::Ambiguous),
            "a cipher that no register names, of which nobody knows whether it encrypts",
        ),
        (None, _) if seen.offers_null => (
            Protection::Unknown(WhyUnknown::Ambiguous),
            "the client offers ciphers that do not encrypt, and the server's choice was not seen",
        ),
        (Some(hello), _) if ended_by_client(hello, seen) => {
            (incomplete, "the client ended the handshake with an alert")
        }
        (Some(hello), shown) if hello.version > 0x0303 && ended_by_alert(hello, shown, seen) => {
            (incomplete, "the server ended the handshake after it saw what the client showed")
        }
        // Up to TLS 1.2 both sides change the cipher before anything is protected.
        (Some(hello), _)
            if hello.version <= 0x0303 && has(seen.server, ALERT) && !has(seen.server, CHANGE_CIPHER) =>
        {
            (incomplete, "the server ended the handshake with an alert")
        }
        _ if has(seen.server, ALERT) && !flows && !has(seen.client, CHANGE_CIPHER) => {
            (incomplete, "the handshake ended with an alert")
        }
        (_, ClientCertificate::Shown) => {
            (Protection::Encrypted(Encryption::MutualTls), "handshake with a client certificate seen")
        }
        (_, ClientCertificate::ShownByLength) => (
            Protection::Encrypted(Encryption::MutualTls),
            "handshake seen, with a client certificate by the lengths of its records",
        ),
        (None, _) if seen.silent => (
            Protection::Encrypted(Encryption::Tls),
            "a ClientHello and encrypted records; the server's side was not seen",
        ),
        (None, _) => (
            Protection::Encrypted(Encryption::Tls),
            "a ClientHello and encrypted records; the server's hello could not be read",
        ),
        (Some(hello), shown) => (Protection::Encrypted(Encryption::Tls), one_way(hello, shown)),
    }
}

/// Whether records of data hold what no cipher made: of suites that everybody knows the first bytes tell
/// enough, of others the numbers are no promise.
fn can_be_read(hello: Option<&Hello>, seen: &Handshake<'_>) -> bool {
    let known = hello.is_some_and(|hello| hello::is_registered(hello.cipher));
    let old = hello.is_some_and(|hello| hello.version <= 0x0303);
    [seen.client, seen.server].into_iter().any(|records| {
        // Of what a handshake agreed on that nobody saw, the numbers are no promise either.
        let anew = if old { behind_another(records) } else { &[] };
        begin_with_text(records)
            || !known && are_readable(records)
            || !anew.is_empty() && (are_readable(anew) || say(anew))
    })
}

/// Whether a handshake under the protection of the first went as far as to change the cipher.
fn agrees_anew(seen: &Handshake<'_>) -> bool {
    behind_another(seen.client).iter().any(|record| record.kind == CHANGE_CIPHER)
}

/// TLS can end before its connection does, and what comes then is seen by everybody (`CCC` of FTP, and
/// applications that close TLS and go on).
fn after_tls(behind: [&[u8]; 2]) -> (Protection, &'static str) {
    let clear = |rest: &&[u8]| rest.len() >= 4 && says(rest) || is_readable(iter::once(*rest));
    match behind.iter().any(clear) {
        true => (Protection::Plaintext(Proof::Text), "TLS ended, and what followed it is in the clear"),
        false => (Protection::Unknown(WhyUnknown::Ambiguous), "what followed the records of TLS is none"),
    }
}

/// A client that does not like what it was shown says so in the clear before it changes the cipher
/// (RFC 5246, section 7.2), or, in TLS 1.3, in a record of an alert's length and nothing else.
fn ended_by_client(hello: &Hello, seen: &Handshake<'_>) -> bool {
    let has = |kind| seen.client.iter().any(|record| record.kind == kind);
    let mut data = seen.client.iter().filter(|record| record.kind == DATA).peekable();
    match hello.version <= 0x0303 {
        true => has(ALERT) && !has(CHANGE_CIPHER),
        false if data.peek().is_none() => has(ALERT),
        false => data.all(|record| record.length == SEALED_ALERT),
    }
}

/// What the verdict on one-way TLS rests on.
fn one_way(hello: &Hello, shown: ClientCertificate) -> &'static str {
    match (shown, hello.version > 0x0303) {
        (ClientCertificate::NotShown, true) => {
            "handshake seen, without a client certificate by the lengths of its records"
        }
        (ClientCertificate::NotShown, false) => "handshake seen, without a client certificate",
        (ClientCertificate::Declined, true) => {
            "handshake seen, and by the lengths of its records a client that was asked for a certificate and had none"
        }
        (ClientCertificate::Declined, false) => {
            "handshake seen, and a client that was asked for a certificate and had none"
        }
        (ClientCertificate::Hidden, _) => {
            "handshake seen, and another one under its protection, which may have shown a certificate"
        }
        _ => "handshake seen",
    }
}

/// TLS 1.3 hides its alerts: they are records of one type, two bytes and a tag, nineteen in all. A
/// server that asked for a certificate and sends nothing behind its first flight but such a record,
/// while the client still has things to say, did not take what it was shown (RFC 8446, section 6.2).
fn ended_by_alert(hello: &Hello, shown: ClientCertificate, seen: &Handshake<'_>) -> bool {
    if !matches!(shown, ClientCertificate::Declined | ClientCertificate::ShownByLength) {
        return false;
    }
    let finished = if hello.cipher == 0x1302 { 69 } else { 53 };
    let lengths = |records: &[Record<'_>]| -> Vec<usize> {
        records.iter().filter(|record| record.kind == DATA).map(|record| record.length).collect()
    };
    let (client, server) = (lengths(seen.client), lengths(seen.server));
    // The first flight is one record, or several of which the last is Finished.
    let flight = server.iter().position(|length| *length == finished).unwrap_or(0);
    let behind = server.get(flight + 1..).unwrap_or(&[]);
    !behind.is_empty()
        && behind.iter().all(|length| *length == SEALED_ALERT)
        && client.last() != Some(&SEALED_ALERT)
}

/// Facts of the hellos, for every carrier of TLS; in the order of their names.
pub(super) fn describe_hellos(
    detection: Detection,
    client: Option<&Hello>,
    server: Option<&Hello>,
    carrier: Carrier,
) -> Detection {
    let detection = describe_cipher(describe_offer(detection, client), server);
    describe_rest(detection, client, server, carrier)
}

/// Protocols that the client offers.
fn describe_offer(detection: Detection, client: Option<&Hello>) -> Detection {
    let offered = client.map_or(&[][..], |hello| hello.alpn.as_slice());
    match offered {
        [] => detection,
        [one] => detection.with("alpn", one.clone()),
        several => detection.with("alpn", several.join(",")),
    }
}

/// The cipher that the server chose.
fn describe_cipher(detection: Detection, server: Option<&Hello>) -> Detection {
    detection.with_some("cipher", server.map(|hello| hello::cipher_name(hello.cipher)))
}

/// Everything behind cipher and certificates.
fn describe_rest(
    mut detection: Detection,
    client: Option<&Hello>,
    server: Option<&Hello>,
    carrier: Carrier,
) -> Detection {
    if let Some(hello) = client {
        let hidden = hello.hidden_name.then_some("offered");
        let mesh = mesh(hello);
        let name = hello.server_name.as_deref().filter(|_| mesh.is_some());
        detection = detection
            .with_some("encrypted_client_hello", hidden)
            .with("ja4", fingerprint(hello, carrier))
            .with_some("mesh", mesh)
            .with_some("mesh_service", name.and_then(istio_service));
    }
    let session = client.map_or(&[][..], |hello| hello.session.as_slice());
    let resumed = server.is_some_and(|hello| {
        let echoed = hello.version <= 0x0303 && !session.is_empty() && session == hello.session;
        echoed || hello.resumed.is_some()
    });
    // What the client offered tells whether the key is that of an earlier session.
    let chosen = server.and_then(|hello| hello.resumed).map(usize::from);
    let key = chosen.and_then(|number| match client.map(|hello| hello.external.get(number)) {
        Some(Some(true)) => Some("external"),
        Some(Some(false)) => None,
        _ => Some("external-or-ticket"),
    });
    let resumed = resumed && key.is_none();
    detection
        .with_some("psk", key)
        .with_some("resumed", resumed.then_some("yes"))
        .with_some("sni", client.and_then(|hello| hello.server_name.clone()))
        .with_some("version", server.or(client).map(|hello| version_name(hello.version)))
        .with_some("weak_cipher", server.and_then(|hello| weakness(hello.cipher)))
}

/// Names by which service meshes tell their own TLS from others.
fn mesh(hello: &Hello) -> Option<&'static str> {
    const ISTIO: [&str; 5] = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];
    let name = hello.server_name.as_deref().unwrap_or("");
    let speaks = |names: &[&str]| hello.alpn.iter().any(|alpn| names.contains(&alpn.as_str()));
    match () {
        () if speaks(&ISTIO) || name.starts_with("outbound_.") => Some("istio"),
        () if speaks(&["transport.l5d.io/v1"]) || name.contains(".serviceaccount.identity.linkerd.") => {
            Some("linkerd")
        }
        () if name.ends_with(".consul") && name.contains(".internal.") => Some("consul"),
        () => None,
    }
}

/// The service and port in the name by which Istio calls one, from one network to another too:
/// `outbound_.80_.SUBSET_.web.shop.svc.cluster.local` (Istio `BuildDNSSrvSubsetKey`).
fn istio_service(name: &str) -> Option<String> {
    let (port, rest) = name.strip_prefix("outbound_.")?.split_once("_.")?;
    let (_subset, host) = rest.split_once("_.")?;
    (port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty()).then(|| format!("{host}:{port}"))
}

/// Whether bytes begin with text.
fn says(bytes: &[u8]) -> bool {
    is_text(&bytes[..bytes.len().min(64)])
}

fn starts_record(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(CHANGE_CIPHER..=24))
}

fn client_hello(flight: &[u8]) -> Option<Hello> {
    let (kind, body) = messages(flight).next()?;
    (kind == 1).then(|| hello::client_hello(body, Carrier::Stream)).flatten()
}

/// The ServerHello; behind a request to try again, the second one.
fn server_hello(flight: &[u8], records: &[Record<'_>]) -> Option<Hello> {
    let read = |flight: &[u8]| {
        let (kind, body) = messages(flight).next()?;
        (kind == 2 && body.starts_with(&[3])).then(|| hello::server_hello(body)).flatten()
    };
    let first = read(flight)?;
    if !first.retry {
        return Some(first);
    }
    let behind: Records<'_> = records.iter().copied().filter(|r| r.kind != CHANGE_CIPHER).skip(1).collect();
    read(&handshake(&behind)).or(Some(first))
}

/// A hello in the form of SSL 2 (RFC 5246, appendix E.2) that is answered in a newer one is passed over.
fn behind_old_hello<'a>(client: &'a [u8], server: &[u8]) -> &'a [u8] {
    match client {
        [high @ 0x80..=0xff, low, 1, 3, 0..=3, ..] if server.starts_with(&[HANDSHAKE, 3]) => {
            let length = usize::from(high & 0x7f) << 8 | usize::from(*low);
            client.get(2 + length..).unwrap_or(&[])
        }
        _ => client,
    }
}

/// Whether bytes begin with a ClientHello, as an upgrade must.
pub(super) fn begins(bytes: &[u8]) -> bool {
    client_hello(&handshake(&records(bytes))).is_some()
}

/// Whether bytes begin with a ServerHello or an alert, as the answer to an upgrade must.
pub(super) fn answers(bytes: &[u8]) -> bool {
    matches!(bytes, [HANDSHAKE, 3, 0..=4, _, _, 2, ..] | [ALERT, 3, 0..=4, 0, 2, ..])
}

/// The verdict behind an upgrade inside another protocol: TLS if both sides go on with it.
pub(super) fn upgraded(protocol: &'static str, client: &[u8], server: &[u8], time: u64) -> Option<Detection> {
    let mut detection = judge(client, server, time)?;
    detection.protocol = protocol;
    match detection.protection {
        Protection::Encrypted(Encryption::Tls) => {
            detection.protection = Protection::Encrypted(Encryption::UpgradedTls);
            detection.why = "upgraded to TLS inside the connection".into();
        }
        Protection::Encrypted(_) => {
            detection.why = format!("upgraded inside the connection: {}", detection.why).into();
        }
        _ => {}
    }
    Some(detection)
}
