//! Points in time and calendar dates, all in UTC.
//! The main type is [`Instant`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Duration;

const DAY: u64 = 86_400_000;

/// Milliseconds since the Unix epoch, as AWS's records and the host's timer give them. Shown as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

impl Instant {
    /// Now, by the host's journaled clock.
    pub fn now() -> Self {
        Self(crate::timer::now())
    }

    /// The milliseconds from `earlier` to this, 0 where it is not earlier.
    pub fn millis_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How long it is since `earlier`, for people: seconds at most.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_secs((self.millis_since(earlier) / 1000).max(1))
    }

    /// The day that it falls on.
    pub fn date(self) -> Date {
        Date::from_days((self.0 / DAY) as i64)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 % DAY / 1000;
        write!(f, "{}T{:02}:{:02}:{:02}Z", self.date(), seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// A day of the Gregorian calendar, written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// Why a text is not a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDate(String);

impl fmt::Display for InvalidDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a date: dates look like 2027-01-31", self.0)
    }
}

impl std::error::Error for InvalidDate {}

impl Date {
    /// The day that is `days` after 1970-01-01. Days are counted in eras of 400 years that begin on a 1st of March, so
    /// that the leap day is the last of its year.
    fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self { year: year as u16, month: month as u8, day: day as u8 }
    }

    fn length_of_month(year: u16, month: u8) -> u8 {
        match month {
            2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl FromStr for Date {
    type Err = InvalidDate;

    fn from_str(text: &str) -> Result<Self, InvalidDate> {
        let invalid = || InvalidDate(text.to_owned());
        let number = |part: Option<&str>, length: usize| {
            part.filter(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|part| part.parse::<u16>().ok())
                .ok_or_else(invalid)
        };
        let mut parts = text.split('-');
        let year = number(parts.next(), 4)?;
        let month = number(parts.next(), 2)? as u8;
        let day = number(parts.next(), 2)? as u8;
        let exists = (1..=12).contains(&month) && day >= 1 && day <= Self::length_of_month(year, month);
        if parts.next().is_none() && exists { Ok(Self { year, month, day }) } else { Err(invalid()) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What [`Date`] can be read from, and nothing else: a schema that took more would put off a mistake until the run.
const DAYS_THAT_EXIST: &str = concat!(
    "^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))",
    "|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)$"
);

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date", "pattern": DAYS_THAT_EXIST })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_shown_as_rfc_3339() {
        assert_eq!(Instant(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Instant(951_782_399_999).to_string(), "2000-02-28T23:59:59Z");
        assert_eq!(Instant(951_782_400_000).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Instant(1_795_430_096_000).to_string(), "2026-11-23T10:34:56Z");
        assert_eq!(Instant(4_107_542_400_000).date().to_string(), "2100-03-01", "2100 is no leap year");
    }

    #[test]
    fn only_days_that_exist_are_dates() {
        for good in ["2026-11-23", "2024-02-29", "2000-02-29"] {
            assert_eq!(good.parse::<Date>().map(|d| d.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-1-1",
            "2026-01-01-01",
            "tomorrow",
            "2026-04-31",
            "+026-01-01",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_in_order() {
        let date = |text: &str| text.parse::<Date>().ok();
        assert!(date("2026-11-23") < date("2026-12-01"));
        assert!(date("2026-11-23") < date("2027-01-01"));
    }
}
