//! Throttling: token buckets, one for each service of an account's region and one for each operation with a limit of its own.
//!
//! The main types are [`Throttle`] and [`ThrottlingSeed`]. Nobody is throttled unless the world says so.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::error::AwsError;
use crate::world::PlaceKey;
use crate::worldfile::Problems;

/// `[throttling]` in a world file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ThrottlingSeed {
    /// Calls a second, of each service.
    rate: Option<f64>,
    /// How many calls may come at once; as many as `rate` unless told.
    burst: Option<f64>,
    /// Other limits, by IAM action such as `ecs:DescribeServices`, or `ecs:*` for the service.
    #[serde(default)]
    operations: BTreeMap<String, Limit>,
}

/// A bucket: how fast it fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Limit {
    /// Calls a second.
    rate: f64,
    /// How many calls may come at once; as many as `rate` unless told.
    burst: Option<f64>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// The limits of a world and its buckets.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    everywhere: Option<Limit>,
    limits: BTreeMap<String, Limit>,
    /// By place, and by action or service.
    buckets: BTreeMap<(PlaceKey, String), Bucket>,
}

impl Throttle {
    /// The limits of a world file.
    pub(crate) fn plant(seed: &ThrottlingSeed, actions: &[String], problems: &mut Problems) -> Self {
        let everywhere = seed.rate.map(|rate| Limit { rate, burst: seed.burst });
        if seed.burst.is_some() && seed.rate.is_none() {
            problems.add("throttling", "a `burst` needs a `rate`");
        }
        for (name, limit) in seed.operations.iter().chain(everywhere.iter().map(|limit| (&ALL, limit))) {
            let place = if *name == ALL { "throttling".to_owned() } else { format!("throttling.operations: {name:?}") };
            let positive = |number: f64| number.is_finite() && number > 0.0;
            if !positive(limit.rate) || limit.burst.is_some_and(|burst| !(positive(burst) && burst >= 1.0)) {
                problems.add(&place, "`rate` is a positive number, and `burst` is at least 1");
            }
            let service = name.strip_suffix(":*");
            let known = match service {
                Some(service) => actions.iter().any(|action| action.split(':').next() == Some(service)),
                None => *name == ALL || actions.contains(name),
            };
            if !known {
                problems.add(&place, "the simulator has no such operation; a service is written as `ecs:*`");
            }
        }
        Self { everywhere, limits: seed.operations.clone(), buckets: BTreeMap::new() }
    }

    /// Take a token for a call; whether there was one.
    pub(crate) fn admit(&mut self, at: &PlaceKey, action: &str, now: Timestamp) -> bool {
        let service = action.split(':').next().unwrap_or_default();
        let (name, limit) = match (self.limits.get(action), self.limits.get(&format!("{service}:*")), self.everywhere) {
            (Some(limit), _, _) => (action, *limit),
            (None, Some(limit), _) => (service, *limit),
            (None, None, Some(limit)) => (service, limit),
            (None, None, None) => return true,
        };
        let holds = limit.burst.unwrap_or(limit.rate).max(1.0);
        let fresh = || Bucket { tokens: holds, at: now };
        let bucket = self.buckets.entry((at.clone(), name.to_owned())).or_insert_with(fresh);
        bucket.tokens = (bucket.tokens + now.since(bucket.at).as_secs_f64() * limit.rate).min(holds);
        bucket.at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

static ALL: String = String::new();

/// A throttled call, as the service of this action words it.
pub(crate) fn throttled(action: &str) -> AwsError {
    match action.split(':').next() {
        Some("kms") => AwsError::new(
            "ThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        ),
        Some("ec2") => AwsError::new("RequestLimitExceeded", "Request limit exceeded.").status(503),
        Some("sts" | "cloudwatch" | "autoscaling" | "elasticloadbalancing") => {
            AwsError::new("Throttling", "Rate exceeded")
        }
        Some(_) | None => AwsError::new("ThrottlingException", "Rate exceeded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(toml: &str) -> (Throttle, usize) {
        let seed: Result<ThrottlingSeed, _> = toml::from_str(toml);
        let actions = ["ecs:DescribeServices", "ecs:ListTasks", "ecr:DescribeImages"].map(str::to_owned);
        let mut problems = Problems::default();
        (Throttle::plant(&seed.unwrap_or_default(), &actions, &mut problems), problems.count())
    }

    fn place() -> PlaceKey {
        PlaceKey { account: "111111111111".into(), region: "us-west-2".into() }
    }

    #[test]
    fn a_bucket_empties_by_calls_and_fills_with_time() {
        let (mut throttle, _) = throttle("rate = 2\nburst = 3");
        let mut admitted = |action: &str, at: u64| throttle.admit(&place(), action, Timestamp(at));
        assert_eq!([0; 5].map(|at| admitted("ecs:ListTasks", at)), [true, true, true, false, false]);
        assert!(admitted("ecr:DescribeImages", 0), "another service has another bucket");
        assert!(!admitted("ecs:DescribeServices", 499));
        assert!(admitted("ecs:DescribeServices", 500));
        assert_eq!([60_000; 4].map(|at| admitted("ecs:ListTasks", at)), [true, true, true, false]);
    }

    #[test]
    fn an_operation_may_have_a_limit_of_its_own() {
        let (mut throttle, _) = throttle("[operations]\n'ecs:DescribeServices' = { rate = 1 }");
        let mut admitted = |action: &str| throttle.admit(&place(), action, Timestamp(0));
        assert_eq!([admitted("ecs:DescribeServices"), admitted("ecs:DescribeServices")], [true, false]);
        assert_eq!([admitted("ecs:ListTasks"), admitted("ecs:ListTasks")], [true, true]);
    }

    #[test]
    fn limits_that_make_no_sense_are_told() {
        for wrong in ["burst = 3", "rate = 0", "rate = 1\nburst = 0.5", "[operations]\n'ecs:Nothing' = { rate = 1 }"] {
            assert_eq!(throttle(wrong).1, 1, "{wrong}");
        }
        assert_eq!(throttle("rate = 10\nburst = 20\n[operations]\n'ecs:*' = { rate = 1 }").1, 0);
    }
}
