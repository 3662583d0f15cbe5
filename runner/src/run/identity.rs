//! Who the runner is, and where and as whom each stage acts.
//!
//! The main functions are [`own_identity`] and [`place_of`].

use std::sync::Arc;

use super::early::Early;
use super::error::RunError;
use crate::aws::clients::{AssumedRole, Clients, Connection};
use crate::call::Caller;
use crate::contract::bindings::kiln::aws_sts::sts::GetCallerIdentityRequest;
use crate::event::EventKind;
use crate::pipeline::{Environment, Pipeline, Stage};
use crate::policy::Grants;
use crate::types::Place;
use crate::types::{AccountId, RunId};

/// Whose the runner's own credentials are.
pub(crate) struct Identity {
    /// The account.
    pub(crate) account: AccountId,
    /// What STS calls the caller: a user, or a session of a role.
    pub(crate) arn: String,
}

/// Ask whose the runner's own credentials are.
pub(crate) async fn own_identity(caller: &mut Caller) -> Result<Identity, RunError> {
    let identity = caller
        .read_as_host(GetCallerIdentityRequest { reserved: false })
        .await
        .map_err(RunError::GivenUp)?
        .map_err(RunError::Identity)?;
    Ok(Identity { account: identity.account.parse()?, arn: identity.arn })
}

/// Refuse environments without a role that belong to another account.
pub(crate) fn check_accounts(pipeline: &Pipeline, own: &AccountId) -> Result<(), RunError> {
    for (name, environment) in &pipeline.environments {
        if environment.role.is_none() && environment.account != *own {
            return Err(RunError::WrongAccount {
                environment: name.clone(),
                expected: environment.account.clone(),
                found: own.clone(),
            });
        }
    }
    Ok(())
}

/// Where `stage` acts.
pub(crate) fn place_of(pipeline: &Pipeline, stage: &Stage, own: &AccountId) -> Place {
    match environment_of(pipeline, stage) {
        Some(environment) => place_in(pipeline, environment),
        None => Place::new(pipeline.region.clone(), own.clone()),
    }
}

/// Where an environment is.
pub(crate) fn place_in(pipeline: &Pipeline, environment: &Environment) -> Place {
    let region = environment.region.clone().unwrap_or_else(|| pipeline.region.clone());
    Place::new(region, environment.account.clone())
}

/// IAM takes no longer session policy.
const SESSION_POLICY_CHARACTERS: usize = 2048;

/// Clients with the credentials that `stage` acts with: in its environment's role, limited by a session policy to what
/// its plugin declared, so that AWS enforces the same bounds as kiln does; without a role, the runner's own.
#[expect(clippy::too_many_arguments, reason = "the parts of one decision")]
pub(crate) async fn clients_of(
    pipeline: &Pipeline,
    stage: &Stage,
    place: &Place,
    grants: &Grants,
    connection: &Connection,
    early: Option<&Early>,
    run: &RunId,
    warn: impl Fn(EventKind),
) -> Arc<Clients> {
    let role = role_of(pipeline, stage, grants, run);
    if let Some(AssumedRole { policy: None, .. }) = role {
        warn(too_large(stage));
    }
    if let Some(clients) = role.as_ref().and_then(|role| early?.take(&stage.name, &place.region, role)) {
        return clients;
    }
    Arc::new(connection.clients(&place.region, role).await)
}

/// Clients with the credentials that `stage` acts with in another environment than its own, `environment`, bounded as
/// [`clients_of`] says.
pub(super) async fn clients_in(
    pipeline: &Pipeline,
    stage: &Stage,
    environment: &Environment,
    grants: &Grants,
    connection: &Connection,
    run: &RunId,
    warn: impl Fn(EventKind),
) -> Arc<Clients> {
    let role = role_in(environment, stage, grants, run);
    if let Some(AssumedRole { policy: None, .. }) = role {
        warn(too_large(stage));
    }
    Arc::new(connection.clients(&place_in(pipeline, environment).region, role).await)
}

fn too_large(stage: &Stage) -> EventKind {
    EventKind::Warning {
        message: format!("the permissions of stage `{}` do not fit into a session policy", stage.name),
        help: Some("kiln still enforces them at every call; AWS enforces only what the role allows".to_owned()),
    }
}

/// The session that a stage acts in, where its environment has a role.
pub(super) fn role_of(pipeline: &Pipeline, stage: &Stage, grants: &Grants, run: &RunId) -> Option<AssumedRole> {
    role_in(environment_of(pipeline, stage)?, stage, grants, run)
}

/// The session that a stage acts in in an environment, where that has a role.
fn role_in(environment: &Environment, stage: &Stage, grants: &Grants, run: &RunId) -> Option<AssumedRole> {
    let role = environment.role.clone()?;
    let policy = grants.session_policy().to_string();
    let fits = policy.chars().count() <= SESSION_POLICY_CHARACTERS;
    Some(AssumedRole {
        role,
        session: session_name(stage, run),
        external_id: environment.external_id.clone(),
        policy: fits.then_some(policy),
    })
}

/// What CloudTrail shows: the stage and the run, in the 64 characters that STS takes.
fn session_name(stage: &Stage, run: &RunId) -> String {
    let stage: String = stage.name.as_str().chars().take(22).collect();
    format!("kiln-{stage}-{run}").chars().take(64).collect()
}

/// Where a stage acts, if it says so.
pub(super) fn environment_of<'a>(pipeline: &'a Pipeline, stage: &Stage) -> Option<&'a Environment> {
    pipeline.environments.get(stage.environment.as_ref()?)
}
