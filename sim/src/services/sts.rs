//! Security Token Service: roles, sessions, and who calls.
//!
//! The main types are [`State`], the roles and sessions of all accounts, and [`RoleSeed`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Malformed, Policy};
use crate::clock::Timestamp;
use crate::ctx::Ctx;
use crate::error::AwsError;
use crate::ids;
use crate::service::Service;
use crate::services::ServiceId;
use crate::tags::{Tags, WholeTag, kept};
use crate::world::{Caller, World};
use crate::worldfile::{Problems, Span};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CHAINED_LIMIT: u64 = 3600;

/// Roles and sessions.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    /// By ARN. Where there is none in an account, every role of it can be assumed.
    roles: BTreeMap<String, Role>,
    /// By access key.
    sessions: BTreeMap<String, Session>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Role {
    assumable: bool,
    max_session: u64,
    #[serde(skip)]
    permissions: Option<Policy>,
}

/// A role that somebody assumed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Session {
    #[serde(skip)]
    secret: String,
    #[serde(skip)]
    token: String,
    #[serde(rename = "caller")]
    identity: Caller,
    /// The role's ARN; empty where it is a user's own session.
    role: String,
    /// The user's key, where it is a user's own session.
    #[serde(skip)]
    user_key: Option<String>,
    assumed_by: String,
    /// The session policy, as it was given.
    policy: Option<String>,
    /// The same, read.
    #[serde(skip)]
    limits: Option<Policy>,
    /// Managed policies, which are written down and not evaluated: the simulator has none.
    policy_arns: Vec<String>,
    tags: Tags,
    began: Timestamp,
    expires: Timestamp,
}

/// A role in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RoleSeed {
    /// Its name, with its path if it has one.
    name: String,
    /// The account that has the role: the world's own unless told.
    account: Option<String>,
    /// Whether its trust policy lets callers in.
    #[serde(default = "yes")]
    assumable: bool,
    /// `MaxSessionDuration`.
    max_session: Option<Span>,
    /// The role's own IAM policy, in JSON: everything is allowed where there is none.
    policy: Option<Policy>,
}

fn yes() -> bool {
    true
}

pub(crate) fn service(id: ServiceId) -> Service {
    Service::new(id, "")
        .xml("https://sts.amazonaws.com/doc/2011-06-15/")
        .invalid_input("ValidationError")
        .read("GetCallerIdentity", get_caller_identity)
        .open()
        .read("AssumeRole", assume_role)
        .on("{RoleArn}")
        .read("GetSessionToken", get_session_token)
}

/// Put the roles of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[RoleSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("roles", index);
        let account = seed.account.clone().unwrap_or_else(|| world.home.account.clone());
        let arn = format!("arn:{}:iam::{account}:role/{}", world.home.partition(), seed.name);
        let max_session = seed.max_session.map_or(3600, |span| span.duration().as_secs());
        if !(3600..=43_200).contains(&max_session) {
            problems.add(&format!("roles: {}", seed.name), "`max-session` lies between 1h and 12h");
        }
        let role = Role { assumable: seed.assumable, max_session, permissions: seed.policy.clone() };
        if world.sts.roles.insert(arn, role).is_some() {
            problems.add(&format!("roles: {}", seed.name), "the role is there twice");
        }
    }
}

/// The session of an access key.
pub(crate) fn session<'w>(world: &'w World, access_key: &str) -> Option<&'w Session> {
    world.sts.sessions.get(access_key)
}

/// The policies that a caller is bound by, each with its kind in AWS's words. All of them must allow a call.
pub(crate) fn policies(world: &World, access_key: &str) -> Vec<(&'static str, Policy)> {
    let session = session(world, access_key);
    let user_key = session.and_then(|session| session.user_key.as_deref()).unwrap_or(access_key);
    let of_user = world.access.policy(user_key);
    let of_role = session.and_then(|session| world.sts.roles.get(&session.role)?.permissions.as_ref());
    let of_session = session.and_then(|session| session.limits.as_ref());
    let own = of_user.or(of_role).map(|policy| ("identity-based", policy.clone()));
    own.into_iter().chain(of_session.map(|policy| ("session", policy.clone()))).collect()
}

/// The policy of a role by its ARN, where the role has one; none where there is no such role. An account of which the world file
/// names no role has every one.
pub(crate) fn policy_of_role(world: &World, account: &str, arn: &str) -> Option<Option<Policy>> {
    if let Some(role) = world.sts.roles.get(arn) {
        return Some(role.permissions.clone());
    }
    let named = world.sts.roles.keys().any(|arn| role_of(arn).is_some_and(|(owner, _)| owner == account));
    (!named && role_of(arn).is_some()).then_some(None)
}

impl Session {
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.identity
    }

    pub(crate) fn expires(&self) -> Timestamp {
        self.expires
    }
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    user_id: String,
    account: String,
    arn: String,
}

fn get_caller_identity(ctx: &mut Ctx<'_>, _: Nothing) -> Result<Identity, AwsError> {
    let Caller { account, arn, user_id } = ctx.caller.clone();
    Ok(Identity { user_id, account, arn })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    duration_seconds: Option<u64>,
    policy: Option<String>,
    #[serde(default)]
    policy_arns: Vec<PolicyArn>,
    #[serde(default)]
    tags: Vec<WholeTag>,
    source_identity: Option<String>,
}

