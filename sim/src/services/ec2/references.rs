//! `DescribeImageReferences`: which of an account's own resources name an image.
//!
//! The main function is [`describe_image_references`]. Launch configurations and what is in other accounts are none of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::errors::{invalid, no_token};
use super::usage::{INSTANCE, TEMPLATE};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::{imagebuilder, ssm};

/// The most references of a page.
const PAGE: usize = 1000;
/// So many of a launch template's versions are looked at, the newest first.
const DEPTH: usize = 10;

const PARAMETER: &str = "ssm:Parameter";
const RECIPE: &str = "imagebuilder:ImageRecipe";

const TYPES: [&str; 5] = [INSTANCE, TEMPLATE, PARAMETER, RECIPE, "imagebuilder:ContainerRecipe"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeImageReferences {
    image_id: Vec<String>,
    #[serde(default)]
    include_all_resource_types: bool,
    #[serde(default)]
    resource_type: Vec<ResourceType>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// A type that is asked for, with what narrows it down.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResourceType {
    resource_type: String,
    #[serde(default)]
    resource_type_option: Vec<TypeOption>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TypeOption {
    option_name: String,
    #[serde(default)]
    option_value: Vec<String>,
}

impl ResourceType {
    fn option(&self, name: &str) -> Option<&TypeOption> {
        self.resource_type_option.iter().find(|option| option.option_name == name)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeImageReferencesOutput {
    image_reference_set: Vec<ReferenceView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferenceView {
    image_id: String,
    resource_type: String,
    arn: String,
    #[serde(skip)]
    key: String,
}

pub(super) fn describe_image_references(
    ctx: &mut Ctx<'_>,
    input: DescribeImageReferences,
) -> Result<DescribeImageReferencesOutput, AwsError> {
    let asked: Vec<ResourceType> = match input.include_all_resource_types {
        true => TYPES
            .iter()
            .map(|name| {
                let given = input.resource_type.iter().find(|given| given.resource_type == *name).cloned();
                given.unwrap_or(ResourceType { resource_type: (*name).to_owned(), resource_type_option: Vec::new() })
            })
            .collect(),
        false if input.resource_type.is_empty() => {
            let message = "Either IncludeAllResourceTypes or ResourceTypes must be specified.";
            return Err(AwsError::new("MissingParameter", message));
        }
        false => input.resource_type.clone(),
    };
    let mut found = Vec::new();
    for image in &input.image_id {
        for resource in &asked {
            for arn in named_by(ctx, image, resource)? {
                let key = format!("{image} {arn}");
                found.push(ReferenceView {
                    image_id: image.clone(),
                    resource_type: resource.resource_type.clone(),
                    arn,
                    key,
                });
            }
        }
    }
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:references", found, size, input.next_token.as_deref(), |reference: &ReferenceView| &reference.key)
        .map_err(no_token)?;
    Ok(DescribeImageReferencesOutput { image_reference_set: page, next_token })
}

/// The ARNs of the resources of a type that name an image.
fn named_by(scope: &mut Scope<'_>, image: &str, resource: &ResourceType) -> Result<Vec<String>, AwsError> {
    let names = match resource.resource_type.as_str() {
        INSTANCE => {
            let states = resource.option("state-name").map(|option| option.option_value.clone());
            let instances = scope.place().ec2.instances.values().filter(|instance| instance.image == image);
            let wanted = instances.filter(|instance| {
                states.as_ref().is_none_or(|states| states.iter().any(|state| state == instance.state.name()))
            });
            wanted.map(|instance| format!("instance/{}", instance.id)).collect()
        }
        TEMPLATE => {
            let depth = resource
                .option("version-depth")
                .and_then(|option| option.option_value.first())
                .map(|depth| depth.parse().ok().filter(|depth| (1..=10_000).contains(depth)));
            let depth = match depth {
                None => DEPTH,
                Some(Some(depth)) => depth,
                Some(None) => return Err(invalid("version-depth is an integer between 1 and 10000")),
            };
            let templates = scope.place().ec2.templates.values().filter(|template| {
                let mut newest = template.versions.values().rev().take(depth);
                newest.any(|version| version.data.get("ImageId").and_then(Value::as_str) == Some(image))
            });
            templates.map(|template| format!("launch-template/{}", template.id)).collect()
        }
        PARAMETER => {
            let named = ssm::naming(scope, image);
            let resource = |name: String| format!("parameter/{}", name.trim_start_matches('/'));
            return Ok(named.into_iter().map(|name| scope.arn("ssm", &resource(name))).collect());
        }
        RECIPE => return Ok(imagebuilder::naming(scope, image)),
        // The simulator has no recipes of containers.
        _ => Vec::new(),
    };
    let names: Vec<String> = names;
    Ok(names.into_iter().map(|name| scope.arn("ec2", &name)).collect())
}
