//! Stacks and their resources.
//!
//! The main types are [`Stack`] and [`StackResource`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kiln_template::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::changesets::ChangeSet;
use super::execution::{Execution, Garbage};
use crate::clock::Timestamp;
use crate::tags::Tags;

macro_rules! statuses {
    ($(#[$doc:meta])* $Name:ident { $($Variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub(super) enum $Name {
            $(#[serde(rename = $text)] $Variant,)*
        }

        impl $Name {
            /// As AWS spells it.
            pub(super) fn text(self) -> &'static str {
                match self {
                    $($Name::$Variant => $text,)*
                }
            }
        }
    };
}

statuses! {
    /// How a stack is.
    StackPhase {
        ReviewInProgress "REVIEW_IN_PROGRESS",
        CreateInProgress "CREATE_IN_PROGRESS",
        CreateFailed "CREATE_FAILED",
        CreateComplete "CREATE_COMPLETE",
        RollbackInProgress "ROLLBACK_IN_PROGRESS",
        RollbackFailed "ROLLBACK_FAILED",
        RollbackComplete "ROLLBACK_COMPLETE",
        DeleteInProgress "DELETE_IN_PROGRESS",
        DeleteFailed "DELETE_FAILED",
        DeleteComplete "DELETE_COMPLETE",
        UpdateInProgress "UPDATE_IN_PROGRESS",
        UpdateCompleteCleanup "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateComplete "UPDATE_COMPLETE",
        UpdateFailed "UPDATE_FAILED",
        UpdateRollbackInProgress "UPDATE_ROLLBACK_IN_PROGRESS",
        UpdateRollbackFailed "UPDATE_ROLLBACK_FAILED",
        UpdateRollbackCleanup "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateRollbackComplete "UPDATE_ROLLBACK_COMPLETE",
    }
}

statuses! {
    /// How a resource of a stack is.
    ResourcePhase {
        CreateInProgress "CREATE_IN_PROGRESS",
        CreateFailed "CREATE_FAILED",
        CreateComplete "CREATE_COMPLETE",
        UpdateInProgress "UPDATE_IN_PROGRESS",
        UpdateFailed "UPDATE_FAILED",
        UpdateComplete "UPDATE_COMPLETE",
        DeleteInProgress "DELETE_IN_PROGRESS",
        DeleteFailed "DELETE_FAILED",
        DeleteComplete "DELETE_COMPLETE",
        DeleteSkipped "DELETE_SKIPPED",
    }
}

impl StackPhase {
    /// Whether an operation is under way.
    pub(super) fn is_busy(self) -> bool {
        self.text().ends_with("_IN_PROGRESS") && self != StackPhase::ReviewInProgress
    }

    /// Whether it may be updated.
    pub(super) fn is_updatable(self) -> bool {
        matches!(self, StackPhase::CreateComplete | StackPhase::UpdateComplete | StackPhase::UpdateRollbackComplete)
    }
}

/// A stack.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Stack {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) phase: StackPhase,
    pub(super) reason: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Option<Timestamp>,
    pub(super) deleted: Option<Timestamp>,
    /// What it is to be: template, parameters and what goes with them.
    pub(super) goal: Goal,
    pub(super) outputs: Vec<StackOutput>,
    /// By logical id.
    pub(super) resources: BTreeMap<String, StackResource>,
    /// The oldest first.
    pub(super) happened: Vec<StackEvent>,
    /// By id.
    pub(super) change_sets: BTreeMap<String, ChangeSet>,
    /// The change set that was executed last.
    pub(super) executed: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) protected: bool,
    pub(super) disable_rollback: bool,
    pub(super) timeout_minutes: Option<u32>,
    pub(super) parent: Option<String>,
    pub(super) root: Option<String>,
    /// Whether drift was found when it was last looked for.
    pub(super) drift: Option<(bool, Timestamp)>,
    /// What it was before the update that failed.
    #[serde(skip)]
    pub(super) before: Option<Box<Before>>,
    /// What that update, or the way back from it, left to be deleted.
    #[serde(skip)]
    pub(super) left: BTreeMap<String, Garbage>,
    /// What is being done.
    #[serde(skip)]
    pub(super) execution: Option<Execution>,
    /// The type and the id of each of the last operations.
    pub(super) operations: Vec<(&'static str, String)>,
}

