//! HTTP/1 (RFC 9112): a request line or a status line, WebSocket and tunnels behind it,
//! credentials in it. Over UDP it is the discovery of SSDP.

use super::bytes::{contains, contains_any, find, first_line, line_ends, plain_name, starts};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, credentials, detector, judge, tls};
use crate::capture::{Exchange, Speaker, StillWanted, Transport};
use crate::model::{Encryption, Protection};

detector! {
    Http: "http", also ["websocket", "ssdp"]; Both, ports [80, 8080, 8000, 3128], Either;
    "HTTP/1: requests and answers, WebSocket, CONNECT and what is inside, credentials in headers";
    "RFC 9112, 6455";
    begins [
        Opening::client(First::range(b'A', b'Z')),
        Opening::server(First::of(b"HI")),
        Opening::ANY.late()
    ];
    until heard
}

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
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "NOTIFY",
    "M-SEARCH",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "PRI",
];

/// Headers of a body in which nobody finds words, whatever it holds: it is packed, or no text.
const HIDES: &[(&[u8], &[&[u8]])] = &[
    (b"content-encoding:", &[b"gzip", b"br", b"zstd", b"deflate"]),
    (
        TYPE,
        &[
            b"image/png",
            b"image/jpeg",
            b"image/gif",
            b"image/webp",
            b"video/mp4",
            b"video/webm",
            b"audio/mpeg",
        ],
    ),
];

/// What the head of an answer says about the product behind it; each begins a line.
const PRODUCTS: &[(&[u8], &str)] = &[
    (b"x-elastic-product: elasticsearch", "elasticsearch"),
    (b"x-opensearch-version:", "opensearch"),
    (b"x-consul-index:", "consul"),
    (b"x-etcd-cluster-id:", "etcd"),
    (b"x-influxdb-version:", "influxdb"),
    (b"x-clickhouse-server-display-name:", "clickhouse"),
    (b"server: istio-envoy", "envoy"),
    (b"server: envoy", "envoy"),
];

/// Types of answers that may be metrics in the text format of Prometheus, as those without a type may.
const OF_METRICS: &[&[u8]] = &[b"text/plain", b"application/openmetrics-text"];

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (client, server) = (seen.client, seen.server);
    let (method, line) = method(client).unzip();
    let answers = |bytes: &[u8]| bytes.starts_with(b"HTTP/1.") || bytes.starts_with(b"ICY 200 ");
    // A direction that was guessed wrong shows the request on the other side; that is asked for later.
    let late = || seen.late && (self::late(client) || self::late(server));
    if method.is_none() && !answers(server) && !late() || method == Some("PRI") {
        return None;
    }
    // Of a tunnel one side may be all that was seen.
    let tunnel = match method {
        Some("CONNECT") => answers(server) || server.is_empty(),
        _ => client.is_empty() && answers(server) && opens_tls(server),
    };
    if let Some(inner) = tunnel.then(|| tunnelled(seen)).flatten() {
        return inner.certain();
    }
    let headers = Headers::of(client);
    if let Some(detection) = secured(seen, &headers) {
        return detection.certain();
    }
    let name = match (seen.transport, headers.upgrades && switches(server)) {
        (Transport::Udp, _) => "ssdp",
        (_, true) => "websocket",
        _ => "http",
    };
    let asked = || line.and_then(credentials::in_target);
    let secret = headers.secret.or_else(asked).or_else(|| credentials::in_text(client, server));
    // In the order of their names, in which facts are kept.
    let mut detection = Detection::plain(name, "request or answer in the clear").with_credentials(secret);
    if let Some(host) = headers.host.and_then(host) {
        detection = detection.with("host", host);
    }
    if let Some(method) = method {
        detection = detection.with("method", method);
    }
    if let Some(product) = product(server) {
        detection = detection.with("product", product);
    }
    detection.certain()
}

