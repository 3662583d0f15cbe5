//! What a stack is asked to be: template and parameters, read and checked.
//!
//! The main function is [`prepare`].

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_template::{Evaluation, Finding, Template, conform, expand, parse, read};
use serde_json::Value;

use super::facts::{self, StackFacts};
use super::stack::{Goal, RollbackTriggers, StackParameter};
use super::state::{invalid, stack};
use super::templates::fetched;
use super::{permissions, providers};
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::ssm;
use crate::tags::Tags;

/// The most bytes of a template that comes with the call.
const LARGEST_BODY: usize = 51_200;

/// What a call says that a stack is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) body: Option<String>,
    pub(super) url: Option<String>,
    /// The template that the stack has.
    pub(super) previous: bool,
    /// By name; nothing for the value that the stack has.
    pub(super) parameters: BTreeMap<String, Option<String>>,
    pub(super) capabilities: Vec<String>,
    /// Those that the stack has, where none are told.
    pub(super) tags: Option<Tags>,
    pub(super) role: Option<String>,
    pub(super) notifications: Option<Vec<String>>,
    pub(super) triggers: Option<RollbackTriggers>,
}

/// The text of a template that was given.
pub(super) fn text(
    scope: &mut Scope<'_>,
    body: Option<String>,
    url: Option<String>,
) -> Result<Option<String>, AwsError> {
    match (body, url) {
        (Some(_), Some(_)) => Err(invalid("TemplateURL and TemplateBody cannot both be specified")),
        (Some(body), None) if body.len() > LARGEST_BODY => Err(invalid(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less \
             than or equal to {LARGEST_BODY}"
        ))),
        (Some(body), None) => Ok(Some(body)),
        (None, Some(url)) => fetched(scope, &url).map(Some),
        (None, None) => Ok(None),
    }
}

fn told(findings: &[Finding]) -> AwsError {
    let all: Vec<String> = findings.iter().map(Finding::to_string).collect();
    invalid(format!("Template format error: {}", all.join("\n")))
}

/// A template that was given, its loops unrolled over these values.
pub(super) fn template(text: &str, values: &BTreeMap<String, Value>) -> Result<Template, AwsError> {
    let root = read(text).map_err(|finding| told(&[finding]))?;
    let expanded = expand(&root, values).map_err(|finding| told(&[finding]))?;
    let template = parse(&expanded, values).map_err(|findings| told(&findings))?;
    if let Some(other) = template.transforms.iter().find(|name| *name != "AWS::LanguageExtensions") {
        return Err(invalid(format!("No transform named {other} found.")));
    }
    let unknown = template.unsupported();
    if !unknown.is_empty() {
        let mut kinds: Vec<&str> = template.resources.values().map(|resource| resource.kind.as_str()).collect();
        kinds.retain(|kind| kiln_template::rules(kind).is_none());
        kinds.sort_unstable();
        kinds.dedup();
        return Err(invalid(format!("Template format error: Unrecognized resource types: [{}]", kinds.join(", "))));
    }
    Ok(template)
}

