//! The command line: one file a subcommand.

mod aws;
mod check;
mod completions;
mod conduct;
mod dispatch;
mod doctor;
mod document;
mod exit;
mod find;
mod lease;
mod lint;
mod load;
mod man;
mod page;
mod permissions;
mod plan;
mod plugin;
mod rehearse;
mod resolve;
mod resume;
mod run;
mod runs;
mod say;
mod schema;
mod show;
mod signals;
mod sim;
mod store;
mod test;
mod trace;
mod version;

pub use dispatch::{Binary, main};
pub use exit::Exit;
