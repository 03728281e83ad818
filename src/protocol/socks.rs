//! SOCKS 4 and 5 (RFC 1928): the way through a proxy, and what goes through it.

use super::bytes::{Cursor, plain_name};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, http};
use std::net::Ipv4Addr;

detector! {
    Socks: "socks"; Stream, ports [1080, 9050], Either;
    "SOCKS 4 and 5: methods, request and answer, passwords, and the protocol inside";
    "RFC 1928, 1929; SOCKS 4";
    begins [Opening::client(First::of(&[4, 5]))]
}

/// What a way through a proxy says of itself.
struct Way<'a> {
    target: Option<String>,
    password: bool,
    /// What follows on either side; `None` where the way was not opened yet.
    inside: Option<(&'a [u8], &'a [u8])>,
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let way = match seen.client.first()? {
        5 => fifth(seen)?,
        4 => fourth(seen)?,
        _ => return None,
    };
    let inner = way.inside.filter(|(client, server)| !client.is_empty() || !server.is_empty());
    let mut detection = match inner.and_then(|(client, server)| http::through("socks", seen, client, server))
    {
        Some(detection) => detection,
        None => Detection::plain("socks", "the way through a proxy in the clear"),
    };
    if let Some(target) = way.target {
        detection = detection.with("target", target);
    }
    detection.with_credentials(way.password.then_some("socks-password")).certain()
}

/// Methods, the chosen one, perhaps a password (RFC 1929), then request and answer.
fn fifth<'a>(seen: &Seen<'a>) -> Option<Way<'a>> {
    let (mut client, mut server) = (Cursor(seen.client), Cursor(seen.server));
    client.u8()?;
    let methods = client.vector8().filter(|methods| !methods.is_empty() && methods.len() <= 8)?;
    let known = methods.iter().all(|method| matches!(method, 0..=9 | 0x80..=0x8f));
    let chosen = match (server.u8(), server.u8()) {
        (Some(5), Some(chosen)) => chosen,
        // Without the answer, only a request behind the methods is proof.
        (None, _) if known && matches!(client.0, [5, 1..=3, 0, 1 | 3 | 4, ..]) => 0,
        _ => return None,
    };
    if !known || !(methods.contains(&chosen) || chosen == 0xff) {
        return None;
    }
    let mut way = Way { target: None, password: false, inside: None };
    if chosen == 2 {
        let Some(1) = client.u8() else { return Some(way) };
        client.vector8()?;
        way.password = !client.vector8().unwrap_or(&[]).is_empty();
        server.take(2);
    }
    if let Some(target) = request(&mut client, 1) {
        way.target = target;
        // Where only the client was seen, what it says behind its request is inside.
        way.inside = match seen.server.is_empty() {
            true => Some((client.0, seen.server)),
            false => request(&mut server, 0).map(|_| (client.0, server.0)),
        };
    }
    Some(way)
}

/// Version, command or answer, address, port.
fn request(cursor: &mut Cursor<'_>, command: u8) -> Option<Option<String>> {
    let mut ahead = *cursor;
    let head = ahead.take(4)?;
    let fits = head[0] == 5 && (if command == 1 { (1..=3).contains(&head[1]) } else { head[1] == 0 });
    let target = match head[3] {
        1 => ahead.take(4).map(|a| Ipv4Addr::new(a[0], a[1], a[2], a[3]).to_string()),
        3 => ahead.vector8().map(|name| plain_name(name).unwrap_or_default()),
        4 => ahead.take(16).map(|_| "an IPv6 address".to_owned()),
        _ => return None,
    }?;
    ahead.u16()?;
    *cursor = ahead;
    fits.then(|| Some(target).filter(|target| !target.is_empty()))
}

/// Version 4: command, port, address, user, and a name where the address cannot be one.
fn fourth<'a>(seen: &Seen<'a>) -> Option<Way<'a>> {
    let mut client = Cursor(seen.client);
    let head = client.take(8)?;
    if !matches!(head[1], 1 | 2) || head[2..4] == [0, 0] {
        return None;
    }
    let user = client.zero_ended().filter(|user| user.iter().all(u8::is_ascii_graphic))?;
    let named = head[4..7] == [0, 0, 0] && head[7] != 0;
    let target = match named {
        true => plain_name(client.zero_ended()?),
        false => Some(Ipv4Addr::new(head[4], head[5], head[6], head[7]).to_string()),
    };
    let answered = match seen.server {
        [0, 0x5a..=0x5d, ..] => seen.server.get(8..),
        [] if !user.is_empty() || named => None,
        _ => return None,
    };
    let opened = seen.server.get(1) == Some(&0x5a);
    Some(Way {
        target,
        password: false,
        inside: answered.filter(|_| opened).map(|server| (client.0, server)),
    })
}
