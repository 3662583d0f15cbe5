//! Writing parameters, and labelling their versions.
//!
//! The main function is [`put_parameter`].

use serde::{Deserialize, Serialize};

use super::state::{DEFAULT_KEY, HeldParameter, ParameterKind, arn_of, invalid, missing, name_of};
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::service::Empty;

/// The most labels of a version.
const LABELS: usize = 10;

/// Refuse what cannot be the name of a parameter.
pub(super) fn check_name(name: &str) -> Result<(), AwsError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if name.is_empty() || !name.chars().all(fits) {
        return Err(invalid(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the \
             following 3 symbols .-_",
        ));
    }
    let first = name.trim_start_matches('/').split('/').next().unwrap_or_default().to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        let message = "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).";
        return Err(invalid(message));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutParameter {
    name: String,
    value: String,
    #[serde(rename = "Type")]
    kind: Option<ParameterKind>,
    description: Option<String>,
    key_id: Option<String>,
    overwrite: Option<bool>,
    data_type: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ParameterPut {
    version: u64,
    tier: &'static str,
}

pub(super) fn put_parameter(ctx: &mut Ctx<'_>, input: PutParameter) -> Result<ParameterPut, AwsError> {
    let name = name_of(&input.name);
    check_name(&name)?;
    let existing = ctx.place().ssm.parameters.get(&name).cloned();
    let overwrite = input.overwrite.unwrap_or(false);
    if existing.is_some() && !overwrite {
        let message = "The parameter already exists. To overwrite this value, set the overwrite option in the request \
                       to true.";
        return Err(AwsError::new("ParameterAlreadyExists", message));
    }
    let Some(kind) = input.kind.or(existing.as_ref().map(|existing| existing.kind)) else {
        return Err(invalid("A parameter type is required when you create a parameter."));
    };
    if kind != ParameterKind::SecureString && input.key_id.is_some() {
        return Err(invalid("KeyId is only applicable to SecureString parameters."));
    }
    let data_type = input.data_type.as_deref().unwrap_or("text");
    match data_type {
        "text" => {}
        "aws:ec2:image" if !input.value.starts_with("ami-") => {
            return Err(invalid(
                "Parameter value must be of the form ami-12345abcdeEXAMPLE for the data type aws:ec2:image.",
            ));
        }
        "aws:ec2:image" => {}
        other => return Err(invalid(format!("The data type {other} is not supported."))),
    }
    if input.value.len() > 4096 {
        return Err(invalid("Standard tier parameters support a maximum parameter value of 4096 characters."));
    }
    let (now, user) = (ctx.now(), ctx.caller.arn.clone());
    let key = (kind == ParameterKind::SecureString).then(|| input.key_id.unwrap_or_else(|| DEFAULT_KEY.to_owned()));
    let mut parameter = existing.unwrap_or_else(|| HeldParameter {
        name: name.clone(),
        kind,
        data_type: data_type.to_owned(),
        description: None,
        key: None,
        versions: Vec::new(),
    });
    (parameter.kind, parameter.key) = (kind, key);
    parameter.data_type = data_type.to_owned();
    parameter.description = input.description.or(parameter.description);
    let version = parameter.add(input.value, now, user)?;
    ctx.place().ssm.parameters.insert(name.clone(), parameter);
    let arn = arn_of(ctx, &name);
    ctx.touch(arn);
    Ok(ParameterPut { version, tier: "Standard" })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LabelParameterVersion {
    name: String,
    parameter_version: Option<u64>,
    labels: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Labelled {
    invalid_labels: Vec<String>,
    parameter_version: u64,
}

/// A label that another version has moves.
pub(super) fn label_parameter_version(ctx: &mut Ctx<'_>, input: LabelParameterVersion) -> Result<Labelled, AwsError> {
    let name = name_of(&input.name);
    let arn = arn_of(ctx, &name);
    let parameter = ctx.place().ssm.parameters.get_mut(&name).ok_or_else(|| missing(&name))?;
    let number = input.parameter_version.or(parameter.newest().map(|newest| newest.number)).unwrap_or(0);
    let fits = |label: &String| {
        let lower = label.to_ascii_lowercase();
        let first = label.chars().next().is_some_and(|first| first.is_ascii_digit());
        let letters = label.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        letters && !first && !lower.starts_with("aws") && !lower.starts_with("ssm")
    };
    let (labels, invalid_labels): (Vec<String>, Vec<String>) = input.labels.into_iter().partition(fits);
    let Some(version) = parameter.versions.iter().find(|version| version.number == number) else {
        let message =
            format!("Systems Manager could not find version {number} of {name}. Verify the version and try again.");
        return Err(AwsError::new("ParameterVersionNotFound", message));
    };
    let all = version.labels.iter().chain(&labels).collect::<std::collections::BTreeSet<_>>();
    if all.len() > LABELS {
        let message = "A parameter version can have a maximum of ten labels.";
        return Err(AwsError::new("ParameterVersionLabelLimitExceeded", message));
    }
    for version in &mut parameter.versions {
        version.labels.retain(|label| !labels.contains(label));
        if version.number == number {
            version.labels.extend(labels.iter().cloned());
        }
    }
    ctx.touch(arn);
    Ok(Labelled { invalid_labels, parameter_version: number })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteParameter {
    name: String,
}

pub(super) fn delete_parameter(ctx: &mut Ctx<'_>, input: DeleteParameter) -> Result<Empty, AwsError> {
    let name = name_of(&input.name);
    let arn = arn_of(ctx, &name);
    ctx.place().ssm.parameters.remove(&name).ok_or_else(|| missing(&name))?;
    ctx.touch(arn);
    Ok(Empty {})
}
