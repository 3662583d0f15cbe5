//! What a run needs before its first stage: identity, secrets, journal.
//!
//! The main types are [`RunOptions`], what the caller decides, and [`Prepared`], what the stages then share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::context::RunContext;
use super::error::RunError;
use super::events::Events;
use super::identity::{check_accounts, own_account, place_of};
use super::stop::Control;
use crate::aws::call::{Caller, CallerParts};
use crate::aws::clients::{Clients, Connection};
use crate::clock::Clock;
use crate::event::{EventKind, StageOutline};
use crate::journal::{self, Journal, LocalRead, Record, RunStart};
use crate::pipeline::{Phase, Pipeline, Scope, Stage};
use crate::plugin::{Limits, Plugin, Plugins};
use crate::policy::{Grants, Place};
use crate::report::Report;
use crate::secrets::Vault;
use crate::secrets::redact::Redactor;
use crate::types::{AccountId, RunId, StageName};

/// The pipeline file that is run.
#[derive(Debug, Clone)]
pub struct RunSource {
    /// As given.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// What whoever starts a run decides.
pub struct RunOptions {
    /// How many stages may be at work at once.
    pub max_parallel: Option<usize>,
    /// Where journals are kept; none where the run keeps none: a rehearsal has nothing to resume.
    pub state_dir: Option<PathBuf>,
    /// The run's id, where it must be a certain one.
    pub run_id: Option<RunId>,
    /// How AWS is reached.
    pub connection: Connection,
    /// The run's clock.
    pub clock: Clock,
    /// A guest's bounds.
    pub limits: Limits,
    /// Tells the run when to end.
    pub control: Control,
    /// Who is told what happens.
    pub report: Box<dyn Report>,
}

/// A run that is ready to begin.
pub(crate) struct Prepared {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) run: Arc<RunContext>,
    pub(crate) connection: Connection,
    pub(crate) limits: Limits,
    pub(crate) account: AccountId,
    pub(crate) max_parallel: Option<usize>,
    /// Where in the pipeline each stage is.
    positions: HashMap<StageName, usize>,
    /// What finished stages answered.
    outputs: RwLock<BTreeMap<StageName, Value>>,
}

/// The name under which the host's own calls are journaled. Stages cannot have it.
pub(crate) const HOST: &str = "kiln";

/// Find out who the runner is, get the secrets, and begin the journal where `source` is given (a plan keeps none).
pub(crate) async fn prepare(
    pipeline: Arc<Pipeline>,
    plugins: Arc<Plugins>,
    source: Option<&RunSource>,
    options: RunOptions,
) -> Result<Prepared, RunError> {
    let RunOptions { max_parallel, state_dir, run_id, connection, clock, limits, control, report } = options;
    let redactor = Redactor::default();
    let events = Events::new(clock, redactor.clone(), report);
    let id = run_id.unwrap_or_else(|| RunId::new(clock.now()));
    let own_clients = Arc::new(connection.clients(&pipeline.region, None).await);
    let context = |journal: Option<Journal>| RunContext {
        id: id.clone(),
        pipeline: pipeline.name.clone(),
        planning: source.is_none(),
        journal,
        events: events.clone(),
        redactor: redactor.clone(),
        secrets: Vault::new(pipeline.secrets.clone(), redactor.clone()),
        clock,
        control: control.clone(),
        own_clients: Arc::clone(&own_clients),
        images: std::sync::Mutex::default(),
    };
    // The journal's first record names the account, so this one call is made before there is a journal.
    let silent = RunContext { events: Events::silent(clock), ..context(None) };
    let account = own_account(&mut host_caller(&Arc::new(silent), &pipeline, None, &own_clients)?).await?;
    check_accounts(&pipeline, &account)?;
    let journal = match (source, state_dir) {
        (Some(source), Some(state_dir)) => {
            let start = run_start(&pipeline, &plugins, source, &id, &account, clock)?;
            let directory = journal::run_dir(&state_dir, &id);
            journal::attach(&directory, source.text.as_bytes())?;
            Some(Journal::create(&directory, &start)?)
        }
        (None, _) | (_, None) => None,
    };
    let run = Arc::new(context(journal));
    let positions =
        pipeline.stages.iter().enumerate().map(|(position, stage)| (stage.name.clone(), position)).collect();
    let outputs = RwLock::default();
    let prepared = Prepared { pipeline, plugins, run, connection, limits, account, max_parallel, positions, outputs };
    prepared.announce(source);
    prepared.open_secrets().await?;
    Ok(prepared)
}

