//! `kiln lease`: who may deploy to which environment.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::aws::Endpoint;
use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::say::complain;
use super::store::{complain_of_lease, store};
use crate::report::{Output, columns};
use crate::store::{Holding, KeptLease, Lease, LeaseKey, Released, Store, instant, list_leases, release};
use crate::types::{AccountId, EnvironmentName};

/// Show who may deploy to which environment, or take an environment from a run.
///
/// One run deploys to an environment at a time: it holds the environment's lease while it works, and keeps it (parked) when it
/// stops before its end. Leases lie in the state directory; with `--store`, in a table that machines share.
#[derive(Debug, Subcommand)]
pub(super) enum LeaseCommand {
    /// List the leases of all environments: who holds each, since when, and under which fence
    List(List),
    /// Take an environment from the run that holds or keeps it, so that others may deploy to it
    ///
    /// For a run that will never go on. What it has begun is left as it is: look at it first (`kiln show RUN`), or take it
    /// back (`kiln undo RUN`). A runner that still lives elsewhere is fenced off: it ends before it sends anything more to AWS. A
    /// process on this machine that holds the lease must be ended instead.
    Release(Release),
}

/// List leases.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Release a lease.
#[derive(Debug, Args)]
pub(super) struct Release {
    /// The environment, as the pipeline calls it
    #[arg(value_name = "ENVIRONMENT")]
    environment: EnvironmentName,
    /// Of which account, where more than one has an environment of this name
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountId>,
    /// Why: it is written into the lease, and told to the run that had it
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// A lease in the list. Part of what scripts read.
#[derive(Debug, Serialize)]
struct LeaseRow<'a> {
    environment: Option<&'a EnvironmentName>,
    account: Option<&'a AccountId>,
    lease: &'a Lease,
    /// Whether its holder lives, where this machine can tell.
    alive: Option<bool>,
}

impl LeaseCommand {
    pub(super) async fn execute(self, global: &Global) -> Exit {
        let result = match self {
            Self::List(command) => command.execute(global).await,
            Self::Release(command) => command.execute(global).await,
        };
        result.unwrap_or_else(|exit| exit)
    }
}

impl List {
    async fn execute(self, global: &Global) -> Result<Exit, Exit> {
        let store = store(global, &self.endpoint).await?;
        let leases = list_leases(&store).await.map_err(|error| complain_of_lease(&error))?;
        Ok(match global.output {
            Output::Json => write_json(Exit::Done, &leases.iter().map(entry).collect::<Vec<_>>()),
            Output::Auto | Output::Plain => write(Exit::Done, |out| show(&leases, &store, out)),
        })
    }
}

impl Release {
    async fn execute(self, global: &Global) -> Result<Exit, Exit> {
        let store = store(global, &self.endpoint).await?;
        let key = self.choose(&store).await?;
        let released = release(&store, &key, &self.reason).await.map_err(|error| complain_of_lease(&error))?;
        let said = match &released {
            Released::Freed { before, now } => {
                format!("{key} is free; run {} had it ({}). Its fence is {} now", before.run, before.state, now.fence)
            }
            Released::WasFree(lease) => format!("{key} was free already; run {} had it last", lease.run),
            Released::Unknown => format!("{key} was never held"),
        };
        Ok(match global.output {
            Output::Json => {
                let lease = match &released {
                    Released::Freed { now, .. } => Some(now),
                    Released::WasFree(lease) => Some(lease),
                    Released::Unknown => None,
                };
                write_json(Exit::Done, &serde_json::json!({ "environment": self.environment, "lease": lease }))
            }
            Output::Auto | Output::Plain => write(Exit::Done, |out| writeln!(out, "{said}")),
        })
    }

    async fn choose(&self, store: &Store) -> Result<LeaseKey, Exit> {
        let leases = list_leases(store).await.map_err(|error| complain_of_lease(&error))?;
        let mut found = leases.iter().filter_map(|kept| match &kept.key {
            LeaseKey::Environment { account, environment } => {
                let meant = *environment == self.environment && self.account.as_ref().is_none_or(|own| own == account);
                meant.then_some((&kept.key, account))
            }
            LeaseKey::Run(_) => None,
        });
        match (found.next(), found.next()) {
            (Some((key, _)), None) => Ok(key.clone()),
            (None, _) => {
                let known: Vec<&str> =
                    leases.iter().filter_map(|kept| kept.key.environment()).map(EnvironmentName::as_str).collect();
                let help = match known.as_slice() {
                    [] => "no environment was ever held; `--state-dir` or `--store` says where leases are".to_owned(),
                    known => format!("there are leases of {}", known.join(", ")),
                };
                let message = format!("there is no lease of an environment `{}`", self.environment);
                Err(complain(&message, Some(&help), Exit::Input))
            }
            (Some((_, one)), Some((_, other))) => Err(complain(
                &format!("more than one account has an environment `{}`", self.environment),
                Some(&format!("say which by `--account`: {one}, {other}")),
                Exit::Input,
            )),
        }
    }
}

fn entry(kept: &KeptLease) -> LeaseRow<'_> {
    let (environment, account) = match &kept.key {
        LeaseKey::Environment { account, environment } => (Some(environment), Some(account)),
        LeaseKey::Run(_) => (None, None),
    };
    LeaseRow { environment, account, lease: &kept.lease, alive: kept.alive }
}

fn show(leases: &[KeptLease], store: &Store, out: &mut Vec<u8>) -> io::Result<()> {
    if leases.is_empty() {
        return writeln!(out, "no environment was ever held");
    }
    let rows = leases.iter().map(|kept| {
        let entry = entry(kept);
        let lease = entry.lease;
        [
            entry.environment.map_or_else(String::new, ToString::to_string),
            entry.account.map_or_else(String::new, ToString::to_string),
            standing(kept),
            instant(lease.since),
            lease.run.to_string(),
            lease.owner.to_string(),
            lease.fence.to_string(),
            next(kept, store),
        ]
    });
    let head = ["ENVIRONMENT", "ACCOUNT", "STATE", "SINCE", "RUN", "BY", "FENCE", "NEXT"];
    columns(head, rows, out)
}

fn standing(kept: &KeptLease) -> String {
    match (kept.lease.state, kept.alive) {
        (Holding::Held, Some(false)) => "held by a run that died".to_owned(),
        (state, _) => state.to_string(),
    }
}

fn next(kept: &KeptLease, store: &Store) -> String {
    match (kept.lease.state, kept.alive) {
        (Holding::Parked, _) | (Holding::Held, Some(false)) => store.resume_command(&kept.lease.run),
        (Holding::Held, Some(true) | None) | (Holding::Free, _) => String::new(),
    }
}
