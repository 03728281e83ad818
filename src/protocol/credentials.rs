//! Secrets that any clear-text protocol may carry: kinds and their marks, never the values.
//!
//! Each side is walked once: a header can only begin a line, and all other marks begin or end with a
//! byte that is rare, or have two letters that hardly ever stand that way apart.

use super::bytes::{find, starts};
use super::pairs::find_pair;
use crate::capture::LONGEST_SOUGHT;
use memchr::{memchr, memchr2, memchr3_iter, memrchr};

/// Headers of a request that carry a secret: name, scheme, kind. Between name and scheme stands as much
/// white space as anybody likes, none among it (RFC 9110, section 5.5).
const HEADERS: &[(&[u8], &[u8], &str)] = &[
    (b"authorization:", b"basic ", "http-basic"),
    (b"authorization:", b"bearer ", "http-bearer"),
    (b"authorization:", b"token ", "http-token"),
    (b"authorization:", b"apikey ", "api-key"),
    (b"proxy-authorization:", b"basic ", "http-basic"),
    (b"proxy-authorization:", b"bearer ", "http-bearer"),
    (b"x-api-key:", b"", "api-key"),
    (b"x-vault-token:", b"", "vault-token"),
    (b"x-consul-token:", b"", "consul-token"),
    (b"x-auth-token:", b"", "auth-token"),
    (b"x-aws-ec2-metadata-token:", b"", "cloud-metadata-token"),
];

/// Parameters of a target that are secrets, whatever their value.
const PARAMETERS: &[&[u8]] = &[
    b"token",
    b"access_token",
    b"auth_token",
    b"api_key",
    b"apikey",
    b"api-key",
    b"password",
    b"passwd",
    b"secret",
    b"client_secret",
];

/// Fields of a form or of a query, up to their equals sign.
const FIELDS: &[(&[u8], &str)] =
    &[(b"password", "form-password"), (b"passwd", "form-password"), (b"access_token", "url-token")];

/// Quoted names in JSON of a request.
const QUOTED: (&[u8], &str) = (b"\"password\":", "json-password");

/// Everything quoted or dashed that is a secret in a request.
const IN_REQUEST: &[(&[u8], &str)] =
    &[QUOTED, ANYWHERE[0], ANYWHERE[1], ANYWHERE[2], ANYWHERE[3], ANYWHERE[4], ANYWHERE[5]];

/// What is a secret on either side.
const ANYWHERE: &[(&[u8], &str)] = &[
    (b"\"SecretAccessKey\"", "cloud-credentials"),
    (b"\"client_secret\"", "client-secret"),
    (b"-----BEGIN PRIVATE KEY-----", "private-key"),
    (b"-----BEGIN RSA PRIVATE KEY-----", "private-key"),
    (b"-----BEGIN EC PRIVATE KEY-----", "private-key"),
    (b"-----BEGIN OPENSSH PRIVATE KEY-----", "private-key"),
];

/// What passes is searched with so much of what went before.
const _: () = {
    let mut row = 0;
    while row < ANYWHERE.len() {
        assert!(ANYWHERE[row].0.len() <= LONGEST_SOUGHT);
        row += 1;
    }
};

/// The kind of the first secret in a request or its answer, headers aside.
pub(super) fn in_text(request: &[u8], answer: &[u8]) -> Option<&'static str> {
    let asked = may_hold_secret(request).then(|| mark(request, IN_REQUEST, FIELDS)).flatten();
    asked.or_else(|| in_answer(answer))
}

/// Whether a request has two letters with one between them of which each of [`IN_REQUEST`] and [`FIELDS`]
/// has some and hardly anything else: `ssw` of passwords, `_to` of tokens, `_se` of secrets, `key`.
/// Quotes, dashes and equals signs, with which those begin or end, are everywhere.
fn may_hold_secret(request: &[u8]) -> bool {
    let rare = |a: u8, b: u8| {
        let (a, b) = (a | SMALL, b | SMALL);
        ((a == b's') & (b == b'w'))
            | ((a == UNDERSCORE) & ((b == b'o') | (b == b'e')))
            | ((a == b'k') & (b == b'y'))
    };
    let behind = |at: usize, word: &[u8]| {
        at.checked_sub(word.len()).is_some_and(|from| starts(&request[from..], word))
    };
    let tells = |at: usize| match request[at] {
        b'k' | b'K' => starts(&request[at..], b"key") && (behind(at, b"ss") || behind(at, b"te ")),
        b's' | b'S' => starts(&request[at..], b"ssw"),
        _ => behind(at, b"ss") || behind(at, b"nt"),
    };
    find_pair(request, 2, rare, tells).is_some()
}

