//! AWS's values in the form that WIT records have.
//!
//! There is no type of its own here: [`word`], [`list`], [`millis`], [`count`], [`size`] and [`decimal`] read answers, [`instant`] and
//! [`signed`] write requests. A field that an answer lacks is empty; an answer without its subject is [`incomplete`].

use aws_smithy_types::DateTime;

use super::error::{AwsError, ErrorKind, invalid};
use crate::json::Unreadable;

/// A value of one of AWS's enumerations as the text that it is; empty where there is none.
pub(crate) fn word(value: Option<impl AsRef<str>>) -> String {
    optional_word(value).unwrap_or_default()
}

/// A value of one of AWS's enumerations as the text that it is.
pub(crate) fn optional_word(value: Option<impl AsRef<str>>) -> Option<String> {
    value.map(|value| value.as_ref().to_owned())
}

/// The records of a list that an answer may lack.
pub(crate) fn list<T, U>(list: Option<Vec<T>>, record: impl FnMut(T) -> U) -> Vec<U> {
    list.unwrap_or_default().into_iter().map(record).collect()
}

/// Whether what AWS says happened at `instant` may have come of a call that was sent at `sent` by the runner's clock: two clocks tell
/// the time, and they may differ by five seconds.
pub(crate) fn is_since(instant: Option<u64>, sent: u64) -> bool {
    const SKEW: u64 = 5_000;
    instant.is_some_and(|instant| instant.saturating_add(SKEW) >= sent)
}

/// Milliseconds since the Unix epoch; none for what is before it.
pub(crate) fn millis(instant: Option<DateTime>) -> Option<u64> {
    instant?.to_millis().ok()?.try_into().ok()
}

/// The instant of `millis`, as AWS wants it.
pub(crate) fn instant(what: &str, millis: u64) -> Result<DateTime, AwsError> {
    let millis = i64::try_from(millis).map_err(|_| invalid(format_args!("{what} is too far in the future")))?;
    Ok(DateTime::from_millis(millis))
}

/// A number of things; AWS types it signed, although it never is negative.
pub(crate) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A number of bytes or seconds.
pub(crate) fn size(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number of a request.
pub(crate) fn signed(what: &str, number: u32) -> Result<i32, AwsError> {
    i32::try_from(number).map_err(|_| invalid(format_args!("{what} is too large: {number}")))
}

/// The shortest decimal text that is read back as the same number; none for what is no number.
pub(crate) fn decimal(number: f64) -> Option<String> {
    number.is_finite().then(|| number.to_string())
}

/// The error of an answer that lacks what it is about. For a write it is not known whether it happened.
pub(crate) fn incomplete(subject: &str) -> AwsError {
    AwsError {
        kind: ErrorKind::Unavailable,
        code: "IncompleteAnswer".to_owned(),
        message: format!("AWS answered without {subject}"),
        operation: String::new(),
        request_id: None,
    }
}

/// The error of an answer whose own JSON cannot be kept.
pub(crate) fn unreadable(subject: &str, why: &Unreadable) -> AwsError {
    AwsError {
        code: "UnreadableAnswer".to_owned(),
        message: format!("AWS answered {subject} that is {why}"),
        ..incomplete(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_become_none_or_zero() {
        assert_eq!(millis(None), None);
        assert_eq!(millis(Some(DateTime::from_millis(-1))), None);
        assert_eq!(millis(Some(DateTime::from_secs(i64::MAX))), None);
        assert_eq!(millis(Some(DateTime::from_fractional_secs(1_700_000_000, 0.25))), Some(1_700_000_000_250));
        assert_eq!(count(-1), 0);
        assert_eq!(size(i64::MIN), 0);
        assert!(signed("a count", u32::MAX).is_err());
        assert!(instant("the start", u64::MAX).is_err());
    }

    #[test]
    fn decimals_are_short_and_read_back_the_same() {
        assert_eq!(decimal(0.1 + 0.2).as_deref(), Some("0.30000000000000004"));
        assert_eq!(decimal(5.0).as_deref(), Some("5"));
        assert_eq!(decimal(f64::NAN), None);
        assert_eq!(decimal(f64::INFINITY), None);
        for number in [1e-7, 123456789.125, f64::MAX, f64::MIN_POSITIVE, -2.5] {
            assert_eq!(decimal(number).and_then(|text| text.parse().ok()), Some(number));
        }
    }
}
