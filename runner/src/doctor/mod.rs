//! What a machine has and lacks for a run. It looks and asks; it writes nothing, and waits for nobody for long.
//!
//! The main function is [`examine`], over what the command line says: [`MachineSetup`].

mod account;
mod binary;
mod directories;
mod examine;
mod way;

pub(crate) use examine::{MachineSetup, examine};
