//! The one way of every AWS call, and what of a run it needs: authorise, journal, send, journal, answer.
//!
//! The main type is [`caller::Caller`]. What must hold for all calls is written here once; what is sent, `aws` knows.

pub(crate) mod actor;
mod asked;
pub(crate) mod caller;
pub(crate) mod context;
pub mod events;
mod flight;
pub(crate) mod gate;
pub(crate) mod ledger;
mod read;
mod reconcile;
mod shown;
pub(crate) mod stop;
mod write;

pub(crate) use actor::{Access, Actor, Standing};
pub(crate) use caller::{Caller, differs};
pub(crate) use shown::shown;
pub use stop::{Control, HostStop, Interrupter};