/// Of a body of packed text or of pictures that ends behind all that is kept nothing is wanted, nor of what
/// could follow; of other answers, behind their first head, only secrets are.
fn heard(exchange: &Exchange<'_>) -> StillWanted {
    let said = exchange.said();
    let asks =
        || method(exchange.caller).is_some_and(|(method, _)| !matches!(method, "CONNECT" | "PRI" | "HEAD"));
    let (line, answers) = (first_line(exchange.called), exchange.called.starts_with(b"HTTP/1."));
    let has_body = match exchange.speaker {
        Speaker::Caller => exchange.called.is_empty() || answers,
        // Others that tell a length may have no body.
        Speaker::Called => answers && contains_any(line, &[b" 200 ", b" 206 "]),
    };
    let Some(body) = has_body.then(|| Body::of(said)).flatten().filter(|_| asks()) else {
        return StillWanted::Both;
    };
    if body.hides && body.ends.is_some_and(|ends| ends >= exchange.limit) {
        return StillWanted::TheOther;
    }
    // Nobody looks for metrics behind the first part.
    let is_settled = !body.may_be_metrics || head(said).len() < said.len();
    match exchange.speaker == Speaker::Called && is_settled {
        true => StillWanted::Sought,
        false => StillWanted::Both,
    }
}

/// What the head of a message says of its body.
struct Body {
    /// Nobody finds words in it.
    hides: bool,
    may_be_metrics: bool,
    /// Where it ends, if its length is told.
    ends: Option<usize>,
}

impl Body {
    /// That of a first message, once its head is over.
    fn of(bytes: &[u8]) -> Option<Body> {
        let head = head(bytes);
        let mut body = Body { hides: false, may_be_metrics: true, ends: None };
        let mut length: Option<usize> = None;
        for (_, line) in line_ends(head) {
            match line.first() {
                Some(b'\r') => {
                    let begin = head.len() - line.len() + 2;
                    body.ends = length.map(|length| begin.saturating_add(length));
                    return Some(body);
                }
                Some(b'c' | b'C') if length.is_none() && starts(line, LENGTH) => {
                    let digits = first_line(&line[LENGTH.len()..]).trim_ascii();
                    length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                }
                Some(b'c' | b'C') => {
                    body.hides |= HIDES.iter().any(|(name, values)| has_value(line, name, values));
                    body.may_be_metrics &= behind(line, TYPE).is_none() || has_value(line, TYPE, OF_METRICS);
                }
                _ => {}
            }
        }
        None
    }
}

/// The header that tells what a body is.
const TYPE: &[u8] = b"content-type:";

/// The header that tells how long a body is.
const LENGTH: &[u8] = b"content-length:";

/// Whether a line is a header with a value that begins like one of some.
fn has_value(line: &[u8], name: &[u8], values: &[&[u8]]) -> bool {
    behind(line, name)
        .map(<[u8]>::trim_ascii_start)
        .is_some_and(|value| values.iter().any(|known| starts(value, known)))
}

/// `METHOD SP target SP HTTP/1.x` (RFC 9112, section 3), with the line; a cut one needs only its beginning.
fn method(bytes: &[u8]) -> Option<(&'static str, &[u8])> {
    let line = first_line(bytes);
    let end = line.iter().take(16).position(|b| *b == b' ')?;
    let method = METHODS.iter().find(|method| method.as_bytes() == &line[..end])?;
    let whole = line.len() < bytes.len() && line.len() < 512;
    let targets =
        || matches!(line.get(end + 1), Some(b'/' | b'*')) || contains(line, b"://") || *method == "CONNECT";
    // Nearly all requests end like that.
    let newest = || matches!(line, [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', _]);
    // Version 0.9 had no version: a word and a path.
    let oldest = || *method == "GET" && !line[end + 1..].contains(&b' ') && line.get(end + 1) == Some(&b'/');
    let fits = match whole {
        true => newest() || contains(line, b" HTTP/1.") || contains(line, b" HTTP/2.0") || oldest(),
        false => targets(),
    };
    fits.then_some((*method, line))
}

/// What gives an answer: metrics, or the first product of the table that its head names.
fn product(server: &[u8]) -> Option<&'static str> {
    let (mut over, mut may_be_metrics, mut first) = (false, true, None);
    for (returned, line) in line_ends(head(server)) {
        match line.first() {
            // Comments of scripts may ask for help.
            Some(b'#')
                if may_be_metrics && (starts(line, b"# TYPE ") || returned && starts(line, b"# HELP ")) =>
            {
                return Some("prometheus-metrics");
            }
            Some(b'\r') if returned => over = true,
            Some(b'c' | b'C') if !over && behind(line, TYPE).is_some() => {
                may_be_metrics = has_value(line, TYPE, OF_METRICS);
            }
            Some(b'x' | b'X' | b's' | b'S') if returned && !over => {
                let row = PRODUCTS.iter().position(|(mark, _)| starts(line, mark));
                first = row.into_iter().chain(first).min();
            }
            _ => {}
        }
    }
    first.map(|row| PRODUCTS[row].1)
}

/// Headers in the middle of a stream that was joined late.
fn late(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(2_048)];
    let asks = |line: &[u8]| {
        METHODS[..7]
            .iter()
            .any(|method| starts(line, method.as_bytes()) && line[method.len()..].starts_with(b" /"))
    };
    let (mut request, mut answer, mut content) = (false, false, false);
    for (_, line) in line_ends(head).filter(|(returned, _)| *returned) {
        request |= asks(line);
        answer |= starts(line, b"HTTP/1.1 ");
        content |= starts(line, b"content-");
    }
    request && contains(head, b" HTTP/1.1\r\n") || answer && content
}

