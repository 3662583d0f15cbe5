//! Steps of a task: a heading, a command, and an error that names it.
//! The main type is [`Terminal`].

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, ExitStatus};

use crate::error::TaskError;

/// Where a task tells what it does.
pub(crate) struct Terminal {
    colour: bool,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { colour: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// A step begins.
    pub(crate) fn heading(&self, text: impl Display) {
        self.write(format_args!("{}", self.paint("1;36", format_args!("==> {text}"))));
    }

    /// A line about the step.
    pub(crate) fn line(&self, text: impl Display) {
        self.write(format_args!("    {text}"));
    }

    /// The task failed.
    pub(crate) fn error(&self, text: impl Display) {
        self.write(format_args!("{} {text}", self.paint("1;31", format_args!("error:"))));
    }

    fn paint(&self, code: &str, text: std::fmt::Arguments<'_>) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }

    fn write(&self, line: std::fmt::Arguments<'_>) {
        // Nobody is left to be told where standard error is gone.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Run a command to its end. `help` says what to do where it cannot even be started.
pub(crate) fn status(command: &mut Command, help: &str) -> Result<ExitStatus, TaskError> {
    command.status().map_err(|source| TaskError::Start {
        program: command.get_program().to_string_lossy().into_owned(),
        help: help.to_owned(),
        source,
    })
}

/// Run a command, which must succeed.
pub(crate) fn succeed(command: &mut Command, help: &str) -> Result<(), TaskError> {
    let status = status(command, help)?;
    if status.success() { Ok(()) } else { Err(TaskError::Ended { command: spelt(command), status }) }
}

/// Whether a command can be run and succeeds; says nothing.
pub(crate) fn succeeds_quietly(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The command as a person would type it.
fn spelt(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let words = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}
