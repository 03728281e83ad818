//! A moment as packets and API objects tell it: nanoseconds since 1970, UTC.

use super::calendar::days_since_1970;

/// Nanoseconds since the first of January 1970, UTC; ordered as time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(pub u64);

const SECOND: u64 = 1_000_000_000;

impl Instant {
    /// Reads an RFC 3339 `date-time`, as the API server and `date -Ins` write it; `None` where this
    /// is none, and for times before 1970.
    pub fn parse(text: &str) -> Option<Instant> {
        let (date, rest) = (text.get(..10)?, text.get(10..)?);
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let [year, month, day] = numbers(date, "-", [4, 2, 2])?;
        let [hour, minute, second] = numbers(rest.get(..8)?, ":", [2, 2, 2])?;
        let (nanos, zone) = fraction(rest.get(8..)?)?;
        let offset = offset_seconds(zone)?;
        let real = year >= 1970 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        // A leap second is 60 (section 5.7).
        if !real || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let local = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        let seconds = u64::try_from(local - offset).ok()?;
        seconds.checked_mul(SECOND)?.checked_add(nanos).map(Instant)
    }
}

/// Numbers of fixed width between separators.
fn numbers(text: &str, separator: &str, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut all = [0; 3];
    for (number, width) in all.iter_mut().zip(widths) {
        let part = parts.next()?;
        let digits = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
        *number = digits.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(all)
}

/// Nanoseconds of a fraction, if there is one, and what follows it; finer digits are dropped.
fn fraction(text: &str) -> Option<(u64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, zone) = rest.split_at(end);
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    (end > 0).then_some((nine.parse().ok()?, zone))
}

/// `Z`, `+01:00`, `-05:30`: seconds east of Greenwich.
fn offset_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = if zone.starts_with('+') { 1 } else { -1 };
    let [hours, minutes, _] = numbers(&format!("{}:00", zone.strip_prefix(['+', '-'])?), ":", [2, 2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_fractions_and_offsets() {
        let nanos = |text: &str| Instant::parse(text).map(|instant| instant.0);
        assert_eq!(nanos("1970-01-01T00:00:01Z"), Some(SECOND));
        assert_eq!(nanos("2026-11-25T16:00:00Z"), Some(1_795_622_400 * SECOND));
        assert_eq!(nanos("2026-11-25T16:00:00.5Z"), Some(1_795_622_400 * SECOND + SECOND / 2));
        assert_eq!(nanos("2026-11-25T17:00:00.000000001+01:00"), Some(1_795_622_400 * SECOND + 1));
        assert_eq!(nanos("2026-11-25T10:30:00-05:30"), nanos("2026-11-25t16:00:00z"));
        assert_eq!(nanos("2024-02-29T00:00:00Z"), Some(19_782 * 86_400 * SECOND));
    }

    #[test]
    fn what_is_no_moment_is_not_read() {
        for wrong in [
            "",
            "2026-11-25",
            "2026-11-25T16:00Z",
            "2026-11-25T16:00:00",
            "2026-11-25T16:00:00.Z",
            "2026-02-29T00:00:00Z",
            "2026-11-25T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-25T16:00:00+1:00",
            "2026-11-25T16:00:00Zx",
            "+026-11-25T16:00:00Z",
            "2026-11-25Té6:00:00Z",
        ] {
            assert_eq!(Instant::parse(wrong), None, "{wrong}");
        }
    }
}
