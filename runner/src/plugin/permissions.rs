//! What a plugin asks for, as far as it can be judged without a config: permissions that can never be used are told before anybody accepts
//! them.
//!
//! The main function is [`check`].

use std::collections::BTreeSet;

use serde_json::Value;

use crate::aws::offered;
use crate::pipeline::did_you_mean;
use crate::policy::{Declared, Grants, PolicyError, config_paths};
use crate::types::{InvalidName, Place};

/// What is wrong with a permission whatever the config.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionProblem {
    /// It is written wrongly.
    #[error("asks for what cannot be granted: {0}")]
    Malformed(PolicyError),
    /// No call of a stage needs the action.
    #[error("asks for the action `{action}`, which no operation needs that kiln offers")]
    NotOffered {
        /// The action.
        action: String,
    },
    /// The template looks for a field that no config has.
    #[error("asks for {action} on `{template}`, but its config has no field `{path}`: the permission grants nothing")]
    NoField {
        /// The action.
        action: String,
        /// The template.
        template: String,
        /// The field, as the template has it.
        path: String,
        /// The fields that there are in its place.
        known: Vec<String>,
    },
    /// There is no place in which it could be tried.
    #[error("cannot be judged: {0}")]
    Nowhere(InvalidName),
}

impl PermissionProblem {
    /// What to do about it.
    pub fn help(&self) -> String {
        const AUTHOR: &str = "this is a defect of the plugin; tell its author";
        let meant = match self {
            Self::Malformed(_) | Self::Nowhere(_) => None,
            Self::NotOffered { action } => {
                let service = action.split(':').next().unwrap_or_default();
                let actions = offered::actions();
                let of_service = |known: &&str| known.split(':').next() == Some(service);
                let same: Vec<&str> = actions.iter().copied().filter(of_service).collect();
                did_you_mean(action, if same.is_empty() { actions.into_iter().collect() } else { same }, "it offers")
            }
            Self::NoField { path, known, .. } => {
                let last = path.rsplit('.').next().unwrap_or_default();
                did_you_mean(last, known.iter().map(String::as_str), "its fields are")
            }
        };
        match meant {
            Some(meant) => format!("{meant} {AUTHOR}"),
            None => AUTHOR.to_owned(),
        }
    }
}

/// What is wrong with permissions whatever the config. They are tried in a place that does not exist, because a plugin does
/// not know where it will be used: a template that names an account or a region is wrong.
pub(super) fn check(permissions: &[Declared], config: &Value) -> Result<(), PermissionProblem> {
    let nowhere = PermissionProblem::Nowhere;
    let place = Place::new(
        "xx-nowhere-1".parse().map_err(nowhere)?,
        "000000000000".parse().map_err(PermissionProblem::Nowhere)?,
    );
    Grants::resolve(permissions, &Value::Null, &place)
        .and_then(|_| Grants::elsewhere(permissions, &Value::Null, &place))
        .map_err(PermissionProblem::Malformed)?;
    let offered = offered::actions();
    for Declared { action, resources, .. } in permissions {
        if !offered.contains(action.as_str()) {
            return Err(PermissionProblem::NotOffered { action: action.clone() });
        }
        for template in resources {
            for path in config_paths(template) {
                if let Some(known) = missing(config, &path) {
                    let (action, template) = (action.clone(), template.clone());
                    return Err(PermissionProblem::NoField { action, template, path, known });
                }
            }
        }
    }
    Ok(())
}

/// The fields that there are, where a dotted path leads to none of a schema. A schema that does not say which fields there are has all.
fn missing(schema: &Value, path: &str) -> Option<Vec<String>> {
    let mut here = Vec::new();
    branches(schema, schema, 0, &mut here);
    for name in path.split('.') {
        let (mut inner, mut known, mut types) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let (mut tells, mut takes_more) = (false, false);
        for schema_here in &here {
            let properties = schema_here.get("properties").and_then(Value::as_object);
            let more = schema_here.get("additionalProperties");
            tells |= properties.is_some() || more == Some(&Value::Bool(false));
            takes_more |= more.is_some_and(|more| *more != Value::Bool(false));
            takes_more |= schema_here.get("patternProperties").is_some();
            match schema_here.get("type") {
                Some(Value::Array(several)) => types.extend(several.iter().filter_map(Value::as_str)),
                only => types.extend(only.and_then(Value::as_str)),
            }
            if let Some(property) = properties.and_then(|properties| properties.get(name)) {
                branches(schema, property, 0, &mut inner);
            }
            known.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
        }
        let is_table = types.is_empty() || types.contains("object");
        match inner.is_empty() {
            false => here = inner,
            true if is_table && (takes_more || !tells) => return None,
            true => return Some(known.into_iter().collect()),
        }
    }
    None
}

