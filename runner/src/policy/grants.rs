//! The permissions of one stage: which actions on which resources.
//!
//! The main type is [`Grants`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::denied::{Denied, DeniedReason};
use super::pattern::ResourcePattern;
use super::template::{self, MAX_BYTES, OfUnknown, PolicyError};
use crate::types::{Arn, Place};

/// A permission as a plugin declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// One IAM action.
    pub action: String,
    /// Templates of ARNs, or `*`.
    pub resources: Vec<String>,
    /// Why the plugin needs it.
    pub reason: String,
}

/// An action and the resources that it is granted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The IAM action.
    pub action: String,
    /// Sorted. Empty where all that the plugin's templates refer to is absent from the config.
    pub resources: Vec<ResourcePattern>,
    /// Why the plugin needs it: its reasons, one for each time that it declares the action.
    pub reasons: Vec<String>,
}

/// All that a stage may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    place: Place,
    /// By action.
    grants: BTreeMap<String, Grant>,
}

/// How a resource begins that is meant in other environments.
const ELSEWHERE: &str = "elsewhere:";

/// Whether a plugin that declares this may act in other environments than its stage's own.
pub fn reaches_elsewhere(declared: &[Declared]) -> bool {
    declared.iter().flat_map(|permission| &permission.resources).any(|resource| resource.starts_with(ELSEWHERE))
}

/// Which environment's grants are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those of the stage's own.
    Here,
    /// Those of another.
    Elsewhere,
}

impl Reach {
    /// The template of a resource, where it is meant for there.
    fn of(self, resource: &str) -> Option<&str> {
        match (self, resource.strip_prefix(ELSEWHERE)) {
            (Self::Elsewhere, template) => template,
            (Self::Here, None) => Some(resource),
            (Self::Here, Some(_)) => None,
        }
    }
}

impl Grants {
    /// What `declared` grants a stage with this config in this place.
    pub fn resolve(declared: &[Declared], config: &Value, place: &Place) -> Result<Self, PolicyError> {
        Self::with_unknown(declared, config, place, OfUnknown::Nothing, Reach::Here)
    }

    /// What `declared` grants a stage in another environment, which is at `place`. The list `elsewhere` of `config` is that environment's
    /// table alone.
    pub fn elsewhere(declared: &[Declared], config: &Value, place: &Place) -> Result<Self, PolicyError> {
        Self::with_unknown(declared, config, place, OfUnknown::Nothing, Reach::Elsewhere)
    }

    /// The same for a role, as [`of_role`](Self::of_role).
    pub fn of_role_elsewhere(declared: &[Declared], config: &Value, place: &Place) -> Result<Self, PolicyError> {
        Self::with_unknown(declared, config, place, OfUnknown::Anything, Reach::Elsewhere)
    }

    /// What a role must allow, so that a stage of this config can be run whatever those of its values turn out to be that are
    /// not known yet.
    pub fn of_role(declared: &[Declared], config: &Value, place: &Place) -> Result<Self, PolicyError> {
        Self::with_unknown(declared, config, place, OfUnknown::Anything, Reach::Here)
    }

    /// Each action that is granted on something.
    pub fn each(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values().filter(|grant| !grant.resources.is_empty())
    }

    fn with_unknown(
        declared: &[Declared],
        config: &Value,
        place: &Place,
        unknown: OfUnknown,
        reach: Reach,
    ) -> Result<Self, PolicyError> {
        let mut grants: BTreeMap<String, Grant> = BTreeMap::new();
        let mut bytes = 0;
        for permission in declared {
            check_action(&permission.action)?;
            if permission.resources.is_empty() {
                return Err(PolicyError::Template {
                    action: permission.action.clone(),
                    template: String::new(),
                    reason: "the list of resources is empty, which grants nothing".to_owned(),
                });
            }
            let resources: Vec<&str> = permission.resources.iter().filter_map(|resource| reach.of(resource)).collect();
            if resources.is_empty() {
                continue;
            }
            let grant = grants.entry(permission.action.clone()).or_insert_with(|| Grant {
                action: permission.action.clone(),
                resources: Vec::new(),
                reasons: Vec::new(),
            });
            for resource in resources {
                let patterns = template::resolve(&permission.action, resource, config, place, unknown)?;
                bytes += patterns.iter().map(ResourcePattern::size).sum::<usize>();
                if bytes > MAX_BYTES {
                    return Err(PolicyError::TooMany { action: permission.action.clone() });
                }
                grant.resources.extend(patterns);
            }
            grant.resources.sort();
            grant.resources.dedup();
            if !grant.reasons.contains(&permission.reason) {
                grant.reasons.push(permission.reason.clone());
            }
        }
        Ok(Self { place: place.clone(), grants })
    }

