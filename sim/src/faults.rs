//! Faults: answers that AWS gives on a bad day.
//!
//! The main type is [`Faults`], the list of those that a world file asks for. A fault counts the calls that it matches,
//! between `after` and `until`, and strikes from the `nth` on, `times` times; with a `probability` it draws for each of
//! those, by the world's seed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::error::AwsError;
use crate::ids::Ids;
use crate::throttle::throttled;
use crate::worldfile::{Problems, Span};

/// A fault in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct FaultSeed {
    /// An IAM action such as `ecr:DescribeImages`, `ecr:*` or `*`.
    operation: Option<String>,
    /// All operations of a service, by its IAM prefix, in the place of `operation`.
    service: Option<String>,
    /// The first matching call that is struck, from 1.
    #[serde(default = "one")]
    nth: u64,
    /// How many calls are struck, at the most: one unless told, or any number where there is a `probability`.
    times: Option<u64>,
    /// How likely each of those calls is struck, from 0 to 1.
    probability: Option<f64>,
    /// Calls count from this time after the world's beginning on.
    after: Option<Span>,
    /// Calls count until this time after the world's beginning.
    until: Option<Span>,
    /// What happens.
    kind: Kind,
    /// For `error`: AWS's code.
    code: Option<String>,
    /// For `error`: AWS's message.
    message: Option<String>,
    /// For `error`: the HTTP status, 400 unless told.
    status: Option<u16>,
    /// For `delay` and `delay-after`: how long, in simulated time.
    delay: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
    /// The call is served at once, and its answer comes later.
    DelayAfter,
    /// The connection ends before the call is served.
    Reset,
    /// The call is served, and the connection ends in the place of the answer.
    ResetAfter,
    /// The call is served, and the answer ends half-way.
    Truncated,
    /// The credentials count as expired, whatever they are. Nothing happens.
    Expired,
    /// The caller's clock counts as ten minutes late. Nothing happens.
    Skewed,
    /// The call is served but for the last part of its batch, which fails by itself.
    Partial,
}

/// Operations that answer for each part of a batch by itself, and leave one out when they are told to.
const BATCHES: [&str; 1] = ["ecr:BatchDeleteImage"];

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
    /// The effect now, and the answer after this simulated time.
    DelayAfter(Duration),
    /// No answer, and nothing happens.
    Reset,
    /// No answer, though it happens.
    ResetAfter,
    /// Half of the answer.
    Truncate,
    /// The credentials are refused as expired.
    Expire,
    /// The signature is refused as too old.
    Skew,
    /// The effect, and an answer that says that a part of it failed.
    Partial,
}

struct Fault {
    seed: FaultSeed,
    pattern: String,
    /// Its place in the world file.
    index: usize,
    seen: u64,
    struck: u64,
}

/// The faults of a world.
#[derive(Default)]
pub(crate) struct Faults {
    began: Timestamp,
    faults: Vec<Fault>,
}

impl Faults {
    /// The faults of a world file whose world begins now; `actions` are all that there are.
    pub(crate) fn plant(seeds: &[FaultSeed], began: Timestamp, actions: &[String], problems: &mut Problems) -> Self {
        let mut faults = Vec::new();
        for (index, seed) in seeds.iter().enumerate() {
            let pattern = match (&seed.operation, &seed.service) {
                (Some(operation), None) => operation.clone(),
                (None, Some(service)) => format!("{service}:*"),
                (Some(_), Some(_)) | (None, None) => {
                    problems
                        .add(&format!("faults: number {}", index + 1), "it has either an `operation` or a `service`");
                    continue;
                }
            };
            let place = format!("faults: operation {pattern:?}");
            if pattern != "*" && !pattern.contains(':') {
                problems.add(&place, "an operation is written as its IAM action, such as `ecr:DescribeImages`");
            } else if !actions.iter().any(|action| matches(&pattern, action)) {
                problems.add(&place, "the simulator has no such operation");
            }
            if seed.nth == 0 {
                problems.add(&place, "`nth` counts from 1");
            }
            if seed.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
                problems.add(&place, "a `probability` lies between 0 and 1");
            }
            if let (Some(after), Some(until)) = (seed.after, seed.until)
                && until.duration() <= after.duration()
            {
                problems.add(&place, "`until` is not behind `after`");
            }
            if seed.kind == Kind::Error && seed.code.is_none() {
                problems.add(&place, "a fault of the kind `error` needs a `code`");
            }
            if matches!(seed.kind, Kind::Delay | Kind::DelayAfter) && seed.delay.is_none() {
                problems.add(&place, "a fault of the kind `delay` needs a `delay`");
            }
            if seed.kind == Kind::Partial && !BATCHES.contains(&pattern.as_str()) {
                let batches = BATCHES.join("`, `");
                problems.add(&place, format!("a fault of the kind `partial` strikes `{batches}` only"));
            }
            faults.push(Fault { seed: seed.clone(), pattern, index, seen: 0, struck: 0 });
        }
        Self { began, faults }
    }

    /// Count a call, and tell what befalls it: the first fault that strikes.
    pub(crate) fn strike(&mut self, action: &str, now: Timestamp, ids: &mut Ids) -> Option<Strike> {
        let age = now.since(self.began);
        let mut strike = None;
        for fault in &mut self.faults {
            let FaultSeed { nth, times, probability, after, until, .. } = &fault.seed;
            let early = after.is_some_and(|after| age < after.duration());
            let late = until.is_some_and(|until| age >= until.duration());
            if early || late || !matches(&fault.pattern, action) {
                continue;
            }
            fault.seen += 1;
            let may = match probability {
                // Every matching call draws, so that what befalls one never changes what befalls the next.
                Some(probability) => {
                    let drawn = ids.share(&format!("fault/{}/{action}", fault.index)) < *probability;
                    drawn && fault.seen >= *nth && times.is_none_or(|times| fault.struck < times)
                }
                None => (*nth..nth.saturating_add(times.unwrap_or(1))).contains(&fault.seen),
            };
            if may {
                fault.struck += 1;
                strike = strike.or_else(|| Some(fault.seed.strike(action)));
            }
        }
        strike
    }
}

