//! A checked pipeline: nothing in it can still be wrong by itself.
//!
//! The main type is [`Pipeline`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::catalog::{Contract, PluginSource};
use super::config::{Evaluated, EvaluationError, Scope, Setting, StageScope, WORK};
use super::expression::{Expression, Fault};
use super::file::OnFailure;
use super::findings::Finding;
use super::retry::Retry;
use super::schema::{CHECK, Costly, EXPLAINED, Schema, article, type_name};
use crate::steps::Steps;
use crate::types::{AccountId, Arn, Digest, EnvironmentName, PipelineName, Region, StageName, StoreAddress};

/// A checked pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// The region that stages act in, where their environment has no other.
    pub region: Region,
    /// What it is for.
    pub description: Option<String>,
    /// The digest of the file's text.
    pub source_digest: Digest,
    /// The values of the inputs. Without the values of a run, those of the defaults that need none.
    pub inputs: BTreeMap<String, Value>,
    /// The environment variables that the pipeline refers to and that are set.
    pub env: BTreeMap<String, String>,
    /// The secrets.
    pub secrets: BTreeMap<String, SecretReference>,
    /// The environments.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// The stages: each behind all that it needs, otherwise in the order of the file.
    pub stages: Vec<Stage>,
    /// How many stages may run at the same time.
    pub max_parallel: Option<usize>,
    /// Where runs and leases are shared, its region named.
    pub store: Option<StoreAddress>,
    /// The files beside it that its stages name, by their paths.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

/// A secret in AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReference {
    /// Its name or ARN.
    pub id: String,
    /// The key in it, where it is a JSON object.
    pub key: Option<String>,
    /// The version by its staging label.
    pub version_stage: Option<String>,
    /// The version by its id.
    pub version_id: Option<String>,
}

/// An account that stages act in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The account.
    pub account: AccountId,
    /// The role that stages assume there; the runner's own credentials where there is none.
    pub role: Option<Arn>,
    /// The region, where it is not the pipeline's.
    pub region: Option<Region>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
}

/// A stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// What it is for.
    pub description: Option<String>,
    /// The plugin that does it.
    pub plugin: PluginSource,
    /// The stages that must have run before: those that it refers to, and those of `after`.
    pub needs: BTreeSet<StageName>,
    /// Those of them whose end its `when` asks for: `stages.NAME.outcome`. It may run whatever that end is.
    pub asks: BTreeSet<StageName>,
    /// Where it acts.
    pub environment: Option<EnvironmentName>,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// Whether and when it is tried again.
    pub retry: Retry,
    /// What happens when it fails for good.
    pub on_failure: OnFailure,
    /// Whether the plugin may read the values of the secrets that the config names.
    pub reveal: bool,
    /// The secrets that the config names.
    pub secrets: BTreeSet<String>,
    /// The files beside the pipeline that the config names, by their paths.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// The files beside the pipeline for which the plugin names a linter: the linter and the path each.
    pub(crate) linted: BTreeSet<(String, String)>,
    pub(crate) with: Setting,
    pub(crate) when: Option<Expression>,
    /// The account and region of `environment`.
    pub(crate) place: Option<Environment>,
    pub(crate) contract: Arc<Contract>,
}

impl Pipeline {
    /// The words that its file uses in the open: names, accounts, regions, and what stages are told without an expression.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.name.to_string(), self.region.to_string()];
        for (name, environment) in &self.environments {
            words.extend([name.to_string(), environment.account.to_string()]);
            words.extend(environment.region.iter().map(ToString::to_string));
            words.extend(environment.role.iter().map(ToString::to_string));
        }
        words.extend(self.secrets.iter().flat_map(|(name, secret)| [name.clone(), secret.id.clone()]));
        for stage in &self.stages {
            words.extend([stage.name.to_string(), stage.plugin.name().to_owned()]);
            stage.with.words(&mut words);
        }
        words
    }

    /// The stage of a name.
    pub fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }
}

