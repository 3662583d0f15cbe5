//! Where runs are kept, and who may deploy: the state directory, or a DynamoDB table that several machines share.
//!
//! The main types are [`Store`] and [`Leases`]. One deployer an environment: a run holds the lease of each environment that
//! it deploys to. In the order in which to read:
//!
//! - `lease`: what is seen of a lease and what time has passed become wait, take or refuse. Pure.
//! - `local`, `shared`: where a lease lies; `leases`: acquires, renews, guards and ends them.
//! - `table`: the calls to DynamoDB; `replica`: carries the journal there at each sync; `fetch`: brings it back.
//!
//! These calls lie beneath the one path of AWS calls: they carry the journal, so they cannot be written into it.

mod address;
mod error;
mod fetch;
mod heartbeat;
mod lease;
mod leases;
mod local;
mod owner;
mod release;
mod replica;
mod runs;
mod shared;
mod table;

pub use address::{Store, ambient_region};
pub(crate) use error::instant;
pub use error::{LeaseError, StoreError};
pub use fetch::{Fetched, fetch};
pub use lease::{Holding, Lease, LeaseKey, Owner, Terms};
pub use leases::{LeaseClaim, LeaseEnding, Leases, Notice, Past};
pub use release::{KeptLease, Released, list_leases, release};
pub use replica::Carrier;
pub(crate) use replica::keep_component;
pub(crate) use runs::named;
pub use runs::{SharedRun, list_shared};
pub use table::Table;
