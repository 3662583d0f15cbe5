//! What Lambda holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;

/// Functions by name.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) functions: BTreeMap<String, Function>,
}

/// A function.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Function {
    pub(super) arn: String,
    pub(super) role: String,
    /// What `$LATEST` is made of; none where it is an archive.
    pub(super) image: Option<FunctionImage>,
    /// What each published version is made of, the first first.
    pub(super) versions: Vec<Option<FunctionImage>>,
    pub(super) modified: Timestamp,
}

/// An image, as it was named and by its digest.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FunctionImage {
    pub(super) uri: String,
    pub(super) resolved: String,
}

/// The version that is not published.
pub(super) const LATEST: &str = "$LATEST";

impl Function {
    /// What a version is made of.
    pub(super) fn version(&self, version: &str) -> Option<&Option<FunctionImage>> {
        match version {
            LATEST => Some(&self.image),
            number => self.versions.get(number.parse::<usize>().ok()?.checked_sub(1)?),
        }
    }
}