impl Stage {
    /// The names of its outputs, where its plugin says which there are.
    pub fn output_names(&self) -> Option<Vec<String>> {
        let outputs = &self.contract.outputs;
        (!outputs.is_open()).then(|| outputs.properties().into_iter().map(str::to_owned).collect())
    }

    /// The name and version that the plugin gives itself.
    pub fn plugin_version(&self) -> (&str, &str) {
        (&self.contract.name, &self.contract.version)
    }

    /// The config, as far as it is known in a scope.
    ///
    /// # Errors
    /// The first expression that has no value, or that the values are too much.
    pub fn config(&self, scope: &Scope<'_>) -> Result<Evaluated, EvaluationError> {
        let worth = self.with.evaluate(&self.view(scope), &Steps::of(WORK));
        if let Some(failure) = worth.failures.into_iter().next() {
            return Err(EvaluationError::NoValue {
                stage: self.name.clone(),
                place: format!("with{}", failure.pointer.replace('/', ".")),
                expression: failure.slot.expression.text().to_owned(),
                reason: failure.reason,
            });
        }
        match worth.too_much {
            None => Ok(worth.evaluated),
            Some(reason) => Err(EvaluationError::TooMuch { stage: self.name.clone(), reason }),
        }
    }

    /// The stage and its output that the config's value at a JSON pointer is, where it is nothing but a reference to one.
    pub fn output_at(&self, pointer: &str) -> Option<(&str, &str)> {
        self.with.output_at(pointer)
    }

    /// Whether the stage is to run; `None` while that is not known yet.
    ///
    /// # Errors
    /// The condition has no value, or one that is neither true nor false.
    pub fn when(&self, scope: &Scope<'_>) -> Result<Option<bool>, EvaluationError> {
        let Some(condition) = &self.when else { return Ok(Some(true)) };
        let error = |reason| EvaluationError::NoValue {
            stage: self.name.clone(),
            place: "when".to_owned(),
            expression: condition.text().to_owned(),
            reason,
        };
        match condition.evaluate(&self.view(scope), &Steps::of(WORK)) {
            Ok(Value::Bool(yes)) => Ok(Some(yes)),
            Ok(other) => Err(error(format!("it must be a boolean, not {}", article(type_name(&other))))),
            Err(Fault::Unknown(_)) => Ok(None),
            Err(Fault::Failed(reason)) => Err(error(reason)),
        }
    }

    /// The text of `when`, for people.
    pub fn condition(&self) -> Option<&str> {
        self.when.as_ref().map(Expression::text)
    }

    /// The files beside the pipeline that are to be linted: the linter's name and the path each.
    pub(crate) fn linted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.linted.iter().map(|(linter, path)| (linter.as_str(), path.as_str()))
    }

    /// Check a whole config against the plugin's schema.
    ///
    /// # Errors
    /// What it breaks, a sentence each, or that this cannot be found out.
    pub fn check_config(&self, config: &Value) -> Result<(), Unfit> {
        satisfied(&self.contract.config, config)
    }

    /// Check outputs against the plugin's schema.
    ///
    /// # Errors
    /// What they break, a sentence each, or that this cannot be found out.
    pub fn check_outputs(&self, outputs: &Value) -> Result<(), Unfit> {
        satisfied(&self.contract.outputs, outputs)
    }

    fn view<'a>(&'a self, scope: &Scope<'a>) -> StageScope<'a> {
        StageScope { scope: *scope, environment: self.environment.as_ref().zip(self.place.as_ref()) }
    }
}

/// Why a value does not satisfy a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It breaks this: a sentence each.
    Breaks(Vec<String>),
    /// To find out takes too much.
    Costly(Costly),
}

fn satisfied(schema: &Schema, value: &Value) -> Result<(), Unfit> {
    let findings = schema.check(value, &[], &Steps::of(CHECK + EXPLAINED)).map_err(Unfit::Costly)?;
    let mut sentences: Vec<String> = findings.list.iter().map(Finding::sentence).collect();
    if !findings.complete {
        sentences.push("there is more, which is not told".to_owned());
    }
    if sentences.is_empty() { Ok(()) } else { Err(Unfit::Breaks(sentences)) }
}
