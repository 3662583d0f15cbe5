//! Exit codes, which scripts trust.
//!
//! The main type is [`Exit`].

use std::process::ExitCode;

/// How a command ends. The numbers are part of the interface: they are documented and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the run (or the plan) failed: a stage said no, or could not do its work.
    Failed,
    /// 2: the input is wrong: arguments, the pipeline file, a plugin. Nothing was sent to AWS.
    Input,
    /// 3: the run could not begin, or was given up: credentials, network, disk.
    Environment,
    /// 4: what became of an AWS call cannot be found out, or something could not be undone: a person must decide
    /// (`kiln resolve`).
    Stuck,
    /// 5: the run waits, and was left in a state that `kiln resume` goes on from (`--detach-after`).
    Detached,
    /// 130: ended by SIGINT.
    Interrupted,
    /// 143: ended by SIGTERM.
    Terminated,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Input => 2,
            Exit::Environment => 3,
            Exit::Stuck => 4,
            Exit::Detached => 5,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}
