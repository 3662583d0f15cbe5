//! Rehearsals: the real pipeline, with its real plugins and the real AWS SDK, on a simulated account in virtual time.
//!
//! The main type is [`Rehearsal`]; [`rehearse`] runs it and answers a [`Rehearsed`].

mod connector;
mod recorder;
mod rehearsal;

pub use connector::InProcess;
pub use rehearsal::{Rehearsal, RehearseError, Rehearsed, START, plan, rehearse};
