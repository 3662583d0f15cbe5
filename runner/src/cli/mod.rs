//! The command line: one file a subcommand.

mod aws;
mod check;
mod completions;
mod dispatch;
mod document;
mod exit;
mod load;
mod page;
mod plan;
mod plugin;
mod rehearse;
mod run;
mod schema;
mod show;
mod signals;
mod sim;
mod test;

pub use dispatch::main;
pub use exit::Exit;
