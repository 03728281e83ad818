//! The Gregorian calendar, on days since the first of January 1970, in both directions.

/// Days of 400 years.
const ERA: i64 = 146_097;
/// Days between the first of March of the year 0, where eras begin, and 1970.
const EPOCH: i64 = 719_468;

/// Days since 1970 of a date; months from 1.
pub fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// Year, month and day of a day since 1970.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH;
    let (era, of_era) = (shifted.div_euclid(ERA), shifted.rem_euclid(ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// `YYYY-MM-DD` of a day since 1970.
pub fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    if !(0..=9_999).contains(&year) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    let digit = |value: i64| char::from(b'0' + (value % 10) as u8);
    let mut text = String::with_capacity(10);
    text.extend([digit(year / 1_000), digit(year / 100), digit(year / 10), digit(year), '-']);
    text.extend([digit(month / 10), digit(month), '-', digit(day / 10), digit(day)]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        for (year, month, day, text) in
            [(1970, 1, 1, "1970-01-01"), (2024, 2, 29, "2024-02-29"), (2049, 12, 31, "2049-12-31")]
        {
            assert_eq!(date(days_since_1970(year, month, day)), text);
        }
        for days in (-800_000..4_000_000).step_by(97) {
            let (year, month, day) = civil(days);
            assert_eq!(days_since_1970(year, month, day), days);
            assert_eq!(date(days), format!("{year:04}-{month:02}-{day:02}"));
        }
    }
}
