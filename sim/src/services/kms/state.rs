//! What KMS holds.
//!
//! The main type is [`State`].

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::ciphertexts::KEY_ID;
use super::grants::{HeldGrant, default_policy};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;

/// Keys and aliases.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    pub(super) keys: BTreeMap<String, Key>,
    /// By name, such as `alias/web`.
    pub(super) aliases: BTreeMap<String, Alias>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) description: String,
    pub(super) enabled: bool,
    /// Whether a service of AWS made it for the account.
    pub(super) of_aws: bool,
    /// JSON.
    pub(super) policy: String,
    pub(super) grants: Vec<HeldGrant>,
    #[serde(skip)]
    pub(super) material: [u8; 32],
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Alias {
    pub(super) target: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

pub(super) fn make_key(scope: &mut Scope<'_>, description: String, enabled: bool) -> Key {
    let kind = format!("kms/key/{}", scope.at);
    let id = scope.world.ids.uuid(&kind);
    let material = scope.world.ids.bytes(&format!("kms/material/{id}"));
    let arn = scope.arn("kms", &format!("key/{id}"));
    let (created, policy, grants) = (scope.now(), default_policy(scope), Vec::new());
    let key = Key { id: id.clone(), arn, created, description, enabled, of_aws: false, policy, grants, material };
    scope.place().kms.keys.insert(id, key.clone());
    key
}

/// The key of an id, an ARN, an alias name or an alias ARN.
pub(super) fn find(scope: &mut Scope<'_>, which: &str) -> Result<Key, AwsError> {
    let missing = |what: String| AwsError::new("NotFoundException", what);
    let prefix = scope.arn("kms", "");
    let name = match which.strip_prefix(&prefix) {
        Some(name) => name,
        None if which.starts_with("arn:") => return Err(missing(format!("Invalid arn {which}"))),
        None => which,
    };
    let kms = &scope.place().kms;
    let id = if name.starts_with("alias/") {
        let alias = kms.aliases.get(name);
        alias
            .map(|alias| alias.target.as_str())
            .ok_or_else(|| missing(format!("Alias {prefix}{name} is not found.")))?
    } else {
        name.strip_prefix("key/").unwrap_or(name)
    };
    kms.keys.get(id).cloned().ok_or_else(|| missing(format!("Key '{prefix}key/{id}' does not exist")))
}

/// The ARN that IAM checks a call against: the key behind whatever names it.
pub(super) fn target(scope: &mut Scope<'_>, input: &Value) -> String {
    let given = ["KeyId", "TargetKeyId", "AliasName"].iter().find_map(|member| input.get(member)?.as_str());
    let sealed = || {
        // Whoever gives no key means the one that the text is sealed with.
        let blob = STANDARD.decode(input.get("CiphertextBlob")?.as_str()?).ok()?;
        String::from_utf8(blob.get(..KEY_ID)?.to_vec()).ok()
    };
    let Some(which) = given.map(str::to_owned).or_else(sealed) else { return "*".to_owned() };
    match (find(scope, &which), which.as_str()) {
        (Ok(key), _) => key.arn,
        (Err(_), arn) if arn.starts_with("arn:") => arn.to_owned(),
        (Err(_), alias) if alias.starts_with("alias/") => scope.arn("kms", alias),
        (Err(_), id) => scope.arn("kms", &format!("key/{id}")),
    }
}

/// The ARN of the key that this names, where there is one here.
pub(crate) fn key_arn(scope: &mut Scope<'_>, which: &str) -> Option<String> {
    find(scope, which).ok().map(|key| key.arn)
}

/// The ARN of the key that a service of AWS has made for this account and region, such as `alias/aws/ebs`. It is made when it is first
/// needed.
pub(crate) fn key_of_aws(scope: &mut Scope<'_>, alias: &str) -> String {
    if let Some(arn) = key_arn(scope, alias) {
        return arn;
    }
    let mut key = make_key(scope, format!("Default key of {alias}"), true);
    key.of_aws = true;
    let alias_of = Alias { target: key.id.clone(), created: key.created, updated: key.created };
    let (kms, arn) = (&mut scope.place().kms, key.arn.clone());
    kms.aliases.insert(alias.to_owned(), alias_of);
    kms.keys.insert(key.id.clone(), key);
    arn
}

/// Whether this names a key that is disabled.
pub(crate) fn is_disabled(scope: &mut Scope<'_>, which: &str) -> bool {
    find(scope, which).is_ok_and(|key| !key.enabled)
}

pub(super) fn usable(scope: &mut Scope<'_>, which: &str) -> Result<Key, AwsError> {
    let key = find(scope, which)?;
    if key.enabled { Ok(key) } else { Err(AwsError::new("DisabledException", format!("{} is disabled.", key.arn))) }
}

/// A key is gone, with its aliases: CloudFormation deletes it, and its waiting time is over at once.
pub(crate) fn forget(scope: &mut Scope<'_>, id: &str) {
    let state = &mut scope.place().kms;
    state.keys.remove(id);
    state.aliases.retain(|_, alias| alias.target != id);
}
