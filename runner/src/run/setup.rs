//! What a run needs before its first stage: identity, secrets, journal.
//!
//! The main types are [`RunOptions`], what the caller decides, and [`Prepared`], what the stages then share. [`Beginning`]
//! says whether a run begins, goes on, or is only planned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinHandle;

use super::early::Early;
use super::error::RunError;
use super::identity::{Identity, check_accounts, own_identity, place_of};
use super::resume::Resumable;
use super::secrets;
use super::tenure::{self, Sharing};
use crate::aws::clients::{Clients, Connection};
use crate::call::context::RunContext;
use crate::call::events::Events;
use crate::call::gate::{Gate, Replay};
use crate::call::ledger::Ledger;
use crate::call::stop::{Control, HostStop};
use crate::call::{Access, Actor, Caller, Standing};
use crate::clock::Clock;
use crate::contract::Limits;
use crate::event::{EventKind, StageOutcome, StageOutline};
use crate::journal::{self, LocalRead, Record, RunStart};
use crate::pipeline::{EvaluationPhase, Pipeline, Scope, Stage};
use crate::plugin::{Plugin, PluginError, Plugins};
use crate::policy::Grants;
use crate::report::Report;
use crate::secrets::Vault;
use crate::secrets::redact::{Common, Redactor, Sealed};
use crate::store::{LeaseEnding, Leases};
use crate::types::Place;
use crate::types::{AccountId, Digest, Region, RunId, StageName, StoreAddress};

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
    /// After how long without any progress the run is left, to be resumed later; none where it waits for as long as it takes.
    pub detach_after: Option<Duration>,
    /// Where the run is shared, and how it holds its environments.
    pub sharing: Sharing,
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
    /// The ARN that STS calls the runner by; none where the run goes on.
    pub(crate) caller: Option<String>,
    pub(crate) max_parallel: Option<usize>,
    pub(crate) detach_after: Option<Duration>,
    /// Clients of stages that have not begun.
    pub(crate) early: Early,
    /// Whether the credentials are known to be the right account's.
    identity: OnceCell<()>,
    /// Which process of the run this is: 1 for the one that began it.
    process: u32,
    /// Where in the pipeline each stage is.
    positions: HashMap<StageName, usize>,
    /// What finished stages answered.
    outputs: RwLock<BTreeMap<StageName, Value>>,
    /// How stages ended.
    outcomes: RwLock<BTreeMap<StageName, StageOutcome>>,
}

/// How many calls of AWS may be under way at once. Services ask for less haste long before that.
const IN_FLIGHT: usize = 128;

/// How a run begins.
pub(crate) enum Beginning<'a> {
    /// Nothing is run, only planned: there is no journal.
    Plan,
    /// With nothing done.
    Run(&'a RunSource),
    /// Where its journal ends.
    Resume(Box<Resumable>),
}

