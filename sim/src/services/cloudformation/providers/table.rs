//! Who makes the things of each type.
//!
//! The main function is [`provider`].

use super::{Provider, scripted};

const SCRIPTED: Provider = Provider { create: scripted::create, update: scripted::update, ..Provider::KEPT };

/// The provider of a type.
pub(super) fn provider(kind: &str) -> Provider {
    match kind {
        "AWS::CloudFormation::CustomResource" => SCRIPTED,
        custom if custom.starts_with("Custom::") => SCRIPTED,
        _ => Provider::KEPT,
    }
}

/// Whether a change of its policies alone means something to a type.
pub(super) fn heeds_policies(_kind: &str) -> bool {
    false
}
