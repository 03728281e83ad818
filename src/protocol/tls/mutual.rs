//! Mutual TLS told from one-way TLS, with the evidence named.
//!
//! Up to TLS 1.2 the messages are in the clear. In TLS 1.3 they are not, but their lengths are: a
//! client flight that holds only Finished has the length of the hash and nothing more. The lengths
//! were measured with Go, OpenSSL, GnuTLS and rustls.

use super::hello::Hello;
use super::record::{CHANGE_CIPHER, DATA, HANDSHAKE, Messages, Record, messages};

/// Whether the client showed a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificate {
    /// It did, and its Certificate message was seen.
    Shown,
    /// It did: the lengths of its first encrypted records leave nothing else.
    ShownByLength,
    /// Nobody asked for one.
    NotShown,
    /// It was asked and had none.
    Declined,
    /// Another handshake followed under the protection of the first, and may have shown one.
    Hidden,
    /// It cannot be told: resumed, cut, or an unknown pattern of lengths.
    Unknown,
}

impl ClientCertificate {
    pub(super) fn word(self) -> &'static str {
        match self {
            ClientCertificate::Shown | ClientCertificate::ShownByLength => "shown",
            ClientCertificate::NotShown => "not-shown",
            ClientCertificate::Declined => "declined",
            ClientCertificate::Hidden | ClientCertificate::Unknown => "unknown",
        }
    }
}

/// Looks at both flights; `client` and `server` are all records of each side. With early data the
/// first encrypted records are not the handshake's.
pub(super) fn client_certificate(
    hello: Option<&Hello>,
    early: bool,
    (client, client_flight): (&[Record<'_>], &[u8]),
    (server, server_flight): (&[Record<'_>], &[u8]),
) -> ClientCertificate {
    match hello {
        None => ClientCertificate::Unknown,
        Some(hello) if hello.version <= 0x0303 => {
            let first = by_messages(client_flight, server_flight);
            let shown_none = matches!(first, ClientCertificate::NotShown | ClientCertificate::Declined);
            if shown_none && negotiates_anew(client) { ClientCertificate::Hidden } else { first }
        }
        Some(hello) if hello.resumed.is_some() || early => ClientCertificate::Unknown,
        Some(_) if !server.iter().any(|record| record.kind == DATA) => ClientCertificate::Unknown,
        Some(hello) => by_lengths(hello.cipher, client),
    }
}

/// Whether a handshake stands behind Finished, which is the first message under the new cipher: servers
/// ask for a certificate that way once they know what is called (RFC 5746; RFC 5246, section 7.4.1.1).
fn negotiates_anew(records: &[Record<'_>]) -> bool {
    !behind_another(records).is_empty()
}

/// What stands behind the beginning of a handshake under the protection of the first, itself included: it
/// may agree on another cipher, and nobody sees on which.
pub(super) fn behind_another<'r, 'a>(records: &'r [Record<'a>]) -> &'r [Record<'a>] {
    let at = |from: usize, kind| Some(from + records.get(from..)?.iter().position(|r| r.kind == kind)?);
    let finished = at(0, CHANGE_CIPHER).and_then(|changed| at(changed, HANDSHAKE));
    let another = finished.and_then(|finished| at(finished + 1, HANDSHAKE));
    another.and_then(|another| records.get(another..)).unwrap_or(&[])
}

/// TLS 1.2 and before (RFC 5246, section 7.4): CertificateRequest, Certificate, ServerHelloDone.
fn by_messages(client_flight: &[u8], server_flight: &[u8]) -> ClientCertificate {
    let (client, server) = (messages(client_flight), messages(server_flight));
    let has = |mut flight: Messages<'_>, wanted: u8| flight.any(|(kind, _)| kind == wanted);
    let (requested, complete) = (has(server, 13), has(server, 14));
    let shown = { client }.any(|(kind, body)| kind == 11 && body.len() > 3);
    let answered = has(client, 16);
    match (shown, requested, complete) {
        (true, _, _) => ClientCertificate::Shown,
        (false, true, _) if answered => ClientCertificate::Declined,
        (false, false, true) => ClientCertificate::NotShown,
        _ => ClientCertificate::Unknown,
    }
}

/// TLS 1.3: one byte of content type and sixteen of tag stand around each message of four bytes
/// and its content; Finished holds a hash of 32 or 48 bytes. A first record that is much longer
/// than Finished holds a certificate, since nothing else may come before Finished (RFC 8446, 4.4).
fn by_lengths(cipher: u16, client: &[Record<'_>]) -> ClientCertificate {
    let finished = if cipher == 0x1302 { 69 } else { 53 };
    let mut encrypted = client.iter().filter(|record| record.kind == DATA).map(|record| record.length);
    match (encrypted.next(), encrypted.next()) {
        (Some(first), _) if first == finished => ClientCertificate::NotShown,
        (Some(25), Some(second)) if second == finished => ClientCertificate::Declined,
        (Some(first), _) if first == finished + 8 => ClientCertificate::Declined,
        (Some(first), _) if first >= finished + 150 => ClientCertificate::ShownByLength,
        _ => ClientCertificate::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cipher: u16, lengths: &[usize]) -> ClientCertificate {
        let record = |length: &usize| Record { kind: DATA, length: *length, body: &[] };
        by_lengths(cipher, &lengths.iter().map(record).collect::<Vec<_>>())
    }

    #[test]
    fn a_handshake_behind_finished_may_have_shown_what_the_first_did_not() {
        let records = |kinds: &[u8]| -> Vec<Record<'static>> {
            kinds.iter().map(|kind| Record { kind: *kind, length: 40, body: &[] }).collect()
        };
        // Finished, and data; then another ClientHello.
        assert!(!negotiates_anew(&records(&[HANDSHAKE, HANDSHAKE, CHANGE_CIPHER, HANDSHAKE, DATA])));
        assert!(negotiates_anew(&records(&[HANDSHAKE, CHANGE_CIPHER, HANDSHAKE, DATA, HANDSHAKE])));
        assert!(!negotiates_anew(&records(&[HANDSHAKE, HANDSHAKE])));
    }

    /// First encrypted records of fresh handshakes: with and without a certificate as measured,
    /// declined (but for Go) as RFC 8446 makes them; what comes after them is made up.
    #[test]
    fn lengths_of_four_libraries_tell_mutual_from_one_way() {
        let (sha256, sha384) = (0x1301, 0x1302);
        for (library, cipher, one_way, mutual, declined) in [
            ("Go", sha256, &[53, 200][..], &[457, 97, 53][..], &[25, 53][..]),
            ("OpenSSL", sha384, &[69, 31], &[833, 97, 69], &[25, 69]),
            ("GnuTLS", sha384, &[69, 500], &[457, 97, 69], &[25, 69]),
            ("rustls", sha384, &[69, 40], &[588, 40], &[77, 40]),
        ] {
            assert_eq!(told(cipher, one_way), ClientCertificate::NotShown, "{library}");
            assert_eq!(told(cipher, mutual), ClientCertificate::ShownByLength, "{library}");
            assert_eq!(told(cipher, declined), ClientCertificate::Declined, "{library}");
        }
        assert_eq!(told(sha256, &[100, 53]), ClientCertificate::Unknown);
        assert_eq!(told(sha256, &[]), ClientCertificate::Unknown);
    }
}
