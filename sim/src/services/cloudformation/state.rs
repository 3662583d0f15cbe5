//! What CloudFormation holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::drift::DriftDetection;
use super::signals::Signalled;
use super::stack::Stack;
use crate::ctx::Scope;
use crate::error::AwsError;

/// What it holds in an account's region.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    /// By id.
    pub(super) stacks: BTreeMap<String, Stack>,
    /// The ids of the stacks that are there, by name.
    pub(super) names: BTreeMap<String, String>,
    /// Things of services that the simulator does not have, by type and physical id, as their properties say.
    pub(super) things: BTreeMap<String, BTreeMap<String, Value>>,
    pub(super) detections: BTreeMap<String, DriftDetection>,
    /// What answers for custom resources say, by logical id.
    #[serde(skip)]
    pub(super) answers: BTreeMap<String, BTreeMap<String, String>>,
    /// How resources go about it.
    #[serde(skip)]
    pub(super) behaviours: Vec<ResourceBehaviour>,
}

/// How a resource goes about it.
#[derive(Debug, Clone)]
pub(super) struct ResourceBehaviour {
    /// Of this stack; of every stack where there is none.
    pub(super) stack: Option<String>,
    /// By its logical id.
    pub(super) resource: String,
    pub(super) on: ResourceStep,
    /// How long it takes.
    pub(super) takes: Option<Duration>,
    /// It fails, for this reason.
    pub(super) fails: Option<String>,
    /// It never ends.
    pub(super) hangs: bool,
    /// The signals that come to it, as `cfn-signal` sends them.
    pub(super) signals: Vec<Signalled>,
    /// From the how-manieth time on, and how often.
    pub(super) nth: usize,
    pub(super) times: Option<usize>,
    pub(super) seen: usize,
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ResourceStep {
    Create,
    Update,
    Delete,
}

impl State {
    /// The id of the stack of this name or id. One that was deleted is found by its id alone.
    pub(super) fn id_of(&self, name: &str) -> Option<String> {
        let by_name = self.names.get(name).cloned();
        by_name.or_else(|| self.stacks.contains_key(name).then(|| name.to_owned()))
    }
}

/// The stack of this id.
pub(super) fn stack<'s>(scope: &'s mut Scope<'_>, id: &str) -> Option<&'s mut Stack> {
    scope.place().cloudformation.stacks.get_mut(id)
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

/// The id of the stack of this name or id, or AWS's refusal.
pub(super) fn found(scope: &mut Scope<'_>, name: &str) -> Result<String, AwsError> {
    let id = scope.place().cloudformation.id_of(name);
    id.ok_or_else(|| invalid(format!("Stack with id {name} does not exist")))
}

/// The same where AWS's words are others.
pub(super) fn living(scope: &mut Scope<'_>, name: &str) -> Result<String, AwsError> {
    let id = scope.place().cloudformation.id_of(name);
    let alive = id.filter(|id| stack(scope, id).is_some_and(|stack| stack.is_there()));
    alive.ok_or_else(|| invalid(format!("Stack [{name}] does not exist")))
}

/// The ARN of what IAM checks a call against: the stack that the input names.
pub(super) fn arn_of(scope: &mut Scope<'_>, input: &Value) -> String {
    let name = input.get("StackName").and_then(Value::as_str).unwrap_or_default();
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let known = scope.place().cloudformation.id_of(name);
    known.unwrap_or_else(|| scope.arn("cloudformation", &format!("stack/{name}/*")))
}
