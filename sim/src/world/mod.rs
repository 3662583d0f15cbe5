//! The simulated world: what there is, and what falls due.

mod effect;
mod event;
mod place;
mod state;
mod tokens;

pub use effect::Effect;
pub(crate) use event::{Event, Queue};
pub(crate) use place::{Caller, Place, PlaceKey};
pub(crate) use state::World;
pub(crate) use tokens::{Earlier, TokenKey, Tokens};
