//! Aliases: other names of keys.
//!
//! The main functions are [`create_alias`] and [`list_aliases`].

use serde::{Deserialize, Serialize};

use super::keys::{ListInput, invalid_marker};
use super::state::{Alias, find};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateAlias {
    alias_name: String,
    target_key_id: String,
}

pub(super) fn create_alias(ctx: &mut Ctx<'_>, input: CreateAlias) -> Result<Empty, AwsError> {
    let name = input.alias_name;
    if !name.starts_with("alias/") || name.len() == "alias/".len() {
        let message = "Alias must start with the prefix \"alias/\". Please see \
            https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
        return Err(AwsError::new("ValidationException", message));
    }
    if name.starts_with("alias/aws/") {
        return Err(AwsError::new("NotAuthorizedException", ""));
    }
    let key = find(ctx, &input.target_key_id)?;
    let arn = ctx.arn("kms", &name);
    if ctx.place().kms.aliases.contains_key(&name) {
        let message = format!("An alias with the name {arn} already exists");
        return Err(AwsError::new("AlreadyExistsException", message));
    }
    let alias = Alias { target: key.id, created: ctx.now(), updated: ctx.now() };
    ctx.place().kms.aliases.insert(name, alias);
    ctx.touch(arn);
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteAlias {
    alias_name: String,
}

pub(super) fn delete_alias(ctx: &mut Ctx<'_>, input: DeleteAlias) -> Result<Empty, AwsError> {
    let arn = ctx.arn("kms", &input.alias_name);
    match ctx.place().kms.aliases.remove(&input.alias_name) {
        Some(_) => {
            ctx.touch(arn);
            Ok(Empty {})
        }
        None => Err(AwsError::new("NotFoundException", format!("Alias {arn} is not found."))),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAliasesOutput {
    aliases: Vec<AliasEntry>,
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AliasEntry {
    alias_name: String,
    alias_arn: String,
    target_key_id: String,
    creation_date: Timestamp,
    last_updated_date: Timestamp,
}

pub(super) fn list_aliases(ctx: &mut Ctx<'_>, input: ListInput) -> Result<ListAliasesOutput, AwsError> {
    let target = match &input.key_id {
        Some(which) => Some(find(ctx, which)?.id),
        None => None,
    };
    let prefix = ctx.arn("kms", "");
    let aliases = ctx.place().kms.aliases.iter();
    let aliases = aliases.filter(|(_, alias)| target.as_ref().is_none_or(|target| *target == alias.target));
    let entry = |(name, alias): (&String, &Alias)| AliasEntry {
        alias_name: name.clone(),
        alias_arn: format!("{prefix}{name}"),
        target_key_id: alias.target.clone(),
        creation_date: alias.created,
        last_updated_date: alias.updated,
    };
    let entries = aliases.map(entry).collect();
    let size = input.limit.unwrap_or(50);
    let (aliases, next_marker) = ctx
        .page("kms:aliases", entries, size, input.marker.as_deref(), |alias: &AliasEntry| &alias.alias_name)
        .map_err(invalid_marker)?;
    Ok(ListAliasesOutput { aliases, truncated: next_marker.is_some(), next_marker })
}
