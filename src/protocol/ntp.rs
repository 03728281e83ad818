//! NTP (RFC 5905): packets of 48 bytes and more whose mode and stratum fit; answers repeat a time.

use super::{Detection, Probe, Seen, detector};

detector! {
    Ntp: "ntp"; Datagram, ports [123], Clear;
    "NTP: mode, version and stratum; an answer that repeats the time of its question";
    "RFC 5905 section 7.3, 9327"
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let hinted = seen.hinted(PORTS);
    let (asked, answered) = (seen.client_first(), seen.server_first());
    let repeats =
        is_time(asked) && is_time(answered) && asked[40..48] == answered[24..32] && asked[40..48] != [0; 8];
    let fits = |bytes: &[u8]| is_time(bytes) || is_control(bytes);
    let known = hinted && seen.datagrams().next().is_some_and(fits);
    (repeats || known).then(|| Detection::plain("ntp", "time in the clear"))?.certain()
}

/// Versions 1 to 4, modes 1 to 5, a stratum of at most 16.
fn is_time(bytes: &[u8]) -> bool {
    bytes.len() >= 48
        && (1..=4).contains(&(bytes[0] >> 3 & 7))
        && (0..=5).contains(&(bytes[0] & 7))
        && bytes[1] <= 16
}

/// Modes 6 and 7: control and private messages.
fn is_control(bytes: &[u8]) -> bool {
    matches!(bytes, [head, ..] if matches!(head & 7, 6 | 7) && (1..=4).contains(&(head >> 3 & 7)) && bytes.len() >= 8)
}
