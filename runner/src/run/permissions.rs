//! What AWS must allow to the roles that a pipeline is run with: the runner's own, and that of each environment.
//!
//! The main function is [`permissions`]. It asks nobody: what plugins declare is resolved over the stages' configs, and a value that is not
//! known before the run reaches as far as its kind of resource, but for the image that another stage will give: its plugin says of
//! which repository that is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::identity::{environment_of, place_in, place_of};
use crate::aws::operation::PASS_ROLE;
use crate::aws::passed_to;
use crate::pipeline::{
    Environment, Evaluated, EvaluationError, EvaluationPhase, Named, Pipeline, Scope, SecretReference, Stage, named,
};
use crate::plugin::{Description, Plugin, PluginError, Plugins};
use crate::policy::{Declared, Grant, Grants, PolicyError, reaches_elsewhere, repository_of};
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
    let mut images = Images::new();
    for stage in &pipeline.stages {
        let needs = match (&stage.environment, environment_of(pipeline, stage)) {
            (Some(name), Some(Environment { role: Some(role), .. })) => {
                own.host("sts:AssumeRole", role.to_string(), &format!("to act as the environment {name}"));
                environments.entry(name.clone()).or_default()
            }
            _ => &mut own,
        };
        let policy = |source| NeedsError::Policy { stage: stage.name.clone(), source };
        let known = known_of(pipeline, plugins, stage, runner, &images)?;
        let place = place_of(pipeline, stage, runner.account);
        let declared = &known.plugin.description.permissions;
        let grants = Grants::of_role(declared, &known.config, &place).map_err(policy)?;
        needs.stage(stage, &grants, &known.open());
        for (output, image) in images_of(&known.plugin.description, &known.config, &place) {
            images.insert((stage.name.to_string(), output), image);
        }
        if !reaches_elsewhere(declared) {
            continue;
        }
        // What is wrong with a name, the check has told.
        let all = pipeline.environments.iter();
        let (named, _) = named(&known.config, &known.unknown, stage.environment.as_ref(), all);
        for Named { index: _, name, environment, config } in named {
            let place = place_in(pipeline, environment);
            let grants = Grants::of_role_elsewhere(declared, &config, &place).map_err(policy)?;
            let needs = match &environment.role {
                Some(role) => {
                    own.host("sts:AssumeRole", role.to_string(), &format!("to act as the environment {name}"));
                    environments.entry(name.clone()).or_default()
                }
                None => &mut own,
            };
            needs.stage(stage, &grants, &BTreeMap::new());
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

/// The images that outputs of stages will be, as far as that is known before the run: registry and repository.
type Images = BTreeMap<(String, String), String>;

/// What is known of a stage before the run.
struct Known {
    plugin: Arc<Plugin>,
    config: Value,
    /// Where in it are values that are not known yet.
    unknown: Vec<String>,
}

impl Known {
    /// Actions that may be needed on more than is known, and of each which value is not known yet.
    fn open(&self) -> BTreeMap<String, String> {
        let mut open = BTreeMap::new();
        for pointer in &self.unknown {
            let when = self.config.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let path = pointer.trim_start_matches('/').replace('/', ".");
            let declared = self.plugin.description.permissions.iter();
            for Declared { action, .. } in declared.filter(|declared| refers_to(declared, &path)) {
                open.insert(action.clone(), format!("`{path}` is {}", when.trim_matches(['(', ')'])));
            }
        }
        open
    }
}

fn known_of(
    pipeline: &Pipeline,
    plugins: &Plugins,
    stage: &Stage,
    runner: &RunnerIs<'_>,
    images: &Images,
) -> Result<Known, NeedsError> {
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
    let Evaluated { mut config, mut unknown } = stage.config(&scope)?;
    unknown.retain(|pointer| !make_known(stage, pointer, &mut config, images));
    Ok(Known { plugin: plugins.load(&stage.plugin)?, config, unknown })
}

/// Put the image in the place of a value that is nothing but a reference to it. Only its repository is known, which is enough for
/// what is granted on repositories.
fn make_known(stage: &Stage, pointer: &str, config: &mut Value, images: &Images) -> bool {
    let referred = stage.output_at(pointer).map(|(stage, output)| (stage.to_owned(), output.to_owned()));
    match (referred.and_then(|of| images.get(&of)), config.pointer_mut(pointer)) {
        (Some(image), Some(value)) => {
            *value = Value::from(image.as_str());
            true
        }
        _ => false,
    }
}

/// The outputs that are images, by what the schema of the plugin's outputs says (`x-kiln-repository`).
fn images_of(description: &Description, config: &Value, place: &Place) -> Vec<(String, String)> {
    let properties = description.output_schema.get("properties").and_then(Value::as_object);
    let image = |(name, schema): (&String, &Value)| {
        let template = schema.get("x-kiln-repository")?.as_str()?;
        let repository = repository_of(template, config, place)?;
        let registry = format!("{}.dkr.ecr.{}.{}", place.account, place.region, place.region.domain());
        Some((name.clone(), format!("{registry}/{repository}")))
    };
    properties.into_iter().flatten().filter_map(image).collect()
}

/// Whether what a permission is declared on depends on a value of the config.
fn refers_to(declared: &Declared, path: &str) -> bool {
    // Of a list, each item is one.
    let list = path.rsplit_once('.').filter(|(_, index)| index.parse::<u32>().is_ok()).map(|(list, _)| list);
    let ends = |path: &str| [format!("with.{path}}}"), format!("with.{path})")];
    let names: Vec<String> = std::iter::once(path).chain(list).flat_map(ends).collect();
    declared.resources.iter().any(|template| names.iter().any(|name| template.contains(name)))
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

fn trust(environment: &Environment, pipeline: &Pipeline, runner: &RunnerIs<'_>) -> Value {
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
    let mut notes = vec![
        "`kiln plan` asks IAM what each role may do where the role may ask that of itself: iam:SimulatePrincipalPolicy on its own \
         ARN, which no run needs"
            .to_owned(),
    ];
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
    fn stage(&mut self, stage: &Stage, grants: &Grants, open: &BTreeMap<String, String>) {
        for Grant { action, resources, reasons } in grants.each() {
            let need = self.need(action);
            need.resources.extend(resources.iter().map(ToString::to_string));
            need.stages.insert(stage.name.to_string());
            let why = open.get(action).map(|why| format!(" (on all of its kind: {why})")).unwrap_or_default();
            need.reasons.extend(reasons.iter().map(|reason| format!("{reason}{why}")));
            if action == PASS_ROLE {
                let services = grants.each().filter_map(|grant| passed_to(&grant.action));
                need.passed_to.extend(services.map(str::to_owned));
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
