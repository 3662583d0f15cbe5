//! What a stage's guest sees of the host: one file an interface of `kiln:stage`.

mod context;
mod log;
mod memory;
mod progress;
mod secrets;
mod state;
mod text;
mod timer;

pub(crate) use state::WorkParts;
pub use state::{StageHost, trap_reason};
pub(crate) use text::shown;
