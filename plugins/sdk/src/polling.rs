//! Waiting for something in the world, with the host's clock and the stage's deadline.
//! The main function is [`poll`].

use crate::bindings::kiln::stage::progress::{self, Status};
use crate::bindings::kiln::stage::timer;
use crate::{Duration, Failure};

/// What a look at the world found.
#[derive(Debug)]
pub enum Look<T> {
    /// It is decided.
    Done(T),
    /// Not yet. The status is reported as the stage's progress, and named when time runs out.
    Waiting(Status),
}

impl<T> Look<T> {
    /// Not yet, because of this.
    pub fn waiting(message: impl Into<String>) -> Self {
        Self::Waiting(Status { message: message.into(), done: None, total: None })
    }

    /// Not yet: so many steps are done of so many.
    pub fn counted(message: impl Into<String>, done: u32, total: u32) -> Self {
        Self::Waiting(Status { message: message.into(), done: Some(done), total: Some(total) })
    }
}

/// Look until it is decided, every `every`, at most until shortly before the stage's deadline. `subject` names what is
/// awaited, for the failure: `build web:1234`.
pub fn poll<T>(every: Duration, subject: &str, look: impl FnMut() -> Result<Look<T>, Failure>) -> Result<T, Failure> {
    let now = timer::now();
    look_until(every, subject, "the stage's `timeout`", now, before(now, timer::deadline()), look)
}

/// As [`poll`], but for `limit` at most.
pub fn poll_within<T>(
    limit: Duration,
    every: Duration,
    subject: &str,
    look: impl FnMut() -> Result<Look<T>, Failure>,
) -> Result<T, Failure> {
    let now = timer::now();
    let own = now.saturating_add(limit.as_millis());
    let stage = before(now, timer::deadline());
    let (end, what) = if own < stage { (own, "its time limit") } else { (stage, "the stage's `timeout`") };
    look_until(every, subject, what, now, end, look)
}

fn look_until<T>(
    every: Duration,
    subject: &str,
    limit: &str,
    start: u64,
    end: u64,
    mut look: impl FnMut() -> Result<Look<T>, Failure>,
) -> Result<T, Failure> {
    loop {
        let status = match look()? {
            Look::Done(value) => return Ok(value),
            Look::Waiting(status) => status,
        };
        progress::report(&status);
        let now = timer::now();
        match pause(now, every, end) {
            Some(millis) => timer::sleep(millis),
            None => {
                let waited = Duration::from_secs(now.saturating_sub(start) / 1000);
                return Err(Failure::timed_out(format!(
                    "{subject} was not done when {limit} ran out, after {waited}; last seen: {}",
                    status.message
                ))
                .help("Give it more time (`timeout`), or find out why it takes so long."));
            }
        }
    }
}

/// The last instant for a look: a little before the deadline, at which the host ends the stage and nobody could say why.
fn before(now: u64, deadline: u64) -> u64 {
    deadline.saturating_sub((deadline.saturating_sub(now) / 10).min(5_000))
}

/// How long to wait before the next look; none where the time is over. The last wait is shortened, so that the last look
/// falls on the end.
fn pause(now: u64, every: Duration, end: u64) -> Option<u64> {
    let left = end.saturating_sub(now);
    (left > 0).then(|| every.as_millis().min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_look_falls_on_the_end() {
        let every = Duration::from_secs(10);
        assert_eq!(pause(0, every, 25_000), Some(10_000));
        assert_eq!(pause(20_000, every, 25_000), Some(5_000));
        assert_eq!(pause(25_000, every, 25_000), None);
        assert_eq!(pause(26_000, every, 25_000), None);
    }

    #[test]
    fn a_little_time_is_kept_to_say_why() {
        assert_eq!(before(0, 1_800_000), 1_795_000);
        assert_eq!(before(0, 10_000), 9_000);
        assert_eq!(before(20_000, 10_000), 10_000, "past the deadline");
    }
}