/// The bit that makes a letter a small one, and an underscore what hardly anybody sends.
const SMALL: u8 = 0x20;
const UNDERSCORE: u8 = b'_' | SMALL;

/// The kind of a secret in the target of a request line: a user with a password in front of the host
/// (RFC 3986, section 3.2.1), or a parameter.
pub(super) fn in_target(line: &[u8]) -> Option<&'static str> {
    // Nearly all targets are a path and nothing else.
    memchr2(b'?', b':', line)?;
    let target = &line[memchr(b' ', line)? + 1..];
    let target = &target[..memchr(b' ', target).unwrap_or(target.len())];
    let authority = find(target, b"://").map(|at| &target[at + 3..]).unwrap_or(&[]);
    let authority = authority.split(|b| matches!(b, b'/' | b'?')).next().unwrap_or(&[]);
    let user = memrchr(b'@', authority).map(|at| &authority[..at]);
    if user.is_some_and(|user| matches!(memchr(b':', user), Some(at) if at + 1 < user.len())) {
        return Some("url-userinfo");
    }
    let query = &target[memchr(b'?', target)? + 1..];
    let secret = |pair: &[u8]| {
        let (name, value) = pair.split_at(memchr(b'=', pair).unwrap_or(pair.len()));
        value.len() > 1 && PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    query.split(|b| *b == b'&').any(secret).then_some("url-token")
}

/// The kind of a secret with which a line of a request begins.
pub(super) fn in_line(line: &[u8]) -> Option<&'static str> {
    let fits = |(name, scheme, _): &&(&[u8], &[u8], &str)| {
        starts(line, name) && starts(line[name.len()..].trim_ascii_start(), scheme)
    };
    // Most lines begin otherwise: `Accept`, `Pragma`.
    let may_fit = matches!(line, [_, b'u' | b'U' | b'r' | b'R' | b'-', ..]);
    may_fit.then(|| HEADERS.iter().find(fits)).flatten().map(|row| row.2)
}

/// The kind of the first secret in an answer, which is one of [`ANYWHERE`]: answers are long and full of quotes and dashes, so that a rarer byte is
/// looked for, which each mark has. Marks share no more than their ends, so that their order is that
/// of their rare bytes.
pub(super) fn in_answer(answer: &[u8]) -> Option<&'static str> {
    memchr3_iter(b'k', b'K', b'_', answer).find_map(|at| {
        let next = answer.get(at + 1)?.to_ascii_lowercase();
        let rare = match answer[at] {
            b'_' if next == b's' => b'_',
            b'k' | b'K' if next == b'e' => b'k',
            _ => return None,
        };
        let fits = |(mark, _): &&(&[u8], &str)| {
            let offset = mark.iter().position(|byte| byte.to_ascii_lowercase() == rare);
            let begin = offset.and_then(|offset| at.checked_sub(offset));
            begin.is_some_and(|begin| starts(&answer[begin..], mark))
        };
        ANYWHERE.iter().find(fits).map(|row| row.1)
    })
}

