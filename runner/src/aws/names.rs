//! Names as stages give them, and the ARNs that permissions are checked against.
//!
//! The main type is [`Given`]: a plain name, or the thing's own ARN. An ARN is used as it is, so that one of another
//! account or region is checked as such. What AWS could read differently than kiln does is refused before it is sent.

use super::error::{AwsError, invalid};
use crate::types::Arn;
use crate::types::Place;

/// What a stage calls a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given<'a> {
    /// Its name, in the place where the stage acts.
    Name(&'a str),
    /// Its ARN, wherever that is.
    Arn(Arn),
}

impl<'a> From<&'a str> for Given<'a> {
    /// What begins like an ARN without being one counts as a name, which no permission grants and [`check`] refuses.
    fn from(text: &'a str) -> Self {
        text.parse().map_or(Self::Name(text), Self::Arn)
    }
}

/// An ARN in the place where the stage acts; `resource` is everything behind the account.
pub(crate) fn here(at: &Place, service: &str, resource: &str) -> Arn {
    Arn::new(&at.partition, service, at.region.as_str(), at.account.as_str(), resource)
}

/// The ARN that `given` is, or that `resource` makes of it as a name.
pub(crate) fn arn(at: &Place, service: &str, given: &str, resource: impl FnOnce(&str) -> String) -> Arn {
    match Given::from(given) {
        Given::Arn(arn) => arn,
        Given::Name(name) => here(at, service, &resource(name)),
    }
}

/// An ARN beside `arn`: of the same partition, service, region and account.
pub(crate) fn beside(arn: &Arn, resource: &str) -> Arn {
    let partition = arn.as_str().split(':').nth(1).unwrap_or_default();
    Arn::new(partition, arn.service(), arn.region(), arn.account(), resource)
}

/// Refuse what is neither an ARN nor a name of letters, digits and `punctuation`: AWS might read it as something else
/// than what the permission was checked against. `what` names it in the message: `a cluster`.
pub(crate) fn check(what: &str, given: &str, punctuation: &str) -> Result<(), AwsError> {
    let Given::Name(name) = Given::from(given) else { return Ok(()) };
    if name.is_empty() {
        return Err(invalid(format_args!("the name of {what} is empty")));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || punctuation.contains(*c))) {
        None => Ok(()),
        Some(_) if name.starts_with("arn:") => {
            Err(invalid(format_args!("{name:?} looks like the ARN of {what} but is malformed")))
        }
        Some(odd) => Err(invalid(format_args!("{name:?} is not the name of {what}: {odd:?} cannot be part of one"))),
    }
}

/// Refuse what is not the ARN of a resource of `kind` (what stands before the first `/`).
pub(crate) fn check_arn(kind: &str, given: &str) -> Result<(), AwsError> {
    match Given::from(given) {
        Given::Arn(arn) if arn.resource().split('/').next() == Some(kind) => Ok(()),
        _ => Err(invalid(format_args!("{given:?} is not the ARN of a {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::canned::here as place;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:222222222222:jobs";

    #[test]
    fn names_are_of_this_place_and_arns_stay_as_they_are() {
        let resource = |given: &str| arn(&place(), "ecr", given, |name| format!("repository/{name}")).to_string();
        assert_eq!(resource("team/web"), "arn:aws:ecr:us-west-2:111111111111:repository/team/web");
        assert_eq!(resource(QUEUE), QUEUE);
        assert_eq!(resource("arn:aws:ecr"), "arn:aws:ecr:us-west-2:111111111111:repository/arn:aws:ecr");
    }

    #[test]
    fn an_arn_beside_another_shares_its_account_and_region() {
        let queue = QUEUE.parse().map(|queue| beside(&queue, "other").to_string());
        assert_eq!(queue.as_deref(), Ok("arn:aws:sqs:eu-west-1:222222222222:other"));
    }

    #[test]
    fn what_aws_could_read_differently_is_refused() {
        let refusal = |given: &str| check("a cluster", given, "-_").map_err(|error| error.message).err();
        assert_eq!(refusal("web-2_b"), None);
        assert_eq!(refusal(QUEUE), None);
        assert_eq!(refusal("").as_deref(), Some("the name of a cluster is empty"));
        assert_eq!(
            refusal("web/other").as_deref(),
            Some("\"web/other\" is not the name of a cluster: '/' cannot be part of one")
        );
        assert_eq!(
            refusal("arn:aws:ecs:us-west-2:1:cluster/web").as_deref(),
            Some("\"arn:aws:ecs:us-west-2:1:cluster/web\" looks like the ARN of a cluster but is malformed")
        );
        assert!(refusal("web\u{0}").is_some());
        assert!(check_arn("service-revision", "arn:aws:ecs:us-west-2:111111111111:service-revision/a/b/1").is_ok());
        assert!(check_arn("service-revision", "arn:aws:ecs:us-west-2:111111111111:service/a/b").is_err());
        assert!(check_arn("service-revision", "b/1").is_err());
    }
}
