//! OpenVPN over UDP and TCP: both sides reset the session, and the answer holds the caller's id.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::spread::{is_readable, middle};
use super::{Detection, Probe, Seen, detector};
use crate::model::{Encryption, Proof, Protection};

detector! {
    Openvpn: "openvpn"; Both, ports [1194, 443], Either;
    "OpenVPN: resets of both sides, the caller's session id inside the answer, data that nothing encrypts";
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
    let session = asked.get(1..9).filter(|id| asked.len() >= 14 && id.iter().any(|byte| *byte != 0))?;
    // The acknowledgement repeats the id of the other side, behind a signature where there is one.
    let acknowledged = find_exactly(answered.get(9..)?, session);
    if !fits || !acknowledged {
        return None;
    }
    // The keys are always agreed on by TLS, but `cipher none` leaves the data as it is.
    if !seen.is_stream() && is_readable(seen.datagrams().filter_map(data)) {
        let why = "resets of both sides, and data that can be read: no cipher is used";
        return Detection::new("openvpn", Protection::Plaintext(Proof::NullCipher), why).certain();
    }
    let why = "resets of both sides, the answer holds the caller's session id";
    Detection::encrypted("openvpn", Encryption::OpenVpn, why).certain()
}

/// What a data packet holds, behind numbers of the peer and of the packet.
fn data(datagram: &[u8]) -> Option<&[u8]> {
    const OPCODES: [u8; 2] = [6, 9];
    OPCODES.contains(&(datagram.first()? >> 3)).then(|| middle(datagram, 8, 0))
}

fn find_exactly(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The first packet of a stream behind its length.
fn framed(bytes: &[u8]) -> Option<&[u8]> {
    Cursor(bytes).vector16()
}