    /// Whether the stage may do `action` on every one of `resources`. A call that names no resource is one on `*`.
    pub fn allows(&self, action: &str, resources: &[Arn]) -> Result<(), Denied> {
        let Some(grant) = self.grants.get(action) else {
            return Err(Denied {
                action: action.to_owned(),
                resource: resources.first().cloned(),
                granted: Vec::new(),
                reason: DeniedReason::Action { action: action.to_owned() },
                help: format!(
                    "If the plugin should, its author adds a permission for {action} to what `describe` answers, with the \
                     resources and the reason."
                ),
            });
        };
        if resources.is_empty() && !grant.resources.contains(&ResourcePattern::Everything) {
            return Err(self.denied_resource(grant, None));
        }
        for arn in resources {
            let length = arn.as_str().len();
            if length > LONGEST_ARN {
                // It is not even compared: that takes its length times the patterns'.
                let begin = arn.as_str().get(..arn.as_str().floor_char_boundary(SHOWN)).unwrap_or_default();
                let outside = format!("it has {length} characters, and no ARN has as many");
                return Err(Denied {
                    action: action.to_owned(),
                    resource: None,
                    granted: granted(grant),
                    reason: DeniedReason::Place { action: action.to_owned(), resource: format!("{begin}…"), outside },
                    help: "Name the resource as AWS does.".to_owned(),
                });
            }
            if let Some(outside) = self.place.refuses(arn) {
                return Err(Denied {
                    action: action.to_owned(),
                    resource: Some(arn.clone()),
                    granted: granted(grant),
                    reason: DeniedReason::Place { action: action.to_owned(), resource: arn.to_string(), outside },
                    help: "A stage acts in one account and one region: give the stage an environment of that account \
                           and region."
                        .to_owned(),
                });
            }
            let covered = grant.resources.iter().any(|pattern| match pattern {
                ResourcePattern::Everything => true,
                ResourcePattern::Arns(pattern) => pattern.matches(arn.as_str()),
            });
            if !covered {
                return Err(self.denied_resource(grant, Some(arn)));
            }
        }
        Ok(())
    }

    fn denied_resource(&self, grant: &Grant, arn: Option<&Arn>) -> Denied {
        let on = granted(grant);
        let clause = if on.is_empty() {
            "the plugin declares the action, but the stage's config names nothing to do it on".to_owned()
        } else {
            format!("the action is granted on {} only", on.join(", "))
        };
        Denied {
            action: grant.action.clone(),
            resource: arn.cloned(),
            granted: on,
            reason: DeniedReason::Resource {
                action: grant.action.clone(),
                resource: arn.map_or_else(|| "*".to_owned(), Arn::to_string),
                granted: clause,
            },
            help: "What is granted follows from the stage's `with`: name the resource there, or, if the plugin should \
                   reach further, its author widens the permission's resources in what `describe` answers."
                .to_owned(),
        }
    }

    /// The IAM policy for the session of the stage's role: the same grants, for AWS to enforce once more. AWS's wildcards
    /// reach further than kiln's, so this is the wider of the two.
    pub fn session_policy(&self) -> Value {
        let mut by_resources: BTreeMap<BTreeSet<&ResourcePattern>, Vec<&str>> = BTreeMap::new();
        for grant in self.grants.values() {
            let resources: BTreeSet<&ResourcePattern> = if grant.resources.contains(&ResourcePattern::Everything) {
                [&ResourcePattern::Everything].into()
            } else {
                grant.resources.iter().collect()
            };
            if !resources.is_empty() {
                by_resources.entry(resources).or_default().push(&grant.action);
            }
        }
        let mut statements: Vec<Value> = by_resources
            .into_iter()
            .map(|(resources, actions)| {
                json!({
                    "Effect": "Allow",
                    "Action": one_or_many(actions.into_iter().map(Value::from).collect()),
                    "Resource": one_or_many(resources.into_iter().map(ResourcePattern::iam).collect()),
                })
            })
            .collect();
        if statements.is_empty() {
            // A policy without a statement is malformed, and no policy at all would grant all that the role may do.
            statements.push(json!({"Effect": "Deny", "Action": "*", "Resource": "*"}));
        }
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    /// All grants, sorted by action.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values()
    }

    /// Where the stage acts.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

/// The longest ARN, in bytes.
const LONGEST_ARN: usize = 2_048;
/// How much of a longer one is shown, in bytes.
const SHOWN: usize = 200;

/// So many resources of an action are named where one was refused.
const NAMED: usize = 20;

fn granted(grant: &Grant) -> Vec<String> {
    let mut named: Vec<String> = grant.resources.iter().take(NAMED).map(ResourcePattern::to_string).collect();
    let more = grant.resources.len().saturating_sub(NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    named
}

/// A session policy has 2,048 characters: a list of one is written without its brackets.
fn one_or_many(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.pop().unwrap_or_default(),
        _ => Value::Array(values),
    }
}

fn check_action(action: &str) -> Result<(), PolicyError> {
    let wrong = |reason| Err(PolicyError::Action { action: action.to_owned(), reason });
    if action.contains(['*', '?']) {
        return wrong("it holds a wildcard");
    }
    let Some((service, operation)) = action.split_once(':') else {
        return wrong("it has no `:` between service and operation");
    };
    if service.is_empty() || !service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return wrong("its service is not lower-case letters, digits and hyphens");
    }
    if !operation.starts_with(|c: char| c.is_ascii_uppercase()) || !operation.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return wrong("its operation is not letters and digits with a capital first");
    }
    Ok(())
}
