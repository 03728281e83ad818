//! Telnet (RFC 854): options behind the byte 255; logins by their prompts.

use super::bytes::contains_any;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Telnet: "telnet"; Stream, ports [23, 2323], Clear;
    "Telnet: options of either side, logins by their prompts";
    "RFC 854, 855";
    begins [
        Opening::client(First::of(&[0xff])),
        Opening::server(First::of(&[0xff])),
        Opening::ANY.hinted()
    ]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = match (options(seen.client), options(seen.server)) {
        (Some(sent), Some(answered)) => sent + answered >= 2,
        (Some(sent), None) => sent >= 2 || seen.hinted(PORTS),
        (None, Some(answered)) => answered >= 2 || seen.hinted(PORTS),
        (None, None) => seen.hinted(PORTS) && prompts(seen.server),
    };
    if !fits {
        return None;
    }
    let secret = prompts(seen.server) && !seen.client.is_empty();
    Detection::plain("telnet", "options and text in the clear")
        .with_credentials(secret.then_some("telnet-login"))
        .certain()
}

fn prompts(server: &[u8]) -> bool {
    contains_any(server, &[b"password:", b"passwd:"])
}

/// How many options stand at the beginning: 255, WILL to DONT, a known option.
fn options(bytes: &[u8]) -> Option<usize> {
    let known =
        |group: &&[u8]| matches!(group, [0xff, 0xfb..=0xfe, 0..=49 | 0xff, ..] | [0xff, 0xfa, 0..=49, ..]);
    let count = bytes.chunks(3).take_while(known).count();
    (count > 0).then_some(count)
}