/// Where the headers of a first message are; long streams are not searched.
fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(4_096)]
}

/// What the lines of a request say that somebody asks about.
#[derive(Default)]
struct Headers<'a> {
    /// What stands behind the first `Host:`.
    host: Option<&'a [u8]>,
    /// An upgrade to WebSocket is asked for (RFC 6455, section 4).
    upgrades: bool,
    /// One to TLS is (RFC 2817, section 3).
    secures: bool,
    secret: Option<&'static str>,
}

impl<'a> Headers<'a> {
    /// Host and upgrade are looked for in the first part, whatever it is; secrets in the heads of all
    /// requests, for a login often comes with the second.
    fn of(request: &'a [u8]) -> Headers<'a> {
        let mut found = Headers::default();
        let first_part = head(request).len();
        let mut over = false;
        for (returned, line) in line_ends(request) {
            let begin = request.len() - line.len();
            if over && returned && request[..begin].ends_with(NEXT) {
                over = false;
                found.secret = found.secret.or_else(|| credentials::in_target(last_words(&request[..begin])));
            }
            let within = returned && begin < first_part;
            let Some(first) = line.first() else { break };
            match first {
                b'\r' if returned && line.starts_with(b"\r\n") => over = true,
                b'h' | b'H' if within && found.host.is_none() => {
                    found.host = behind(&request[begin..first_part], b"host:");
                }
                b'u' | b'U' if within => {
                    let part = &request[begin..first_part];
                    found.upgrades |= behind(part, b"upgrade: websocket").is_some();
                    found.secures |= behind(part, b"upgrade: tls/").is_some();
                }
                b'a' | b'A' | b'p' | b'P' | b'x' | b'X' if !over && found.secret.is_none() => {
                    found.secret = credentials::in_line(line);
                }
                _ => {}
            }
        }
        found
    }
}

/// How the first line of a request ends, which may stand right behind the body of the one before.
const NEXT: &[u8] = b" HTTP/1.1\r\n";

/// The target of a request that ends like [`NEXT`], with what is around it.
fn last_words(request: &[u8]) -> &[u8] {
    let before = &request[..request.len() - NEXT.len()];
    &request[memchr::memrchr(b' ', before).unwrap_or(before.len())..]
}

fn behind<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    starts(line, name).then(|| &line[name.len()..])
}

/// A host, and a port that is a number, without the user and password that somebody put in front.
pub(super) fn host(value: &[u8]) -> Option<String> {
    let value = first_line(value).trim_ascii();
    let host = &value[memchr::memrchr(b'@', value).map_or(0, |at| at + 1)..];
    let port = memchr::memrchr(b':', host).filter(|_| !host.ends_with(b"]"));
    let fits = port.is_none_or(|at| host[at + 1..].iter().all(u8::is_ascii_digit));
    fits.then(|| plain_name(host))?
}