/// The stack that a call asks for: the one of this id as it is to be, or a new one.
pub(super) fn prepare(scope: &mut Scope<'_>, name: &str, id: Option<&str>, asked: Asked) -> Result<Goal, AwsError> {
    permissions::assumed(scope, asked.role.as_deref())?;
    let old = id.and_then(|id| stack(scope, id)).map(|found| found.goal.clone());
    let given = text(scope, asked.body, asked.url)?;
    let text = match (given, asked.previous, &old) {
        (Some(_), true, _) => {
            return Err(invalid("UsePreviousTemplate and a template cannot both be specified"));
        }
        (Some(text), false, _) => text,
        (None, true, Some(old)) if !old.text.is_empty() => old.text.clone(),
        (None, true, _) => return Err(invalid("The stack has no template that could be used again")),
        (None, false, _) => return Err(invalid("Either Template URL or Template Body must be specified.")),
    };
    let declared = template(&text, &BTreeMap::new()).or_else(|error| {
        // A loop over a parameter without a default is no mistake: its value comes below.
        let root = read(&text).map_err(|finding| told(&[finding]))?;
        kiln_template::declared(&root).ok_or(error)
    })?;
    let parameters = parameters(scope, &declared, old.as_ref(), &asked.parameters)?;
    let notifications = asked.notifications.or_else(|| Some(old.as_ref()?.notifications.clone())).unwrap_or_default();
    let at = scope.at.clone();
    let unknown = scope.arn("cloudformation", &format!("stack/{name}/{}", "00000000-0000-0000-0000-000000000000"));
    let values = facts::values(&declared, &parameters, &at, (name, id.unwrap_or(&unknown)), &notifications);
    let template = Arc::new(template(&text, &values)?);
    let goal = Goal {
        text,
        template,
        parameters,
        tags: asked.tags.or_else(|| Some(old.as_ref()?.tags.clone())).unwrap_or_default(),
        capabilities: asked.capabilities,
        role: asked.role.or_else(|| old.as_ref()?.role.clone()),
        notifications,
        triggers: asked.triggers.or_else(|| Some(old.as_ref()?.triggers.clone())).unwrap_or_default(),
        faults: BTreeMap::new(),
    };
    let goal = with_faults(goal);
    rules(scope, &goal, name, id.unwrap_or(&unknown))?;
    Ok(goal)
}

/// With what the schemas say against it.
fn with_faults(mut goal: Goal) -> Goal {
    let mut faults: BTreeMap<String, String> = BTreeMap::new();
    for (logical, finding) in conform(&goal.template) {
        let told = format!("Properties validation failed for resource {logical} with message: [{}]", finding.message);
        faults.entry(logical.to_owned()).or_insert(told);
    }
    goal.faults = faults;
    goal
}

/// The rules of the template must hold, and its conditions must be computable.
fn rules(scope: &mut Scope<'_>, goal: &Goal, name: &str, id: &str) -> Result<(), AwsError> {
    let at = scope.at.clone();
    let values = facts::values(&goal.template, &goal.parameters, &at, (name, id), &goal.notifications);
    let described = facts::described(scope, &goal.template, &values);
    let none = BTreeMap::new();
    let mut facts = StackFacts::of(goal, &none, None, &at, (name, id));
    facts.described = described;
    let evaluation = Evaluation::new(&goal.template, &facts);
    let broken = evaluation.broken_rules().map_err(|finding| invalid(finding.message))?;
    if let Some(first) = broken.first() {
        return Err(invalid(format!("Template validation error: Rule assertion failed: {first}")));
    }
    for name in goal.template.conditions.keys() {
        evaluation.holds(name).map_err(|finding| invalid(finding.message))?;
    }
    let made = evaluation.made().map_err(|finding| invalid(finding.message))?;
    if made.is_empty() {
        return Err(invalid("Template format error: At least one Resources member must be defined."));
    }
    // Whoever is made cannot need what is not.
    for logical in &made {
        if let Some(need) = goal.template.needs_of(logical).into_iter().find(|need| !made.contains(need)) {
            let refers = goal
                .template
                .resources
                .get(*logical)
                .is_some_and(|one| !one.depends_on.iter().any(|(name, _)| name == need));
            if refers && !guarded(goal, logical, need) {
                return Err(invalid(format!(
                    "Template format error: Unresolved resource dependencies [{need}] in the Resources block of the template"
                )));
            }
        }
    }
    Ok(())
}

/// Whether a resource may refer to what is not made, because that stands in an `Fn::If`.
fn guarded(goal: &Goal, logical: &str, _need: &str) -> bool {
    let Some(resource) = goal.template.resources.get(logical) else { return true };
    kiln_template::references(&resource.properties)
        .iter()
        .any(|reference| matches!(reference.target, kiln_template::Target::Condition(_)))
}

