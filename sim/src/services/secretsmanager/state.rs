//! What Secrets Manager holds.
//!
//! The main types are [`State`] and [`Secret`], with its versions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::kms;
use crate::tags::Tags;
use crate::wire::value::Blob;

pub(super) const CURRENT: &str = "AWSCURRENT";
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";
pub(super) const PENDING: &str = "AWSPENDING";

/// Secrets by name.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct State {
    pub(super) secrets: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) tags: Tags,
    pub(super) versions: BTreeMap<String, Version>,
    pub(super) created: Timestamp,
    pub(super) changed: Timestamp,
    pub(super) accessed: Option<Timestamp>,
    pub(super) rotated: Option<Timestamp>,
    pub(super) rotation: Option<Rotation>,
    /// When it goes, while it is scheduled for deletion.
    pub(super) deletion: Option<Timestamp>,
    /// When the deletion was asked for.
    pub(super) deleted: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Rotation {
    pub(super) lambda: Option<String>,
    pub(super) after_days: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Version {
    #[serde(skip)]
    pub(super) value: Payload,
    pub(super) stages: BTreeSet<String>,
    pub(super) created: Timestamp,
}

/// A secret's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    Text(String),
    Binary(Blob),
}

impl Payload {
    /// The one that is given, if any; not both.
    pub(super) fn of(text: Option<String>, binary: Option<Blob>) -> Result<Option<Self>, AwsError> {
        match (text, binary) {
            (Some(_), Some(_)) => Err(AwsError::new(
                "InvalidParameterException",
                "You can't specify both a binary secret value and a string secret value in the same secret.",
            )),
            (Some(text), None) => Ok(Some(Payload::Text(text))),
            (None, Some(binary)) => Ok(Some(Payload::Binary(binary))),
            (None, None) => Ok(None),
        }
    }
}

impl Secret {
    pub(super) fn new(scope: &mut Scope<'_>, name: &str) -> Self {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let suffix = scope.world.ids.characters(&format!("secretsmanager/arn/{}/{name}", scope.at), ALPHABET, 6);
        let now = scope.now();
        Self {
            name: name.to_owned(),
            arn: scope.arn("secretsmanager", &format!("secret:{name}-{suffix}")),
            description: None,
            kms_key_id: None,
            tags: Tags::new(),
            versions: BTreeMap::new(),
            created: now,
            changed: now,
            accessed: None,
            rotated: None,
            rotation: None,
            deletion: None,
            deleted: None,
        }
    }

    /// The version that bears a stage.
    pub(super) fn version_with(&self, stage: &str) -> Option<(&String, &Version)> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage))
    }

    /// Add a version, and move the stages to it. The version that was current becomes the previous one.
    pub(super) fn put(&mut self, id: &str, value: Payload, stages: &[String], now: Timestamp) {
        self.versions.insert(id.to_owned(), Version { value, stages: BTreeSet::new(), created: now });
        for stage in stages {
            self.move_stage(stage, id);
        }
        self.changed = now;
        // AWS forgets versions without a stage sooner or later.
        self.versions.retain(|version, held| version == id || !held.stages.is_empty());
    }

    /// Take a stage away from whichever version has it and give it to this one.
    pub(super) fn move_stage(&mut self, stage: &str, id: &str) {
        let mut before = None;
        for (version, held) in &mut self.versions {
            if held.stages.remove(stage) && version != id {
                before = Some(version.clone());
            }
        }
        if let Some(version) = self.versions.get_mut(id) {
            version.stages.insert(stage.to_owned());
        }
        if let Some(before) = before
            && stage == CURRENT
        {
            self.move_stage(PREVIOUS, &before);
        }
    }
}

/// The name of the secret of an id: a name, an ARN, or an ARN without its random end.
pub(super) fn resolve(scope: &mut Scope<'_>, id: &str) -> Result<String, AwsError> {
    let secrets = &scope.place().secretsmanager.secrets;
    let matches = |secret: &&Secret| {
        secret.arn == id
            || secret.name == id
            || (id.starts_with("arn:") && secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id))
    };
    match secrets.values().find(matches) {
        Some(secret) => Ok(secret.name.clone()),
        None => Err(AwsError::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")),
    }
}

/// The secret of an id, whatever its state.
pub(super) fn find<'s>(scope: &'s mut Scope<'_>, id: &str) -> Result<&'s mut Secret, AwsError> {
    let name = resolve(scope, id)?;
    let missing = || AwsError::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    scope.place().secretsmanager.secrets.get_mut(&name).ok_or_else(missing)
}

/// The ARN that IAM checks a call against.
pub(super) fn target(scope: &mut Scope<'_>, input: &serde_json::Value) -> String {
    let id = input.get("SecretId").and_then(serde_json::Value::as_str).unwrap_or("*");
    match find(scope, id) {
        Ok(secret) => secret.arn.clone(),
        Err(_) if id.starts_with("arn:") => id.to_owned(),
        Err(_) => scope.arn("secretsmanager", &format!("secret:{id}")),
    }
}

/// The secret of an id, unless it is scheduled for deletion.
pub(super) fn find_living<'s>(scope: &'s mut Scope<'_>, id: &str) -> Result<&'s mut Secret, AwsError> {
    let secret = find(scope, id)?;
    if secret.deletion.is_some() {
        let message = "You can't perform this operation on the secret because it was marked for deletion.";
        return Err(AwsError::new("InvalidRequestException", message));
    }
    Ok(secret)
}

/// A secret whose value somebody wants: its key must open it.
pub(super) fn find_readable<'s>(scope: &'s mut Scope<'_>, id: &str) -> Result<&'s mut Secret, AwsError> {
    let key = find_living(scope, id)?.kms_key_id.clone();
    if key.is_some_and(|key| kms::is_disabled(scope, &key)) {
        let message =
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key: the key is disabled.";
        return Err(AwsError::new("DecryptionFailure", message));
    }
    find_living(scope, id)
}
