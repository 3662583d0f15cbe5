//! The store that a command means, and the run in it.
//!
//! The main functions are [`store`] and [`open_run`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::aws::Endpoint;
use super::dispatch::Global;
use super::exit::Exit;
use super::find::find_run;
use super::say::{complain, note};
use crate::journal::{self, RunState};
use crate::run::Resumable;
use crate::store::{
    LeaseClaim, LeaseError, LeaseKey, Leases, Notice, Past, Store, StoreError, Table, fetch, list_shared, named,
};
use crate::types::{RunId, StoreAddress};

/// The newest runs that a name is looked for among.
const NEWEST: usize = 200;

/// The store of the flag `--store`, or the state directory.
pub(super) async fn store(global: &Global, endpoint: &Endpoint) -> Result<Store, Exit> {
    match &global.store {
        Some(address) => Ok(Store::Shared(table(endpoint, address).await?)),
        None => Ok(Store::Local(global.absolute_state_dir())),
    }
}

/// The table at an address. Where that names no region, it is that of the environment or the profile.
pub(super) async fn table(endpoint: &Endpoint, address: &StoreAddress) -> Result<Table, Exit> {
    let region = match address.region() {
        Some(region) => Some(region),
        None => endpoint.ambient_region().await,
    };
    let Some(region) = region else {
        return Err(complain(
            &format!("it is not known in which region the store {address} is"),
            Some(&format!("write it as dynamodb://REGION/{}, or give `--region`, or set AWS_REGION", address.table())),
            Exit::Input,
        ));
    };
    Ok(Table::open(&endpoint.connection(&region).await?, address, &region).await)
}

/// Open a run to go on with it. In a shared store its own lease is taken first, so that what is fetched is its last state.
/// Whoever does not go on with it after all must let it go.
pub(super) async fn open_run(
    global: &Global,
    endpoint: &Endpoint,
    name: Option<&str>,
    wanted: impl Fn(&RunState) -> bool,
) -> Result<Resumable, Exit> {
    let (table, run) = match &global.store {
        Some(address) => {
            let table = table(endpoint, address).await?;
            let run = shared_run(&table, name, wanted).await?;
            (table, run)
        }
        None => {
            let directory = find_run(global, name, wanted)?;
            match store_of(&directory)? {
                Some((address, run)) => (table(endpoint, &address).await?, run),
                None => return Resumable::open(&directory).map_err(|error| failed(&error, None)),
            }
        }
    };
    let claim = LeaseClaim {
        run: run.clone(),
        leases: BTreeMap::from([(LeaseKey::Run(run.clone()), Past::default())]),
        despite_newer: false,
        terms: global.terms(),
    };
    let leases = Leases::acquire(&Store::Shared(table.clone()), claim, &mut |notice| tell(&notice)).await;
    let leases = leases.map_err(|error| complain_of_lease(&error))?;
    let opened = match fetch(&table, &run, &global.absolute_state_dir()).await {
        Ok(fetched) => Resumable::open(&fetched.dir)
            .map(|resumable| resumable.held(leases.clone(), fetched.frames))
            .map_err(|error| failed(&error, None)),
        Err(error) => Err(failed(&error, error.help().as_deref())),
    };
    if opened.is_err() {
        // The error that was told is the one to mend; the lease is free when its time is over.
        let _ = leases.end(crate::store::LeaseEnding::Released).await;
    }
    opened
}

/// The directory of a run to look at, fetched where it is shared.
pub(super) async fn look_at_run(global: &Global, endpoint: &Endpoint, name: Option<&str>) -> Result<PathBuf, Exit> {
    let Some(address) = &global.store else { return find_run(global, name, |_| true) };
    let table = table(endpoint, address).await?;
    let run = shared_run(&table, name, |_| true).await?;
    let fetched = fetch(&table, &run, &global.absolute_state_dir()).await;
    fetched.map(|fetched| fetched.dir).map_err(|error| failed(&error, error.help().as_deref()))
}

/// The run that is named in a shared store; without a name, the newest that is `wanted`, and where there is none the newest.
async fn shared_run(table: &Table, name: Option<&str>, wanted: impl Fn(&RunState) -> bool) -> Result<RunId, Exit> {
    let exit = |error: StoreError| failed(&error, error.help().as_deref());
    let Some(name) = name else {
        let runs = list_shared(table, NEWEST).await.map_err(exit)?;
        let found = runs.iter().find(|run| wanted(&run.state)).or(runs.first());
        return found.map(|run| run.run.clone()).ok_or_else(|| {
            complain(&format!("there are no runs in the store {}", table.address()), None, Exit::Input)
        });
    };
    // Also the path of a run's directory names it.
    let name = std::path::Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(name);
    let runs = named(table, name).await.map_err(exit)?;
    match runs.as_slice() {
        [run] => Ok(run.run.clone()),
        [] => Err(complain(
            &format!("there is no run `{name}` in the store {}", table.address()),
            Some("`kiln runs` lists those that are there"),
            Exit::Input,
        )),
        [_, _, ..] => Err(complain(
            &format!("more than one run in the store {} begins with `{name}`", table.address()),
            Some("write more of its id"),
            Exit::Input,
        )),
    }
}

/// The shared store that a run of this machine belongs to, if it belongs to one.
fn store_of(directory: &std::path::Path) -> Result<Option<(StoreAddress, RunId)>, Exit> {
    let recording = journal::read(&directory.join("journal")).map_err(|error| failed(&error, None))?;
    Ok(recording.start().and_then(|start| Some((start.store.clone()?, start.run.clone()))))
}

/// Say what whoever waits for a lease should know.
pub(super) fn tell(notice: &Notice) {
    let (message, help) = notice.words();
    match help {
        Some(help) => note(&format!("{message}: {help}")),
        None => note(&message),
    }
}

pub(super) fn complain_of_lease(error: &LeaseError) -> Exit {
    failed(error, error.help().as_deref())
}

fn failed(error: &dyn std::error::Error, help: Option<&str>) -> Exit {
    complain(&error.to_string(), help, Exit::Environment)
}
