//! Graphite's plain text: lines of a path, a number and a time.

use super::bytes::first_line;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Graphite: "graphite"; Both, ports [2003], Clear;
    "Graphite: lines of a path, a number and a time";
    "Graphite documentation, the plaintext protocol";
    begins [Opening::both(PATHS, First::SILENCE)]
}

/// What a path is made of besides letters and digits.
const MARKS: &[u8] = b"._-;=:/~";
const PATHS: First = First::of(MARKS).or(First::ALPHANUMERIC);

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let whole = |bytes: &[u8]| first_line(bytes).len() < bytes.len() && is_metric(first_line(bytes));
    let fits = seen.server.is_empty() && whole(seen.client_first());
    fits.then(|| Detection::plain("graphite", "metrics in the clear"))?.certain()
}

fn is_metric(line: &[u8]) -> bool {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let [path, value, time] = fields.as_slice() else { return false };
    let named = path.contains(&b'.') && path.iter().all(|b| b.is_ascii_alphanumeric() || MARKS.contains(b));
    let number =
        |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    // A time in seconds has ten digits since 2001; -1 stands for now.
    named && number(value) && (*time == b"-1" || number(time) && time.len() >= 9)
}
