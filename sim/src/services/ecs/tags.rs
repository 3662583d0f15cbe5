//! Tags of clusters, services, task definitions and tasks.
//!
//! The main type is [`Tag`].

use serde::{Deserialize, Serialize};

use super::definition;
use super::state::{Key, Tags, invalid, is_foreign, no_cluster};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;

/// The most tags that a resource may have.
const MOST: usize = 50;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tag {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

/// Tags as a caller gave them.
pub(super) fn checked(tags: Vec<Tag>) -> Result<Tags, AwsError> {
    if tags.len() > MOST {
        return Err(invalid(format!("Tags can not have more than {MOST} elements.")));
    }
    if tags.iter().any(|tag| tag.key.is_empty() || tag.key.len() > 128 || tag.value.len() > 256) {
        return Err(invalid("Tags contain an invalid key or value."));
    }
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Tags as an answer gives them.
pub(super) fn listed(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// The tags of a resource; `unknown` is what the operation answers where there is none of that ARN.
fn tags_of<'s>(scope: &'s mut Scope<'_>, arn: &str, unknown: fn() -> AwsError) -> Result<&'s mut Tags, AwsError> {
    if !arn.starts_with("arn:") || is_foreign(scope, arn) {
        return Err(invalid(format!("Invalid identifier: {arn}")));
    }
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default().to_owned();
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["cluster", name] => {
            scope.place().ecs.clusters.get_mut(*name).map(|cluster| &mut cluster.tags).ok_or_else(no_cluster)
        }
        ["service", cluster, service] => {
            let key = Key { cluster: (*cluster).to_owned(), service: (*service).to_owned() };
            scope.place().ecs.service_mut(&key).map(|service| &mut service.tags).ok_or_else(unknown)
        }
        ["task", cluster, id] => scope.place().ecs.task_mut(cluster, id).map(|task| &mut task.tags).ok_or_else(unknown),
        ["task-definition", _] => {
            definition::resolve(scope, arn).map(|definition| &mut definition.tags).ok_or_else(unknown)
        }
        _ => Err(invalid(format!("Invalid identifier: {arn}"))),
    }
}

fn not_found() -> AwsError {
    AwsError::new("ResourceNotFoundException", "The specified resource is not found.")
}

/// `ListTagsForResource` does not declare the error of the writes.
fn not_there() -> AwsError {
    invalid("The specified resource is not found.")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

pub(super) fn tag_resource(ctx: &mut Ctx<'_>, input: TagResource) -> Result<Empty, AwsError> {
    let added = checked(input.tags)?;
    let tags = tags_of(ctx, &input.resource_arn, not_found)?;
    let fresh = added.keys().filter(|key| !tags.contains_key(*key)).count();
    if tags.len() + fresh > MOST {
        return Err(AwsError::new("LimitExceededException", format!("A resource can have {MOST} tags.")));
    }
    tags.extend(added);
    ctx.touch(input.resource_arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_resource(ctx: &mut Ctx<'_>, input: UntagResource) -> Result<Empty, AwsError> {
    tags_of(ctx, &input.resource_arn, not_found)?.retain(|key, _| !input.tag_keys.contains(key));
    ctx.touch(input.resource_arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichResource {
    resource_arn: String,
}

#[derive(Serialize)]
pub(super) struct TagList {
    tags: Vec<Tag>,
}

pub(super) fn list_tags_for_resource(ctx: &mut Ctx<'_>, input: WhichResource) -> Result<TagList, AwsError> {
    Ok(TagList { tags: listed(tags_of(ctx, &input.resource_arn, not_there)?) })
}