/// Find out who the runner is, get the secrets, and begin the journal, or go on with it.
pub(crate) async fn prepare(
    pipeline: Arc<Pipeline>,
    plugins: Arc<Plugins>,
    beginning: Beginning<'_>,
    options: RunOptions,
) -> Result<Prepared, RunError> {
    let RunOptions {
        max_parallel,
        state_dir,
        run_id,
        connection,
        clock,
        limits,
        detach_after,
        sharing,
        control,
        report,
    } = options;
    let given = pipeline.inputs.values().filter_map(Value::as_str).chain(pipeline.env.values().map(String::as_str));
    let redactor = Redactor::with_common(Common::new(pipeline.words(), given.map(str::to_owned)));
    let events = Events::new(clock, redactor.clone(), report);
    let id = match &beginning {
        Beginning::Resume(resumable) => resumable.history.start.run.clone(),
        Beginning::Plan | Beginning::Run(_) => run_id.unwrap_or_else(|| RunId::new(clock.now())),
    };
    let warm = plugins.warm_up(pipeline.stages.iter().map(|stage| stage.plugin.clone()));
    let own_clients = Arc::new(connection.clients(&pipeline.region, None).await);
    let secrets = match &beginning {
        Beginning::Resume(resumable) => resumable.pinned(&pipeline.secrets),
        Beginning::Plan | Beginning::Run(_) => pipeline.secrets.clone(),
    };
    let context = |ledger: Ledger, leases: Option<Leases>, gate: Gate| RunContext {
        id: id.clone(),
        pipeline: pipeline.name.clone(),
        planning: matches!(beginning, Beginning::Plan),
        ledger,
        leases,
        events: events.clone(),
        redactor: redactor.clone(),
        secrets: Vault::new(secrets.clone()),
        clock,
        control: control.clone(),
        own_clients: Arc::clone(&own_clients),
        images: std::sync::Mutex::default(),
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
        pacer: connection.pacer(),
        calls: AtomicU32::new(0),
        progress: AtomicU64::new(clock.now()),
        gate,
    };
    let positions =
        pipeline.stages.iter().enumerate().map(|(position, stage)| (stage.name.clone(), position)).collect();
    let prepared = |run: RunContext, account: AccountId, caller: Option<String>, process: u32| Prepared {
        run: Arc::new(run),
        pipeline: Arc::clone(&pipeline),
        plugins: Arc::clone(&plugins),
        connection: connection.clone(),
        limits,
        account,
        caller,
        max_parallel,
        detach_after,
        early: Early::new(&pipeline),
        identity: OnceCell::new(),
        process,
        positions,
        outputs: RwLock::default(),
        outcomes: RwLock::default(),
    };
    match beginning {
        Beginning::Resume(ref resumable) => {
            let history = &resumable.history;
            if let Err(error) = warmed(warm).await {
                let _ = resumable.let_go().await;
                return Err(error);
            }
            let (leases, warnings) = match tenure::acquire_again(&pipeline, resumable, &sharing, &control).await {
                Ok(acquired) => acquired,
                Err(error) => {
                    // That the run cannot go on is the error to tell; its own lease is free when its time is over.
                    let _ = resumable.let_go().await;
                    return Err(error);
                }
            };
            let journal = match tenure::go_on_with_journal(resumable, &leases, clock).await {
                Ok(journal) => journal,
                Err(error) => return Err(given_back(&leases, LeaseEnding::Parked, error).await),
            };
            let run = context(Ledger::of(journal), Some(leases.clone()), Gate::shut());
            let prepared = prepared(run, history.start.account.clone(), None, history.resumes + 2);
            prepared.announce(&history.start.file, Some(history.start.at), warnings);
            match prepared.open_secrets().await {
                Ok(()) => Ok(prepared),
                Err(error) => Err(given_back(&leases, LeaseEnding::Parked, error).await),
            }
        }
        Beginning::Plan | Beginning::Run(_) => {
            // The journal's first record names the account, so this one call is made before there is a journal.
            let silent =
                RunContext { events: Events::silent(clock), ..context(Ledger::nowhere(), None, Gate::opened()) };
            let kept = keep_ahead(&beginning, state_dir.as_deref(), &pipeline, &plugins);
            let mut asks = host_caller(&Arc::new(silent), &pipeline.region, None, &own_clients, 1)?;
            let Identity { account, arn } = own_identity(&mut asks).await?;
            check_accounts(&pipeline, &account)?;
            warmed(warm).await?;
            if let Some(kept) = kept {
                // Beginning the journal keeps what is not kept yet, and tells why it cannot.
                let _ = kept.await;
            }
            let (Beginning::Run(source), Some(state_dir)) = (&beginning, state_dir) else {
                let prepared = prepared(context(Ledger::nowhere(), None, Gate::opened()), account, Some(arn), 1);
                if let Beginning::Run(source) = &beginning {
                    prepared.announce(&source.file, None, Vec::new());
                }
                prepared.open_secrets().await?;
                return Ok(prepared);
            };
            let (leases, warnings) = tenure::acquire(&pipeline, &id, &state_dir, &sharing, &control).await?;
            let table = sharing.table.as_ref().map(|table| table.address().clone());
            let prepared =
                prepared(context(Ledger::ahead(), Some(leases.clone()), Gate::opened()), account, Some(arn), 1);
            prepared.announce(&source.file, None, warnings);
            match prepared.begin(&state_dir, source, table, &leases).await {
                Ok(()) => Ok(prepared),
                Err(error) => Err(given_back(&leases, LeaseEnding::Released, error).await),
            }
        }
    }
}

/// Wait until the code of all plugins is loaded.
async fn warmed(warm: JoinHandle<Result<(), PluginError>>) -> Result<(), RunError> {
    match warm.await {
        Ok(loaded) => Ok(loaded?),
        Err(error) => Err(RunError::GivenUp(HostStop::Defect(format!("plugins were not loaded: {error}")))),
    }
}

