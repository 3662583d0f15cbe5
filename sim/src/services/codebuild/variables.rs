//! A build's variables: what they come from, and templates of them.
//!
//! The main functions are [`resolve`], which fetches what is kept elsewhere, and [`expand`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::shapes::{Status, Variable, VariableType};
use super::state::Build;
use super::work::Trouble;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::secretsmanager;

/// A reference to a secret: `ID`, `ID:KEY`, `ID:KEY:STAGE` or `ID:KEY:STAGE:VERSION`, where the id may be an ARN.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'r> {
    secret: &'r str,
    key: Option<&'r str>,
    stage: Option<&'r str>,
    version: Option<&'r str>,
}

impl<'r> Reference<'r> {
    fn parse(text: &'r str) -> Self {
        // The id of an ARN is its seventh part.
        let colons = if text.starts_with("arn:") { 6 } else { 0 };
        let end = text.match_indices(':').nth(colons).map_or(text.len(), |(at, _)| at);
        let (secret, rest) = text.split_at(end);
        let mut rest = rest.split(':').skip(1).map(|part| (!part.is_empty()).then_some(part));
        let mut part = || rest.next().flatten();
        Self { secret, key: part(), stage: part(), version: part() }
    }
}

fn trouble(code: &str, message: String) -> Trouble {
    Trouble { status: Status::Failed, code: code.to_owned(), message }
}

/// Fetch the variables that are kept elsewhere. Their values go nowhere.
pub(super) fn resolve(scope: &mut Scope<'_>, variables: &[Variable]) -> Result<(), Trouble> {
    for variable in variables {
        match variable.kind {
            VariableType::Plaintext => {}
            // The simulator has no Systems Manager, and so no parameters.
            VariableType::ParameterStore => {
                let message = format!("parameter does not exist: {}", variable.value);
                return Err(trouble("Decrypted Variables Error", message));
            }
            VariableType::SecretsManager => {
                secret(scope, &Reference::parse(&variable.value))
                    .map_err(|message| trouble("Secrets Manager Error", message))?;
            }
        }
    }
    Ok(())
}

fn secret(scope: &mut Scope<'_>, reference: &Reference<'_>) -> Result<(), String> {
    let said = |error: AwsError| format!("{}: {}", error.code, error.message);
    let text = secretsmanager::fetch(scope, reference.secret, reference.version, reference.stage).map_err(said)?;
    let Some(key) = reference.key else { return Ok(()) };
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(members)) if members.contains_key(key) => Ok(()),
        Ok(Value::Object(_)) => Err(format!("json key {key} was not found in the secret {}", reference.secret)),
        Ok(_) | Err(_) => Err(format!("the secret {} is not a json object", reference.secret)),
    }
}

/// The plain variables of a build, and those that CodeBuild adds.
pub(super) fn plain(scope: &Scope<'_>, build: &Build) -> BTreeMap<String, String> {
    let own = build.environment.environment_variables.iter();
    let own = own.filter(|variable| variable.kind == VariableType::Plaintext);
    let mut plain: BTreeMap<String, String> =
        own.map(|variable| (variable.name.clone(), variable.value.clone())).collect();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            plain.insert(name.to_owned(), value);
        }
    };
    add("AWS_REGION", Some(scope.at.region.clone()));
    add("AWS_DEFAULT_REGION", Some(scope.at.region.clone()));
    add("CODEBUILD_BUILD_ID", Some(build.id.clone()));
    add("CODEBUILD_BUILD_ARN", Some(build.arn.clone()));
    add("CODEBUILD_BUILD_NUMBER", Some(build.build_number.to_string()));
    add("CODEBUILD_SOURCE_VERSION", build.source_version.clone());
    add("CODEBUILD_RESOLVED_SOURCE_VERSION", build.resolved_source_version.clone());
    add("IMAGE_DIGEST", build.pushed.clone());
    plain
}

/// The template with the values of variables in the place of `${NAME}`; what is not set is empty, as in a shell.
pub(super) fn expand(template: &str, variables: &BTreeMap<String, String>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("${") {
        text.push_str(before);
        let Some((name, tail)) = behind.split_once('}') else {
            text.push_str("${");
            rest = behind;
            continue;
        };
        text.push_str(variables.get(name).map_or("", String::as_str));
        rest = tail;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_secret_and_what_of_it() {
        let whole = |secret| Reference { secret, key: None, stage: None, version: None };
        let arn = "arn:aws:secretsmanager:us-west-2:111111111111:secret:prod/registry-AbCdEf";
        assert_eq!(Reference::parse("prod/registry"), whole("prod/registry"));
        assert_eq!(Reference::parse(arn), whole(arn));
        assert_eq!(Reference::parse("a:b"), Reference { key: Some("b"), ..whole("a") });
        let long = format!("{arn}:token::v1");
        assert_eq!(Reference::parse(&long), Reference { key: Some("token"), version: Some("v1"), ..whole(arn) });
    }

    #[test]
    fn a_template_takes_variables_as_a_shell_does() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expand("v${A}-${B}.${A", &variables), "v1-.${A");
    }
}
