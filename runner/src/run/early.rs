//! Fetches the credentials of a stage's role while the stages before it are at work.
//!
//! The main type is [`Early`]. Each stage has a session of its own, limited to its own grants, so each costs a round trip
//! before its first call; what its config says is mostly known long before it begins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::identity::{environment_of, role_of};
use super::setup::Prepared;
use crate::aws::clients::{AssumedRole, Clients};
use crate::pipeline::{Pipeline, Stage};
use crate::policy::Grants;
use crate::types::{Region, StageName};

/// Of the stages that need one stage, so many are prepared: it is the first that nobody should wait for.
const AT_ONCE: usize = 8;

/// Clients made before their stages began.
#[derive(Debug)]
pub(crate) struct Early {
    /// The stages with a role that directly need a stage.
    followers: HashMap<StageName, Vec<StageName>>,
    made: Mutex<HashMap<StageName, Made>>,
}

#[derive(Debug)]
struct Made {
    region: Region,
    role: AssumedRole,
    clients: Arc<Clients>,
}

impl Early {
    pub(crate) fn new(pipeline: &Pipeline) -> Self {
        let mut followers: HashMap<StageName, Vec<StageName>> = HashMap::new();
        let has_role = |stage: &&Stage| environment_of(pipeline, stage).is_some_and(|place| place.role.is_some());
        for stage in pipeline.stages.iter().filter(has_role) {
            for needed in &stage.needs {
                followers.entry(needed.clone()).or_default().push(stage.name.clone());
            }
        }
        Self { followers, made: Mutex::default() }
    }

    /// The clients that were made for `stage`, if what they were made for is what it turned out to be.
    pub(crate) fn take(&self, stage: &StageName, region: &Region, role: &AssumedRole) -> Option<Arc<Clients>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(stage)?;
        (made.region == *region && made.role == *role).then_some(made.clients)
    }

    /// The one stage is about to begin: those that need it will not be long.
    pub(crate) fn prepare_followers_of(prepared: &Arc<Prepared>, stage: &StageName) {
        // A rehearsal has no network to wait for, and a resumed run that is not live yet must not ask AWS for anything.
        if !prepared.run.ledger.is_kept() || !prepared.run.gate.is_open() {
            return;
        }
        for follower in prepared.early.followers.get(stage).into_iter().flatten().take(AT_ONCE) {
            let (prepared, follower) = (Arc::clone(prepared), follower.clone());
            // Nobody waits for it: a stage that begins sooner takes part in the same fetching.
            tokio::spawn(async move { prepared.early.prepare(&prepared, &follower).await });
        }
    }

    async fn prepare(&self, prepared: &Prepared, name: &StageName) {
        let Some((region, role)) = foreseen(prepared, name) else { return };
        // As many calls are under way as may be, these among them.
        let Ok(_turn) = prepared.run.in_flight.acquire().await else { return };
        if self.has(name, &region, &role) {
            return;
        }
        let clients = Arc::new(prepared.connection.clients(&region, Some(role.clone())).await);
        let warmed = Arc::clone(&clients);
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Made { region, role, clients });
        warmed.fetch_credentials().await;
    }

    fn has(&self, name: &StageName, region: &Region, role: &AssumedRole) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(name).is_some_and(|made| made.region == *region && made.role == *role)
    }
}

/// Where and in which role a stage will act, as far as that can be told now.
fn foreseen(prepared: &Prepared, name: &StageName) -> Option<(Region, AssumedRole)> {
    let stage = prepared.stage(name)?;
    let config = prepared.with_scope(|scope| match stage.when(scope) {
        Ok(Some(true)) => stage.config(scope).ok(),
        Ok(Some(false) | None) | Err(_) => None,
    })?;
    let plugin = prepared.plugin(stage).ok()?;
    let place = prepared.place(stage);
    // What is not known yet is missing from the config; where a grant is made of it there is none.
    let grants = Grants::resolve(&plugin.description.permissions, &config.config, &place).ok()?;
    Some((place.region, role_of(&prepared.pipeline, stage, &grants, &prepared.run.id)?))
}
