//! Secrets that any clear-text protocol may carry: kinds and their marks, never the values.

use super::bytes::contains;

/// What is looked for in a request, and what to call it.
const IN_REQUESTS: &[(&[u8], &str)] = &[
    (b"\r\nauthorization: basic ", "http-basic"),
    (b"\r\nauthorization: bearer ", "http-bearer"),
    (b"\r\nauthorization: token ", "http-token"),
    (b"\r\nauthorization: apikey ", "api-key"),
    (b"\r\nproxy-authorization: basic ", "http-basic"),
    (b"\r\nx-api-key: ", "api-key"),
    (b"\r\nx-vault-token: ", "vault-token"),
    (b"\r\nx-consul-token: ", "consul-token"),
    (b"\r\nx-auth-token: ", "auth-token"),
    (b"password=", "form-password"),
    (b"passwd=", "form-password"),
    (b"access_token=", "url-token"),
    (b"\"password\":", "json-password"),
    (b"x-aws-ec2-metadata-token: ", "cloud-metadata-token"),
];

/// What is looked for on either side.
const ANYWHERE: &[(&[u8], &str)] = &[
    (b"PRIVATE KEY-----", "private-key"),
    (b"\"SecretAccessKey\"", "cloud-credentials"),
    (b"\"client_secret\"", "client-secret"),
];

/// The kind of the first secret in a request or its answer.
pub(super) fn in_exchange(request: &[u8], answer: &[u8]) -> Option<&'static str> {
    let first = |table: &[(&[u8], &'static str)], bytes| {
        table.iter().find(|(mark, _)| contains(bytes, mark)).map(|row| row.1)
    };
    first(IN_REQUESTS, request).or_else(|| first(ANYWHERE, request)).or_else(|| first(ANYWHERE, answer))
}

/// The kind of a secret that a decoded header carries.
pub(super) fn in_header(name: &str, value: &str) -> Option<&'static str> {
    let scheme = value.split(' ').next().unwrap_or("").to_ascii_lowercase();
    match (name, scheme.as_str()) {
        ("authorization" | "proxy-authorization", "basic") => Some("http-basic"),
        ("authorization", "bearer") => Some("http-bearer"),
        ("authorization", "token") => Some("http-token"),
        ("x-api-key", _) => Some("api-key"),
        ("x-vault-token", _) => Some("vault-token"),
        ("x-consul-token", _) => Some("consul-token"),
        // The token of an etcd session has no scheme in front.
        ("token" | "x-auth-token", _) => Some("auth-token"),
        ("authorization", _) => Some("auth-token"),
        _ => None,
    }
}
