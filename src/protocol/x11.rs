//! X11: a set-up request in one byte order, with a cookie that lets anyone in.

use super::bytes::contains;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    X11: "x11"; Stream, ports [6000, 6001, 6010], Clear;
    "X11: the set-up request and its answer, the cookie in it";
    "X Window System Protocol, chapter 8";
    begins [Opening::client(First::of(b"lB"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let asks = matches!(
        seen.client,
        [b'l', 0, 11, 0, 0, 0, _, _, _, _, 0, 0, ..] | [b'B', 0, 0, 11, 0, 0, _, _, _, _, 0, 0, ..]
    );
    let answers = matches!(seen.server, [] | [0..=2, _, 11, 0, ..] | [0..=2, _, 0, 11, ..]);
    if !asks || !answers {
        return None;
    }
    let secret = contains(seen.client, b"MIT-MAGIC-COOKIE-1").then_some("x11-cookie");
    Detection::plain("x11", "set-up in the clear").with_credentials(secret).certain()
}
