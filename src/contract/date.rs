//! A day of the Gregorian calendar, for the end of an exception.
//!
//! Which day it is today is told from outside; nothing here reads a clock.

use crate::model::calendar::{civil, days_since_1970};
use std::fmt;

/// The last day of the last year that is written with four digits.
const LAST: i64 = 2_932_896;

/// Year, month and day; ordered as time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The first day of Unix time, before every exception.
    pub const EPOCH: Date = Date { year: 1970, month: 1, day: 1 };

    /// Reads `YYYY-MM-DD` (RFC 3339 `full-date`); `None` where there is no such day.
    pub fn parse(text: &str) -> Option<Date> {
        let digits = |from: usize, to: usize| -> Option<u16> {
            let part = text.get(from..to)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let marks = text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
        let (year, month, day) = (digits(0, 4)?, digits(5, 7)? as u8, digits(8, 10)? as u8);
        let written = (year.into(), month.into(), day.into());
        let (y, m, d) = written;
        // A day that does not exist comes back as another one.
        let exists = (1..=12).contains(&month) && civil(days_since_1970(y, m, d)) == written;
        (marks && exists).then_some(Date { year, month, day })
    }

    /// The day that is so many days after the first of January 1970.
    pub fn from_unix_days(days: u64) -> Date {
        let (year, month, day) = civil(i64::try_from(days).unwrap_or(i64::MAX).min(LAST));
        Date { year: year as u16, month: month as u8, day: day as u8 }
    }
}

impl fmt::Display for Date {
    /// `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_exist_are_read() {
        assert_eq!(Date::parse("2000-02-29").map(|d| d.to_string()).as_deref(), Some("2000-02-29"));
        assert_eq!(Date::parse("2028-02-29").map(|d| d.to_string()).as_deref(), Some("2028-02-29"));
        for wrong in [
            "2027-02-29",
            "2027-13-01",
            "2027-1-1",
            "2027/01/01",
            "+027-01-01",
            "",
            "2027-00-10",
            "2027-04-31",
            "2100-02-29",
            "2027-01-00",
        ] {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_since_1970_become_dates_in_order() {
        assert_eq!(Date::from_unix_days(0), Date::EPOCH);
        assert_eq!(Date::from_unix_days(19_782).to_string(), "2024-02-29");
        assert!(Date::from_unix_days(20_000) < Date::from_unix_days(20_001));
        assert_eq!(Date::from_unix_days(LAST as u64).to_string(), "9999-12-31");
        assert_eq!(Date::from_unix_days(u64::MAX).to_string(), "9999-12-31");
    }
}
