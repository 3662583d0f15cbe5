//! What a run holds while it works: the leases of its environments, and a journal that is carried to where they lie.
//!
//! The main type is [`Sharing`], what whoever starts a run decides about it. Plans and rehearsals hold nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RunError;
use super::resume::Resumable;
use crate::call::stop::{Control, HostStop};
use crate::clock::Clock;
use crate::event::{EventKind, RunOutcome};
use crate::journal::{self, Journal, Record, RunResume, RunStart};
use crate::pipeline::{Pipeline, PluginSource};
use crate::plugin::{Plugin, Plugins};
use crate::store::{
    Carrier, LeaseClaim, LeaseEnding, LeaseError, LeaseKey, Leases, Notice, Past, Store, StoreError, Table, Terms,
    keep_component,
};
use crate::types::{EnvironmentName, RunId};

/// Where a run is shared, and how it holds its environments.
#[derive(Debug, Clone)]
pub struct Sharing {
    /// The table that the run is kept in as well, with the leases; without one, the leases lie in the state directory.
    pub table: Option<Table>,
    /// How long a lease lasts without a heartbeat.
    pub terms: Terms,
    /// Whether a run goes on although another has held one of its environments since.
    pub despite_newer: bool,
    /// Who is told while the run waits for a lease: no report has begun by then.
    pub tell: fn(&Notice),
}

impl Default for Sharing {
    fn default() -> Self {
        Self { table: None, terms: Terms::default(), despite_newer: false, tell: |_| {} }
    }
}

impl Sharing {
    fn store(&self, state_dir: &Path) -> Store {
        match &self.table {
            Some(table) => Store::Shared(table.clone()),
            None => Store::Local(state_dir.to_owned()),
        }
    }
}

/// The leases that a run needs: those of the environments that its stages act in, and its own.
fn wanted(
    pipeline: &Pipeline,
    run: &RunId,
    fences: &BTreeMap<Option<EnvironmentName>, u64>,
) -> BTreeMap<LeaseKey, Past> {
    let used = pipeline.stages.iter().filter_map(|stage| stage.environment.as_ref());
    let environments = used.filter_map(|name| Some((name, pipeline.environments.get(name)?)));
    let past = |environment: Option<&EnvironmentName>| Past { fence: fences.get(&environment.cloned()).copied() };
    let of_environments = environments.map(|(name, environment)| {
        let key = LeaseKey::Environment { account: environment.account.clone(), environment: name.clone() };
        (key, past(Some(name)))
    });
    of_environments.chain([(LeaseKey::Run(run.clone()), past(None))]).collect()
}

/// Acquire what a new run needs. Answers the leases and what its report should say of them.
pub(super) async fn acquire(
    pipeline: &Pipeline,
    run: &RunId,
    state_dir: &Path,
    sharing: &Sharing,
    control: &Control,
) -> Result<(Leases, Vec<EventKind>), RunError> {
    let claim = LeaseClaim {
        run: run.clone(),
        leases: wanted(pipeline, run, &BTreeMap::new()),
        despite_newer: sharing.despite_newer,
        terms: sharing.terms,
    };
    let mut warnings = Vec::new();
    let store = sharing.store(state_dir);
    let mut hear = |notice: Notice| hear(sharing, &mut warnings, &notice);
    let leases = unless_interrupted(control, Leases::acquire(&store, claim, &mut hear)).await?;
    Ok((leases, warnings))
}

/// Acquire what a run needs that goes on: where its own lease is held already, the others for the same process.
pub(super) async fn acquire_again(
    pipeline: &Pipeline,
    resumable: &Resumable,
    sharing: &Sharing,
    control: &Control,
) -> Result<(Leases, Vec<EventKind>), RunError> {
    let history = &resumable.history;
    let leases = wanted(pipeline, &history.start.run, &history.fences);
    let mut warnings = Vec::new();
    let mut hear = |notice: Notice| hear(sharing, &mut warnings, &notice);
    let held = match &resumable.held {
        Some((held, _)) => {
            unless_interrupted(control, held.extend(leases, sharing.despite_newer, &mut hear)).await?;
            held.clone()
        }
        None => {
            let state_dir = resumable.directory.ancestors().nth(2).map(Path::to_owned).unwrap_or_default();
            let claim = LeaseClaim {
                run: history.start.run.clone(),
                leases,
                despite_newer: sharing.despite_newer,
                terms: sharing.terms,
            };
            unless_interrupted(control, Leases::acquire(&Store::Local(state_dir), claim, &mut hear)).await?
        }
    };
    Ok((held, warnings))
}

/// A lease may have to be waited for; whoever ends the run meanwhile need not wait as well.
async fn unless_interrupted<T>(
    control: &Control,
    acquiring: impl Future<Output = Result<T, LeaseError>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        acquired = acquiring => Ok(acquired?),
        () = control.interruption() => Err(RunError::GivenUp(HostStop::Interrupted)),
    }
}

