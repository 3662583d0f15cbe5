//! Running: the order of stages and the life of each.

mod access;
mod attempt;
mod early;
mod error;
mod executor;
mod identity;
mod permissions;
mod plan;
mod resume;
pub mod schedule;
mod secrets;
mod setup;
mod stage;
mod tenure;
mod undo;
mod whoami;

pub use error::RunError;
pub use executor::{RunSummary, resume, run, undo};
pub use permissions::{NeedsError, RunnerIs, permissions};
pub use plan::plan;
pub use resume::{Resumable, ResumeError};
pub use secrets::ResolveError;
pub use setup::{RunOptions, RunSource};
pub use tenure::Sharing;
pub(crate) use whoami::{IdentityQuestion, ask_identity};
