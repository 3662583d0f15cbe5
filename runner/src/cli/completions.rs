//! `kiln completions`: a completion script for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::document::write;
use super::exit::Exit;

/// Print a completion script.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn execute<A: CommandFactory>(&self) -> Exit {
        write(Exit::Done, |out| {
            clap_complete::generate(self.shell, &mut A::command(), "kiln", out);
            Ok(())
        })
    }
}
