//! Names as stages give them, and the ARNs that permissions are checked against.
//!
//! The main type is [`ResourceKind`], of which there is one constant for each kind of resource. What is [`Given`] is a plain name, or
//! the thing's own ARN. An ARN is used as it is, so that one of another account or region is checked as such. What AWS could read
//! differently than kiln does is refused before it is sent.

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

/// A kind of resource that stages name: how an ARN is made of a name, and what a name may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourceKind {
    /// The service in the ARN.
    pub(crate) service: &'static str,
    /// What people call one: `a repository`.
    pub(crate) noun: &'static str,
    /// What stands before the name in the ARN, behind the account: `repository/`.
    pub(crate) before: &'static str,
    /// What stands behind it.
    pub(crate) behind: &'static str,
    /// What a name may hold besides letters and digits.
    pub(crate) letters: &'static str,
}

impl ResourceKind {
    /// A kind whose ARNs end in the name.
    pub(crate) const fn new(
        service: &'static str,
        noun: &'static str,
        before: &'static str,
        letters: &'static str,
    ) -> Self {
        Self { service, noun, before, behind: "", letters }
    }

    /// The ARN of the one that is given, which is in the place where the stage acts unless it says otherwise.
    pub(crate) fn arn(&self, at: &Place, given: &str) -> Arn {
        match Given::from(given) {
            Given::Arn(arn) => arn,
            Given::Name(name) => here(at, self.service, &format!("{}{name}{}", self.before, self.behind)),
        }
    }

    /// The ARNs of all that are given.
    pub(crate) fn arns(&self, at: &Place, given: &[String]) -> Vec<Arn> {
        given.iter().map(|given| self.arn(at, given)).collect()
    }

    /// Refuse what is neither a name of this kind nor the ARN of one.
    pub(crate) fn check(&self, given: &str) -> Result<(), AwsError> {
        check(self.noun, given, self.letters)?;
        match Given::from(given) {
            Given::Name(_) => Ok(()),
            Given::Arn(arn) => self.name_in(&arn).map(|_| ()),
        }
    }

    /// Refuse what is not the ARN of one of this kind: it has no other name.
    pub(crate) fn check_arn(&self, given: &str) -> Result<(), AwsError> {
        match Given::from(given) {
            Given::Arn(arn) => self.name_in(&arn).map(|_| ()),
            Given::Name(_) => Err(invalid(format_args!("{given:?} is not the ARN of {}", self.noun))),
        }
    }

    /// The name in the ARN of one of this kind.
    pub(crate) fn name_in<'a>(&self, arn: &'a Arn) -> Result<&'a str, AwsError> {
        let name = (arn.service() == self.service).then(|| arn.resource().strip_prefix(self.before)).flatten();
        name.ok_or_else(|| invalid(format_args!("{:?} is not the ARN of {}", arn.as_str(), self.noun)))
    }
}

/// An ARN in the place where the stage acts; `resource` is everything behind the account.
pub(crate) fn here(at: &Place, service: &str, resource: &str) -> Arn {
    Arn::new(&at.partition, service, at.region.as_str(), at.account.as_str(), resource)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::canned::here as place;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:222222222222:jobs";

    #[test]
    fn names_are_of_this_place_and_arns_stay_as_they_are() {
        let repository = ResourceKind::new("ecr", "a repository", "repository/", "-_./");
        let resource = |given: &str| repository.arn(&place(), given).to_string();
        assert_eq!(resource("team/web"), "arn:aws:ecr:us-west-2:111111111111:repository/team/web");
        assert_eq!(resource(QUEUE), QUEUE);
        assert_eq!(resource("arn:aws:ecr"), "arn:aws:ecr:us-west-2:111111111111:repository/arn:aws:ecr");
    }

    #[test]
    fn an_arn_of_another_kind_is_refused() {
        let repository = ResourceKind::new("ecr", "a repository", "repository/", "-_./");
        let refusal = |given: &str| repository.check(given).map_err(|error| error.message).err();
        assert_eq!(refusal("team/web"), None);
        assert_eq!(refusal("arn:aws:ecr:eu-west-1:222222222222:repository/team/web"), None);
        let not = |given: &str| Some(format!("{given:?} is not the ARN of a repository"));
        assert_eq!(refusal(QUEUE), not(QUEUE));
        let elsewhere = "arn:aws:ecs:eu-west-1:222222222222:repository/web";
        assert_eq!(refusal(elsewhere), not(elsewhere), "another service may use the same word");
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
        let revision = ResourceKind::new("ecs", "a service-revision", "service-revision/", "");
        assert!(revision.check_arn("arn:aws:ecs:us-west-2:111111111111:service-revision/a/b/1").is_ok());
        assert!(revision.check_arn("arn:aws:ecs:us-west-2:111111111111:service/a/b").is_err());
        assert!(revision.check_arn("b/1").is_err());
    }
}
