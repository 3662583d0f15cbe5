//! When a call that failed is tried again: a pure policy, so that a replayed run decides the same.
//!
//! The main type is [`Tries`]; [`pause`] is what it decides by. The SDK's own retries are off: theirs are random, unseen and
//! not journaled.

use std::time::Duration;

use super::error::ErrorKind;
use crate::types::Digest;

/// How often a call is sent at most.
pub(crate) const ATTEMPTS: u32 = 6;

/// How often a call is sent again with new credentials.
const RENEWALS: u32 = 2;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(20);

/// What was tried so far to have one call answered.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    failed: u32,
    renewals: u32,
}

impl Tries {
    /// It failed once more: how long to wait before it is tried again; none where that cannot help. New credentials are
    /// counted by themselves, so that a call that was throttled before is not denied them.
    pub(crate) fn fail(&mut self, kind: ErrorKind, token: &str) -> Option<Duration> {
        self.failed += 1;
        if kind == ErrorKind::Expired {
            self.renewals += 1;
            if self.renewals > RENEWALS {
                return None;
            }
        }
        pause(kind, self.failed, token)
    }

    /// How often it failed.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}

/// How long to wait before a call is tried again after its attempt number `attempt` (counted from 1) failed with `kind`;
/// none where that cannot help. `token`, which no other call has, decides the jitter: many callers that were refused
/// together must not come back together.
pub(crate) fn pause(kind: ErrorKind, attempt: u32, token: &str) -> Option<Duration> {
    let first = first_pause(kind)?;
    if attempt >= ATTEMPTS {
        return None;
    }
    let whole = first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST);
    // At least half of it: a pause that chance makes nothing is none.
    Some(whole / 2 + (whole / 2).mul_f64(share(token, attempt)))
}

/// Whether what failed with `kind` may succeed when it is tried again.
pub(crate) fn may_pass(kind: ErrorKind) -> bool {
    first_pause(kind).is_some()
}

fn first_pause(kind: ErrorKind) -> Option<Duration> {
    match kind {
        // A clear no, whatever was asked: it did not happen.
        ErrorKind::Throttled => Some(Duration::from_secs(1)),
        // It may have happened: the call path finds out before it sends a write again.
        ErrorKind::Unavailable => Some(Duration::from_millis(200)),
        // A clear no, too: whoever calls fetches other credentials.
        ErrorKind::Expired => Some(Duration::from_millis(200)),
        ErrorKind::Denied
        | ErrorKind::ReadOnly
        | ErrorKind::AccessDenied
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Invalid
        | ErrorKind::Limit
        | ErrorKind::Other => None,
    }
}

/// A share from 0 to 1, the same for the same arguments.
fn share(token: &str, attempt: u32) -> f64 {
    let digest = Digest::of(format!("{token}/{attempt}").as_bytes());
    let bits = digest.as_str().get(7..15).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_help_is_tried_again() {
        let again = |kind| pause(kind, 1, "t").is_some();
        assert!(again(ErrorKind::Throttled));
        assert!(again(ErrorKind::Unavailable));
        assert!(!again(ErrorKind::NotFound));
        assert!(!again(ErrorKind::AccessDenied));
    }

    #[test]
    fn credentials_are_renewed_twice_however_often_a_call_was_throttled_before() {
        let mut tries = Tries::default();
        assert!((0..3).all(|_| tries.fail(ErrorKind::Throttled, "t").is_some()));
        assert!((0..RENEWALS).all(|_| tries.fail(ErrorKind::Expired, "t").is_some()));
        assert_eq!(tries.fail(ErrorKind::Expired, "t"), None, "those that were renewed are refused as well");
        assert_eq!(tries.failed(), 6);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_come_to_an_end() {
        let pauses: Vec<_> = (1..).map_while(|n| pause(ErrorKind::Throttled, n, "t")).collect();
        assert_eq!(pauses.len(), 5);
        assert!(pauses.iter().all(|pause| (Duration::from_millis(500)..=LONGEST).contains(pause)), "{pauses:?}");
        assert!(pauses.last() > pauses.first());
        assert_ne!(pauses.first(), pause(ErrorKind::Throttled, 1, "u").as_ref());
    }
}