#[derive(Deserialize)]
struct PolicyArn {
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRoleOutput {
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
    packed_policy_size: Option<u64>,
    source_identity: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser {
    assumed_role_id: String,
    arn: String,
}

fn assume_role(ctx: &mut Ctx<'_>, input: AssumeRole) -> Result<AssumeRoleOutput, AwsError> {
    let invalid = |message: String| AwsError::new("ValidationError", message);
    let (account, name) = role_of(&input.role_arn).ok_or_else(|| invalid(format!("{} is invalid", input.role_arn)))?;
    let session_name = input.role_session_name.as_str();
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session_name.len()) || !session_name.chars().all(fits) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{session_name}' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let known = ctx.world.sts.roles.get(&input.role_arn);
    let closed = ctx.world.sts.roles.keys().any(|arn| role_of(arn).is_some_and(|(owner, _)| owner == account));
    let longest = match known {
        Some(role) if role.assumable => role.max_session,
        None if !closed => 43_200,
        Some(_) | None => return Err(ctx.access_denied("AccessDenied", &input.role_arn)),
    };
    let seconds = input.duration_seconds.unwrap_or(3600);
    if seconds < 900 {
        return Err(invalid(format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: \
             Member must have value greater than or equal to 900"
        )));
    }
    if ctx.caller.is_session() && seconds > CHAINED_LIMIT {
        return Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining".into(),
        ));
    }
    if seconds > longest {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(invalid(message.into()));
    }
    let limits = input.policy.as_deref().map(check_policy).transpose()?;

    let partition = ctx.at.partition();
    let fresh = &mut ctx.scope.world.ids;
    let kind = format!("sts/{}/{session_name}", input.role_arn);
    let access_key_id = format!("ASIA{}", fresh.characters(&kind, ALPHABET, 16));
    let secret_access_key = fresh.hex(&kind, 40);
    let session_token = format!("{}{}", fresh.hex(&kind, 64), fresh.hex(&kind, 64));
    // A role's unique id does not change from session to session.
    let role_id = format!("AROA{:.17}", ids::sha256(input.role_arn.as_bytes()).to_uppercase());
    let identity = Caller {
        arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session_name}"),
        user_id: format!("{role_id}:{session_name}"),
        account,
    };
    let expiration = ctx.now() + Duration::from_secs(seconds);
    let packed_policy_size = input.policy.as_ref().map(|policy| (policy.len() as u64 * 100).div_ceil(4096));
    let session = Session {
        secret: secret_access_key.clone(),
        token: session_token.clone(),
        limits,
        identity: identity.clone(),
        role: input.role_arn,
        user_key: None,
        assumed_by: ctx.caller.arn.clone(),
        policy: input.policy,
        policy_arns: input.policy_arns.into_iter().map(|policy| policy.arn).collect(),
        tags: kept(input.tags),
        began: ctx.now(),
        expires: expiration,
    };
    ctx.world.sts.sessions.insert(access_key_id.clone(), session);
    Ok(AssumeRoleOutput {
        credentials: Credentials { access_key_id, secret_access_key, session_token, expiration },
        assumed_role_user: AssumedRoleUser { assumed_role_id: identity.user_id, arn: identity.arn },
        packed_policy_size,
        source_identity: input.source_identity,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSessionToken {
    duration_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionToken {
    credentials: Credentials,
}

/// A session of the caller's own: the user's policy bounds it as before.
fn get_session_token(ctx: &mut Ctx<'_>, input: GetSessionToken) -> Result<SessionToken, AwsError> {
    if session(ctx.world, &ctx.access_key).is_some() {
        let message = "Cannot call GetSessionToken with session credentials";
        return Err(AwsError::new("AccessDenied", message).status(403));
    }
    let seconds = input.duration_seconds.unwrap_or(43_200);
    let (identity, user_key) = (ctx.caller.clone(), ctx.access_key.clone());
    let expiration = ctx.now() + Duration::from_secs(seconds);
    let kind = format!("sts/session/{}", identity.arn);
    let fresh = &mut ctx.scope.world.ids;
    let access_key_id = format!("ASIA{}", fresh.characters(&kind, ALPHABET, 16));
    let secret_access_key = fresh.hex(&kind, 40);
    let session_token = format!("{}{}", fresh.hex(&kind, 64), fresh.hex(&kind, 64));
    let session = Session {
        secret: secret_access_key.clone(),
        token: session_token.clone(),
        limits: None,
        assumed_by: identity.arn.clone(),
        role: String::new(),
        user_key: Some(user_key),
        identity,
        policy: None,
        policy_arns: Vec::new(),
        tags: Tags::new(),
        began: ctx.now(),
        expires: expiration,
    };
    ctx.world.sts.sessions.insert(access_key_id.clone(), session);
    let credentials = Credentials { access_key_id, secret_access_key, session_token, expiration };
    Ok(SessionToken { credentials })
}

fn check_policy(policy: &str) -> Result<Policy, AwsError> {
    if policy.len() > 2048 {
        let message = format!(
            "Packed policy consumes {}% of allotted space, please use smaller policy.",
            (policy.len() * 100).div_ceil(2048)
        );
        return Err(AwsError::new("PackedPolicyTooLarge", message));
    }
    Policy::parse(policy).map_err(|malformed| {
        let message = match malformed {
            Malformed::Json => "This policy contains invalid Json".to_owned(),
            Malformed::Syntax(reason) => format!("Syntax errors in policy. ({reason})"),
        };
        AwsError::new("MalformedPolicyDocument", message)
    })
}

/// Account and name (without its path) of a role's ARN.
fn role_of(arn: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, resource] if account.len() == 12 => {
            let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
            (!name.is_empty()).then(|| ((*account).to_owned(), name.to_owned()))
        }
        _ => None,
    }
}