/// Masking is no encryption: a WebSocket in the clear is in the clear.
fn switches(server: &[u8]) -> bool {
    server.is_empty() || server.starts_with(b"HTTP/1.1 101")
}

/// What goes through a proxy: it stands behind the empty lines of request and answer.
fn tunnelled(seen: &Seen<'_>) -> Option<Detection> {
    let (headers, client) = asked(seen.client)?;
    let server = agreed(seen.server)?;
    if client.is_empty() && server.is_empty() {
        return None;
    }
    let detection = through("http", seen, client, server)?;
    // The login at the proxy is in the clear, whatever it then carries.
    let known = detection.facts.iter().any(|(name, _)| *name == "credentials");
    let detection = detection.with_credentials(headers.secret.filter(|_| !known));
    Some(match headers.host.and_then(host) {
        Some(host) => detection.with("host", host),
        None => detection,
    })
}

/// The last request for a tunnel, and what stands behind it: a proxy that wants to know who asks has the
/// client ask again. A login is that of any of them.
fn asked(client: &[u8]) -> Option<(Headers<'_>, &[u8])> {
    let (mut headers, mut rest) = (Headers::default(), client);
    while !rest.is_empty() {
        let (head, behind) = rest.split_at(behind_head(rest)?);
        let said = headers.secret;
        headers = Headers::of(head);
        headers.secret = headers.secret.or(said);
        rest = behind;
        if !rest.starts_with(b"CONNECT ") {
            break;
        }
    }
    Some((headers, rest))
}

/// What stands behind the answer that opens a tunnel; answers that ask for a login may come first.
fn agreed(server: &[u8]) -> Option<&[u8]> {
    const ANSWER: &[u8] = b"HTTP/1.";
    const MOST: usize = 4;
    let mut rest = server;
    for _ in 0..MOST {
        let line = first_line(rest);
        if rest.is_empty() || contains_any(line, &[b" 200 ", b" 200"]) {
            return Some(&rest[if rest.is_empty() { 0 } else { behind_head(rest)? }..]);
        }
        if !contains(line, b" 407 ") {
            return None;
        }
        let behind = &rest[behind_head(rest)?..];
        rest = &behind[find(behind, ANSWER)?..];
    }
    None
}

/// TLS that both sides went over to in place of HTTP (RFC 2817), as printers do.
fn secured(seen: &Seen<'_>, headers: &Headers<'_>) -> Option<Detection> {
    let agreed = headers.secures && seen.server.starts_with(b"HTTP/1.1 101");
    let behind = |bytes: &'_ [u8]| behind_head(bytes).filter(|_| agreed);
    let (client, server) = (&seen.client[behind(seen.client)?..], &seen.server[behind(seen.server)?..]);
    let detection = tls::upgraded("http", client, server, seen.time)?;
    Some(detection.with_credentials(headers.secret))
}

/// Where the head of a message ends.
fn behind_head(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Whether an answer that agrees is followed by the server's side of TLS.
fn opens_tls(server: &[u8]) -> bool {
    let agreed = contains_any(first_line(server), &[b" 200 ", b" 200"]);
    agreed && behind_head(head(server)).is_some_and(|at| tls::answers(&server[at..]))
}

/// The verdict on what a proxy carries, under the name of the proxy's protocol.
pub(super) fn through(
    name: &'static str,
    seen: &Seen<'_>,
    client: &[u8],
    server: &[u8],
) -> Option<Detection> {
    if let Some(detection) = tls::upgraded(name, client, server, seen.time) {
        return Some(detection.with("inner", "tls"));
    }
    let seen = Seen { client, server, depth: seen.depth + 1, ..*seen };
    let inner = (seen.depth <= 4).then(|| judge(&seen))?;
    let protection = match inner.protection {
        Protection::Encrypted(Encryption::Tls) => Protection::Encrypted(Encryption::UpgradedTls),
        other => other,
    };
    let why = format!("inside the proxied connection: {}", inner.why).into();
    Some(Detection { protocol: name, protection, why, ..inner.clone() }.with("inner", inner.protocol))
}