impl FaultSeed {
    fn strike(&self, action: &str) -> Strike {
        let refuse = |code: &'static str, message: &str, status| {
            Strike::Refuse(AwsError::new(code, self.message.as_deref().unwrap_or(message)).status(status))
        };
        match self.kind {
            Kind::Throttle => {
                let error = throttled(action);
                Strike::Refuse(AwsError { message: self.message.clone().unwrap_or(error.message), ..error })
            }
            Kind::Expired => Strike::Expire,
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
            Kind::DelayAfter => Strike::DelayAfter(self.delay.map(Span::duration).unwrap_or_default()),
            Kind::Reset => Strike::Reset,
            Kind::ResetAfter => Strike::ResetAfter,
            Kind::Truncated => Strike::Truncate,
            Kind::Skewed => Strike::Skew,
            Kind::Partial => Strike::Partial,
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

    struct Struck {
        faults: Faults,
        ids: Ids,
        problems: usize,
    }

    impl Struck {
        fn strike(&mut self, action: &str) -> Option<Strike> {
            self.at(0, action)
        }

        fn at(&mut self, seconds: u64, action: &str) -> Option<Strike> {
            self.faults.strike(action, Timestamp(5_000 + seconds * 1000), &mut self.ids)
        }
    }

    fn faults(toml: &str) -> Struck {
        #[derive(Deserialize)]
        struct File {
            faults: Vec<FaultSeed>,
        }
        let file: Result<File, _> = toml::from_str(toml);
        let mut problems = Problems::default();
        let seeds = file.map(|file| file.faults).unwrap_or_default();
        let faults = Faults::plant(&seeds, Timestamp(5_000), &crate::services::actions(), &mut problems);
        Struck { faults, ids: Ids::new(7), problems: problems.count() }
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

    #[test]
    fn a_probability_strikes_about_as_often_and_always_the_same_calls() {
        let run = || {
            let mut faults = faults("[[faults]]\nservice = 'ecs'\nprobability = 0.25\nkind = 'internal'");
            (0..400).map(|_| faults.strike("ecs:ListTasks").is_some()).collect::<Vec<_>>()
        };
        let struck = run().into_iter().filter(|struck| *struck).count();
        assert!((70..130).contains(&struck), "{struck}");
        assert_eq!(run(), run());
        let mut never = faults("[[faults]]\nservice = 'ecs'\nprobability = 0.0\nkind = 'internal'");
        assert!((0..100).all(|_| never.strike("ecs:ListTasks").is_none()));
        let mut twice = faults("[[faults]]\nservice = 'ecs'\nprobability = 1.0\ntimes = 2\nnth = 2\nkind = 'internal'");
        let struck = [(); 5].map(|()| twice.strike("ecs:ListTasks").is_some());
        assert_eq!(struck, [false, true, true, false, false]);
    }

    #[test]
    fn a_fault_strikes_in_its_time_only() {
        let mut faults =
            faults("[[faults]]\noperation = '*'\nkind = 'expired'\ntimes = 100\nafter = '10s'\nuntil = '20s'");
        let struck = [0, 9, 10, 19, 20].map(|second| faults.at(second, "ecs:ListTasks") == Some(Strike::Expire));
        assert_eq!(struck, [false, false, true, true, false]);
    }

    #[test]
    fn faults_that_make_no_sense_are_told() {
        for wrong in [
            "kind = 'reset'",
            "operation = 'ecs:ListTasks'\nservice = 'ecs'\nkind = 'reset'",
            "operation = 'ecs:Nothing'\nkind = 'reset'",
            "service = 'nothing'\nkind = 'reset'",
            "service = 'ecs'\nkind = 'reset'\nprobability = 1.5",
            "service = 'ecs'\nkind = 'reset'\nafter = '5s'\nuntil = '5s'",
        ] {
            assert_eq!(faults(&format!("[[faults]]\n{wrong}")).problems, 1, "{wrong}");
        }
    }
}
