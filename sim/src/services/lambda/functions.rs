//! Making, reading and listing functions.
//!
//! The main functions are [`create_function`], [`get_function`] and [`list_functions`].

use serde::{Deserialize, Serialize};

use super::state::{Function, FunctionImage, LATEST};
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::services::ecr::pullable;
use crate::wire::rest::number;

/// The most functions of a page.
const PAGE: usize = 50;

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterValueException", message)
}

/// An image of ECR, with the digest that it has now.
pub(super) fn image(scope: &mut Scope<'_>, uri: &str) -> Result<FunctionImage, String> {
    let Some(digest) = pullable(scope.world, &scope.at, uri)? else {
        return Err(format!("Source image {uri} is not valid. Provide a valid source image."));
    };
    let name = uri.split('@').next().unwrap_or(uri);
    // A colon before the last slash belongs to the registry.
    let name = match name.rsplit_once('/') {
        Some((before, last)) => format!("{before}/{}", last.split(':').next().unwrap_or(last)),
        None => name.to_owned(),
    };
    Ok(FunctionImage { uri: uri.to_owned(), resolved: format!("{name}@{digest}") })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateFunction {
    function_name: String,
    role: String,
    code: CodeGiven,
    package_type: Option<String>,
    #[serde(default)]
    publish: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CodeGiven {
    image_uri: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionConfiguration {
    function_name: String,
    function_arn: String,
    role: String,
    version: String,
    package_type: &'static str,
    last_modified: String,
    state: &'static str,
}

/// A function or a version of it. The ARN of a version, and of `$LATEST` where versions are asked for, ends in it.
fn configuration(name: &str, function: &Function, version: &str, in_arn: bool) -> FunctionConfiguration {
    let is_image = function.version(version).is_some_and(Option::is_some);
    let suffix = if in_arn { format!(":{version}") } else { String::new() };
    FunctionConfiguration {
        function_name: name.to_owned(),
        function_arn: format!("{}{suffix}", function.arn),
        role: function.role.clone(),
        version: version.to_owned(),
        package_type: if is_image { "Image" } else { "Zip" },
        last_modified: modified(function.modified),
        state: "Active",
    }
}

/// Lambda writes `2026-11-23T09:00:00.000+0000`.
fn modified(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds = text.split(['.', 'Z']).next().unwrap_or(&text);
    format!("{seconds}.000+0000")
}

pub(super) fn create_function(ctx: &mut Ctx<'_>, input: CreateFunction) -> Result<FunctionConfiguration, AwsError> {
    let name = input.function_name;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !(1..=64).contains(&name.len()) || !name.chars().all(fits) {
        return Err(invalid(format!("{name} is not the name of a function")));
    }
    let image = match (input.package_type.as_deref(), &input.code.image_uri) {
        (Some("Image"), Some(uri)) => Some(image(ctx, uri).map_err(invalid)?),
        (Some("Image"), None) => return Err(invalid("ImageUri is required for a function of the package type Image.")),
        (None | Some("Zip"), None) => None,
        (_, _) => return Err(invalid("PackageType and Code do not belong together.")),
    };
    let arn = ctx.arn("lambda", &format!("function:{name}"));
    let versions = if input.publish { vec![image.clone()] } else { Vec::new() };
    let function = Function { arn: arn.clone(), role: input.role, image, versions, modified: ctx.now() };
    let functions = &mut ctx.place().lambda.functions;
    if functions.contains_key(&name) {
        let message = format!("Function already exist: {name}");
        return Err(AwsError::new("ResourceConflictException", message).status(409));
    }
    let made = configuration(&name, &function, if input.publish { "1" } else { LATEST }, false);
    functions.insert(name, function);
    ctx.touch(arn);
    Ok(made)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetFunction {
    function_name: String,
    qualifier: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionFound {
    configuration: FunctionConfiguration,
    code: Code,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    repository_type: &'static str,
    image_uri: Option<String>,
    resolved_image_uri: Option<String>,
}

pub(super) fn get_function(ctx: &mut Ctx<'_>, input: GetFunction) -> Result<FunctionFound, AwsError> {
    let given = input.function_name.as_str();
    let name = given.rsplit_once(":function:").map_or(given, |(_, name)| name);
    let (name, of_name) = name.split_once(':').map_or((name, None), |(name, version)| (name, Some(version)));
    let qualifier = input.qualifier.as_deref().or(of_name);
    let version = qualifier.unwrap_or(LATEST);
    let missing = || {
        let arn = ctx.arn("lambda", &format!("function:{name}"));
        let version = qualifier.map(|version| format!(":{version}")).unwrap_or_default();
        AwsError::new("ResourceNotFoundException", format!("Function not found: {arn}{version}"))
            .status(404)
            .text("Message")
    };
    let missing = missing();
    let function = ctx.place().lambda.functions.get(name).cloned().ok_or_else(|| missing.clone())?;
    let image = function.version(version).ok_or(missing)?.clone();
    let (image_uri, resolved_image_uri) = image.map(|image| (image.uri, image.resolved)).unzip();
    Ok(FunctionFound {
        configuration: configuration(name, &function, version, qualifier.is_some()),
        code: Code { repository_type: if image_uri.is_some() { "ECR" } else { "S3" }, image_uri, resolved_image_uri },
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctions {
    function_version: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_items: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Functions {
    functions: Vec<FunctionConfiguration>,
    next_marker: Option<String>,
}

pub(super) fn list_functions(ctx: &mut Ctx<'_>, input: ListFunctions) -> Result<Functions, AwsError> {
    let all = match input.function_version.as_deref() {
        None => false,
        Some("ALL") => true,
        Some(other) => return Err(invalid(format!("{other} is no FunctionVersion"))),
    };
    let mut listed = Vec::new();
    for (name, function) in &ctx.scope.place().lambda.functions {
        listed.push(configuration(name, function, LATEST, all));
        let versions = 1..=if all { function.versions.len() } else { 0 };
        listed.extend(versions.map(|version| configuration(name, function, &version.to_string(), true)));
    }
    let size = input.max_items.unwrap_or(PAGE).min(PAGE);
    let (functions, next_marker) = ctx
        .page("functions", listed, size, input.marker.as_deref(), |function: &FunctionConfiguration| {
            &function.function_arn
        })
        .map_err(|_| invalid("Invalid marker."))?;
    Ok(Functions { functions, next_marker })
}
