//! What time it is where answers come from: the `Date` of the last one.
//!
//! The main type is [`Heard`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// A time that was said, and when it was heard by this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// In seconds since the Unix epoch: AWS says no more.
    said: i64,
    at: SystemTime,
}

impl Heard {
    /// Heard by a clock that is so many seconds ahead.
    #[cfg(test)]
    pub(crate) fn ahead_by(seconds: i64) -> Self {
        Self { said: -seconds, at: UNIX_EPOCH }
    }

    /// How far this machine's clock is ahead of the one that was heard, in seconds. Less than nothing where it is behind.
    pub fn ahead(&self) -> i64 {
        let own = match self.at.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        };
        own.saturating_sub(self.said)
    }
}

/// Keeps what was heard last. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener(Arc<Mutex<Option<Heard>>>);

impl Listener {
    /// Note the `Date` of an answer, if it is one.
    pub(super) fn note(&self, date: Option<&str>) {
        let said = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()).map(|date| date.secs());
        if let Some(said) = said {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Heard { said, at: SystemTime::now() });
        }
    }

    /// What was heard last.
    pub(super) fn last(&self) -> Option<Heard> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind_by_whole_seconds() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Heard { said: 100, at: at(160) }.ahead(), 60);
        assert_eq!(Heard { said: 160, at: at(100) }.ahead(), -60);
        assert_eq!(Heard { said: 0, at: UNIX_EPOCH - Duration::from_secs(5) }.ahead(), -5);
    }

    #[test]
    fn what_is_no_date_is_not_heard() {
        let listener = Listener::default();
        for nothing in [None, Some(""), Some("yesterday"), Some("2026-01-01T00:00:00Z")] {
            listener.note(nothing);
            assert_eq!(listener.last(), None, "{nothing:?}");
        }
        listener.note(Some("Thu, 01 Jan 2026 00:00:00 GMT"));
        assert_eq!(listener.last().map(|heard| heard.said), Some(1_767_225_600));
    }
}
