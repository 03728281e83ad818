//! StatsD: lines of `name:value|kind`.

use super::bytes::first_line;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Statsd: "statsd"; Both, ports [8125, 9125], Clear;
    "StatsD: lines of a name, a number and a kind";
    "StatsD documentation, metric types; DogStatsD";
    begins [Opening::both(NAMES, First::SILENCE)]
}

/// What a name is made of besides letters and digits.
const MARKS: &[u8] = b"._-/,=;@";
const NAMES: First = First::of(MARKS).or(First::ALPHANUMERIC);

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let fits = seen.server.is_empty() && seen.client_datagrams().all(|bytes| is_metric(first_line(bytes)));
    (fits && !seen.client.is_empty()).then(|| Detection::plain("statsd", "metrics in the clear"))?.certain()
}

fn is_metric(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |b| *b == b':');
    let name = parts.next().unwrap_or(&[]);
    let mut fields = parts.next().unwrap_or(&[]).split(|b| *b == b'|');
    let (value, kind) = (fields.next().unwrap_or(&[]), fields.next().unwrap_or(&[]));
    let named = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || MARKS.contains(b));
    let number = !value.is_empty() && value.iter().all(|b| b.is_ascii_digit() || b"+-.eE:".contains(b));
    let sampled = fields.all(|field| matches!(field.first(), Some(b'@' | b'#' | b'c' | b'T')));
    named && number && matches!(kind, b"c" | b"g" | b"ms" | b"h" | b"s" | b"d" | b"m") && sampled
}
