//! A parameter's versions.
//!
//! The main function is [`get_parameter_history`].

use serde::{Deserialize, Serialize};

use super::listing::{invalid_token, value_of};
use super::state::{missing, name_of};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetParameterHistory {
    name: String,
    with_decryption: Option<bool>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterVersions {
    parameters: Vec<VersionView>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionView {
    name: String,
    #[serde(rename = "Type")]
    kind: &'static str,
    key_id: Option<String>,
    last_modified_date: Timestamp,
    last_modified_user: String,
    description: Option<String>,
    value: String,
    version: u64,
    labels: Vec<String>,
    tier: &'static str,
    policies: [String; 0],
    data_type: String,
    #[serde(skip)]
    number: String,
}

/// The oldest first.
pub(super) fn get_parameter_history(
    ctx: &mut Ctx<'_>,
    input: GetParameterHistory,
) -> Result<ParameterVersions, AwsError> {
    let name = name_of(&input.name);
    let parameter = ctx.place().ssm.parameters.get(&name).cloned().ok_or_else(|| missing(&name))?;
    let decrypted = input.with_decryption.unwrap_or(false);
    let views = parameter.versions.iter().map(|version| VersionView {
        name: name.clone(),
        kind: parameter.kind.text(),
        key_id: parameter.key.clone(),
        last_modified_date: version.modified,
        last_modified_user: version.user.clone(),
        description: parameter.description.clone(),
        value: value_of(&parameter, version, decrypted),
        version: version.number,
        labels: version.labels.iter().cloned().collect(),
        tier: "Standard",
        policies: [],
        data_type: parameter.data_type.clone(),
        number: version.number.to_string(),
    });
    let views = views.collect();
    let (list, size) = (format!("ssm:history:{name}"), input.max_results.unwrap_or(50));
    let (parameters, next_token) = ctx
        .page(&list, views, size, input.next_token.as_deref(), |view: &VersionView| &view.number)
        .map_err(invalid_token)?;
    Ok(ParameterVersions { parameters, next_token })
}
