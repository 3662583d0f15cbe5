//! A refused call, in sentences that say what was asked, what is granted, and how to grant it.
//!
//! The main type is [`Denied`].

use crate::types::Arn;

/// The stage may not do this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} {help}")]
pub struct Denied {
    /// The IAM action.
    pub action: String,
    /// The resource; none for a call that names none.
    pub resource: Option<Arn>,
    /// What the action is granted on.
    pub granted: Vec<String>,
    /// Why, as a sentence.
    pub reason: DeniedReason,
    /// What to do, as a sentence.
    pub help: String,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeniedReason {
    /// The plugin declares no such action.
    #[error("The stage may not call {action}: its plugin does not declare this action.")]
    Action {
        /// The action.
        action: String,
    },
    /// The plugin declares the action, but not for this resource.
    #[error("The stage may not call {action} on {resource}: {granted}.")]
    Resource {
        /// The action.
        action: String,
        /// The resource, or `*`.
        resource: String,
        /// What is granted, as a clause.
        granted: String,
    },
    /// The resource is outside of the stage's account, region or partition.
    #[error("The stage may not call {action} on {resource}: {outside}.")]
    Place {
        /// The action.
        action: String,
        /// The resource.
        resource: String,
        /// What is outside, as a clause.
        outside: String,
    },
}