/// All schemas that may say something of the same value: behind a reference, or one of several.
fn branches<'a>(root: &'a Value, schema: &'a Value, depth: usize, found: &mut Vec<&'a Value>) {
    // A schema that was read refers to itself nowhere, and no deeper than this.
    if depth > 32 || found.len() > 1_000 {
        return;
    }
    found.push(schema);
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    let target = reference.and_then(|pointer| root.pointer(pointer));
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    // Of a list, a path means what its items have.
    let conditions = ["then", "else", "items"].into_iter().filter_map(|key| schema.get(key));
    for inner in target.into_iter().chain(lists).chain(conditions) {
        branches(root, inner, depth + 1, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(action: &str, resource: &str, config: &Value) -> Option<PermissionProblem> {
        let reason = "to try".to_owned();
        let asked = Declared { action: action.to_owned(), resources: vec![resource.to_owned()], reason };
        check(&[asked], config).err()
    }

    const ON_NAME: &str = "arn:${partition}:ecr:${region}:${account}:repository/${with.repository}";

    fn closed() -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "repository": { "type": "string" }, "where": { "$ref": "#/$defs/where" },
                "names": { "type": "array", "items": { "type": "string" } },
            },
            "$defs": { "where": { "anyOf": [
                { "type": "object", "properties": { "cluster": { "type": "string" } } },
                { "type": "object", "properties": { "service": { "type": "string" } } },
            ] } },
        })
    }

    #[test]
    fn an_action_that_nothing_needs_is_told_with_the_one_that_is_meant() {
        let Some(wrong) = problem("ecr:DescribeImage", ON_NAME, &closed()) else { unreachable!("it is refused") };
        assert_eq!(wrong, PermissionProblem::NotOffered { action: "ecr:DescribeImage".to_owned() });
        assert!(wrong.help().starts_with("did you mean `ecr:DescribeImages`? this is a defect"), "{}", wrong.help());
        // It exists, and no operation of the contract needs it.
        let wrong = problem("ecr:DeleteRepository", ON_NAME, &closed());
        assert!(matches!(wrong, Some(PermissionProblem::NotOffered { .. })), "{wrong:?}");
        assert_eq!(problem("ecr:DescribeImages", ON_NAME, &closed()), None);
    }

    #[test]
    fn a_template_over_a_field_that_no_config_has_is_told() {
        let on = |path: &str| ON_NAME.replace("repository}", &format!("{path}}}"));
        let Some(wrong) = problem("ecr:DescribeImages", &on("repositry"), &closed()) else {
            unreachable!("it is refused")
        };
        assert!(wrong.to_string().contains("its config has no field `repositry`"), "{wrong}");
        assert!(wrong.help().starts_with("did you mean `repository`?"), "{}", wrong.help());
        let image = "arn:${partition}:ecr:${region}:${account}:repository/${image-repository(with.imag)}";
        assert!(problem("ecr:DescribeImages", image, &closed()).is_some());
        for fine in ["where.cluster", "where.service", "names"] {
            assert_eq!(problem("ecr:DescribeImages", &on(fine), &closed()), None, "{fine}");
        }
        for wrong in ["where.clusters", "repository.name", "wher.cluster"] {
            assert!(problem("ecr:DescribeImages", &on(wrong), &closed()).is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_schema_that_names_no_fields_has_all() {
        for open in [
            json!({ "type": "object" }),
            json!({ "type": "object", "properties": { "x": {} }, "additionalProperties": true }),
            json!({ "type": "object", "patternProperties": { "^r": { "type": "string" } } }),
        ] {
            assert_eq!(problem("ecr:DescribeImages", ON_NAME, &open), None, "{open}");
        }
        let other = json!({ "type": "object", "properties": { "x": {} } });
        assert!(problem("ecr:DescribeImages", ON_NAME, &other).is_some());
    }
}
