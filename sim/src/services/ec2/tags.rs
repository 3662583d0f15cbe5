//! Tags of what EC2 holds.
//!
//! The main function is [`create_tags`].

use serde::Deserialize;

use super::errors::missing;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;
use crate::tags::{MOST, Tag, Tags, kept};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTags {
    resource_id: Vec<String>,
    tag: Vec<Tag>,
}

/// The tags of a thing, by the kind that its id says.
fn tags_of<'s>(scope: &'s mut Scope<'_>, id: &str) -> Result<&'s mut Tags, AwsError> {
    let ec2 = &mut scope.place().ec2;
    let (kind, _) = id.split_once('-').unwrap_or((id, ""));
    let (tags, code, word) = match kind {
        "ami" => (ec2.images.get_mut(id).map(|each| &mut each.tags), "InvalidAMIID.NotFound", "image"),
        "snap" => (ec2.snapshots.get_mut(id).map(|each| &mut each.tags), "InvalidSnapshot.NotFound", "snapshot"),
        "lt" => (
            ec2.templates.get_mut(id).map(|each| &mut each.tags),
            "InvalidLaunchTemplateId.NotFound",
            "launch template",
        ),
        "i" => (ec2.instances.get_mut(id).map(|each| &mut each.tags), "InvalidInstanceID.NotFound", "instance ID"),
        "amiur" => (
            ec2.usage_reports.get_mut(id).map(|each| &mut each.tags),
            "InvalidImageUsageReportId.NotFound",
            "image usage report",
        ),
        _ => (None, "InvalidID", "ID"),
    };
    tags.ok_or_else(|| missing(code, word, id))
}

pub(super) fn create_tags(ctx: &mut Ctx<'_>, input: CreateTags) -> Result<Empty, AwsError> {
    let added = kept(input.tag);
    for id in &input.resource_id {
        let tags = tags_of(ctx, id)?;
        let fresh = added.keys().filter(|key| !tags.contains_key(*key)).count();
        if tags.len() + fresh > MOST {
            return Err(AwsError::new(
                "TagLimitExceeded",
                format!("The maximum number of {MOST} tags has been reached."),
            ));
        }
    }
    for id in input.resource_id {
        tags_of(ctx, &id)?.extend(added.clone());
        ctx.touch(id);
    }
    Ok(Empty)
}