impl Prepared {
    fn announce(&self, source: Option<&RunSource>) {
        let Some(source) = source else { return };
        self.run.events.emit(
            None,
            EventKind::RunStarted {
                run: self.run.id.clone(),
                pipeline: self.pipeline.name.clone(),
                file: source.file.clone(),
                account: self.account.clone(),
                region: self.pipeline.region.clone(),
                stages: self.pipeline.stages.iter().map(outline).collect(),
                resumed: None,
            },
        );
    }

    async fn open_secrets(&self) -> Result<(), RunError> {
        let names: BTreeSet<String> =
            self.pipeline.stages.iter().flat_map(|stage| stage.secrets.iter().cloned()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let mut caller = host_caller(&self.run, &self.pipeline, Some(&self.account), &self.run.own_clients)?;
        let handles = self.run.secrets.open(&names, &mut caller).await.map_err(RunError::Secret)?;
        for handle in handles {
            let value = serde_json::json!({ "name": handle.name(), "arn": handle.arn(), "version": handle.version() });
            let call = caller.next_key().map_err(RunError::GivenUp)?;
            let what = format!("secret {}", handle.name());
            self.run.record(&Record::LocalRead(LocalRead { call, what, value })).map_err(RunError::GivenUp)?;
        }
        Ok(())
    }

    /// Keep what a finished stage answered, for those that refer to it.
    pub(crate) fn keep_outputs(&self, stage: &StageName, outputs: Value) {
        self.outputs.write().unwrap_or_else(PoisonError::into_inner).insert(stage.clone(), outputs);
    }

    /// What expressions of a stage see.
    pub(crate) fn with_scope<T>(&self, evaluate: impl FnOnce(&Scope<'_>) -> T) -> T {
        let outputs = self.outputs.read().unwrap_or_else(PoisonError::into_inner);
        evaluate(&Scope {
            inputs: &self.pipeline.inputs,
            env: &self.pipeline.env,
            pipeline: &self.pipeline.name,
            run: Some(&self.run.id),
            region: &self.pipeline.region,
            account: Some(&self.account),
            outputs: &outputs,
            phase: if self.run.planning { Phase::Plan } else { Phase::Run },
        })
    }

    /// The stage of a name.
    pub(crate) fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.pipeline.stages.get(*self.positions.get(name)?)
    }

    /// The plugin of a stage.
    pub(crate) fn plugin(&self, stage: &Stage) -> Result<Arc<Plugin>, RunError> {
        Ok(self.plugins.load(&stage.plugin)?)
    }

    /// Where a stage acts.
    pub(crate) fn place(&self, stage: &Stage) -> Place {
        place_of(&self.pipeline, stage, &self.account)
    }
}

fn outline(stage: &Stage) -> StageOutline {
    StageOutline {
        name: stage.name.clone(),
        plugin: stage.plugin.name().to_owned(),
        environment: stage.environment.clone(),
        needs: stage.needs.iter().cloned().collect(),
    }
}

/// Makes the host's own calls.
fn host_caller(
    run: &Arc<RunContext>,
    pipeline: &Pipeline,
    account: Option<&AccountId>,
    clients: &Arc<Clients>,
) -> Result<Caller, RunError> {
    let nobody: AccountId = "000000000000".parse()?;
    let place = Place::new(pipeline.region.clone(), account.cloned().unwrap_or(nobody));
    let stage: StageName = HOST.parse()?;
    let grants = Grants::resolve(&[], &Value::Null, &place)
        .map_err(|source| RunError::Policy { stage: stage.clone(), source })?;
    Ok(Caller::new(CallerParts {
        run: Arc::clone(run),
        stage,
        attempt: 1,
        phase: journal::Phase::Run,
        place,
        clients: Arc::clone(clients),
        grants,
        reveal: false,
        read_only: false,
        maximum_calls: u32::MAX,
    }))
}

fn run_start(
    pipeline: &Pipeline,
    plugins: &Plugins,
    source: &RunSource,
    id: &RunId,
    account: &AccountId,
    clock: Clock,
) -> Result<RunStart, RunError> {
    let mut digests = BTreeMap::new();
    for stage in &pipeline.stages {
        let plugin = plugins.load(&stage.plugin)?;
        digests.insert(stage.plugin.name().to_owned(), plugin.digest.clone());
    }
    Ok(RunStart {
        format: journal::FORMAT,
        kiln_version: env!("CARGO_PKG_VERSION").to_owned(),
        run: id.clone(),
        pipeline: pipeline.name.clone(),
        file: source.file.clone(),
        source: pipeline.source_digest.clone(),
        inputs: pipeline.inputs.clone(),
        env: pipeline.env.clone(),
        stages: pipeline.stages.iter().map(outline).collect(),
        plugins: digests,
        engine: plugins.engine().configuration_hash(),
        account: account.clone(),
        region: pipeline.region.clone(),
        clock_scale: clock.scale(),
        at: clock.now(),
    })
}
