//! Running: the order of stages, the life of each, and what all of them share.

mod attempt;
pub(crate) mod context;
mod early;
mod error;
pub mod events;
mod executor;
pub(crate) mod gate;
mod host;
mod identity;
mod ledger;
mod plan;
mod resume;
pub mod schedule;
mod setup;
mod stage;
pub(crate) mod stop;
mod tenure;
mod undo;

pub use error::RunError;
pub use executor::{RunSummary, resume, run, undo};
pub(crate) use host::shown;
pub use host::{StageHost, trap_reason};
pub use plan::plan;
pub use resume::{Resumable, ResumeError};
pub(crate) use setup::HOST;
pub use setup::{RunOptions, RunSource};
pub use stop::{Control, HostStop, Interrupter};
pub use tenure::Sharing;
