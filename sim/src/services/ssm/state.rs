//! What Systems Manager holds.
//!
//! The main types are [`State`] and [`HeldParameter`].

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::ids::sha256;

/// Parameters by name.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) parameters: BTreeMap<String, HeldParameter>,
}

/// Of what sort a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) enum ParameterKind {
    /// A text.
    #[default]
    String,
    /// Texts with commas between them.
    StringList,
    /// A secret.
    SecureString,
}

impl ParameterKind {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::StringList => "StringList",
            Self::SecureString => "SecureString",
        }
    }
}

/// A parameter.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HeldParameter {
    pub(super) name: String,
    pub(super) kind: ParameterKind,
    pub(super) data_type: String,
    pub(super) description: Option<String>,
    /// What encrypts it, where it is a secret.
    pub(super) key: Option<String>,
    /// The oldest first. There is at least one.
    pub(super) versions: Vec<HeldVersion>,
}

/// A version of a parameter.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HeldVersion {
    pub(super) number: u64,
    /// A secret's is sealed, so that nobody who looks into the world sees it.
    pub(super) value: String,
    #[serde(skip)]
    pub(super) plain: String,
    pub(super) labels: BTreeSet<String>,
    pub(super) modified: Timestamp,
    pub(super) user: String,
}

/// The most versions that are kept.
pub(super) const VERSIONS: usize = 100;

/// The key that encrypts secrets where none is named.
pub(super) const DEFAULT_KEY: &str = "alias/aws/ssm";

impl HeldParameter {
    pub(super) fn newest(&self) -> Option<&HeldVersion> {
        self.versions.last()
    }

    /// The version of a number or label; the newest where there is none.
    pub(super) fn selected(&self, selector: Option<&str>) -> Option<&HeldVersion> {
        let Some(selector) = selector else { return self.newest() };
        match selector.parse::<u64>() {
            Ok(number) => self.versions.iter().find(|version| version.number == number),
            Err(_) => self.versions.iter().find(|version| version.labels.contains(selector)),
        }
    }

    /// Add a version. A label stays with the version that it is of; the oldest goes where there are too many, unless it has one.
    pub(super) fn add(&mut self, value: String, now: Timestamp, user: String) -> Result<u64, AwsError> {
        if self.versions.len() >= VERSIONS {
            if self.versions.first().is_some_and(|oldest| !oldest.labels.is_empty()) {
                let message = format!(
                    "You attempted to create a new version of {} by calling the PutParameter API with the overwrite flag. \
                     Version {}, the oldest version, can't be deleted because it has a label associated with it. Move \
                     the label to another version of the parameter, and try again.",
                    self.name,
                    self.versions.first().map_or(1, |oldest| oldest.number)
                );
                return Err(AwsError::new("ParameterMaxVersionLimitExceeded", message));
            }
            self.versions.remove(0);
        }
        let number = self.newest().map_or(0, |newest| newest.number) + 1;
        let sealed = match self.kind {
            ParameterKind::SecureString => {
                STANDARD.encode(format!("{}{}", sha256(self.name.as_bytes()), sha256(value.as_bytes())))
            }
            ParameterKind::String | ParameterKind::StringList => value.clone(),
        };
        let labels = BTreeSet::new();
        self.versions.push(HeldVersion { number, value: sealed, plain: value, labels, modified: now, user });
        Ok(number)
    }
}

/// The name in a name or an ARN, as the parameter is kept.
pub(super) fn name_of(given: &str) -> String {
    match given.split_once(":parameter/").filter(|_| given.starts_with("arn:")) {
        // The first slash of a path and the one behind `parameter` are the same.
        Some((_, name)) if name.contains('/') => format!("/{name}"),
        Some((_, name)) => name.to_owned(),
        None => given.to_owned(),
    }
}

/// A name, and the version or label behind it.
pub(super) fn name_and_selector(given: &str) -> (String, Option<String>) {
    let name = name_of(given);
    match name.split_once(':') {
        Some((name, selector)) => (name.to_owned(), Some(selector.to_owned())),
        None => (name, None),
    }
}

pub(super) fn arn_of(scope: &Scope<'_>, name: &str) -> String {
    scope.arn("ssm", &format!("parameter/{}", name.strip_prefix('/').unwrap_or(name)))
}

/// What IAM checks a call against.
pub(super) fn target(scope: &mut Scope<'_>, input: &Value) -> String {
    let given = ["Name", "Path"].iter().find_map(|member| input.get(member)?.as_str()).unwrap_or("*");
    match given.starts_with("arn:") {
        true => given.to_owned(),
        false => arn_of(scope, &name_and_selector(given).0),
    }
}

pub(super) fn missing(name: &str) -> AwsError {
    AwsError::new("ParameterNotFound", format!("Parameter {name} not found."))
}

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

/// Write a text in the name of another service, as its newest version.
pub(crate) fn put_text(scope: &mut Scope<'_>, name: &str, value: &str, data_type: &str) {
    let (now, user) = (scope.now(), format!("arn:{}:iam::{}:root", scope.at.partition(), scope.at.account));
    let fresh = || HeldParameter {
        name: name.to_owned(),
        kind: ParameterKind::String,
        data_type: data_type.to_owned(),
        description: None,
        key: None,
        versions: Vec::new(),
    };
    let parameter = scope.place().ssm.parameters.entry(name.to_owned()).or_insert_with(fresh);
    // Where no version can be added the service fails, and nobody is told.
    let _ = parameter.add(value.to_owned(), now, user);
}

/// The value of a parameter as a dynamic reference names it: `NAME`, or `NAME:VERSION`.
pub(crate) fn value_of(scope: &mut Scope<'_>, reference: &str) -> Option<String> {
    let parameters = &scope.place().ssm.parameters;
    let whole = parameters.get(reference).map(|parameter| (parameter, None));
    let (parameter, selector) = whole.or_else(|| {
        let (name, selector) = reference.rsplit_once(':')?;
        Some((parameters.get(name)?, Some(selector)))
    })?;
    parameter.selected(selector).map(|version| version.plain.clone())
}