/// While a lease is waited for, whoever started the run is told; what was taken over belongs into its report.
fn hear(sharing: &Sharing, warnings: &mut Vec<EventKind>, notice: &Notice) {
    match notice {
        Notice::Waiting { .. } => (sharing.tell)(notice),
        Notice::TakenOver { .. } => {
            let (message, help) = notice.words();
            warnings.push(EventKind::Warning { message, help });
        }
    }
}

/// Keep the components that a run will need, before it can begin its journal.
pub(super) fn keep_components(state_dir: &Path, pipeline: &Pipeline, plugins: &Plugins) -> Result<(), RunError> {
    for plugin in plugins_of(pipeline, plugins)? {
        journal::keep_component(state_dir, &plugin.digest, &plugin.bytes)?;
    }
    Ok(())
}

/// The plugins of a pipeline, each once.
fn plugins_of(pipeline: &Pipeline, plugins: &Plugins) -> Result<Vec<Arc<Plugin>>, RunError> {
    let sources: BTreeSet<&PluginSource> = pipeline.stages.iter().map(|stage| &stage.plugin).collect();
    sources.into_iter().map(|source| Ok(plugins.load(source)?)).collect()
}

/// Begin the journal of a run that holds `leases`: what they are is its second record, and none counts that is not where they
/// are.
pub(super) async fn begin_journal(
    state_dir: &Path,
    text: &str,
    start: RunStart,
    plugins: &Plugins,
    pipeline: &Pipeline,
    leases: &Leases,
) -> Result<Journal, RunError> {
    let directory = journal::run_dir(state_dir, &start.run);
    for plugin in plugins_of(pipeline, plugins)? {
        // A resume uses the bytes of the run's start, whatever has become of the files.
        journal::keep_component(state_dir, &plugin.digest, &plugin.bytes)?;
        if let Store::Shared(table) = leases.store() {
            keep_component(table, &plugin.digest, &plugin.bytes).await.map_err(LeaseError::from)?;
        }
    }
    journal::attach(&directory, text.as_bytes())?;
    for bytes in pipeline.files.values() {
        journal::attach(&directory, bytes)?;
    }
    let journal = Journal::create(&directory, &start)?;
    for fence in leases.fences(start.at) {
        journal.append(&Record::Fence(fence))?;
    }
    carry(&journal, &directory, leases, &start, 0)?;
    journal.sync().await?;
    Ok(journal)
}

/// Go on with the journal of a run that holds `leases` again: that it does comes before all that it does.
pub(super) async fn go_on_with_journal(
    resumable: &Resumable,
    leases: &Leases,
    clock: Clock,
) -> Result<Journal, RunError> {
    let journal = resumable.journal.clone();
    if let Some((_, there)) = &resumable.held {
        carry(&journal, &resumable.directory, leases, &resumable.history.start, *there)?;
    }
    for fence in leases.fences(clock.now()) {
        journal.append(&Record::Fence(fence))?;
    }
    let resume = RunResume {
        kiln_version: env!("CARGO_PKG_VERSION").to_owned(),
        truncated: resumable.truncated,
        at: clock.now(),
    };
    journal.append_durable(&Record::RunResume(resume)).await?;
    Ok(journal)
}

/// From here on the journal is carried to the store of the leases, if that is shared. It has so many frames there.
pub(crate) fn carry(
    journal: &Journal,
    directory: &Path,
    leases: &Leases,
    start: &RunStart,
    there: u64,
) -> Result<(), RunError> {
    if let Store::Shared(table) = leases.store() {
        let start_record = Record::RunStart(start.clone());
        let so_far = (there > 0).then_some(&start_record);
        let directory: PathBuf = directory.to_owned();
        let carrier = Carrier::new(table.clone(), start.run.clone(), directory, leases.clone(), so_far);
        journal.replicate(Arc::new(carrier), there)?;
    }
    Ok(())
}

/// What becomes of the environments of a run that ended like this.
pub(super) fn ending_of(outcome: RunOutcome) -> LeaseEnding {
    match outcome {
        RunOutcome::Done | RunOutcome::Failed | RunOutcome::Undone => LeaseEnding::Released,
        // It goes on, and finds its environments as it left them.
        RunOutcome::Interrupted | RunOutcome::Detached | RunOutcome::Stuck => LeaseEnding::Parked,
    }
}

impl From<LeaseError> for RunError {
    fn from(error: LeaseError) -> Self {
        Self::Lease(Box::new(error))
    }
}

impl From<LeaseError> for HostStop {
    fn from(error: LeaseError) -> Self {
        Self::Lease(Arc::new(error))
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::from(LeaseError::from(error))
    }
}
