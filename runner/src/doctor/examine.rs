//! Looks at everything that a run needs, one thing after the other.
//!
//! The main function is [`examine`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::{binary, directories, way};
use crate::aws::clients::{Connection, ConnectionError};
use crate::pipeline::Pipeline;
use crate::plugin::Plugins;
use crate::report::health::{ExaminationView, Observation};
use crate::secrets::redact::Redactor;
use crate::types::{InvalidName, Provenance, Region, StoreAddress};

/// What the command line says of where a run would be.
#[derive(Debug)]
pub(crate) struct MachineSetup {
    pub(crate) pipeline: Option<Pipeline>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) provenance: Provenance,
    pub(crate) state_dir: PathBuf,
    pub(crate) cache: Option<PathBuf>,
    pub(crate) endpoint_url: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) region: Option<Region>,
    pub(crate) store: Option<StoreAddress>,
    /// Whether nobody is asked.
    pub(crate) offline: bool,
    /// How long an answer is waited for.
    pub(crate) patience: Duration,
}

/// Look at it all.
///
/// # Errors
/// The region that AWS is asked in where nobody names one is none: a defect.
pub(crate) async fn examine(surroundings: MachineSetup) -> Result<ExaminationView, InvalidName> {
    let plugins = Arc::clone(&surroundings.plugins);
    let opened = tokio::task::spawn_blocking(move || binary::plugins(&plugins));
    let found = way::region(&surroundings).await;
    let (region, region_named) = (found.region()?, found.named.is_some());
    let connection =
        Connection::load(&region, surroundings.endpoint_url.as_deref(), surroundings.profile.as_deref()).await;
    let mut seen = vec![binary::itself(&surroundings.provenance), found.observation];
    seen.push(way::endpoint(&surroundings, connection.as_ref().ok()));
    let network = way::proxies(connection.as_ref().ok());
    let usable = way::is_usable(&network);
    seen.push(network);
    seen.push(way::certificates());
    let redactor = known_secrets();
    let connection = connection.map_err(|error| in_the_way(&error, usable));
    let account = Account { surroundings: &surroundings, connection, region, region_named, redactor: &redactor };
    seen.extend(account.look().await);
    seen.push(directories::state(&surroundings.state_dir));
    seen.push(directories::cache(surroundings.cache.as_deref()));
    let plugins = opened.await.unwrap_or_else(|error| binary::unopened(&error.to_string()));
    seen.insert(1, plugins);
    Ok(ExaminationView::new(seen.into_iter().map(|observation| masked(observation, &redactor)).collect()))
}

/// Why there is no connection at all. What the network is to blame for is told there.
fn in_the_way(error: &ConnectionError, usable: bool) -> Observation {
    match error {
        ConnectionError::Network(_) if usable => {
            Observation::skipped("credentials", "not asked for: the certificates cannot be used")
        }
        ConnectionError::Network(_) => Observation::skipped("credentials", "not asked for: the proxy cannot be used"),
        ConnectionError::Login(_) => Observation::problem("credentials", error.to_string(), error.help()),
    }
}

/// The variables of the environment that hold secrets.
const SECRETS: [&str; 3] = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];

/// What must not be shown, whoever repeats it.
fn known_secrets() -> Redactor {
    let redactor = Redactor::default();
    for variable in SECRETS {
        if let Ok(value) = std::env::var(variable) {
            // What is too short to be looked for is no secret of AWS.
            let _ = redactor.add(variable, value);
        }
    }
    redactor
}

fn masked(mut observation: Observation, redactor: &Redactor) -> Observation {
    observation.says = redactor.untrusted(&observation.says);
    observation.advice = observation.advice.map(|advice| redactor.untrusted(&advice));
    observation.facts.values_mut().for_each(|fact| redactor.json(fact));
    observation
}
