//! What AWS must allow to the roles that a pipeline is run with, as a table and as IAM's own documents.
//!
//! The main type is [`PermissionsView`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fit;
use super::style::{Style, Tone};
use crate::harmless;
use crate::types::{Arn, EnvironmentName, PipelineName};

/// What a pipeline needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PermissionsView {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The runner's own role first, then that of each environment.
    pub roles: Vec<RoleNeeds>,
    /// What cannot be told from the pipeline.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What one role needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleNeeds {
    /// The environment that it is the role of; none for the runner's own.
    pub environment: Option<EnvironmentName>,
    /// Its ARN, where it is known.
    pub role: Option<Arn>,
    /// By action.
    pub needs: Vec<Need>,
    /// Its trust policy, where it is assumed.
    pub trust: Option<Value>,
}

/// An action that must be allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Need {
    /// IAM's name of it.
    pub action: String,
    /// ARNs with IAM's wildcards, or `*`.
    pub resources: BTreeSet<String>,
    /// The stages that ask for it; none where the runner itself does.
    pub stages: BTreeSet<String>,
    /// What it is for.
    pub reasons: BTreeSet<String>,
    /// Of `iam:PassRole`: the services that a role is passed to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub passed_to: BTreeSet<String>,
}

impl RoleNeeds {
    /// The smallest policy, in IAM's form: a statement for all actions on the same resources.
    pub fn policy(&self) -> Value {
        let mut alike: BTreeMap<(&BTreeSet<String>, &BTreeSet<String>), Vec<&Need>> = BTreeMap::new();
        for need in &self.needs {
            alike.entry((&need.resources, &need.passed_to)).or_default().push(need);
        }
        let mut used = BTreeMap::new();
        let statements: Vec<Value> = alike
            .into_iter()
            .map(|((resources, passed_to), needs)| {
                let mut statement = Map::new();
                statement.insert("Sid".to_owned(), json!(sid(&needs, &mut used)));
                statement.insert("Effect".to_owned(), json!("Allow"));
                statement.insert("Action".to_owned(), one_or_many(needs.iter().map(|need| need.action.as_str())));
                statement.insert("Resource".to_owned(), one_or_many(resources.iter().map(String::as_str)));
                if !passed_to.is_empty() {
                    let services = one_or_many(passed_to.iter().map(String::as_str));
                    statement
                        .insert("Condition".to_owned(), json!({ "StringEquals": { "iam:PassedToService": services } }));
                }
                Value::Object(statement)
            })
            .collect();
        json!({ "Version": "2012-10-17", "Statement": statements })
    }
}

/// Who needs a statement, in the letters and digits that IAM takes, and a number where the same need several.
fn sid(needs: &[&Need], used: &mut BTreeMap<String, usize>) -> String {
    let stages: BTreeSet<&str> = needs.iter().flat_map(|need| &need.stages).map(String::as_str).collect();
    let mut name: String = stages.iter().flat_map(|stage| capitalised(stage)).collect();
    if name.is_empty() {
        name = "Kiln".to_owned();
    }
    let times = used.entry(name.clone()).or_insert(0);
    *times += 1;
    if *times == 1 { name } else { format!("{name}{times}") }
}

fn capitalised(stage: &str) -> impl Iterator<Item = char> {
    let mut begins = true;
    stage.chars().filter_map(move |c| {
        if !c.is_ascii_alphanumeric() {
            begins = true;
            return None;
        }
        Some(if std::mem::take(&mut begins) { c.to_ascii_uppercase() } else { c })
    })
}

fn one_or_many<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    let mut values: Vec<Value> = values.map(Value::from).collect();
    match values.len() {
        1 => values.pop().unwrap_or_default(),
        _ => Value::Array(values),
    }
}