/// What a stack is to be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Goal {
    /// The template, as it was given.
    pub(super) text: String,
    #[serde(skip)]
    pub(super) template: Arc<Template>,
    /// By name, what was given and what SSM made of it.
    pub(super) parameters: BTreeMap<String, StackParameter>,
    pub(super) tags: Tags,
    pub(super) capabilities: Vec<String>,
    pub(super) role: Option<String>,
    pub(super) notifications: Vec<String>,
    pub(super) triggers: RollbackTriggers,
    /// What the schemas say against a resource: it fails when it is made.
    #[serde(skip)]
    pub(super) faults: BTreeMap<String, String>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StackParameter {
    pub(super) value: String,
    pub(super) resolved: Option<String>,
    /// It is not shown.
    pub(super) hidden: bool,
}

/// What is watched while a stack is changed and for a time after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RollbackTriggers {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rollback_triggers: Vec<RollbackTrigger>,
    pub(super) monitoring_time_in_minutes: Option<u64>,
}

/// An alarm that rolls back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RollbackTrigger {
    pub(super) arn: String,
    #[serde(rename = "Type")]
    pub(super) kind: String,
}

/// An output, with the name that it is exported by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StackOutput {
    pub(super) output_key: String,
    pub(super) output_value: String,
    pub(super) description: Option<String>,
    pub(super) export_name: Option<String>,
}

/// What a stack was before an update.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) goal: Goal,
    pub(super) outputs: Vec<StackOutput>,
    pub(super) resources: BTreeMap<String, StackResource>,
}

/// A resource of a stack.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StackResource {
    pub(super) logical: String,
    pub(super) kind: String,
    pub(super) physical: Option<String>,
    pub(super) phase: ResourcePhase,
    pub(super) reason: Option<String>,
    pub(super) updated: Timestamp,
    /// As they were computed when it was made or changed last.
    pub(super) properties: Value,
    /// What `Fn::GetAtt` gives.
    pub(super) attributes: Map<String, Value>,
    /// What else the template says of it: policies, metadata.
    pub(super) said: Value,
    /// What it waits for, by logical id: it goes before them.
    pub(super) needs: BTreeSet<String>,
    pub(super) drift: Option<ResourceDrift>,
}

/// What was found when a resource was last compared with what there is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ResourceDrift {
    pub(super) status: &'static str,
    pub(super) checked: Timestamp,
    pub(super) expected: String,
    pub(super) actual: Option<String>,
    /// Path, expected and actual value, and how they differ.
    pub(super) differences: Vec<(String, String, String, &'static str)>,
}

/// Something that happened to a stack or to a resource of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StackEvent {
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) logical: String,
    pub(super) physical: String,
    pub(super) kind: String,
    pub(super) status: &'static str,
    pub(super) reason: Option<String>,
    pub(super) properties: Option<String>,
    pub(super) token: Option<String>,
    pub(super) operation: String,
    /// Where in what this is about: a step that began, a failure, …
    pub(super) detailed: Option<&'static str>,
}

impl Stack {
    /// Whether it is there: one that was deleted is only remembered.
    pub(super) fn is_there(&self) -> bool {
        self.phase != StackPhase::DeleteComplete
    }

    /// What a policy of a resource says, where it says something.
    pub(super) fn kind_of(&self, logical: &str) -> &str {
        self.resources.get(logical).map_or("", |resource| resource.kind.as_str())
    }
}

impl StackResource {
    /// What the template says of it beside its properties.
    pub(super) fn policy(&self, name: &str) -> Option<&str> {
        self.said.get(name).and_then(Value::as_str)
    }

    /// Whether there is anything of it to delete.
    pub(super) fn is_made(&self) -> bool {
        self.physical.is_some() && self.phase != ResourcePhase::DeleteComplete
    }
}
