//! OpenVPN over UDP and TCP: both sides reset the session, and the answer holds the caller's id.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::spread::{is_readable, middle, once, one_is_readable};
use super::{Detection, Probe, Seen, detector};
use crate::model::{Encryption, Proof, Protection};

detector! {
    Openvpn: "openvpn"; Both, ports [1194, 443], Either;
    "OpenVPN: resets of both sides, the caller's session id inside the answer or the clocks of both in what is wrapped, data that nothing encrypts";
    "OpenVPN documentation, network protocol";
    begins [
        Opening::ANY.stream(),
        Opening::both(First::of(&CLIENT_RESETS), First::of(&SERVER_RESETS)).datagram()
    ]
}

/// Opcodes in the upper five bits: hard resets of client and server, with and without a wrapped key.
const CLIENT_RESETS: [u8; 3] = [1 << 3, 7 << 3, 10 << 3];
const SERVER_RESETS: [u8; 2] = [2 << 3, 8 << 3];

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let message = |bytes| if seen.is_stream() { framed(bytes) } else { Some(bytes) };
    let asked = message(seen.client_first())?;
    let answered = message(seen.server_first())?;
    let fits = CLIENT_RESETS.contains(asked.first()?) && SERVER_RESETS.contains(answered.first()?);
    if fits && is_wrapped(asked, seen.time) && is_wrapped(answered, seen.time) {
        return verdict(seen, "resets of both sides, wrapped in a cipher, with the time of day");
    }
    let session = asked.get(1..9).filter(|id| asked.len() >= 14 && id.iter().any(|byte| *byte != 0))?;
    // The acknowledgement repeats the id of the other side, behind a signature where there is one.
    let acknowledged = find_exactly(answered.get(9..)?, session);
    if !fits || !acknowledged {
        return None;
    }
    verdict(seen, "resets of both sides, the answer holds the caller's session id")
}

/// `--tls-crypt` hides what stands behind session id, packet number, time and tag: the first packet of
/// each side has number 1, and its sender's clock stands in it (OpenVPN documentation, tls-crypt).
fn is_wrapped(reset: &[u8], time: u64) -> bool {
    const TAG: usize = 32;
    const DAY: u64 = 86_400;
    let mut cursor = Cursor(reset);
    let (_, session) = (cursor.u8(), cursor.take(8));
    let (Some(session), Some(number), Some(clock)) = (session, cursor.u32(), cursor.u32()) else {
        return false;
    };
    let near = u64::from(clock).abs_diff(time / 1_000_000_000) <= DAY;
    session.iter().any(|byte| *byte != 0) && number == 1 && near && cursor.0.len() > TAG
}

/// The keys are always agreed on by TLS, but `cipher none` leaves the data as it is.
fn verdict(seen: &Seen<'_>, why: &'static str) -> Option<Probe> {
    let readable = match seen.is_stream() {
        false if one_is_readable(seen.datagrams().filter(is_strange)) => {
            let why = "resets of both sides, and datagrams beside them that can be read";
            return Detection::new("openvpn", Protection::Plaintext(Proof::Text), why).certain();
        }
        false => is_readable(once(seen.datagrams()).filter_map(data)),
        true => is_readable(messages(seen.client).chain(messages(seen.server)).filter_map(data)),
    };
    if readable {
        let why = "resets of both sides, and data that can be read: no cipher is used";
        return Detection::new("openvpn", Protection::Plaintext(Proof::NullCipher), why).certain();
    }
    Detection::encrypted("openvpn", Encryption::OpenVpn, why).certain()
}

/// Whether a datagram is none of its packets, whose kinds are numbered from 1 to 11.
fn is_strange(datagram: &&[u8]) -> bool {
    datagram.first().is_some_and(|first| !(1..=11).contains(&(first >> 3)))
}

/// What a data packet holds, behind numbers of the peer and of the packet.
fn data(datagram: &[u8]) -> Option<&[u8]> {
    const OPCODES: [u8; 2] = [6, 9];
    OPCODES.contains(&(datagram.first()? >> 3)).then(|| middle(datagram, 8, 0))
}

/// The packets of a stream behind their lengths; the last one may be cut.
fn messages(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor(stream);
    std::iter::from_fn(move || {
        let length = usize::from(cursor.u16()?);
        cursor.take(length.min(cursor.0.len()))
    })
}

fn find_exactly(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The first packet of a stream behind its length.
fn framed(bytes: &[u8]) -> Option<&[u8]> {
    Cursor(bytes).vector16()
}
