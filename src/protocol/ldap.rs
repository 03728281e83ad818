//! LDAP (RFC 4511) over TCP and UDP: messages in BER, simple binds, and TLS inside (section 4.14).

use super::bytes::{Cursor, find};
use super::first::{First, Opening};
use super::lines::Upgraded;
use super::seen::Fit;
use super::spread::is_readable;
use super::{Detection, Probe, Seen, detector, lines, tls};
use crate::model::der::{Element, Elements, SEQUENCE};
use crate::model::{Encryption, Proof, Protection, WhyUnknown};

detector! {
    Ldap: "ldap"; Both, ports [389, 3268], Either;
    "LDAP: BER messages, StartTLS and its refusal, simple binds with a password, the layers of SASL that sign or encrypt";
    "RFC 4511, 4513, 4121";
    begins [Opening::client(First::of(&[SEQUENCE])), Opening::server(First::of(&[SEQUENCE]))]
}

/// `1.3.6.1.4.1.1466.20037`, as text, the way LDAP writes it.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = seen.fits(|bytes| operation(bytes).is_some());
    if !(matches!(fits, Fit::Both | Fit::TheOnlySide) || fits == Fit::OneOfTwo && seen.hinted(PORTS)) {
        return None;
    }
    if let Some(at) = find(seen.client, START_TLS) {
        return upgrade(seen, at);
    }
    let detection = match layer(seen) {
        Layer::None => Detection::plain("ldap", "messages in the clear"),
        Layer::Signs => {
            Detection::plain("ldap", "messages in the clear, behind the bind in a layer that only signs them")
        }
        Layer::Seals => {
            let why = "a bind, and messages behind it in a layer that encrypts them";
            Detection::encrypted("ldap", Encryption::Own, why)
        }
        Layer::Open => {
            let why = "a bind, and messages behind it in a layer that may encrypt them";
            Detection::unclear("ldap", WhyUnknown::Ambiguous, why)
        }
    };
    detection.with_credentials(simple_bind(seen.client).then_some("ldap-simple-bind")).certain()
}

/// What a bind by SASL put around the messages behind it (RFC 4422, section 3.7).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// Nothing, or something is said outside of it.
    None,
    Signs,
    Seals,
    Open,
}

fn layer(seen: &Seen<'_>) -> Layer {
    let (Some(client), Some(server)) = (behind_binds(seen.client), behind_binds(seen.server)) else {
        return Layer::None;
    };
    let tokens = || tokens(client).chain(tokens(server));
    match () {
        () if !seen.is_stream() || tokens().next().is_none() => Layer::None,
        () if tokens().any(|token| wrapped(token) == Some(false)) => Layer::Signs,
        () if !tokens().any(|token| wrapped(token).is_some()) && is_readable(tokens()) => Layer::Signs,
        // Of what was not seen, something may have been said outside of the layer.
        () if seen.late || seen.holes || seen.client.is_empty() || seen.server.is_empty() => Layer::Open,
        () if tokens().all(|token| wrapped(token) == Some(true)) => Layer::Seals,
        () => Layer::Open,
    }
}

/// What stands behind the messages that set a session up. `None` where there are others, or none at all on
/// a side that spoke.
fn behind_binds(bytes: &[u8]) -> Option<&[u8]> {
    let mut messages = Elements(bytes);
    loop {
        let rest = messages.0;
        if rest.first() != Some(&SEQUENCE) {
            return (rest.len() < bytes.len() || bytes.is_empty()).then_some(rest);
        }
        if says_content(messages.next()?)? {
            return None;
        }
    }
}

/// Whether a message is none of those that set a session up: binds, and what servers are asked of
/// themselves (RFC 4512, section 5.1); `None` of what is no message.
fn says_content(message: Element<'_>) -> Option<bool> {
    let nameless = || {
        let name = message.inside().nth(1).and_then(|operation| operation.inside().next());
        name.is_some_and(|name| name.tag == 4 && name.body.is_empty())
    };
    Some(match is_message(message)? {
        0x60 | 0x61 | 0x65 => false,
        0x63 | 0x64 => !nameless(),
        _ => true,
    })
}

/// Whether a side said more than what sets a session up; requests of other operations are no content.
fn holds_content(bytes: &[u8]) -> bool {
    const EXTENDED: [u8; 2] = [0x77, 0x78];
    let is_extended = |message| is_message(message).is_some_and(|operation| EXTENDED.contains(&operation));
    Elements(bytes).any(|message| !is_extended(message) && says_content(message) == Some(true))
}

