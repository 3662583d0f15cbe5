//! Durations as pipelines write them: `500ms`, `10s`, `5m`, `1h30m`, `30d`.
//! The main type is [`Duration`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time in whole milliseconds, longer than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDuration(String);

impl fmt::Display for InvalidDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidDuration {}

/// Greatest first: the order in which they may stand.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// No number has more digits: with any unit it is then less than a duration can hold, so that the schema refuses what is too long.
const MOST_DIGITS: usize = 9;

impl Duration {
    /// So many milliseconds; a duration is never shorter than one.
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis == 0 { 1 } else { millis })
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// In seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let invalid = |reason: &str| {
            InvalidDuration(format!(
                "{text:?} is not a duration: {reason} (durations look like `10s`, `5m`, `1h30m`, `30d`)"
            ))
        };
        let mut rest = text;
        let mut total = 0_u64;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, after) = rest.split_at_checked(digits).ok_or_else(|| invalid("it is cut"))?;
            let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
            let (unit, after) = after.split_at_checked(letters).ok_or_else(|| invalid("it is cut"))?;
            if number.is_empty() {
                return Err(invalid("a number is missing"));
            }
            if number.len() > MOST_DIGITS {
                return Err(invalid("a number is too large"));
            }
            let number: u64 = number.parse().map_err(|_| invalid("a number is too large"))?;
            let millis = match units.find(|(name, _)| *name == unit) {
                Some((_, millis)) => *millis,
                None if unit.is_empty() => return Err(invalid("a unit is missing")),
                None if UNITS.iter().any(|(name, _)| *name == unit) => {
                    return Err(invalid("units go from the greatest to the smallest, each once"));
                }
                None => return Err(invalid("its units are d, h, m, s and ms")),
            };
            total = number
                .checked_mul(millis)
                .and_then(|millis| total.checked_add(millis))
                .ok_or_else(|| invalid("it is too long"))?;
            rest = after;
        }
        match total {
            0 if text.is_empty() => Err(invalid("it is empty")),
            0 => Err(invalid("it must be longer than zero")),
            total => Ok(Self(total)),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (name, millis) in UNITS {
            let number = rest / millis;
            if number > 0 {
                write!(f, "{number}{name}")?;
            }
            rest %= millis;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "pattern": "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$",
            // Not nothing: one of its digits is another than 0.
            "allOf": [{ "pattern": "[1-9]" }],
            "examples": ["10s", "5m", "1h30m", "30d"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("1m500ms", 60_500),
        ] {
            let duration = text.parse::<Duration>();
            assert_eq!(duration.as_ref().map(|d| d.as_millis()), Ok(millis), "{text}");
            assert_eq!(duration.map(|d| d.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(Duration::from_millis(90_000).to_string(), "1m30s");
    }

    #[test]
    fn what_is_wrong_with_a_duration_is_said() {
        for (text, reason) in [
            ("", "it is empty"),
            ("10", "a unit is missing"),
            ("s", "a number is missing"),
            ("-5s", "a number is missing"),
            ("1.5s", "a unit is missing"),
            ("10 s", "a unit is missing"),
            ("10w", "its units are"),
            ("0s", "longer than zero"),
            ("5s1m", "from the greatest"),
            ("1s1s", "from the greatest"),
            ("99999999999999999999s", "too large"),
            ("999999999999999d", "too large"),
            ("１０s", "a number is missing"),
        ] {
            let error = text.parse::<Duration>().map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(reason)), "{text}: {error:?}");
        }
    }
}
