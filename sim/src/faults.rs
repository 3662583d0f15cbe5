//! Faults: answers that AWS gives on a bad day.
//!
//! The main type is [`Faults`], the list of those that a world file asks for. A fault counts the calls that it matches and
//! strikes from the `nth` on, `times` times.

use std::time::Duration;

use serde::Deserialize;

use crate::error::AwsError;
use crate::worldfile::{Problems, Span};

/// A fault in a world file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FaultSeed {
    /// An IAM action such as `ecr:DescribeImages`, `ecr:*` or `*`.
    operation: String,
    /// The first matching call that is struck, from 1.
    #[serde(default = "one")]
    nth: u64,
    /// How many calls are struck.
    #[serde(default = "one")]
    times: u64,
    kind: Kind,
    /// For `error`: AWS's code.
    code: Option<String>,
    /// For `error`: AWS's message.
    message: Option<String>,
    /// For `error`: the HTTP status, 400 unless told.
    status: Option<u16>,
    /// For `delay`: how long, in simulated time.
    delay: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// The service's throttling error. Nothing happens.
    Throttle,
    /// 500. Nothing happens.
    Internal,
    /// 503. Nothing happens.
    Unavailable,
    /// The error of `code` and `message`. Nothing happens.
    Error,
    /// The call is served, later.
    Delay,
    /// The connection ends before the call is served.
    Reset,
    /// The call is served, and the connection ends in the place of the answer.
    ResetAfter,
    /// The call is served, and the answer ends half-way.
    Truncated,
}

fn one() -> u64 {
    1
}

/// What befalls a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Strike {
    /// This error in the place of the service's answer.
    Refuse(AwsError),
    /// The answer, after this simulated time.
    Delay(Duration),
    /// No answer, and nothing happens.
    Reset,
    /// No answer, though it happens.
    ResetAfter,
    /// Half of the answer.
    Truncate,
}

struct Fault {
    seed: FaultSeed,
    seen: u64,
}

/// The faults of a world.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// The faults of a world file.
    pub(crate) fn plant(seeds: &[FaultSeed], problems: &mut Problems) -> Self {
        for seed in seeds {
            let place = format!("faults: operation {:?}", seed.operation);
            if seed.operation != "*" && !seed.operation.contains(':') {
                problems.add(&place, "an operation is written as its IAM action, such as `ecr:DescribeImages`");
            }
            if seed.nth == 0 {
                problems.add(&place, "`nth` counts from 1");
            }
            if seed.kind == Kind::Error && seed.code.is_none() {
                problems.add(&place, "a fault of the kind `error` needs a `code`");
            }
            if seed.kind == Kind::Delay && seed.delay.is_none() {
                problems.add(&place, "a fault of the kind `delay` needs a `delay`");
            }
        }
        Self(seeds.iter().map(|seed| Fault { seed: seed.clone(), seen: 0 }).collect())
    }

    /// Count a call, and tell what befalls it: the first fault that strikes.
    pub(crate) fn strike(&mut self, action: &str) -> Option<Strike> {
        let mut strike = None;
        for fault in &mut self.0 {
            if !matches(&fault.seed.operation, action) {
                continue;
            }
            fault.seen += 1;
            let last = fault.seed.nth.saturating_add(fault.seed.times);
            if strike.is_none() && (fault.seed.nth..last).contains(&fault.seen) {
                strike = Some(fault.seed.strike());
            }
        }
        strike
    }
}

impl FaultSeed {
    fn strike(&self) -> Strike {
        let refuse = |code: &'static str, message: &str, status| {
            Strike::Refuse(AwsError::new(code, self.message.as_deref().unwrap_or(message)).status(status))
        };
        match self.kind {
            Kind::Throttle => refuse("ThrottlingException", "Rate exceeded", 400),
            Kind::Internal => {
                refuse("InternalFailure", "The request processing has failed because of an unknown error.", 500)
            }
            Kind::Unavailable => {
                refuse("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503)
            }
            Kind::Error => {
                let code = self.code.clone().unwrap_or_default();
                let message = self.message.clone().unwrap_or_default();
                Strike::Refuse(AwsError::new(code, message).status(self.status.unwrap_or(400)))
            }
            Kind::Delay => Strike::Delay(self.delay.map(Span::duration).unwrap_or_default()),
            Kind::Reset => Strike::Reset,
            Kind::ResetAfter => Strike::ResetAfter,
            Kind::Truncated => Strike::Truncate,
        }
    }
}

fn matches(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => action.starts_with(prefix),
        None => pattern == action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(toml: &str) -> Faults {
        #[derive(Deserialize)]
        struct File {
            faults: Vec<FaultSeed>,
        }
        let file: Result<File, _> = toml::from_str(toml);
        let mut problems = Problems::default();
        Faults::plant(&file.map(|file| file.faults).unwrap_or_default(), &mut problems)
    }

    #[test]
    fn a_fault_strikes_the_nth_matching_call_and_no_other() {
        let mut faults = faults("[[faults]]\noperation = 'ecr:*'\nnth = 2\nkind = 'throttle'");
        assert_eq!(faults.strike("ecr:DescribeImages"), None);
        assert_eq!(faults.strike("ecs:DescribeServices"), None);
        let strike = faults.strike("ecr:BatchDeleteImage");
        assert_eq!(strike, Some(Strike::Refuse(AwsError::new("ThrottlingException", "Rate exceeded"))));
        assert_eq!(faults.strike("ecr:DescribeImages"), None);
    }

    #[test]
    fn a_fault_answers_the_error_that_it_is_told() {
        let mut faults =
            faults("[[faults]]\noperation = '*'\nkind = 'error'\ncode = 'X'\nmessage = 'm'\nstatus = 418\ntimes = 2");
        let error = Strike::Refuse(AwsError::new("X", "m").status(418));
        assert_eq!(faults.strike("kms:Decrypt"), Some(error.clone()));
        assert_eq!(faults.strike("sts:AssumeRole"), Some(error));
        assert_eq!(faults.strike("sts:AssumeRole"), None);
    }
}