/// The buffers of a layer behind their lengths; the last one may be cut.
fn tokens(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    const LONGEST: u32 = 1 << 24;
    let mut cursor = Cursor(bytes);
    std::iter::from_fn(move || {
        let length = cursor.u32().filter(|length| (1..LONGEST).contains(length))?;
        cursor.take((length as usize).min(cursor.0.len())).filter(|token| !token.is_empty())
    })
}

/// Whether a token of Kerberos says that its content is encrypted (RFC 4121, section 4.2.6.2).
fn wrapped(token: &[u8]) -> Option<bool> {
    const SEALED: u8 = 2;
    match token {
        [5, 4, flags, 0xff, ..] => Some(flags & SEALED != 0),
        _ => None,
    }
}

/// What follows the extended request; LDAP answers with a message, not with a line.
fn upgrade(seen: &Seen<'_>, at: usize) -> Option<Probe> {
    let end = at + START_TLS.len();
    let rest = &seen.client[end..];
    let answer = (0..seen.server.len()).map(|at| &seen.server[at..]).find(|rest| tls::answers(rest));
    let begin = (0..rest.len().min(64)).find(|at| tls::begins(&rest[*at..]));
    // What is said in the clear in front of it may be anybody's.
    let clear = Elements(&rest[..begin.unwrap_or(rest.len())]).any(|message| is_message(message).is_some());
    let upgraded = match begin.map(|begin| &rest[begin..]) {
        _ if clear => Upgraded::Refused,
        Some(handshake) => tls::upgraded("ldap", handshake, answer.unwrap_or(&[]), seen.time)
            .map_or(Upgraded::Open, |detection| Upgraded::Yes(detection, end)),
        None => Upgraded::Open,
    };
    match upgraded {
        Upgraded::Yes(detection, end) => {
            let before = &seen.server[..seen.server.len() - answer.map_or(0, <[u8]>::len)];
            let clear = holds_content(&seen.client[..at]) || holds_content(before);
            let detection = if clear { lines::behind_content(detection) } else { detection };
            let bound = simple_bind(&seen.client[..end]).then_some("ldap-simple-bind");
            detection.with_credentials(bound).certain()
        }
        Upgraded::Refused => {
            let why = "TLS was asked for, and requests followed in the clear";
            let detection = Detection::new("ldap", Protection::Plaintext(Proof::UpgradeRefused), why);
            detection.with_credentials(simple_bind(seen.client).then_some("ldap-simple-bind")).certain()
        }
        _ => Detection::unclear(
            "ldap",
            WhyUnknown::HandshakeIncomplete,
            "TLS was asked for, and no handshake was seen",
        )
        .certain(),
    }
}

/// The operation of the first message: an application tag of RFC 4511, section 4.
fn operation(bytes: &[u8]) -> Option<u8> {
    is_message(Elements(bytes).next()?)
}

fn is_message(message: Element<'_>) -> Option<u8> {
    if message.tag != SEQUENCE {
        return None;
    }
    let mut parts = message.inside();
    parts.next()?.number()?;
    let operation = parts.next()?;
    let known = matches!(operation.tag, 0x42 | 0x4a | 0x50 | 0x60 | 0x61 | 0x63..=0x6f | 0x73 | 0x77..=0x79);
    (known && plausible(operation)).then_some(operation.tag)
}

/// Requests and answers begin with what their definition says.
fn plausible(operation: Element<'_>) -> bool {
    let first = operation.inside().next();
    match operation.tag {
        0x60 => first.and_then(Element::number).is_some_and(|version| (2..=3).contains(&version)),
        0x61 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x78 => first.is_some_and(|code| code.tag == 0x0a),
        0x63 | 0x64 | 0x66 | 0x68 | 0x6c | 0x6e => first.is_some_and(|name| name.tag == 4),
        _ => true,
    }
}

/// A bind with the password in the clear (section 4.2), not an anonymous one.
fn simple_bind(client: &[u8]) -> bool {
    Elements(client).take(8).any(|message| {
        let bind = message.inside().nth(1).filter(|operation| operation.tag == 0x60);
        let choice = bind.and_then(|bind| bind.inside().nth(2));
        choice.is_some_and(|choice| choice.tag == 0x80 && !choice.body.is_empty())
    })
}
