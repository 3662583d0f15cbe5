//! Lengths of time, as people write and read them: what the host and the simulator both read and show.
//!
//! The main type is [`Span`], which pipelines and scenarios hold; [`parse`] is what reads every length of time. [`human`] is how people
//! read one, and [`exact`] how it can be read again.

mod shown;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
pub use shown::{duration, exact, human, millis, since_start};

/// A length of time: more than nothing, at most 366 days, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: {reason}")]
pub struct InvalidDuration {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// From the largest to the smallest, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", DAY), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Every text that [`parse`] takes matches this regular expression from its beginning to its end; so does the empty one.
pub const FORM: &str = "([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?";

const LONGEST: u64 = 366 * DAY;

const DAY: u64 = 86_400_000;

impl Span {
    /// Whole seconds; for defaults. Nothing becomes a millisecond, and more than the longest becomes the longest.
    pub const fn from_secs(seconds: u64) -> Self {
        let milliseconds = seconds.saturating_mul(1000);
        Self(Duration::from_millis(match milliseconds {
            0 => 1,
            LONGEST.. => LONGEST,
            other => other,
        }))
    }

    /// As the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        match parse(text, Duration::from_millis(LONGEST))? {
            Duration::ZERO => Err(invalid(text, "it is zero; a duration must be longer than nothing".to_owned())),
            duration => Ok(Self(duration)),
        }
    }
}

/// Read a length of time of whole milliseconds, which may be none at all and is at most `longest`.
///
/// # Errors
/// It is no length of time, or a longer one.
pub fn parse(text: &str, longest: Duration) -> Result<Duration, InvalidDuration> {
    milliseconds(text, millis(longest)).map(Duration::from_millis).map_err(|reason| invalid(text, reason))
}

fn invalid(text: &str, reason: String) -> InvalidDuration {
    InvalidDuration { text: text.to_owned(), reason }
}

fn milliseconds(text: &str, longest: u64) -> Result<u64, String> {
    const FORM: &str = "write numbers with the units d, h, m, s and ms, such as \"30s\", \"10m\" or \"1h30m\"";
    if text.is_empty() {
        return Err(format!("it is empty; {FORM}"));
    }
    if text.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    let (mut rest, mut total, mut allowed) = (text, 0_u64, UNITS.as_slice());
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len() - behind.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, behind) = behind.split_at(letters);
        if number.is_empty() {
            return Err(FORM.to_owned());
        }
        if unit.is_empty() {
            return Err(match behind.chars().next() {
                None => format!("the number {number} has no unit; {FORM}"),
                Some('.' | ',') => {
                    "fractions are not understood: use a smaller unit, \"1h30m\" and not \"1.5h\"".to_owned()
                }
                Some(_) => FORM.to_owned(),
            });
        }
        let Some(index) = allowed.iter().position(|(name, _)| *name == unit) else {
            return Err(match UNITS.iter().any(|(name, _)| *name == unit) {
                true => "its units must go from the largest to the smallest, each at most once".to_owned(),
                false => format!("{unit:?} is not a unit; the units are d, h, m, s and ms"),
            });
        };
        let worth = allowed.get(index).map_or(0, |(_, worth)| *worth);
        allowed = allowed.get(index + 1..).unwrap_or_default();
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(worth))
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= longest)
            .ok_or_else(|| format!("it is longer than {}", in_days(longest)))?;
        rest = behind;
    }
    Ok(total)
}

/// Whole days as such, and everything else exactly.
fn in_days(milliseconds: u64) -> String {
    match milliseconds % DAY {
        0 => format!("{} days", milliseconds / DAY),
        _ => exact(milliseconds, ""),
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&exact(millis(self.0), ""))
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Span>().map(|span| span.get().as_millis()).ok();
        assert_eq!(read("500ms"), Some(500));
        assert_eq!(read("10s"), Some(10_000));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("30d"), Some(2_592_000_000));
        assert_eq!(read("1m0s"), Some(60_000));
    }

    #[test]
    fn refusals_say_why() {
        let why = |text: &str| text.parse::<Span>().map_err(|error| error.reason).err().unwrap_or_default();
        insta::assert_snapshot!(
            [
                "",
                "0s",
                "-5m",
                "5",
                "1.5h",
                "5 m",
                "nan",
                "inf",
                "1h1h",
                "1s1m",
                "3w",
                "400d",
                "99999999999999999999d",
                "m"
            ]
            .map(|text| format!("{text:24}{}", why(text)))
            .join("\n"),
        );
    }

    #[test]
    fn whoever_allows_nothing_at_all_or_more_than_a_year_reads_it_with_the_same_words() {
        let ever = Duration::from_millis(u64::MAX);
        assert_eq!(parse("0s", ever), Ok(Duration::ZERO));
        assert_eq!(parse("400d", ever), Ok(Duration::from_secs(400 * 86_400)));
        for wrong in ["", "10", "s", "-1s", "1 s", "1y", "1m1h"] {
            assert_eq!(parse(wrong, ever).err(), wrong.parse::<Span>().err(), "{wrong}");
        }
        let told = parse("11m", Duration::from_secs(600)).map_err(|error| error.to_string());
        assert_eq!(told, Err("\"11m\" is not a duration: it is longer than 10m".to_owned()));
        assert!(parse("99999999999999999999s", ever).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(milliseconds in 1..=LONGEST) {
            let span = Span(Duration::from_millis(milliseconds));
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = text.parse::<Span>();
        }
    }
}
