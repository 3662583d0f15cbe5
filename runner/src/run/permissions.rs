//! What AWS must allow to the roles that a pipeline is run with: the runner's own, and that of each environment.
//!
//! The main function is [`permissions`]. It asks nobody: what plugins declare is resolved over the stages' configs, and a value that is not
//! known before the run reaches as far as its kind of resource.

use std::collections::BTreeMap;

use serde_json::json;

use super::identity::{environment_of, place_in, place_of};
use crate::pipeline::{
    Environment, Evaluated, EvaluationError, EvaluationPhase, Named, Pipeline, Scope, SecretReference, Stage, named,
};
use crate::plugin::{PluginError, Plugins};
use crate::policy::{Declared, Grant, Grants, PolicyError, reaches_elsewhere};
use crate::report::permissions::{Need, PermissionsView, RoleNeeds};
use crate::types::{AccountId, Arn, EnvironmentName, Place, StageName, StoreAddress};

/// Why it cannot be told what a pipeline needs.
#[derive(Debug, thiserror::Error)]
pub enum NeedsError {
    /// A stage's config has no value.
    #[error(transparent)]
    Config(#[from] EvaluationError),
    /// A plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// What a plugin declares names nothing.
    #[error("stage `{stage}`: {source}")]
    Policy {
        /// The stage.
        stage: StageName,
        /// What is wrong.
        source: PolicyError,
    },
}

/// What must be known besides the pipeline.
#[derive(Debug)]
pub struct RunnerIs<'a> {
    /// The account of the runner's own role.
    pub account: &'a AccountId,
    /// Its ARN, for the trust policies of the others.
    pub role: Option<&'a Arn>,
    /// The shared store.
    pub store: Option<&'a StoreAddress>,
    /// What is known of the pipeline's values.
    pub phase: EvaluationPhase,
}

/// What `pipeline` needs.
///
/// # Errors
/// A stage's config has no value, a plugin cannot be opened, or what it declares names nothing.
pub fn permissions(
    pipeline: &Pipeline,
    plugins: &Plugins,
    runner: &RunnerIs<'_>,
) -> Result<PermissionsView, NeedsError> {
    let mut own = Gathered::default();
    let mut environments: BTreeMap<EnvironmentName, Gathered> = BTreeMap::new();
    for stage in &pipeline.stages {
        let needs = match (&stage.environment, environment_of(pipeline, stage)) {
            (Some(name), Some(Environment { role: Some(role), .. })) => {
                own.host("sts:AssumeRole", role.to_string(), &format!("to act as the environment {name}"));
                environments.entry(name.clone()).or_default()
            }
            _ => &mut own,
        };
        let (config, declared) = known_of(pipeline, plugins, stage, runner)?;
        let policy = |source| NeedsError::Policy { stage: stage.name.clone(), source };
        let place = place_of(pipeline, stage, runner.account);
        needs.stage(stage, &Grants::of_role(&declared, &config.config, &place).map_err(policy)?);
        if !reaches_elsewhere(&declared) {
            continue;
        }
        // What is wrong with a name, the check has told.
        let all = pipeline.environments.iter();
        let (named, _) = named(&config.config, &config.unknown, stage.environment.as_ref(), all);
        for Named { index: _, name, environment, config } in named {
            let place = place_in(pipeline, environment);
            let grants = Grants::of_role_elsewhere(&declared, &config, &place).map_err(policy)?;
            let needs = match &environment.role {
                Some(role) => {
                    own.host("sts:AssumeRole", role.to_string(), &format!("to act as the environment {name}"));
                    environments.entry(name.clone()).or_default()
                }
                None => &mut own,
            };
            needs.stage(stage, &grants);
        }
    }
    own_calls(pipeline, runner, &mut own);
    let mut roles = vec![RoleNeeds { environment: None, role: runner.role.cloned(), needs: own.list(), trust: None }];
    for (name, needs) in environments {
        let Some(environment) = pipeline.environments.get(&name) else { continue };
        roles.push(RoleNeeds {
            role: environment.role.clone(),
            needs: needs.list(),
            trust: Some(trust(environment, pipeline, runner)),
            environment: Some(name),
        });
    }
    Ok(PermissionsView { pipeline: pipeline.name.clone(), roles, notes: notes(pipeline) })
}

