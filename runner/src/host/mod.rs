//! What a stage's guest sees of the host: one file an interface of `kiln:stage`; those of AWS are bound in `bind`.

mod before;
pub mod bind;
mod context;
mod environments;
mod files;
mod layers;
mod limiter;
mod log;
mod memory;
mod progress;
mod secrets;
mod state;
mod timer;

pub(crate) use bind::{link, offered};
pub use state::{StageHost, trap_reason};
