//! Fixtures of the whole-program tests: a simulated account, the real binary, what came of a run.
//!
//! The main types are [`Account`], a simulated AWS on loopback, and [`Kiln`], a command line to be run in it.

mod account;
pub mod component;
mod guest;
mod kiln;

pub use account::{Account, world};
pub use guest::{ANYTHING, Guest};
pub use kiln::{Kiln, Outcome, repository};
