//! The run that a person means: by its id, its beginning, or its directory.
//!
//! The main function is [`find_run`].

use std::path::PathBuf;

use super::dispatch::Global;
use super::exit::Exit;
use super::say::complain;
use crate::event::RunOutcome;
use crate::journal::{RunState, list_runs};

/// The directory of the run `named`; without a name, of the newest run that `wanted` holds for, and where there is none,
/// of the newest.
pub(super) fn find_run(
    global: &Global,
    named: Option<&str>,
    wanted: impl Fn(&RunState) -> bool,
) -> Result<PathBuf, Exit> {
    if let Some(named) = named {
        let path = PathBuf::from(named);
        if path.join("journal").is_file() {
            return Ok(path);
        }
    }
    let runs = list_runs(&global.state_dir).map_err(|error| complain(&error.to_string(), None, Exit::Environment))?;
    let state = global.state_dir.display();
    let Some(newest) = runs.first() else {
        return Err(complain(
            &format!("there are no runs in {state}"),
            Some("`--state-dir` says where runs are kept"),
            Exit::Input,
        ));
    };
    let Some(named) = named else {
        return Ok(runs.iter().find(|run| wanted(&run.state)).unwrap_or(newest).dir.clone());
    };
    let mut found = runs.iter().filter(|run| run.run.as_str().starts_with(named));
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(run.dir.clone()),
        (Some(_), Some(_)) => Err(complain(
            &format!("more than one run in {state} begins with `{named}`"),
            Some("write more of its id"),
            Exit::Input,
        )),
        (None, _) => {
            let known: Vec<&str> = runs.iter().take(5).map(|run| run.run.as_str()).collect();
            let help = format!("the newest runs are {}", known.join(", "));
            Err(complain(&format!("there is no run `{named}` in {state}"), Some(&help), Exit::Input))
        }
    }
}

/// Whether a run has stopped before its end.
pub(super) fn can_go_on(state: &RunState) -> bool {
    match state {
        RunState::Unfinished | RunState::Stuck => true,
        RunState::Ended(outcome) => {
            matches!(outcome, RunOutcome::Interrupted | RunOutcome::Detached | RunOutcome::Stuck)
        }
        RunState::Running | RunState::Unreadable(_) => false,
    }
}
