//! HTTP/1 (RFC 9112): a request line or a status line, with credentials in its headers.

use super::bytes::{contains, first_line};
use super::{Detection, Detector, Probe, tls};
use crate::capture::{Flow, StreamStart, Transport};

/// HTTP/1.0 and HTTP/1.1, over TCP or (as discovery does) over UDP.
pub struct Http;

const METHODS: &[&str] = &[
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "NOTIFY",
    "M-SEARCH",
    "SUBSCRIBE",
];

/// Header prefixes that carry credentials, and what to call them.
const CREDENTIALS: &[(&[u8], &str)] = &[
    (b"\r\nauthorization: basic ", "http-basic"),
    (b"\r\nauthorization: bearer ", "http-bearer"),
    (b"\r\nproxy-authorization: basic ", "http-basic"),
];

impl Detector for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn summary(&self) -> &'static str {
        "HTTP/1: requests and answers, credentials in headers"
    }

    fn probe(&self, flow: &Flow, start: &StreamStart) -> Probe {
        if !matches!(flow.transport, Transport::Tcp | Transport::Udp) {
            return Probe::NotForUs;
        }
        let (client, server) = (start.forward.as_slice(), start.backward.as_slice());
        let method = method(client);
        let answers = |bytes: &[u8]| bytes.starts_with(b"HTTP/1.");
        let connects = method == Some("CONNECT") && answers(server);
        if let Some(inner) = connects.then(|| tunnelled(client, server)).flatten() {
            return Probe::Certain(inner);
        }
        // A direction that was guessed wrong shows the request on the other side.
        if method.is_none() && self::method(server).is_none() && !answers(server) && !answers(client) {
            return Probe::NotForUs;
        }
        let mut detection = Detection::plain("http", "request or answer in the clear");
        if let Some(method) = method {
            detection = detection.with("method", method);
        }
        if let Some(host) = host(client) {
            detection = detection.with("host", host);
        }
        for (header, name) in CREDENTIALS {
            if contains(client, header) {
                detection = detection.with("credentials", *name);
                break;
            }
        }
        Probe::Certain(detection)
    }
}

/// `METHOD SP target SP HTTP/1.x` (RFC 9112, section 3); a cut line needs only its beginning.
fn method(bytes: &[u8]) -> Option<&'static str> {
    let line = first_line(bytes);
    let end = line.iter().position(|b| *b == b' ')?;
    let method = METHODS.iter().find(|method| method.as_bytes() == &line[..end])?;
    let whole = line.len() < bytes.len() && line.len() < 512;
    (!whole || contains(line, b" HTTP/1.")).then_some(*method)
}

fn host(client: &[u8]) -> Option<String> {
    let needle = b"\r\nhost: ";
    let at = client.windows(needle.len()).position(|w| w.eq_ignore_ascii_case(needle))? + needle.len();
    let host = first_line(&client[at..]);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(b);
    (!host.is_empty() && host.iter().all(plain)).then(|| String::from_utf8_lossy(host).into_owned())
}

/// TLS through a proxy: what follows the empty lines of request and answer.
fn tunnelled(client: &[u8], server: &[u8]) -> Option<Detection> {
    let after = |bytes: &[u8]| bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
    tls::upgraded("http", &client[after(client)?..], &server[after(server)?..])
}
