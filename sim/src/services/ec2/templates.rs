//! Launch templates are listed, get new versions, and another default one.
//!
//! The main functions are [`create_launch_template_version`] and [`modify_launch_template`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document;
use super::errors::{invalid, no_token};
use super::filters::{Filter, FilterBy, keep};
use super::template::{Template, TemplateVersion, find};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::tags::{SmallTag, listed};

/// The most items of a page.
const PAGE: usize = 200;
/// A client token is remembered so long.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

const FILTERS: &[FilterBy<Template>] = &[
    ("launch-template-name", |template| vec![template.name.clone()]),
    ("create-time", |template| vec![template.created.to_string()]),
];

/// What IAM checks a call about one template against: its ARN, which has its id.
pub(super) fn target(scope: &mut Scope<'_>, input: &Value) -> String {
    let text = |member: &str| input.get(member).and_then(Value::as_str);
    let id = match (text("LaunchTemplateId"), text("LaunchTemplateName")) {
        (Some(id), _) => id.to_owned(),
        (None, name) => find(scope, None, name).map_or("*".to_owned(), |template| template.id.clone()),
    };
    scope.arn("ec2", &format!("launch-template/{id}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeLaunchTemplates {
    #[serde(default)]
    launch_template_id: Vec<String>,
    #[serde(default)]
    launch_template_name: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLaunchTemplatesOutput {
    launch_templates: Vec<TemplateView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TemplateView {
    launch_template_id: String,
    launch_template_name: String,
    create_time: Timestamp,
    created_by: String,
    default_version_number: u64,
    latest_version_number: u64,
    tag_set: Option<Vec<SmallTag>>,
}

impl TemplateView {
    fn of(template: &Template) -> Self {
        Self {
            launch_template_id: template.id.clone(),
            launch_template_name: template.name.clone(),
            create_time: template.created,
            created_by: template.created_by.clone(),
            default_version_number: template.default,
            latest_version_number: template.latest(),
            tag_set: Some(listed(&template.tags)).filter(|tags: &Vec<SmallTag>| !tags.is_empty()),
        }
    }
}

pub(super) fn describe_launch_templates(
    ctx: &mut Ctx<'_>,
    input: DescribeLaunchTemplates,
) -> Result<DescribeLaunchTemplatesOutput, AwsError> {
    let mut wanted = Vec::new();
    for id in &input.launch_template_id {
        wanted.push(find(ctx, Some(id), None)?.id.clone());
    }
    for name in &input.launch_template_name {
        wanted.push(find(ctx, None, Some(name))?.id.clone());
    }
    let mut templates: Vec<Template> = ctx.place().ec2.templates.values().cloned().collect();
    templates.retain(|template| wanted.is_empty() || wanted.contains(&template.id));
    let templates = keep(templates, &input.filter, FILTERS, |template| &template.tags)?;
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:templates", templates, size, input.next_token.as_deref(), |template: &Template| &template.id)
        .map_err(no_token)?;
    Ok(DescribeLaunchTemplatesOutput { launch_templates: page.iter().map(TemplateView::of).collect(), next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeLaunchTemplateVersions {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(default)]
    launch_template_version: Vec<String>,
    min_version: Option<String>,
    max_version: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVersionsOutput {
    launch_template_version_set: Vec<TemplateVersionView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TemplateVersionView {
    launch_template_id: String,
    launch_template_name: String,
    version_number: u64,
    version_description: Option<String>,
    create_time: Timestamp,
    created_by: String,
    default_version: bool,
    launch_template_data: Value,
    #[serde(skip)]
    key: String,
}

impl TemplateVersionView {
    fn of(template: &Template, version: &TemplateVersion) -> Self {
        Self {
            launch_template_id: template.id.clone(),
            launch_template_name: template.name.clone(),
            version_number: version.number,
            version_description: version.description.clone(),
            create_time: version.created,
            created_by: version.created_by.clone(),
            default_version: version.number == template.default,
            launch_template_data: document::to_answer(&version.data),
            key: format!("{} {}", template.id, version.number),
        }
    }
}

pub(super) fn describe_launch_template_versions(
    ctx: &mut Ctx<'_>,
    input: DescribeLaunchTemplateVersions,
) -> Result<DescribeVersionsOutput, AwsError> {
    let mut views = Vec::new();
    match (&input.launch_template_id, &input.launch_template_name) {
        // The newest, or the default versions, of all templates.
        (None, None) => {
            let words = &input.launch_template_version;
            if words.is_empty() || words.iter().any(|word| !["$Latest", "$Default"].contains(&word.as_str())) {
                let message = "Specify a launch template, or $Latest and $Default for all launch templates.";
                return Err(AwsError::new("MissingParameter", message));
            }
            for template in ctx.place().ec2.templates.values() {
                views.extend(versions_of(template, words)?);
            }
        }
        (id, name) => {
            let template = find(ctx, id.as_deref(), name.as_deref())?.clone();
            views = match input.launch_template_version.is_empty() {
                false => versions_of(&template, &input.launch_template_version)?,
                true => {
                    let number = |text: &Option<String>| -> Result<Option<u64>, AwsError> {
                        text.as_deref().map(|text| Ok(template.version(text)?.number)).transpose()
                    };
                    let (least, most) = (number(&input.min_version)?, number(&input.max_version)?);
                    // The newest first.
                    let versions = template.versions.values().rev().filter(|version| {
                        least.is_none_or(|least| version.number >= least)
                            && most.is_none_or(|most| version.number <= most)
                    });
                    versions.map(|version| TemplateVersionView::of(&template, version)).collect()
                }
            };
        }
    }
    let size = input.max_results.unwrap_or(PAGE).min(PAGE);
    let (page, next_token) = ctx
        .page("ec2:template-versions", views, size, input.next_token.as_deref(), |view: &TemplateVersionView| &view.key)
        .map_err(no_token)?;
    Ok(DescribeVersionsOutput { launch_template_version_set: page, next_token })
}

/// The versions that are named, each once.
fn versions_of(template: &Template, words: &[String]) -> Result<Vec<TemplateVersionView>, AwsError> {
    let mut views: Vec<TemplateVersionView> = Vec::new();
    for word in words {
        let view = TemplateVersionView::of(template, template.version(word)?);
        if views.iter().all(|there| there.key != view.key) {
            views.push(view);
        }
    }
    Ok(views)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateLaunchTemplateVersion {
    client_token: Option<String>,
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    source_version: Option<String>,
    version_description: Option<String>,
    launch_template_data: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionMade {
    launch_template_version: TemplateVersionView,
}

fn mismatch() -> AwsError {
    AwsError::new("IdempotentParameterMismatch", "The client token was used with other parameters.")
}

pub(super) fn create_launch_template_version(
    ctx: &mut Ctx<'_>,
    input: CreateLaunchTemplateVersion,
) -> Result<VersionMade, AwsError> {
    let token = input.client_token.as_deref();
    let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
    if let Some(number) = ctx.made(token, mismatch)? {
        let template = find(ctx, id, name)?;
        let version = template.version(&number)?;
        return Ok(VersionMade { launch_template_version: TemplateVersionView::of(template, version) });
    }
    let given = document::from_request(&input.launch_template_data)?;
    let template = find(ctx, id, name)?.clone();
    let data = match &input.source_version {
        // What is given takes the place of what the source has, member by member.
        Some(source) => {
            let mut data = template.version(source)?.data.clone();
            if let (Value::Object(data), Value::Object(given)) = (&mut data, given) {
                data.extend(given);
            }
            data
        }
        None => given,
    };
    let (number, created, created_by) = (template.latest() + 1, ctx.now(), ctx.caller.arn.clone());
    let version = TemplateVersion { number, description: input.version_description, created, created_by, data };
    let view = TemplateVersionView::of(&template, &version);
    if let Some(template) = ctx.place().ec2.templates.get_mut(&template.id) {
        template.versions.insert(number, version);
    }
    ctx.remember(token, REMEMBERED, &number.to_string());
    ctx.touch(template.id);
    Ok(VersionMade { launch_template_version: view })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyLaunchTemplate {
    client_token: Option<String>,
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    /// As the API spells it.
    set_default_version: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TemplateChanged {
    launch_template: TemplateView,
}

pub(super) fn modify_launch_template(
    ctx: &mut Ctx<'_>,
    input: ModifyLaunchTemplate,
) -> Result<TemplateChanged, AwsError> {
    let token = input.client_token.as_deref();
    let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
    if ctx.made(token, mismatch)?.is_some() {
        return Ok(TemplateChanged { launch_template: TemplateView::of(find(ctx, id, name)?) });
    }
    let wanted = input.set_default_version.ok_or_else(|| invalid("SetDefaultVersion must be specified"))?;
    let template = find(ctx, id, name)?;
    let number = template.version(&wanted)?.number;
    let changed = template.default != number;
    template.default = number;
    let view = TemplateView::of(template);
    if !changed {
        ctx.unchanged();
    }
    ctx.remember(token, REMEMBERED, &view.launch_template_id);
    ctx.touch(view.launch_template_id.clone());
    Ok(TemplateChanged { launch_template: view })
}
