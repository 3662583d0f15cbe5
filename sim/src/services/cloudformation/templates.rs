//! Templates, as the API tells them.
//!
//! The main functions are [`validate_template`] and [`get_template`].

use std::collections::{BTreeMap, BTreeSet};

use kiln_template::{Parameter, Template, rules};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::prepare::{capabilities, template, text};
use super::state::{found, invalid, stack};
use super::{changesets, finishing};
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::s3;

/// The text behind an address of S3.
pub(super) fn fetched(scope: &mut Scope<'_>, url: &str) -> Result<String, AwsError> {
    s3::text_at(scope, url).map_err(|reason| invalid(format!("S3 error: {reason}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ValidateTemplate {
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
}

fn given(scope: &mut Scope<'_>, body: Option<String>, url: Option<String>) -> Result<(String, Template), AwsError> {
    let text =
        text(scope, body, url)?.ok_or_else(|| invalid("Either Template URL or Template Body must be specified."))?;
    let template = declared(&text)?;
    Ok((text, template))
}

/// A template whose loops need not be unrolled.
fn declared(text: &str) -> Result<Template, AwsError> {
    template(text, &BTreeMap::new())
        .or_else(|error| kiln_template::read(text).ok().and_then(|root| kiln_template::declared(&root)).ok_or(error))
}

pub(super) fn validate_template(ctx: &mut Ctx<'_>, input: ValidateTemplate) -> Result<Value, AwsError> {
    let (_, template) = given(ctx, input.template_body, input.template_url)?;
    let (needed, reason) = capabilities(&template);
    let parameter = |(name, one): (&String, &Parameter)| json!({ "ParameterKey": name, "DefaultValue": one.default, "NoEcho": one.no_echo, "Description": one.description });
    Ok(json!({
        "Parameters": template.parameters.iter().map(parameter).collect::<Vec<_>>(), "Description": template.description,
        "Capabilities": needed, "CapabilitiesReason": reason, "DeclaredTransforms": template.transforms,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetTemplate {
    stack_name: Option<String>,
    change_set_name: Option<String>,
    template_stage: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TemplateFound {
    template_body: String,
    stages_available: [&'static str; 2],
}

pub(super) fn get_template(ctx: &mut Ctx<'_>, input: GetTemplate) -> Result<TemplateFound, AwsError> {
    let goal = match (&input.change_set_name, &input.stack_name) {
        (Some(set), name) => {
            let (id, set) = changesets::owner(ctx, set, name.as_deref())?;
            stack(ctx, &id).and_then(|found| found.change_sets.get(&set)).map(|set| set.goal.clone())
        }
        (None, Some(name)) => {
            let id = found(ctx, name)?;
            stack(ctx, &id).map(|found| found.goal.clone())
        }
        (None, None) => return Err(invalid("One of StackName and ChangeSetName must be specified")),
    };
    let goal = goal.filter(|goal| !goal.text.is_empty());
    let goal = goal.ok_or_else(|| {
        invalid(format!("Stack with id {} has no template yet", input.stack_name.unwrap_or_default()))
    })?;
    let processed = input.template_stage.as_deref() == Some("Processed") && goal.template.is_extended();
    let template_body = match processed {
        true => {
            let root = kiln_template::read(&goal.text).map_err(|finding| invalid(finding.to_string()))?;
            let values = goal.parameters.iter().filter_map(|(name, given)| {
                let kind = &goal.template.parameters.get(name)?.kind;
                Some((name.clone(), kind.value(given.resolved.as_ref().unwrap_or(&given.value))))
            });
            let expanded =
                kiln_template::expand(&root, &values.collect()).map_err(|finding| invalid(finding.to_string()))?;
            expanded.json().to_string()
        }
        false => goal.text,
    };
    Ok(TemplateFound { template_body, stages_available: ["Original", "Processed"] })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetTemplateSummary {
    template_body: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    stack_name: Option<String>,
}

pub(super) fn get_template_summary(ctx: &mut Ctx<'_>, input: GetTemplateSummary) -> Result<Value, AwsError> {
    let template = match input.stack_name {
        Some(name) => {
            let id = found(ctx, &name)?;
            let text = stack(ctx, &id).map(|found| found.goal.text.clone()).unwrap_or_default();
            declared(&text)?
        }
        None => given(ctx, input.template_body, input.template_url)?.1,
    };
    let (needed, reason) = capabilities(&template);
    let kinds: BTreeSet<&str> = template.resources.values().map(|resource| resource.kind.as_str()).collect();
    let declaration = |(name, one): (&String, &Parameter)| {
        json!({
            "ParameterKey": name, "DefaultValue": one.default, "ParameterType": one.kind.name(), "NoEcho": one.no_echo,
            "Description": one.description, "ParameterConstraints": { "AllowedValues": one.allowed_values },
        })
    };
    let identifiers = kinds.iter().map(|kind| {
        let of_kind = template.resources.iter().filter(|(_, resource)| resource.kind == **kind);
        json!({
            "ResourceType": kind, "LogicalResourceIds": of_kind.map(|(name, _)| name.clone()).collect::<Vec<_>>(),
            "ResourceIdentifiers": rules(kind).map(|rules| rules.identifier.clone()),
        })
    });
    Ok(json!({
        "Parameters": template.parameters.iter().map(declaration).collect::<Vec<_>>(), "Description": template.description,
        "Capabilities": needed, "CapabilitiesReason": reason, "ResourceTypes": kinds, "Version": "2010-09-09",
        "Metadata": template.metadata.as_ref().map(|node| finishing::shown(&node.json())),
        "DeclaredTransforms": template.transforms, "ResourceIdentifierSummaries": identifiers.collect::<Vec<_>>(),
    }))
}