/// The values of parameters.
fn parameters(
    scope: &mut Scope<'_>,
    template: &Template,
    old: Option<&Goal>,
    given: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, StackParameter>, AwsError> {
    let listed = |names: Vec<&str>| names.join(", ");
    let unknown: Vec<&str> =
        given.keys().map(String::as_str).filter(|name| !template.parameters.contains_key(*name)).collect();
    if !unknown.is_empty() {
        return Err(invalid(format!("Parameters: [{}] do not exist in the template", listed(unknown))));
    }
    let (mut values, mut missing, mut unfetched) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (name, parameter) in &template.parameters {
        let before = old.and_then(|old| old.parameters.get(name)).map(|one| one.value.clone());
        let value = match given.get(name) {
            Some(Some(value)) => Some(value.clone()),
            Some(None) if before.is_none() => {
                return Err(invalid(format!(
                    "Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                )));
            }
            Some(None) => before,
            None => parameter.default.clone(),
        };
        let Some(value) = value else {
            missing.push(name.as_str());
            continue;
        };
        let mut resolved = None;
        if parameter.kind.is_ssm_value() {
            match ssm::value_of(scope, &value) {
                Some(found) => resolved = Some(found),
                None => {
                    unfetched.push(value);
                    continue;
                }
            }
        }
        parameter.check(name, resolved.as_ref().unwrap_or(&value)).map_err(|refusal| invalid(refusal.0))?;
        exists(scope, name, parameter.kind.inner(), resolved.as_ref().unwrap_or(&value))?;
        values.insert(name.clone(), StackParameter { value, resolved, hidden: parameter.no_echo });
    }
    if !missing.is_empty() {
        return Err(invalid(format!("Parameters: [{}] must have values", listed(missing))));
    }
    if !unfetched.is_empty() {
        let names = unfetched.join(", ");
        return Err(invalid(format!("Unable to fetch parameters [{names}] from parameter store for this account.")));
    }
    Ok(values)
}

/// What a parameter of an AWS type names must be there: of images, which kiln deploys, the simulator asks.
fn exists(scope: &mut Scope<'_>, name: &str, kind: &str, value: &str) -> Result<(), AwsError> {
    if !matches!(kind, "AWS::EC2::Image::Id" | "List<AWS::EC2::Image::Id>") {
        return Ok(());
    }
    for id in value.split(',').map(str::trim) {
        if !providers::has_image(scope, id) {
            return Err(invalid(format!(
                "Parameter validation failed: parameter value {id} for parameter name {name} does not exist"
            )));
        }
    }
    Ok(())
}

/// The capabilities that a template needs, and why.
pub(super) fn capabilities(template: &Template) -> (Vec<&'static str>, Option<String>) {
    const NAMED: &[(&str, &str)] = &[
        ("AWS::IAM::Role", "RoleName"),
        ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
        ("AWS::IAM::InstanceProfile", "InstanceProfileName"),
    ];
    let mut kinds: Vec<&str> = template
        .resources
        .values()
        .map(|one| one.kind.as_str())
        .filter(|kind| kind.starts_with("AWS::IAM::"))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        return (Vec::new(), None);
    }
    let is_named = template.resources.values().any(|resource| {
        NAMED.iter().any(|(kind, name)| resource.kind == *kind && resource.properties.get(name).is_some())
    });
    let needed = if is_named { "CAPABILITY_NAMED_IAM" } else { "CAPABILITY_IAM" };
    (vec![needed], Some(format!("The following resource(s) require capabilities: [{}]", kinds.join(", "))))
}

/// Whether whoever asks for it says that they know what it may do.
pub(super) fn acknowledged(goal: &Goal, expands: bool) -> Result<(), AwsError> {
    let has = |name: &str| goal.capabilities.iter().any(|given| given == name);
    let (needed, _) = capabilities(&goal.template);
    let missing = needed.into_iter().find(|needed| match *needed {
        "CAPABILITY_IAM" => !has("CAPABILITY_IAM") && !has("CAPABILITY_NAMED_IAM"),
        other => !has(other),
    });
    let expands = expands && goal.template.is_extended() && !has("CAPABILITY_AUTO_EXPAND");
    match (missing, expands) {
        (Some(missing), _) => Err(insufficient(missing)),
        (None, true) => Err(insufficient("CAPABILITY_AUTO_EXPAND")),
        (None, false) => Ok(()),
    }
}

fn insufficient(capability: &str) -> AwsError {
    AwsError::new("InsufficientCapabilitiesException", format!("Requires capabilities : [{capability}]"))
        .shape("InsufficientCapabilitiesException")
}