/// The first of some marks: `opening` ones begin with a quote or a dash, fields end before `=`.
fn mark(
    bytes: &[u8],
    opening: &[(&[u8], &'static str)],
    fields: &[(&[u8], &'static str)],
) -> Option<&'static str> {
    let ends = |before: &[u8], field: &[u8]| {
        before.len().checked_sub(field.len()).is_some_and(|at| before[at..].eq_ignore_ascii_case(field))
    };
    // Most quotes, dashes and equals signs have the wrong neighbour.
    memchr3_iter(b'"', b'-', b'=', bytes).find_map(|at| match (bytes[at], bytes.get(at + 1)) {
        (b'"', Some(b'p' | b'P' | b's' | b'S' | b'c' | b'C')) | (b'-', Some(b'-')) => {
            opening.iter().find(|(mark, _)| starts(&bytes[at..], mark)).map(|row| row.1)
        }
        (b'=', _) if matches!(bytes[..at].last(), Some(b'd' | b'D' | b'n' | b'N')) => {
            fields.iter().find(|(field, _)| ends(&bytes[..at], field)).map(|row| row.1)
        }
        _ => None,
    })
}

/// The kind of a secret that a decoded header carries.
pub(super) fn in_header(name: &str, value: &str) -> Option<&'static str> {
    let scheme = value.split(' ').next().unwrap_or("").to_ascii_lowercase();
    match (name, scheme.as_str()) {
        ("authorization" | "proxy-authorization", "basic") => Some("http-basic"),
        ("authorization" | "proxy-authorization", "bearer") => Some("http-bearer"),
        ("authorization", "token") => Some("http-token"),
        ("x-api-key", _) => Some("api-key"),
        ("x-vault-token", _) => Some("vault-token"),
        ("x-consul-token", _) => Some("consul-token"),
        // The token of an etcd session has no scheme in front.
        ("token" | "x-auth-token" | "authorization", _) => Some("auth-token"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_where_they_may_stand_and_nowhere_else() {
        let kind = |request: &[u8], answer: &[u8]| in_text(request, answer);
        assert_eq!(in_line(b"X-Api-Key: a\r\n\r\n"), Some("api-key"));
        assert_eq!(in_line(b"Authorization:Basic YTpi\r\n"), Some("http-basic"));
        assert_eq!(in_line(b"authorization: \t Bearer abc\r\n"), Some("http-bearer"));
        assert_eq!(in_line(b"Authorization: Negotiate abc\r\n"), None);
        assert_eq!(in_target(b"GET http://a:b@c.example/ HTTP/1.1"), Some("url-userinfo"));
        assert_eq!(in_target(b"GET /d?x=1&API_KEY=b HTTP/1.1"), Some("url-token"));
        for harmless in
            ["GET /a@b:c HTTP/1.1", "GET http://a@c.example/b:c@d HTTP/1.1", "GET /?token=&x=token", "GET"]
        {
            assert_eq!(in_target(harmless.as_bytes()), None, "{harmless}");
        }
        assert_eq!(kind(b"POST / HTTP/1.1\r\n\r\nuser=a&Password=b", b""), Some("form-password"));
        assert_eq!(kind(b"POST / HTTP/1.1\r\n\r\n{\"password\":\"b\"}", b""), Some("json-password"));
        assert_eq!(kind(b"", b"{\"SecretAccessKey\" : \"b\"}"), Some("cloud-credentials"));
        assert_eq!(kind(b"", b"-----BEGIN EC PRIVATE KEY-----"), Some("private-key"));
        assert_eq!(kind(b"", b"-----BEGIN CERTIFICATE-----"), None);
        let chain = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----";
        assert_eq!(kind(b"", chain), Some("private-key"));
    }

    #[test]
    fn no_mark_of_a_request_is_passed_over() {
        for (text, kind) in IN_REQUEST.iter().chain(FIELDS) {
            for text in [text.to_ascii_lowercase(), text.to_ascii_uppercase(), text.to_vec()] {
                for before in 0..9 {
                    let request = [&vec![b' '; before], &text[..], b"=", &vec![b' '; 9 - before]].concat();
                    assert!(may_hold_secret(&request), "{}", String::from_utf8_lossy(&request));
                    assert_eq!(in_text(&request, b""), Some(*kind));
                }
            }
        }
        let harmless = b"GET /index.html HTTP/1.1\r\nHost: example.com\r\nAccept: */*;q=0.8\r\n\r\n";
        let kept = b"GET / HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n";
        assert!(
            ![&harmless[..], kept, b"", b"s", b" k", b" ke", b"a key", b"sky"]
                .into_iter()
                .any(may_hold_secret)
        );
    }

    #[test]
    fn all_marks_are_found_by_their_rare_bytes_in_any_case() {
        for (text, kind) in ANYWHERE {
            for text in [text.to_ascii_lowercase(), text.to_ascii_uppercase(), text.to_vec()] {
                for before in [&b""[..], b"k_-", b"------", b"{\"a_key\":"] {
                    let answer = [before, &text, b" \"SecretAccessKey\""].concat();
                    assert_eq!(in_answer(&answer), Some(*kind), "{}", String::from_utf8_lossy(&answer));
                    assert_eq!(in_answer(&answer), mark(&answer, ANYWHERE, &[]), "as with all marks");
                }
            }
        }
    }
}
