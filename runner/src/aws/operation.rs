//! What every AWS operation that stages may ask for declares of itself.
//!
//! The main type is [`Operation`]: a value that holds a request. To add one, write its function and records in the WIT,
//! implement `Operation` for the request record beside the others of its service, and add a line to the service's
//! `bind!` list. Nothing else knows of single operations.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::clients::Clients;
use super::error::AwsError;
pub use crate::journal::RetryClass;
use crate::policy::Place;
use crate::types::Arn;

/// An AWS operation with its input.
pub trait Operation: Serialize + fmt::Debug + Send + Sync {
    /// What AWS answers: a WIT record.
    type Output: Serialize + DeserializeOwned + fmt::Debug + Send + Sync;

    /// IAM's own name for it, and whether it can change anything.
    const ACTION: Action;

    /// How a resumed run treats it when its outcome is not known.
    const RETRY: RetryClass;

    /// Whether the answer must never be written down; a replay asks again.
    const SECRET_OUTPUT: bool = false;

    /// Whether a stage may ask for it only if it says `reveal = true`.
    const REVEALS: bool = false;

    /// What the permission is checked against. Empty for an action that IAM does not tie to a resource.
    fn resources(&self, at: &Place) -> Vec<Arn>;

    /// Further access that IAM checks for the same call, such as `iam:PassRole`: an action and what it is checked against.
    fn requires(&self, _: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        Vec::new()
    }

    /// The request as the journal keeps it. Overridden where the input holds what must not be written down.
    fn journaled(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    /// Send it, following pages to their end. `token` is the client token; operations of class [`RetryClass::Token`] give
    /// it to AWS. Must not be called but by [`super::call`].
    fn send(&self, aws: &Clients, token: &Token) -> impl Future<Output = Result<Self::Output, AwsError>> + Send;
}

/// An IAM action and its access level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Such as `ecr:DescribeImages`.
    pub name: &'static str,
    /// Whether it can change anything.
    pub write: bool,
}

impl Action {
    /// An action that changes nothing.
    pub const fn read(name: &'static str) -> Self {
        Self { name, write: false }
    }

    /// An action that can change something.
    pub const fn write(name: &'static str) -> Self {
        Self { name, write: true }
    }
}

/// A client token: derived from the run, the stage, the attempt and the call, never random, so that a resumed run sends
/// the same again. 36 characters: it fits every token field of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token that was derived; `crate::journal::token` derives them.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
