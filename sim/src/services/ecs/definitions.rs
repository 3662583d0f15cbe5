//! Operations on task definitions.
//!
//! The main function is [`register_task_definition`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::definition::{TaskDefinition, register, resolve};
use super::registration::{self, client};
use super::state::invalid;
use super::tags::ResourceTags;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::page::InvalidToken;
use crate::tags::{SmallTag, Tagged, listed};

/// What an answer says of a task definition, and no caller gives.
const DESCRIPTIVE: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Registered {
    task_definition: Value,
    tags: Option<Vec<SmallTag>>,
}

pub(super) fn register_task_definition(
    ctx: &mut Ctx<'_>,
    mut document: Map<String, Value>,
) -> Result<Registered, AwsError> {
    document.retain(|field, _| !DESCRIPTIVE.contains(&field.as_str()));
    let tags: Vec<SmallTag> = match document.remove("tags") {
        None => Vec::new(),
        Some(tags) => serde_json::from_value(tags)
            .map_err(|error| AwsError::new("SerializationException", format!("tags: {error}")))?,
    };
    let tags = ResourceTags::checked(tags)?;
    let family = match document.get("family") {
        Some(Value::String(family)) => family.clone(),
        _ => return Err(client("Family should not be null or empty.")),
    };
    check_family(&family)?;
    registration::check(&document)?;
    registration::fill(&mut document);
    let caller = ctx.caller.arn.clone();
    let definition = register(ctx, &family, document, tags, caller);
    ctx.touch(definition.arn.clone());
    let tags = (!definition.tags.is_empty()).then(|| listed(&definition.tags));
    Ok(Registered { task_definition: definition.described(), tags })
}

fn check_family(family: &str) -> Result<(), AwsError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if (1..=255).contains(&family.len()) && family.chars().all(fits) {
        return Ok(());
    }
    Err(client("Family contains invalid characters."))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeTaskDefinition {
    task_definition: String,
    #[serde(default)]
    include: Vec<String>,
}

pub(super) fn describe_task_definition(
    ctx: &mut Ctx<'_>,
    input: DescribeTaskDefinition,
) -> Result<Registered, AwsError> {
    let definition = resolve(ctx, &input.task_definition);
    let definition = definition.ok_or_else(|| client("Unable to describe task definition."))?;
    let with_tags = input.include.iter().any(|field| field == "TAGS");
    let tags = with_tags.then(|| listed(&definition.tags));
    Ok(Registered { task_definition: definition.described(), tags })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeregisterTaskDefinition {
    task_definition: String,
}

pub(super) fn deregister_task_definition(
    ctx: &mut Ctx<'_>,
    input: DeregisterTaskDefinition,
) -> Result<Registered, AwsError> {
    let now = ctx.now();
    let given = &input.task_definition;
    let name = given.rsplit_once("task-definition/").map_or(given.as_str(), |(_, name)| name);
    if !name.contains(':') {
        return Err(client("Invalid revision number. Number: null"));
    }
    let definition = resolve(ctx, given);
    let definition: &mut TaskDefinition =
        definition.ok_or_else(|| client("The specified task definition does not exist."))?;
    let again = !definition.active;
    if !again {
        definition.active = false;
        definition.deregistered = Some(now);
    }
    let (arn, task_definition) = (definition.arn.clone(), definition.described());
    if again {
        ctx.unchanged();
    }
    ctx.touch(arn);
    Ok(Registered { task_definition, tags: None })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTaskDefinitions {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskDefinitionArns {
    task_definition_arns: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_task_definitions(
    ctx: &mut Ctx<'_>,
    input: ListTaskDefinitions,
) -> Result<TaskDefinitionArns, AwsError> {
    let size = size(input.max_results)?;
    let active = match input.status.as_deref() {
        None | Some("ACTIVE") => true,
        Some("INACTIVE") => false,
        Some("DELETE_IN_PROGRESS") => {
            return Ok(TaskDefinitionArns { task_definition_arns: Vec::new(), next_token: None });
        }
        Some(other) => return Err(invalid(format!("Invalid status: {other}"))),
    };
    // `familyPrefix` is the whole name of a family here, as it is at AWS.
    let families = ctx.scope.place().ecs.families.iter();
    let mut arns: Vec<String> = families
        .filter(|(family, _)| input.family_prefix.as_ref().is_none_or(|wanted| wanted == *family))
        .flat_map(|(_, family)| family.revisions.values())
        .filter(|definition| definition.active == active)
        .map(|definition| definition.arn.clone())
        .collect();
    if input.sort.as_deref() == Some("DESC") {
        arns.reverse();
    }
    let (task_definition_arns, next_token) =
        ctx.page("task-definitions", arns, size, input.next_token.as_deref(), |arn| arn).map_err(bad_token)?;
    Ok(TaskDefinitionArns { task_definition_arns, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTaskDefinitionFamilies {
    family_prefix: Option<String>,
    status: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Families {
    families: Vec<String>,
    next_token: Option<String>,
}

pub(super) fn list_task_definition_families(
    ctx: &mut Ctx<'_>,
    input: ListTaskDefinitionFamilies,
) -> Result<Families, AwsError> {
    let size = size(input.max_results)?;
    let families = ctx.scope.place().ecs.families.iter();
    let families = families.filter(|(name, family)| {
        let active = family.revisions.values().any(|definition| definition.active);
        let status = match input.status.as_deref() {
            Some("ACTIVE") => active,
            Some("INACTIVE") => !active,
            _ => true,
        };
        status && input.family_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
    });
    let families: Vec<String> = families.map(|(name, _)| name.clone()).collect();
    let (families, next_token) =
        ctx.page("families", families, size, input.next_token.as_deref(), |name| name).map_err(bad_token)?;
    Ok(Families { families, next_token })
}

/// The size of a page.
pub(super) fn size(asked: Option<usize>) -> Result<usize, AwsError> {
    match asked.unwrap_or(100) {
        size @ 1..=100 => Ok(size),
        _ => Err(invalid("Invalid maxResults: it must be between 1 and 100.")),
    }
}

pub(super) fn bad_token(_: InvalidToken) -> AwsError {
    invalid("Invalid token.")
}
