//! A day of the Gregorian calendar, for the end of an exception.
//!
//! Which day it is today is told from outside; nothing here reads a clock.

use std::fmt;

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
        let fits = marks && (1..=12).contains(&month) && day >= 1 && day <= days_of(year, month);
        fits.then_some(Date { year, month, day })
    }

    /// The day that is so many days after the first of January 1970.
    pub fn from_unix_days(days: u64) -> Date {
        let (mut year, mut month, mut rest) = (1970_u16, 1_u8, days);
        while rest >= year_length(year) && year < u16::MAX {
            rest -= year_length(year);
            year += 1;
        }
        while rest >= u64::from(days_of(year, month)) && month < 12 {
            rest -= u64::from(days_of(year, month));
            month += 1;
        }
        Date { year, month, day: rest.min(30) as u8 + 1 }
    }
}

impl fmt::Display for Date {
    /// `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_length(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of(year: u16, month: u8) -> u8 {
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
    fn only_days_that_exist_are_read() {
        assert_eq!(Date::parse("2028-02-29").map(|d| d.to_string()).as_deref(), Some("2028-02-29"));
        for wrong in ["2027-02-29", "2027-13-01", "2027-1-1", "2027/01/01", "+027-01-01", "", "2027-00-10"] {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_since_1970_become_dates_in_order() {
        assert_eq!(Date::from_unix_days(0), Date::EPOCH);
        assert_eq!(Date::from_unix_days(19_782).to_string(), "2024-02-29");
        assert!(Date::from_unix_days(20_000) < Date::from_unix_days(20_001));
    }
}