/// Write a run's components to the disk while AWS says who the runner is: the one waits for the disk, the other for the network.
fn keep_ahead(
    beginning: &Beginning<'_>,
    state_dir: Option<&Path>,
    pipeline: &Arc<Pipeline>,
    plugins: &Arc<Plugins>,
) -> Option<JoinHandle<Result<(), RunError>>> {
    let (Beginning::Run(_), Some(state_dir)) = (beginning, state_dir) else { return None };
    let (state_dir, pipeline, plugins) = (state_dir.to_owned(), Arc::clone(pipeline), Arc::clone(plugins));
    Some(tokio::task::spawn_blocking(move || tenure::keep_components(&state_dir, &pipeline, &plugins)))
}

/// What kept a run from beginning, once its leases are given back.
async fn given_back(leases: &Leases, ending: LeaseEnding, error: RunError) -> RunError {
    // Where they cannot be given back they are free when their time is over; the first error is the one to tell.
    let _ = leases.end(ending).await;
    error
}

impl Prepared {
    /// Tell that the run begins or goes on, and what should be known about how.
    fn announce(&self, file: &str, resumed: Option<u64>, warnings: Vec<EventKind>) {
        self.run.events.emit(
            None,
            EventKind::RunStarted {
                run: self.run.id.clone(),
                pipeline: self.pipeline.name.clone(),
                file: file.to_owned(),
                account: self.account.clone(),
                region: self.pipeline.region.clone(),
                stages: self.pipeline.stages.iter().map(outline).collect(),
                resumed,
            },
        );
        for warning in warnings {
            self.run.events.emit(None, warning);
        }
    }

    /// Get the secrets, then begin the journal: it must not hold them.
    async fn begin(
        &self,
        state_dir: &Path,
        source: &RunSource,
        store: Option<StoreAddress>,
        leases: &Leases,
    ) -> Result<(), RunError> {
        self.open_secrets().await?;
        self.refuse_given_secrets()?;
        let run = &self.run;
        let start = run_start(&self.pipeline, &self.plugins, source, &run.id, &self.account, run.clock)?;
        let start = RunStart { store, ..start };
        let journal =
            tenure::begin_journal(state_dir, &source.text, start, &self.plugins, &self.pipeline, leases).await?;
        run.ledger.begin(journal).map_err(RunError::GivenUp)?;
        run.sync().await.map_err(RunError::GivenUp)
    }

    /// Inputs and environment variables are written down as they are, so none may hold a secret.
    fn refuse_given_secrets(&self) -> Result<(), RunError> {
        let inputs = self.pipeline.inputs.iter().map(|(name, value)| (format!("the input `{name}`"), value.clone()));
        let env = self.pipeline.env.iter();
        let env = env.map(|(name, value)| (format!("the environment variable {name}"), Value::from(value.as_str())));
        for (given, value) in inputs.chain(env) {
            if !self.run.redactor.is_betrayed_by(&value) {
                continue;
            }
            let secrets = self.run.seal(&value).map_err(RunError::GivenUp)?.secrets();
            if let Some(secret) = secrets.into_iter().next().map(|id| id.name) {
                return Err(RunError::GivenSecret { given, secret });
            }
        }
        Ok(())
    }

    /// Refuse to go on with a run by the credentials of another account than it began with.
    pub(crate) async fn confirm_identity(&self) -> Result<(), HostStop> {
        self.identity.get_or_try_init(|| self.compare_identity()).await.copied()
    }

    async fn compare_identity(&self) -> Result<(), HostStop> {
        let mut caller = self.host_caller().map_err(|error| HostStop::Defect(error.to_string()))?;
        let account = match own_identity(&mut caller).await {
            Ok(identity) => identity.account,
            Err(RunError::GivenUp(stop)) => return Err(stop),
            Err(error) => {
                let help = error.help().unwrap_or_default();
                return Err(HostStop::Identity { why: error.to_string(), help });
            }
        };
        if account == self.account {
            return Ok(());
        }
        let why = format!(
            "the run began with credentials of account {}, and these belong to account {account}",
            self.account
        );
        Err(HostStop::Identity {
            why,
            help: "use the credentials that the run began with, and resume it again".to_owned(),
        })
    }

    fn host_caller(&self) -> Result<Caller, RunError> {
        host_caller(&self.run, &self.pipeline.region, Some(&self.account), &self.run.own_clients, self.process)
    }