impl PermissionsView {
    /// All policies as one document: `runner`, and under `environments` each with its role, its policy and its trust policy.
    pub fn documents(&self) -> Value {
        let mut runner = Value::Null;
        let mut environments = Map::new();
        for role in &self.roles {
            match &role.environment {
                None => runner = json!({ "policy": role.policy() }),
                Some(name) => {
                    let document = json!({ "role": role.role, "policy": role.policy(), "trust": role.trust });
                    environments.insert(name.to_string(), document);
                }
            }
        }
        json!({ "runner": runner, "environments": environments })
    }
}

/// Write `view` for people.
pub fn render(view: &PermissionsView, style: Style, writer: &mut impl Write) -> io::Result<()> {
    writeln!(writer, "permissions of {}", style.paint(Tone::Strong, view.pipeline.as_str()))?;
    for role in &view.roles {
        writeln!(writer)?;
        let arn = role.role.as_ref().map(|role| format!("  {role}")).unwrap_or_default();
        let title = match &role.environment {
            None => "the runner's own role".to_owned(),
            Some(name) => format!("the role of the environment {name}"),
        };
        writeln!(writer, "{}{}", style.paint(Tone::Strong, &title), style.paint(Tone::Faint, &arn))?;
        let width = role.needs.iter().map(|need| fit::width(&harmless::line(&need.action))).max().unwrap_or_default();
        for need in &role.needs {
            render_need(need, width, style, writer)?;
        }
        if role.needs.is_empty() {
            writeln!(writer, "  nothing")?;
        }
    }
    if !view.notes.is_empty() {
        writeln!(writer)?;
    }
    for note in &view.notes {
        writeln!(writer, "{} {}", style.paint(Tone::Accent, "note:"), harmless::line(note))?;
    }
    writeln!(writer)?;
    writeln!(writer, "as IAM's own documents, with trust policies: --iam")
}

fn render_need(need: &Need, width: usize, style: Style, writer: &mut impl Write) -> io::Result<()> {
    let mut stages: Vec<&str> = need.stages.iter().map(String::as_str).collect();
    if stages.is_empty() {
        stages.push("kiln");
    }
    let reasons: Vec<&str> = need.reasons.iter().map(String::as_str).collect();
    let reasons = harmless::line(&format!("{}: {}", stages.join(", "), reasons.join("; "))).into_owned();
    let action = fit::pad(&harmless::line(&need.action), width);
    writeln!(writer, "  {action}  {}", style.paint(Tone::Faint, &reasons))?;
    for resource in &need.resources {
        writeln!(writer, "  {}  on {}", " ".repeat(width), harmless::line(resource))?;
    }
    for service in &need.passed_to {
        writeln!(writer, "  {}  to {}", " ".repeat(width), harmless::line(service))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(action: &str, resources: &[&str], stages: &[&str]) -> Need {
        let set = |items: &[&str]| items.iter().map(ToString::to_string).collect();
        Need {
            action: action.to_owned(),
            resources: set(resources),
            stages: set(stages),
            reasons: set(&["to see it"]),
            passed_to: BTreeSet::new(),
        }
    }

    #[test]
    fn actions_on_the_same_resources_share_a_statement_and_roles_are_passed_to_one_service_alone() {
        let mut pass = need("iam:PassRole", &["arn:r"], &["deploy"]);
        pass.passed_to.insert("ecs-tasks.amazonaws.com".to_owned());
        let needs = vec![
            need("ecs:DescribeServices", &["arn:s"], &["deploy", "clean-up"]),
            need("ecs:UpdateService", &["arn:s"], &["deploy"]),
            pass,
            need("sts:AssumeRole", &["arn:r"], &[]),
        ];
        let role = RoleNeeds { environment: None, role: None, needs, trust: None };
        assert_eq!(
            role.policy(),
            json!({ "Version": "2012-10-17", "Statement": [
                { "Sid": "Kiln", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:r" },
                { "Sid": "Deploy", "Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:r",
                  "Condition": { "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } } },
                { "Sid": "CleanUpDeploy", "Effect": "Allow", "Action": ["ecs:DescribeServices", "ecs:UpdateService"],
                  "Resource": "arn:s" },
            ] })
        );
    }
}
