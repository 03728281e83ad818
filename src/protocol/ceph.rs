//! Ceph's messenger: both sides send a banner; the second version may encrypt afterwards.

use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::model::WhyUnknown;

detector! {
    Ceph: "ceph"; Stream, ports [6789, 3300, 6800, 6801], Either;
    "Ceph: banners of both sides; the second version settles encryption out of sight";
    "Ceph documentation, msgr and msgr2";
    begins [Opening::client(First::of(b"c")), Opening::server(First::of(b"c"))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let begins = |banner: &[u8]| seen.client.starts_with(banner) || seen.server.starts_with(banner);
    if begins(b"ceph v2\n") {
        let why = "the second version settles whether it encrypts where a capture cannot read it";
        return Detection::unclear("ceph", WhyUnknown::Ambiguous, why).certain();
    }
    begins(b"ceph v0")
        .then(|| Detection::plain("ceph", "banner of the first version, which never encrypts"))?
        .certain()
}
