//! Errors as AWS answers them.
//!
//! The main type is [`AwsError`]; the wire layer writes it in the form of the caller's protocol.

use std::borrow::Cow;

use serde_json::Value;

/// An error of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AwsError {
    /// AWS's code, such as `ResourceNotFoundException`.
    pub(crate) code: Cow<'static, str>,
    /// The error's shape in the service model, where it is not named as the code (CloudWatch).
    pub(crate) shape: Option<&'static str>,
    /// AWS's message.
    pub(crate) message: String,
    /// The member that the message stands in, where the error spells it otherwise than its service does.
    pub(crate) text: Option<&'static str>,
    /// The HTTP status.
    pub(crate) status: u16,
    /// Further members of the error, where the protocol is JSON.
    pub(crate) members: Vec<(&'static str, Value)>,
}

impl AwsError {
    /// The caller's mistake: HTTP status 400.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), shape: None, message: message.into(), text: None, status: 400, members: Vec::new() }
    }

    /// Another HTTP status.
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A further member.
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.members.push((name, value));
        self
    }

    /// The member that the message stands in, unless it is known already: `message` or `Message`, as the model has it.
    pub(crate) fn text(mut self, member: &'static str) -> Self {
        self.text.get_or_insert(member);
        self
    }

    /// The shape's name, where the service model names it otherwise than its code.
    pub(crate) fn shape(mut self, shape: &'static str) -> Self {
        self.shape = Some(shape);
        self
    }

    /// Whether the service is at fault, not the caller.
    pub(crate) fn is_server_fault(&self) -> bool {
        self.status >= 500
    }
}
