//! Tags of clusters, services, task definitions and tasks.
//!
//! The main type is [`ResourceTags`].

use super::definition;
use super::state::{ServiceKey, invalid, is_foreign, no_cluster};
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::service::Access;
use crate::tags::{MOST, SmallTag, Tagged, Tags, Wrong};

/// The tags of everything that ECS has.
pub(super) struct ResourceTags;

impl Tagged for ResourceTags {
    type Tag = SmallTag;

    fn find<'s>(scope: &'s mut Scope<'_>, arn: &str, access: Access) -> Result<(String, &'s mut Tags), AwsError> {
        // `ListTagsForResource` does not declare the error of the writes.
        let unknown = || match access {
            Access::Read => invalid("The specified resource is not found."),
            Access::Write => AwsError::new("ResourceNotFoundException", "The specified resource is not found."),
        };
        Ok((arn.to_owned(), tags_of(scope, arn, unknown)?))
    }

    fn refuse(wrong: Wrong) -> Option<AwsError> {
        Some(match wrong {
            Wrong::Many => invalid(format!("Tags can not have more than {MOST} elements.")),
            Wrong::Text => invalid("Tags contain an invalid key or value."),
            Wrong::Full => AwsError::new("LimitExceededException", format!("A resource can have {MOST} tags.")),
        })
    }
}

/// The tags of a resource; `unknown` is what the operation answers where there is none of that ARN.
fn tags_of<'s>(
    scope: &'s mut Scope<'_>,
    arn: &str,
    unknown: impl FnOnce() -> AwsError,
) -> Result<&'s mut Tags, AwsError> {
    if !arn.starts_with("arn:") || is_foreign(scope, arn) {
        return Err(invalid(format!("Invalid identifier: {arn}")));
    }
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default().to_owned();
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["cluster", name] => {
            scope.place().ecs.clusters.get_mut(*name).map(|cluster| &mut cluster.tags).ok_or_else(no_cluster)
        }
        ["service", cluster, service] => {
            let key = ServiceKey { cluster: (*cluster).to_owned(), service: (*service).to_owned() };
            scope.place().ecs.service_mut(&key).map(|service| &mut service.tags).ok_or_else(unknown)
        }
        ["task", cluster, id] => scope.place().ecs.task_mut(cluster, id).map(|task| &mut task.tags).ok_or_else(unknown),
        ["task-definition", _] => {
            definition::resolve(scope, arn).map(|definition| &mut definition.tags).ok_or_else(unknown)
        }
        _ => Err(invalid(format!("Invalid identifier: {arn}"))),
    }
}
