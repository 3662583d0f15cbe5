//! Who may use keys: policies and grants.
//!
//! The main functions are [`get_key_policy`] and [`list_grants`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::invalid_marker;
use super::state::find;
use crate::clock::Timestamp;
use crate::ctx::{Ctx, Scope};
use crate::error::AwsError;
use crate::service::Empty;

/// A grant, as KMS keeps it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HeldGrant {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) grantee: String,
    pub(super) retiring: Option<String>,
    pub(super) operations: Vec<String>,
    pub(super) constraints: Option<Value>,
    pub(super) created: Timestamp,
    pub(super) issuer: String,
}

/// A grant of a key in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GrantSeed {
    /// Who may: an ARN.
    pub(super) grantee: String,
    /// What: `Decrypt`, `CreateGrant`, …
    pub(super) operations: Vec<String>,
}

/// The policy of a key that nobody gave another: IAM of its account decides.
pub(super) fn default_policy(scope: &Scope<'_>) -> String {
    let root = format!("arn:{}:iam::{}:root", scope.at.partition(), scope.at.account);
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": root },
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}

/// A policy is named `default`, and there is no other.
fn check_policy_name(name: Option<&str>) -> Result<(), AwsError> {
    match name {
        None | Some("default") => Ok(()),
        Some(other) => Err(AwsError::new("NotFoundException", format!("No such policy exists: {other}"))),
    }
}

/// The key of an id or ARN: policies and grants know no aliases.
fn key_of(scope: &mut Scope<'_>, which: &str) -> Result<String, AwsError> {
    if which.contains("alias/") {
        return Err(AwsError::new("InvalidArnException", format!("Invalid keyId {which}")));
    }
    find(scope, which).map(|key| key.id)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyPolicy {
    policy: String,
    policy_name: &'static str,
}

pub(super) fn get_key_policy(ctx: &mut Ctx<'_>, input: GetKeyPolicy) -> Result<KeyPolicy, AwsError> {
    check_policy_name(input.policy_name.as_deref())?;
    let key = key_of(ctx, &input.key_id)?;
    let policy = ctx.place().kms.keys.get(&key).map(|key| key.policy.clone()).unwrap_or_default();
    Ok(KeyPolicy { policy, policy_name: "default" })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
    policy: String,
}

pub(super) fn put_key_policy(ctx: &mut Ctx<'_>, input: PutKeyPolicy) -> Result<Empty, AwsError> {
    check_policy_name(input.policy_name.as_deref())?;
    let key = key_of(ctx, &input.key_id)?;
    if !serde_json::from_str::<Value>(&input.policy).is_ok_and(|policy| policy.get("Statement").is_some()) {
        return Err(AwsError::new("MalformedPolicyDocumentException", "Policy contains a statement with no principal"));
    }
    if let Some(key) = ctx.place().kms.keys.get_mut(&key) {
        key.policy = input.policy;
        let arn = key.arn.clone();
        ctx.touch(arn);
    }
    Ok(Empty {})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateGrant {
    key_id: String,
    grantee_principal: String,
    retiring_principal: Option<String>,
    operations: Vec<String>,
    constraints: Option<Value>,
    name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GrantMade {
    grant_token: String,
    grant_id: String,
}

pub(super) fn create_grant(ctx: &mut Ctx<'_>, input: CreateGrant) -> Result<GrantMade, AwsError> {
    let key = key_of(ctx, &input.key_id)?;
    if !input.grantee_principal.starts_with("arn:") {
        return Err(AwsError::new("InvalidArnException", format!("Invalid principal {}", input.grantee_principal)));
    }
    let (id, now) = (ctx.world.ids.hex(&format!("kms/grant/{key}"), 64), ctx.now());
    let issuer = format!("arn:{}:iam::{}:root", ctx.at.partition(), ctx.at.account);
    let grant = HeldGrant {
        id: id.clone(),
        name: input.name,
        grantee: input.grantee_principal,
        retiring: input.retiring_principal,
        operations: input.operations,
        constraints: input.constraints,
        created: now,
        issuer,
    };
    if let Some(key) = ctx.place().kms.keys.get_mut(&key) {
        key.grants.push(grant);
        let arn = key.arn.clone();
        ctx.touch(arn);
    }
    Ok(GrantMade { grant_token: format!("AQpAM2RhZ{id}"), grant_id: id })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListGrants {
    key_id: String,
    limit: Option<usize>,
    marker: Option<String>,
    grantee_principal: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GrantList {
    grants: Vec<GrantEntry>,
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GrantEntry {
    key_id: String,
    grant_id: String,
    name: Option<String>,
    creation_date: Timestamp,
    grantee_principal: String,
    retiring_principal: Option<String>,
    issuing_account: String,
    operations: Vec<String>,
    constraints: Option<Value>,
}

pub(super) fn list_grants(ctx: &mut Ctx<'_>, input: ListGrants) -> Result<GrantList, AwsError> {
    let id = key_of(ctx, &input.key_id)?;
    let Some(key) = ctx.place().kms.keys.get(&id).cloned() else {
        return Ok(GrantList { grants: Vec::new(), next_marker: None, truncated: false });
    };
    let wanted = |grant: &HeldGrant| input.grantee_principal.as_ref().is_none_or(|wanted| *wanted == grant.grantee);
    let grants = key.grants.into_iter().filter(wanted).map(|grant| GrantEntry {
        key_id: key.arn.clone(),
        grant_id: grant.id,
        name: grant.name,
        creation_date: grant.created,
        grantee_principal: grant.grantee,
        retiring_principal: grant.retiring,
        issuing_account: grant.issuer,
        operations: grant.operations,
        constraints: grant.constraints,
    });
    let (grants, next_marker) = ctx
        .page(
            &format!("kms:grants:{id}"),
            grants.collect(),
            input.limit.unwrap_or(50),
            input.marker.as_deref(),
            |grant: &GrantEntry| &grant.grant_id,
        )
        .map_err(invalid_marker)?;
    Ok(GrantList { grants, truncated: next_marker.is_some(), next_marker })
}
