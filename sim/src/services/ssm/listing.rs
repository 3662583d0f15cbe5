//! Reading and finding parameters.
//!
//! The main functions are [`get_parameter`], [`get_parameters_by_path`] and [`describe_parameters`].

use serde::{Deserialize, Serialize};

use super::state::{HeldParameter, HeldVersion, ParameterKind, arn_of, invalid, missing, name_and_selector};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::page::InvalidToken;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterView {
    name: String,
    #[serde(rename = "Type")]
    kind: &'static str,
    value: String,
    version: u64,
    selector: Option<String>,
    last_modified_date: Timestamp,
    #[serde(rename = "ARN")]
    arn: String,
    data_type: String,
}

/// What a version shows: a secret only where that is asked for.
pub(super) fn value_of(parameter: &HeldParameter, version: &HeldVersion, decrypted: bool) -> String {
    match parameter.kind {
        ParameterKind::SecureString if !decrypted => version.value.clone(),
        ParameterKind::SecureString | ParameterKind::String | ParameterKind::StringList => version.plain.clone(),
    }
}

fn view(
    scope: &Scope<'_>,
    parameter: &HeldParameter,
    version: &HeldVersion,
    selector: Option<String>,
    decrypted: bool,
) -> ParameterView {
    ParameterView {
        name: parameter.name.clone(),
        kind: parameter.kind.text(),
        value: value_of(parameter, version, decrypted),
        version: version.number,
        selector: selector.map(|selector| format!(":{selector}")),
        last_modified_date: version.modified,
        arn: arn_of(scope, &parameter.name),
        data_type: parameter.data_type.clone(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParameter {
    name: String,
    with_decryption: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneParameter {
    parameter: ParameterView,
}

pub(super) fn get_parameter(ctx: &mut Ctx<'_>, input: GetParameter) -> Result<OneParameter, AwsError> {
    let (name, selector) = name_and_selector(&input.name);
    let parameter = ctx.place().ssm.parameters.get(&name).cloned().ok_or_else(|| missing(&name))?;
    let Some(version) = parameter.selected(selector.as_deref()) else {
        let message = format!(
            "Systems Manager could not find version {} of {name}. Verify the version and try again.",
            selector.unwrap_or_default()
        );
        return Err(AwsError::new("ParameterVersionNotFound", message));
    };
    let decrypted = input.with_decryption.unwrap_or(false);
    Ok(OneParameter { parameter: view(ctx, &parameter, version, selector, decrypted) })
}

pub(super) fn invalid_token(_: InvalidToken) -> AwsError {
    AwsError::new("InvalidNextToken", "The specified token isn't valid.")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParametersByPath {
    path: String,
    recursive: Option<bool>,
    with_decryption: Option<bool>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParametersByPath {
    parameters: Vec<ParameterView>,
    next_token: Option<String>,
}

pub(super) fn get_parameters_by_path(
    ctx: &mut Ctx<'_>,
    input: GetParametersByPath,
) -> Result<ParametersByPath, AwsError> {
    if !input.path.starts_with('/') {
        return Err(invalid(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin \
                            with a forward slash \"/\".",
        ));
    }
    let (recursive, decrypted) = (input.recursive.unwrap_or(false), input.with_decryption.unwrap_or(false));
    let below = format!("{}/", input.path.trim_end_matches('/'));
    let is_below = |name: &str| name.strip_prefix(&below).is_some_and(|rest| recursive || !rest.contains('/'));
    let found: Vec<HeldParameter> =
        ctx.place().ssm.parameters.values().filter(|parameter| is_below(&parameter.name)).cloned().collect();
    let views = found.iter().filter_map(|parameter| Some(view(ctx, parameter, parameter.newest()?, None, decrypted)));
    let views = views.collect();
    let size = input.max_results.unwrap_or(10);
    let list = format!("ssm:path:{below}");
    let (parameters, next_token) = ctx
        .page(&list, views, size, input.next_token.as_deref(), |view: &ParameterView| &view.name)
        .map_err(invalid_token)?;
    Ok(ParametersByPath { parameters, next_token })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterFilter {
    key: String,
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeParameters {
    #[serde(default)]
    parameter_filters: Vec<ParameterFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterList {
    parameters: Vec<ParameterMetadata>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterMetadata {
    name: String,
    #[serde(rename = "ARN")]
    arn: String,
    #[serde(rename = "Type")]
    kind: &'static str,
    key_id: Option<String>,
    last_modified_date: Timestamp,
    last_modified_user: String,
    description: Option<String>,
    version: u64,
    tier: &'static str,
    policies: [String; 0],
    data_type: String,
}

/// Whether a parameter passes a filter.
fn passes(parameter: &HeldParameter, filter: &ParameterFilter) -> Result<bool, AwsError> {
    let any = |fits: &dyn Fn(&str) -> bool| filter.values.iter().any(|value| fits(value));
    let option = |usual: &str| filter.option.clone().unwrap_or_else(|| usual.to_owned());
    match filter.key.as_str() {
        "Name" => match option("Equals").as_str() {
            "Equals" => Ok(any(&|value| parameter.name.trim_start_matches('/') == value.trim_start_matches('/'))),
            "BeginsWith" => {
                Ok(any(&|value| parameter.name.trim_start_matches('/').starts_with(value.trim_start_matches('/'))))
            }
            "Contains" => Ok(any(&|value| parameter.name.contains(value))),
            other => Err(AwsError::new("InvalidFilterOption", format!("The filter option {other} is not valid."))),
        },
        "Type" => Ok(any(&|value| parameter.kind.text() == value)),
        "DataType" => Ok(any(&|value| parameter.data_type == value)),
        other => Err(AwsError::new("InvalidFilterKey", format!("The filter key {other} is not valid."))),
    }
}

pub(super) fn describe_parameters(ctx: &mut Ctx<'_>, input: DescribeParameters) -> Result<ParameterList, AwsError> {
    let all: Vec<HeldParameter> = ctx.place().ssm.parameters.values().cloned().collect();
    let mut found = Vec::new();
    for parameter in all {
        let mut fits = true;
        for filter in &input.parameter_filters {
            fits = passes(&parameter, filter)? && fits;
        }
        let Some(newest) = parameter.newest().filter(|_| fits) else { continue };
        found.push(ParameterMetadata {
            arn: arn_of(ctx, &parameter.name),
            kind: parameter.kind.text(),
            key_id: parameter.key.clone(),
            last_modified_date: newest.modified,
            last_modified_user: newest.user.clone(),
            description: parameter.description.clone(),
            version: newest.number,
            tier: "Standard",
            policies: [],
            data_type: parameter.data_type.clone(),
            name: parameter.name,
        });
    }
    let size = input.max_results.unwrap_or(50);
    let (parameters, next_token) = ctx
        .page("ssm:parameters", found, size, input.next_token.as_deref(), |found: &ParameterMetadata| &found.name)
        .map_err(invalid_token)?;
    Ok(ParameterList { parameters, next_token })
}
