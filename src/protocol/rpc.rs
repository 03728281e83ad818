//! ONC RPC (RFC 5531) and the services on it, NFS above all; TLS inside (RFC 9289), and privacy by
//! GSS (RFC 2203).

use super::bytes::{Cursor, contains};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::{Encryption, WhyUnknown};

detector! {
    Rpc: "rpc", also ["nfs", "portmap"]; Both, ports [111, 2049, 20048], Either;
    "ONC RPC: calls and replies, NFS and portmap by their numbers, TLS and GSS privacy";
    "RFC 5531, 8881, 1833, 9289, 2203";
    begins [
        Opening::client(First::masked(0x80, 0x80)).stream(),
        Opening::both(First::SILENCE, First::masked(0x80, 0x80)).stream().hinted(),
        Opening::ANY.datagram()
    ]
}

const TLS_FLAVOUR: u32 = 7;
const GSS_FLAVOUR: u32 = 6;
const GSS_PRIVACY: u32 = 3;

/// What a call says (RFC 5531, section 9).
struct Call {
    id: u32,
    program: u32,
    flavour: u32,
    private: bool,
    /// It asks for something, and whoever is on the way can read it.
    clear: bool,
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let stream = seen.is_stream();
    let first = |bytes| if stream { framed(bytes) } else { Some(bytes) };
    let call = first(seen.client_first()).and_then(call);
    let reply = first(seen.server_first()).and_then(reply);
    let Some(call) = call else {
        // A reply alone fits much else.
        return (reply.is_some() && seen.client.is_empty() && seen.hinted(PORTS))
            .then(|| Detection::plain("rpc", "a reply in the clear"))
            .map(Probe::Unsure);
    };
    if !seen.server.is_empty() && reply != Some(call.id) && !seen.hinted(PORTS) && !stream {
        return None;
    }
    let name = match call.program {
        100_000 => "portmap",
        100_003 | 100_005 | 100_021 | 100_024 | 100_227 => "nfs",
        _ => "rpc",
    };
    if call.flavour == TLS_FLAVOUR && stream && contains(seen.server, b"STARTTLS") {
        let (client, server) = (behind(seen.client)?, behind(seen.server)?);
        if let Some(detection) = tls::upgraded(name, client, server, seen.time) {
            return detection.certain();
        }
    }
    // Later calls tell whether the established context keeps them private.
    let all: Vec<Call> = seen.client_datagrams().flat_map(|bytes| calls(bytes, stream)).collect();
    match (all.iter().any(|call| call.private), all.iter().any(|call| call.clear)) {
        (true, false) => Detection::encrypted(name, Encryption::Own, "calls with GSS privacy").certain(),
        // Clients renew what they hold with less protection than they read and write.
        (true, true) => {
            let why = "some calls are private by GSS, and some are in the clear";
            Detection::unclear(name, WhyUnknown::Ambiguous, why).certain()
        }
        (false, _) => Detection::plain(name, "calls in the clear").certain(),
    }
}

/// The first record of a stream: the last fragment's bit and a length (section 11).
fn framed(bytes: &[u8]) -> Option<&[u8]> {
    let mark = Cursor(bytes).u32()?;
    let length = (mark & 0x7fff_ffff) as usize;
    let rest = bytes.get(4..)?;
    (mark >> 31 == 1 && (24..1 << 24).contains(&length)).then(|| &rest[..rest.len().min(length)])
}

fn behind(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(4 + framed(bytes)?.len()..)
}

fn call(bytes: &[u8]) -> Option<Call> {
    let mut cursor = Cursor(bytes);
    let (id, kind, version) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let (program, _version, procedure) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let (flavour, length) = (cursor.u32()?, cursor.u32()?);
    let known = kind == 0 && version == 2 && (100_000..1 << 31).contains(&program);
    if !known || length > 400 || flavour > 400_000 {
        return None;
    }
    // gss: version, procedure, sequence number, service (RFC 2203, section 5).
    let mut gss = Cursor(cursor.0);
    let (_, step, _, service) = (gss.u32(), gss.u32(), gss.u32(), gss.u32());
    let private = flavour == GSS_FLAVOUR && service == Some(GSS_PRIVACY);
    // Procedure 0 does nothing, and steps but 0 set up the context.
    let sets_up = flavour == GSS_FLAVOUR && step != Some(0);
    let clear = procedure != 0 && !private && !sets_up;
    Some(Call { id, program, flavour, private, clear })
}

fn calls(bytes: &[u8], stream: bool) -> Vec<Call> {
    if !stream {
        return call(bytes).into_iter().collect();
    }
    let mut rest = bytes;
    let mut found = Vec::new();
    while let Some(record) = framed(rest) {
        found.extend(call(record));
        rest = rest.get(4 + record.len()..).unwrap_or(&[]);
    }
    found
}

fn reply(bytes: &[u8]) -> Option<u32> {
    let mut cursor = Cursor(bytes);
    let (id, kind, state) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    (kind == 1 && state <= 1).then_some(id)
}
