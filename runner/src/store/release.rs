//! Leases as people see them: all of them listed, one of them released.
//!
//! The main functions are [`list_leases`] and [`release`].

use super::address::Store;
use super::error::LeaseError;
use super::lease::{Holding, Lease, LeaseKey};
use super::leases::wall_millis;
use super::local::{self, OpenedLease};
use super::shared;

/// A lease that was once held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLease {
    /// What it is for.
    pub key: LeaseKey,
    /// How it stands.
    pub lease: Lease,
    /// Whether its holder lives, where a lock tells.
    pub alive: Option<bool>,
}

/// What came of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// It was another's, and is free now.
    Freed {
        /// How it stood before.
        before: Lease,
        /// How it stands now.
        now: Lease,
    },
    /// It was free already.
    WasFree(Lease),
    /// It was never held.
    Unknown,
}

/// All environments' leases of a store, in the order of their names.
///
/// # Errors
/// The store cannot be read.
pub async fn list_leases(store: &Store) -> Result<Vec<KeptLease>, LeaseError> {
    match store {
        Store::Local(state) => {
            let mut found = Vec::new();
            for (key, path) in local::list(state)? {
                let (lease, busy) = local::look(&path)?;
                found.extend(lease.map(|lease| KeptLease { key, lease, alive: Some(busy) }));
            }
            Ok(found)
        }
        Store::Shared(table) => {
            let leases = shared::list(table).await?;
            Ok(leases.into_iter().map(|(key, lease)| KeptLease { key, lease, alive: None }).collect())
        }
    }
}

/// Take a lease from whoever has it, with a new fence: a holder that still lives fails at its next record.
///
/// # Errors
/// A process on this machine holds it, or the store cannot be used.
pub async fn release(store: &Store, key: &LeaseKey, reason: &str) -> Result<Released, LeaseError> {
    match store {
        Store::Local(state) => match local::path(state, key) {
            Some(path) if path.exists() => match local::open(&path)? {
                OpenedLease::Locked(mut file, Some(before)) => match freed(&before, reason) {
                    Some(now) => {
                        file.write(&now)?;
                        Ok(Released::Freed { before, now })
                    }
                    None => Ok(Released::WasFree(before)),
                },
                OpenedLease::Busy(Some(lease)) => Err(LeaseError::Alive { key: key.clone(), lease: Box::new(lease) }),
                OpenedLease::Locked(_, None) | OpenedLease::Busy(None) => Ok(Released::Unknown),
            },
            Some(_) | None => Ok(Released::Unknown),
        },
        Store::Shared(table) => loop {
            let Some(before) = shared::read(table, key).await? else { return Ok(Released::Unknown) };
            let Some(now) = freed(&before, reason) else { return Ok(Released::WasFree(before)) };
            // Its heart may beat between the look and the write: then it is looked at again.
            if shared::take(table, key, Some(&before), &now).await? {
                return Ok(Released::Freed { before, now });
            }
        },
    }
}

fn freed(before: &Lease, reason: &str) -> Option<Lease> {
    let now = Lease {
        nonce: None,
        fence: before.fence + 1,
        state: Holding::Free,
        since: wall_millis(),
        reason: Some(reason.to_owned()),
        ..before.clone()
    };
    (before.state != Holding::Free).then_some(now)
}