/// A stage's config, as far as it is known, and what its plugin declares.
fn known_of(
    pipeline: &Pipeline,
    plugins: &Plugins,
    stage: &Stage,
    runner: &RunnerIs<'_>,
) -> Result<(Evaluated, Vec<Declared>), NeedsError> {
    let (outputs, outcomes) = (BTreeMap::new(), BTreeMap::new());
    let scope = Scope {
        inputs: &pipeline.inputs,
        env: &pipeline.env,
        pipeline: &pipeline.name,
        run: None,
        region: &pipeline.region,
        account: Some(runner.account),
        outputs: &outputs,
        outcomes: &outcomes,
        phase: runner.phase,
    };
    let config = stage.config(&scope)?;
    let plugin = plugins.load(&stage.plugin)?;
    Ok((config, plugin.description.permissions.clone()))
}

/// What the runner itself asks AWS for.
fn own_calls(pipeline: &Pipeline, runner: &RunnerIs<'_>, own: &mut Gathered) {
    let place = Place::new(pipeline.region.clone(), runner.account.clone());
    for (name, secret) in &pipeline.secrets {
        own.host("secretsmanager:GetSecretValue", arn_of(secret, &place), &format!("to mask the secret {name}"));
    }
    if let Some(store) = runner.store.or(pipeline.store.as_ref()) {
        let region = store.region().unwrap_or_else(|| pipeline.region.clone());
        let table = Place::new(region, place.account).arn("dynamodb", &format!("table/{}", store.table()));
        for action in ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"] {
            own.host(action, table.to_string(), "to share runs and leases");
        }
    }
}

/// The pattern of a secret's ARN: AWS adds six characters to the name.
fn arn_of(secret: &SecretReference, at: &Place) -> String {
    match secret.id.starts_with("arn:") {
        true => secret.id.clone(),
        false => Arn::new(
            &at.partition,
            "secretsmanager",
            at.region.as_str(),
            at.account.as_str(),
            &format!("secret:{}-??????", secret.id),
        )
        .to_string(),
    }
}

fn trust(environment: &Environment, pipeline: &Pipeline, runner: &RunnerIs<'_>) -> serde_json::Value {
    let place = Place::new(pipeline.region.clone(), runner.account.clone());
    let principal = match runner.role {
        Some(role) => role.to_string(),
        None => Arn::new(&place.partition, "iam", "", place.account.as_str(), "root").to_string(),
    };
    let mut statement = json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": "sts:AssumeRole" });
    if let (Some(id), Some(statement)) = (&environment.external_id, statement.as_object_mut()) {
        statement.insert("Condition".to_owned(), json!({ "StringEquals": { "sts:ExternalId": id } }));
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

fn notes(pipeline: &Pipeline) -> Vec<String> {
    let mut notes = Vec::new();
    if !pipeline.secrets.is_empty() {
        notes.push(
            "a secret under a KMS key of your own also needs kms:Decrypt on that key, where kms:ViaService is secretsmanager".to_owned(),
        );
    }
    notes
}

/// Actions, the resources that each is needed on, and who needs it for what.
#[derive(Debug, Default)]
struct Gathered(BTreeMap<String, Need>);

impl Gathered {
    /// All that a stage may do.
    fn stage(&mut self, stage: &Stage, grants: &Grants) {
        let registers = grants.each().any(|grant| grant.action == "ecs:RegisterTaskDefinition");
        for Grant { action, resources, reasons } in grants.each() {
            let need = self.need(action);
            need.resources.extend(resources.iter().map(ToString::to_string));
            need.stages.insert(stage.name.to_string());
            need.reasons.extend(reasons.iter().cloned());
            if action == "iam:PassRole" && registers {
                need.passed_to.insert("ecs-tasks.amazonaws.com".to_owned());
            }
        }
    }

    /// A call that the runner makes by itself.
    fn host(&mut self, action: &str, resource: String, reason: &str) {
        let need = self.need(action);
        need.resources.insert(resource);
        need.reasons.insert(reason.to_owned());
    }

    fn need(&mut self, action: &str) -> &mut Need {
        self.0.entry(action.to_owned()).or_insert_with(|| Need { action: action.to_owned(), ..Need::default() })
    }

    /// By action, without resources that others of the same action reach already.
    fn list(self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.0.into_values().collect();
        for need in &mut needs {
            let all = need.resources.clone();
            let reaches = |other: &String, one: &String| {
                other != one && other.strip_suffix('*').is_some_and(|begin| one.starts_with(begin))
            };
            need.resources.retain(|one| !all.iter().any(|other| reaches(other, one)));
        }
        needs
    }
}
