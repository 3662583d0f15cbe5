//! Running: the order of stages, the life of each, and what all of them share.

mod attempt;
pub(crate) mod context;
mod error;
pub mod events;
mod executor;
mod host;
mod identity;
mod plan;
pub mod schedule;
mod setup;
mod stage;
pub(crate) mod stop;
mod undo;

pub use error::RunError;
pub use executor::{RunSummary, run};
pub(crate) use host::shown;
pub use host::{StageHost, trap_reason};
pub use plan::plan;
pub(crate) use setup::HOST;
pub use setup::{RunOptions, RunSource};
pub use stop::{Control, HostStop, Interrupter};
