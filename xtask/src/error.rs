//! Why a task could not be done.
//! The main type is [`TaskError`].

use std::path::PathBuf;
use std::process::ExitStatus;

/// A task that could not be done: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    #[error("cannot start `{program}`: {source}; {help}")]
    Start { program: String, help: String, source: std::io::Error },
    #[error("`{command}` ended with {status}")]
    Ended { command: String, status: ExitStatus },
    #[error("cannot {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} does not become a component: {reason}", path.display())]
    Component { path: PathBuf, reason: String },
    #[error("{problem}; {help}")]
    Other { problem: String, help: String },
}

impl TaskError {
    /// For `map_err` of file operations.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    pub(crate) fn other(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Other { problem: problem.into(), help: help.into() }
    }
}