    /// Makes the host's own calls by other clients than the runner's own.
    pub(crate) fn host_caller_by(&self, clients: &Arc<Clients>) -> Result<Caller, RunError> {
        host_caller(&self.run, &self.pipeline.region, Some(&self.account), clients, self.process)
    }

    async fn open_secrets(&self) -> Result<(), RunError> {
        let names: BTreeSet<String> =
            self.pipeline.stages.iter().flat_map(|stage| stage.secrets.iter().cloned()).collect();
        if names.is_empty() {
            return Ok(());
        }
        if self.process > 1 {
            self.confirm_identity().await.map_err(RunError::GivenUp)?;
        }
        let mut caller = self.host_caller()?;
        let handles = secrets::open(&self.run.secrets, &self.run.redactor, &names, &mut caller).await?;
        for handle in handles {
            let value = serde_json::json!({ "name": handle.name(), "arn": handle.arn(), "version": handle.version() });
            let value = Sealed::structure(value);
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

    /// Keep how a stage ended, for those that follow it; while planning, as far as that is known.
    pub(crate) fn note_outcome(&self, stage: &StageName, outcome: StageOutcome) {
        self.outcomes.write().unwrap_or_else(PoisonError::into_inner).insert(stage.clone(), outcome);
    }

    /// Whether `stage` follows others and all of them were skipped. One whose `when` asks how one of them ended decides by itself.
    pub(crate) fn follows_only_skipped(&self, stage: &Stage) -> bool {
        let outcomes = self.outcomes.read().unwrap_or_else(PoisonError::into_inner);
        let skipped = |needed| outcomes.get(needed) == Some(&StageOutcome::Skipped);
        stage.asks.is_empty() && !stage.needs.is_empty() && stage.needs.iter().all(skipped)
    }

    /// The stages that `stage` follows and that were skipped.
    pub(crate) fn skipped_before(&self, stage: &Stage) -> Vec<StageName> {
        let outcomes = self.outcomes.read().unwrap_or_else(PoisonError::into_inner);
        let skipped = |needed: &&StageName| outcomes.get(*needed) == Some(&StageOutcome::Skipped);
        stage.needs.iter().filter(skipped).cloned().collect()
    }

    /// What expressions of a stage see.
    pub(crate) fn with_scope<T>(&self, evaluate: impl FnOnce(&Scope<'_>) -> T) -> T {
        let outputs = self.outputs.read().unwrap_or_else(PoisonError::into_inner);
        let outcomes = self.outcomes.read().unwrap_or_else(PoisonError::into_inner);
        evaluate(&Scope {
            inputs: &self.pipeline.inputs,
            env: &self.pipeline.env,
            pipeline: &self.pipeline.name,
            run: Some(&self.run.id),
            region: &self.pipeline.region,
            account: Some(&self.account),
            outputs: &outputs,
            outcomes: &outcomes,
            phase: if self.run.planning { EvaluationPhase::Plan } else { EvaluationPhase::Run },
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
pub(super) fn host_caller(
    run: &Arc<RunContext>,
    region: &Region,
    account: Option<&AccountId>,
    clients: &Arc<Clients>,
    process: u32,
) -> Result<Caller, RunError> {
    let nobody: AccountId = "000000000000".parse()?;
    let place = Place::new(region.clone(), account.cloned().unwrap_or(nobody));
    let stage: StageName = crate::types::HOST.parse()?;
    let grants = Grants::resolve(&[], &Value::Null, &place)
        .map_err(|source| RunError::Policy { stage: stage.clone(), source })?;
    let (clients, grants) = (Arc::clone(clients), Arc::new(grants));
    let standing = Arc::new(Standing {
        stage,
        place,
        clients,
        grants,
        reveal: false,
        secrets: BTreeSet::new(),
        elsewhere: Vec::new(),
    });
    let (phase, access) = (journal::Phase::Run, Access::ReadOnly);
    let actor = Actor { standing, attempt: process, phase, access, deadline: u64::MAX };
    Ok(Caller::new(Arc::clone(run), actor, Replay::default()))
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
        files: pipeline.files.iter().map(|(path, bytes)| (path.clone(), Digest::of(bytes))).collect(),
        engine: plugins.engine().configuration_hash(),
        account: account.clone(),
        region: pipeline.region.clone(),
        clock_scale: clock.scale(),
        clock_origin: clock.started(),
        store: None,
        at: clock.now(),
    })
}
