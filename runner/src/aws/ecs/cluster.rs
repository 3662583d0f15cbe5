//! Names of things within a cluster, and the ARNs that they have.
//!
//! There is no type of its own here: [`arn`] says what a name means, [`check`] refuses what ECS could read differently.

use aws_sdk_ecs::types as sdk;

use crate::aws::error::{AwsError, invalid};
use crate::aws::names::{self, Given, ResourceKind};
use crate::aws::values::list;
use crate::contract::bindings::kiln::aws_ecs::ecs::Failure;
use crate::types::Arn;
use crate::types::Place;

/// What names in ECS may hold besides letters and digits.
pub(super) const NAME: &str = "-_";

const CLUSTER: ResourceKind = ResourceKind::new("ecs", "a cluster", "cluster/", NAME);

// What is in a cluster: its ARNs have the cluster's name before its own, which [`arn`] and [`check`] see to.
pub(super) const SERVICE: ResourceKind = ResourceKind::new("ecs", "a service", "service/", NAME);
pub(super) const TASK: ResourceKind = ResourceKind::new("ecs", "a task", "task/", NAME);
pub(super) const INSTANCE: ResourceKind = ResourceKind::new("ecs", "a container-instance", "container-instance/", NAME);

/// The ARN of a thing of `kind` in a cluster: `KIND/CLUSTER/NAME`, in the cluster's account and region.
pub(super) fn arn(at: &Place, kind: &ResourceKind, cluster: &str, given: &str) -> Arn {
    let name = match Given::from(given) {
        Given::Arn(arn) => return arn,
        Given::Name(name) => name,
    };
    match Given::from(cluster) {
        Given::Name(cluster) => names::here(at, "ecs", &format!("{}{cluster}/{name}", kind.before)),
        Given::Arn(arn) => names::beside(&arn, &format!("{}{}/{name}", kind.before, cluster_name(&arn))),
    }
}

/// The name in a cluster's ARN.
fn cluster_name(arn: &Arn) -> &str {
    arn.resource().strip_prefix(CLUSTER.before).unwrap_or(arn.resource())
}

/// Refuse what is no cluster.
pub(super) fn check_cluster(cluster: &str) -> Result<(), AwsError> {
    CLUSTER.check(cluster)
}

/// Refuse what is no `kind`, or one of another cluster: the permission was checked against its ARN, while ECS might look
/// for its name in `cluster`.
pub(super) fn check(kind: &ResourceKind, cluster: &str, given: &str) -> Result<(), AwsError> {
    check_cluster(cluster)?;
    kind.check(given)?;
    let Given::Arn(arn) = Given::from(given) else { return Ok(()) };
    let cluster_arn = Given::from(cluster);
    let expected = match &cluster_arn {
        Given::Name(name) => name,
        Given::Arn(arn) => cluster_name(arn),
    };
    match arn.resource().split('/').collect::<Vec<_>>().as_slice() {
        // Before 2018, ARNs did not hold the cluster.
        [_, _] => Ok(()),
        [_, of, _] if *of == expected => Ok(()),
        _ => Err(invalid(format_args!("{given:?} is not in the cluster {expected}"))),
    }
}

/// What ECS could not find, or not tell.
pub(super) fn failures(failures: Option<Vec<sdk::Failure>>) -> Vec<Failure> {
    let failure = |failure: sdk::Failure| Failure {
        arn: failure.arn.unwrap_or_default(),
        reason: match (failure.reason, failure.detail) {
            (Some(reason), Some(detail)) => format!("{reason}: {detail}"),
            (reason, detail) => reason.or(detail).unwrap_or_default(),
        },
    };
    list(failures, failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::tests::canned::here;

    const CLUSTER: &str = "arn:aws:ecs:eu-west-1:222222222222:cluster/prod";

    #[test]
    fn a_name_is_in_its_clusters_account_and_region() {
        let arn = |cluster: &str, given: &str| arn(&here(), &TASK, cluster, given).to_string();
        assert_eq!(arn("web", "0a1b"), "arn:aws:ecs:us-west-2:111111111111:task/web/0a1b");
        assert_eq!(arn(CLUSTER, "0a1b"), "arn:aws:ecs:eu-west-1:222222222222:task/prod/0a1b");
        let other = "arn:aws:ecs:us-east-1:333333333333:task/x/y";
        assert_eq!(arn(CLUSTER, other), other);
    }

    #[test]
    fn an_arn_of_another_cluster_or_kind_is_refused() {
        let refusal = |cluster: &str, given: &str| check(&SERVICE, cluster, given).map_err(|error| error.message).err();
        let service = |resource: &str| format!("arn:aws:ecs:us-west-2:111111111111:{resource}");
        assert_eq!(refusal("web", "web"), None);
        assert_eq!(refusal("web", &service("service/web/api")), None);
        assert_eq!(refusal("web", &service("service/api")), None);
        assert_eq!(refusal(CLUSTER, &service("service/prod/api")), None);
        assert!(
            refusal("web", &service("service/other/api")).is_some_and(|m| m.ends_with("is not in the cluster web"))
        );
        assert!(refusal("web", &service("task/web/api")).is_some_and(|m| m.ends_with("is not the ARN of a service")));
        assert!(refusal("", "web").is_some(), "ECS would take the cluster `default`");
        assert!(refusal(&service("service/web"), "web").is_some());
        assert!(refusal("web", "web/api").is_some());
    }
}
