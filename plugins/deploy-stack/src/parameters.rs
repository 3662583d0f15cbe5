//! Values of parameters, as CloudFormation takes them.
//! The main function is [`given`]; [`text`] makes a text of a value by the parameter's type.

use kiln_plugin::aws::cloudformation::{Parameter, ParameterValue as Has, Stack};
use kiln_plugin::{Failure, Known, secrets};
use kiln_template::Template;
use serde_json::Value;

use crate::config::Config;

/// How a config refers to a secret.
const SECRET: &str = "kiln-secret:";

/// A value as text, as the parameter's type wants it; or why it is none.
pub(crate) fn text(name: &str, value: &Value, declared: &kiln_template::Parameter) -> Result<String, String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(format!("{name} is neither a text nor a number")),
    };
    let list = declared.kind.is_list();
    let text = match value {
        Value::Array(_) if !list && !declared.kind.is_ssm_value() => {
            return Err(format!("{name} is a {}, and no list", declared.kind));
        }
        Value::Array(items) => {
            let items = items.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
            if let Some(odd) = items.iter().find(|item| item.contains(',')) {
                return Err(format!(
                    "an item of {name} has a comma, which CloudFormation takes for the next item: {odd:?}"
                ));
            }
            items.join(",")
        }
        other => scalar(other)?,
    };
    // What SSM has is known only there, and what a reference is worth only AWS knows.
    if declared.kind.is_ssm_value() || is_reference(&text) {
        return Ok(text);
    }
    declared.check(name, &text).map(|()| text).map_err(|refusal| refusal.0)
}

/// Whether a value is a dynamic reference, or a secret that becomes one.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with(SECRET) || (text.contains("{{resolve:") && text.contains("}}"))
}

/// A secret as CloudFormation refers to it: `ARN:KEY:STAGE:VERSION` of ECS becomes `{{resolve:secretsmanager:ARN:SecretString:…}}`.
pub(crate) fn dynamic(reference: &str) -> String {
    let parts: Vec<&str> = reference.split(':').collect();
    let (id, rest) = parts.split_at(parts.len().min(7));
    format!("{{{{resolve:secretsmanager:{}:SecretString:{}}}}}", id.join(":"), rest.join(":"))
}

/// What a parameter is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// A value.
    Value(String),
    /// What the stack has.
    Kept,
    /// It is known once this stage has run.
    After(String),
}

/// What each of the template's parameters is given; one that is left out has its default.
pub(crate) fn given(
    config: &Config,
    template: &Template,
    stack: Option<&Stack>,
) -> Result<Vec<(String, Given)>, Failure> {
    let has = |name: &str| stack.is_some_and(|stack| stack.parameters.iter().any(|has| has.name == name));
    let mut all = Vec::new();
    for (name, declared) in &template.parameters {
        if config.keep.contains(name) && has(name) {
            all.push((name.clone(), Given::Kept));
            continue;
        }
        match config.parameters.get(name) {
            None if declared.default.is_some() => {}
            None => {
                return Err(Failure::config(format!("the parameter {name} of {} has no value", config.template.0))
                    .help("Give it in `parameters`, or a default in the template."));
            }
            Some(Known::After(stage)) => all.push((name.clone(), Given::After(stage.clone()))),
            Some(Known::Now(value)) => {
                let value = text(name, &value.0, declared).map_err(|why| {
                    Failure::config(format!("the parameter {name} of {} cannot be that: {why}", config.template.0))
                })?;
                all.push((name.clone(), Given::Value(opened(name, value)?)));
            }
        }
    }
    if let Some(odd) = config.parameters.keys().find(|name| !template.parameters.contains_key(*name)) {
        return Err(Failure::config(format!("{} has no parameter {odd}", config.template.0)));
    }
    Ok(all)
}

/// A value with its secret as a reference that CloudFormation resolves by itself.
fn opened(name: &str, value: String) -> Result<String, Failure> {
    if !value.starts_with(SECRET) {
        return Ok(value);
    }
    let secret = secrets::open(&value)
        .map_err(|error| Failure::config(format!("the secret of the parameter {name} cannot be had: {error:?}")))?;
    Ok(dynamic(&secret.ecs_reference()))
}

/// As they are sent.
pub(crate) fn sent(given: &[(String, Given)]) -> Result<Vec<Parameter>, Failure> {
    let one = |(name, given): &(String, Given)| match given {
        Given::Value(value) => Ok(Parameter { name: name.clone(), value: Some(value.clone()) }),
        Given::Kept => Ok(Parameter { name: name.clone(), value: None }),
        Given::After(stage) => Err(Failure::internal(format!("{name} is known only after stage {stage}"))),
    };
    given.iter().map(one).collect()
}

/// The value that the stack has.
pub(crate) fn had<'s>(stack: &'s Stack, name: &str) -> Option<&'s Has> {
    stack.parameters.iter().find(|has| has.name == name)
}

/// What stands in the place of a value that is not shown.
pub(crate) fn is_hidden(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template() -> Template {
        let text = "Parameters:\n  Size: { Type: Number, MinValue: 1, MaxValue: 5 }\n  Subnets: { Type: List<AWS::EC2::Subnet::Id> }\n  \
                    Image: { Type: AWS::SSM::Parameter::Value<AWS::EC2::Image::Id> }\n  Name: { Type: String, AllowedPattern: '[a-z]+' }\n\
                    Resources:\n  Topic: { Type: AWS::SNS::Topic }\n";
        match kiln_template::check(text) {
            Ok(template) => template,
            Err(findings) => unreachable!("{findings:?}"),
        }
    }

    fn of(name: &str, value: Value) -> Result<String, String> {
        text(name, &value, template().parameters.get(name).unwrap())
    }

    #[test]
    fn values_are_written_as_their_types_want_them() {
        assert_eq!(of("Size", json!(3)).as_deref(), Ok("3"));
        assert_eq!(of("Size", json!("3")).as_deref(), Ok("3"));
        assert_eq!(of("Subnets", json!(["subnet-1", "subnet-2"])).as_deref(), Ok("subnet-1,subnet-2"));
        assert_eq!(of("Image", json!("/ami/web")).as_deref(), Ok("/ami/web"));
        assert_eq!(of("Name", json!("{{resolve:ssm:/a}}")).as_deref(), Ok("{{resolve:ssm:/a}}"));
        for (name, value, why) in [
            ("Size", json!("three"), "must be a number"),
            ("Size", json!(9), "not greater than 5"),
            ("Size", json!([1]), "no list"),
            ("Subnets", json!(["a,b"]), "has a comma"),
            ("Name", json!("A1"), "must match pattern"),
            ("Name", json!({}), "neither a text nor a number"),
        ] {
            let told = of(name, value).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_secret_becomes_a_dynamic_reference() {
        let arn = "arn:aws:secretsmanager:us-west-2:111111111111:secret:db-AbCdEf";
        let expected = format!("{{{{resolve:secretsmanager:{arn}:SecretString:password::v1}}}}");
        assert_eq!(dynamic(&format!("{arn}:password::v1")), expected);
        assert!(is_reference(&expected) && is_reference("kiln-secret:db") && !is_reference("plain"));
        assert!(is_hidden("****") && !is_hidden("") && !is_hidden("a*"));
    }
}
