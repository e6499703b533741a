//! Time that people and papers use. Logic runs on a monotonic clock; UTC is only written down and shown.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct UtcTime(pub i64);

/// Kazakhstan keeps one zone, UTC+5, since 1 March 2024.
const KAZAKHSTAN_OFFSET_MS: i64 = 5 * 3_600_000;

impl UtcTime {
    /// Whole seconds since the epoch; stops at the ends of what fits.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This time `seconds` later.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    /// The calendar day in Kazakhstan.
    pub fn date(self) -> Date {
        Date::from_days(self.0.saturating_add(KAZAKHSTAN_OFFSET_MS).div_euclid(86_400_000))
    }

    /// Hours, minutes, seconds in Kazakhstan.
    pub fn time_of_day(self) -> [u8; 3] {
        let second = self.0.saturating_add(KAZAKHSTAN_OFFSET_MS).div_euclid(1_000).rem_euclid(86_400);
        [second / 3_600, second / 60 % 60, second % 60].map(|part| u8::try_from(part).unwrap_or_default())
    }

    /// `22.11.2026 14:05:09` in Kazakhstan time, the same in all three languages.
    pub fn local(self) -> impl fmt::Display {
        struct Local(UtcTime);
        impl fmt::Display for Local {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let second =
                    self.0.0.saturating_add(KAZAKHSTAN_OFFSET_MS).div_euclid(1_000).rem_euclid(86_400);
                write!(
                    f,
                    "{} {:02}:{:02}:{:02}",
                    self.0.date(),
                    second / 3_600,
                    second / 60 % 60,
                    second % 60
                )
            }
        }
        Local(self)
    }
}

/// A calendar day (proleptic Gregorian), kept as days since 1970-01-01.
///
/// Decoding refuses days outside the years the calendar can show.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Date(i32);

impl TryFrom<i32> for Date {
    type Error = &'static str;
    fn try_from(days: i32) -> Result<Self, Self::Error> {
        let date = Self::from_days(i64::from(days));
        if date.0 == days { Ok(date) } else { Err("no calendar shows this day") }
    }
}

impl From<Date> for i32 {
    fn from(date: Date) -> Self {
        date.0
    }
}

impl Date {
    /// The day that exists with this year, month and day of month; `None` for 30 February and the like.
    pub fn from_calendar(year: i32, month: u8, day: u8) -> Option<Self> {
        let month = time::Month::try_from(month).ok()?;
        let date = time::Date::from_calendar_date(year, month, day).ok()?;
        Some(Self(date.to_julian_day() - UNIX_EPOCH_JULIAN_DAY))
    }

    /// The day `days` after 1970-01-01, clamped to the years the calendar can show.
    pub fn from_days(days: i64) -> Self {
        let low = i64::from(time::Date::MIN.to_julian_day() - UNIX_EPOCH_JULIAN_DAY);
        let high = i64::from(time::Date::MAX.to_julian_day() - UNIX_EPOCH_JULIAN_DAY);
        Self(i32::try_from(days.clamp(low, high)).expect("invariant: clamped to the calendar"))
    }

    /// Year, month (1..=12) and day of month (1..=31).
    pub fn calendar(self) -> (i32, u8, u8) {
        let julian = self.0.saturating_add(UNIX_EPOCH_JULIAN_DAY);
        let date = time::Date::from_julian_day(julian).unwrap_or(time::Date::MAX);
        (date.year(), u8::from(date.month()), date.day())
    }

    /// Parses `2026-11-22`.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if year.len() != 4 || month.len() != 2 || day.len() != 2 {
            return None;
        }
        Self::from_calendar(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    }

    /// The first instant of this day in Kazakhstan.
    pub const fn starts_at(self) -> UtcTime {
        UtcTime(self.0 as i64 * 86_400_000 - KAZAKHSTAN_OFFSET_MS)
    }
}

const UNIX_EPOCH_JULIAN_DAY: i32 = 2_440_588;

/// `22.11.2026`: day first in all three languages (CLDR's short Kazakh year is ambiguous).
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.calendar();
        write!(f, "{day:02}.{month:02}.{year:04}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.calendar();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn kazakhstan_days_start_at_19_utc() {
        let date = Date::parse_iso("2026-11-22").unwrap();
        assert_eq!(date.starts_at().date(), date);
        assert_ne!(UtcTime(date.starts_at().0 - 1).date(), date);
        assert_eq!(UtcTime(date.starts_at().0 + 5_000).local().to_string(), "22.11.2026 00:00:05");
    }

    #[test]
    fn days_that_never_were_are_refused() {
        for text in ["2026-02-30", "1900-02-29", "2026-13-01", "2026-1-01", "x", "2026-11-22-1"] {
            assert_eq!(Date::parse_iso(text), None, "{text}");
        }
        assert!(Date::parse_iso("2096-02-29").is_some());
    }

    #[test]
    fn a_day_beyond_the_calendar_is_not_decoded() {
        for (days, there) in [(0, true), (-1, true), (2_932_896, true), (i32::MAX, false), (i32::MIN, false)]
        {
            let mut buffer = [0; 5];
            let bytes = postcard::to_slice(&days, &mut buffer).unwrap();
            let date = postcard::from_bytes::<Date>(bytes).ok();
            assert_eq!(date, there.then_some(Date(days)), "{days}");
            if let Some(date) = date {
                let mut again = [0; 5];
                assert_eq!(postcard::to_slice(&date, &mut again).unwrap(), bytes, "the bytes stay");
            }
        }
    }

    #[test]
    fn any_clock_value_can_be_shown() {
        for value in [i64::MIN, i64::MAX, 0, -1] {
            let _ = UtcTime(value).local().to_string();
            let _ = UtcTime::from_seconds(value).local().to_string();
        }
    }
}
