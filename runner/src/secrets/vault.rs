//! The secrets of a run: read once, in pinned versions.
//!
//! The main type is [`Vault`]. Stages hold [`SecretHandle`]s: the bytes leave only through `reveal`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use crate::pipeline::{SECRET_PREFIX, SecretReference};

/// The name that a config value refers to, if it is a reference to a secret.
pub fn secret_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(SECRET_PREFIX)
}

/// A secret as a stage holds it.
#[derive(Clone)]
pub struct SecretHandle {
    resolved: Arc<Resolved>,
}

/// A secret as it was read.
pub(crate) struct Resolved {
    /// Its name under `[secrets]`.
    pub(crate) name: String,
    /// Its name or ARN, as the pipeline has it.
    pub(crate) id: String,
    /// The key in it that is used.
    pub(crate) key: Option<String>,
    /// Its ARN.
    pub(crate) arn: String,
    /// The version that the run uses, where it is known.
    pub(crate) version: Option<String>,
    /// The value, where the runner may read it.
    pub(crate) value: Option<Zeroizing<String>>,
}

impl From<Resolved> for SecretHandle {
    fn from(resolved: Resolved) -> Self {
        Self { resolved: Arc::new(resolved) }
    }
}

impl std::fmt::Debug for SecretHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretHandle").field("name", &self.resolved.name).finish_non_exhaustive()
    }
}

impl SecretHandle {
    /// The name under `[secrets]`.
    pub fn name(&self) -> &str {
        &self.resolved.name
    }

    /// `SECRET-ID:JSON-KEY:VERSION-STAGE:VERSION-ID`, as CodeBuild resolves it.
    pub fn codebuild_reference(&self) -> String {
        self.reference(&self.resolved.id)
    }

    /// `ARN:JSON-KEY:VERSION-STAGE:VERSION-ID`, as ECS resolves it.
    pub fn ecs_reference(&self) -> String {
        self.reference(&self.resolved.arn)
    }

    /// The secret's ARN.
    pub fn arn(&self) -> &str {
        &self.resolved.arn
    }

    /// The version that this run uses.
    pub fn version(&self) -> Option<&str> {
        self.resolved.version.as_deref()
    }

    /// The value, where the runner was allowed to read it.
    pub(crate) fn value(&self) -> Option<String> {
        self.resolved.value.as_ref().map(|value| value.to_string())
    }

    fn reference(&self, id: &str) -> String {
        let key = self.resolved.key.as_deref().unwrap_or_default();
        let version = self.resolved.version.as_deref().unwrap_or_default();
        format!("{id}:{key}::{version}").trim_end_matches(':').to_owned()
    }
}

/// The secrets of a pipeline.
#[derive(Debug)]
pub struct Vault {
    references: BTreeMap<String, SecretReference>,
    resolved: OnceLock<BTreeMap<String, SecretHandle>>,
}

/// The secrets of a run are read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secrets of the run were read twice")]
pub struct AlreadyOpen;

impl Vault {
    /// The secrets under `[secrets]`.
    pub fn new(references: BTreeMap<String, SecretReference>) -> Self {
        Self { references, resolved: OnceLock::new() }
    }

    /// How the pipeline refers to the secret `name`.
    pub(crate) fn reference(&self, name: &str) -> Option<&SecretReference> {
        self.references.get(name)
    }

    /// The secrets that were read, by their names. Once.
    ///
    /// # Errors
    /// They were kept before.
    pub(crate) fn keep(&self, resolved: BTreeMap<String, SecretHandle>) -> Result<(), AlreadyOpen> {
        self.resolved.set(resolved).map_err(|_| AlreadyOpen)
    }

    /// The secret `name`, if it was opened.
    pub(crate) fn handle(&self, name: &str) -> Option<SecretHandle> {
        self.resolved.get()?.get(name).cloned()
    }
}
