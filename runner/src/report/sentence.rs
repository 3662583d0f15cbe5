//! Events as sentences: the same words on a terminal and in a CI log.
//!
//! The main type is [`Remark`].

use kiln_span::human;

use super::style::{Style, Symbol};
use super::{fit, outputs};
use crate::event::{EventKind, Failure, LogLevel, RunOutcome, StageOutcome};
use crate::harmless;

/// One line about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) weight: Weight,
    pub(crate) symbol: Symbol,
    pub(crate) text: String,
}

/// For whom a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// For everyone.
    Everyone,
    /// For everyone who reads a log; a terminal shows the same in its live lines, or only with `--verbose`.
    Log,
    /// For `--verbose`.
    Verbose,
}

/// What to say of an event. Progress has no remark: it is a state, not an event, and each report has its way to show it.
pub(crate) fn of(kind: &EventKind, style: Style) -> Option<Remark> {
    let (weight, symbol, text) = match kind {
        EventKind::RunStarted { run, pipeline, file: _, account, region, stages, resumed } => (
            Weight::Everyone,
            Symbol::Running,
            format!(
                "run {run} of {pipeline}{}: {} in account {account}, {region}",
                if resumed.is_some() { " goes on" } else { "" },
                fit::count(stages.len() as u64, "stage")
            ),
        ),
        EventKind::StageResumed { attempt: _, replayed } => (
            Weight::Everyone,
            Symbol::Running,
            format!("goes on: {} answered from the journal", fit::count(*replayed, "AWS call")),
        ),
        EventKind::CallReconciled { action, verdict, evidence } => (
            Weight::Everyone,
            Symbol::Running,
            format!(
                "{} was sent, and its answer never came: {} ({})",
                harmless::line(action),
                verdict_words(verdict),
                harmless::line(evidence)
            ),
        ),
        EventKind::StageStarted { attempt: 1 } => (Weight::Log, Symbol::Running, "started".to_owned()),
        EventKind::StageStarted { attempt } => (Weight::Log, Symbol::Running, format!("started, attempt {attempt}")),
        EventKind::StageProgress { .. } => return None,
        EventKind::StageLog { level, message } => {
            let message = harmless::line(message);
            match level {
                LogLevel::Debug => (Weight::Verbose, Symbol::Running, format!("debug: {message}")),
                LogLevel::Info => (Weight::Log, Symbol::Running, message.into_owned()),
                LogLevel::Warn => (Weight::Everyone, Symbol::Warning, format!("warning: {message}")),
                LogLevel::Error => (Weight::Everyone, Symbol::Failed, format!("error: {message}")),
            }
        }
        EventKind::Call { action, write, millis, request_id, error } => {
            let kind = if *write { "write" } else { "read" };
            let request = request_id.as_ref().map(|id| format!(", request {}", harmless::line(id))).unwrap_or_default();
            let error = error.as_ref().map(|error| format!(": {}", harmless::line(error))).unwrap_or_default();
            let verb = if error.is_empty() { "answered" } else { "failed" };
            let action = harmless::line(action);
            let line = format!("{action} {verb} in {} ({kind}{request}){error}", human(*millis));
            (Weight::Verbose, Symbol::Running, line)
        }
        EventKind::CallRetrying { action, attempt, delay, error } => (
            Weight::Log,
            Symbol::Again,
            format!(
                "{} failed, attempt {attempt}: {}; sent again in {}",
                harmless::line(action),
                harmless::line(error),
                human(*delay)
            ),
        ),
        EventKind::StageRetrying { attempt, attempts, delay, failure } => (
            Weight::Everyone,
            Symbol::Again,
            format!(
                "attempt {attempt} of {attempts} failed: {}; trying again in {}",
                harmless::line(&failure.message),
                human(*delay)
            ),
        ),
        EventKind::StageFinished { outcome, outputs, failure, millis, calls: _ } => {
            let (symbol, text) = ending(*outcome, outputs.as_ref(), failure.as_ref(), *millis, style);
            (Weight::Everyone, symbol, text)
        }
        EventKind::UndoStarted => (Weight::Log, Symbol::Undone, "undoing what it did".to_owned()),
        EventKind::UndoFinished { result: Ok(what) } => {
            (Weight::Everyone, Symbol::Undone, format!("undone: {}", harmless::line(what)))
        }
        EventKind::UndoFinished { result: Err(failure) } => {
            (Weight::Everyone, Symbol::Failed, format!("could not be undone: {}", harmless::line(&failure.message)))
        }
        EventKind::Warning { message, help } => {
            let help = help.as_ref().map(|help| format!(" ({})", harmless::line(help))).unwrap_or_default();
            (Weight::Everyone, Symbol::Warning, format!("warning: {}{help}", harmless::line(message)))
        }
        EventKind::LeftOut { events } => (
            Weight::Everyone,
            Symbol::Warning,
            format!("{events} statuses, log lines and calls were left out here: nobody read them in time"),
        ),
        EventKind::Interrupted { signal } => {
            (Weight::Everyone, Symbol::Interrupted, format!("{}: the run ends now", harmless::line(signal)))
        }
        EventKind::RunFinished { outcome, .. } => {
            (Weight::Log, symbol_of_run(*outcome), format!("the run {}", word_of_run(*outcome)))
        }
    };
    Some(Remark { weight, symbol, text })
}

fn ending(
    outcome: StageOutcome,
    outputs: Option<&serde_json::Value>,
    failure: Option<&Failure>,
    millis: u64,
    style: Style,
) -> (Symbol, String) {
    let symbol = symbol_of_stage(outcome);
    let took = human(millis);
    let text = match outcome {
        StageOutcome::Done => match outputs.map(|outputs| outputs::in_short(outputs, style)).unwrap_or_default() {
            words if words.is_empty() => format!("done in {took}"),
            words => format!("done in {took}: {words}"),
        },
        StageOutcome::Failed => match failure {
            Some(failure) => format!("failed after {took}: {}", harmless::line(&failure.message)),
            None => format!("failed after {took}"),
        },
        StageOutcome::Skipped => "skipped: its `when` is false".to_owned(),
        StageOutcome::NotRun => "not run".to_owned(),
        StageOutcome::Interrupted => format!("interrupted after {took}"),
        StageOutcome::Stuck => match failure {
            Some(failure) => format!("stuck after {took}: {}", harmless::line(&failure.message)),
            None => format!("stuck after {took}"),
        },
    };
    (symbol, text)
}

fn verdict_words(verdict: &str) -> &str {
    match verdict {
        "happened" => "it happened",
        "not-happened" => "it did not happen",
        "send-again" => "sending it again is harmless",
        _ => "what became of it cannot be found out",
    }
}

/// The sign of how a stage ended.
pub(crate) fn symbol_of_stage(outcome: StageOutcome) -> Symbol {
    match outcome {
        StageOutcome::Done => Symbol::Done,
        StageOutcome::Failed | StageOutcome::Stuck => Symbol::Failed,
        StageOutcome::Skipped | StageOutcome::NotRun => Symbol::Idle,
        StageOutcome::Interrupted => Symbol::Interrupted,
    }
}

/// How a stage ended, in a word or two.
pub(crate) fn word_of_stage(outcome: StageOutcome) -> &'static str {
    match outcome {
        StageOutcome::Done => "done",
        StageOutcome::Failed => "failed",
        StageOutcome::Skipped => "skipped",
        StageOutcome::NotRun => "not run",
        StageOutcome::Interrupted => "interrupted",
        StageOutcome::Stuck => "stuck",
    }
}

/// The sign of how a run ended.
pub(crate) fn symbol_of_run(outcome: RunOutcome) -> Symbol {
    match outcome {
        RunOutcome::Done | RunOutcome::Undone => Symbol::Done,
        RunOutcome::Failed | RunOutcome::Stuck => Symbol::Failed,
        RunOutcome::Interrupted | RunOutcome::Detached => Symbol::Interrupted,
    }
}

/// How a run ended, as the end of a sentence that begins with the run.
pub(crate) fn word_of_run(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Done => "is done",
        RunOutcome::Failed => "failed",
        RunOutcome::Interrupted => "was interrupted",
        RunOutcome::Detached => "waits, and can be resumed",
        RunOutcome::Stuck => "is stuck",
        RunOutcome::Undone => "is undone",
    }
}

/// A status in one line; the count is left out where the message says it already.
pub(crate) fn status(message: &str, done: Option<u32>, total: Option<u32>) -> String {
    let message = harmless::line(message);
    let says = |number: u32| {
        message.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.parse().is_ok_and(|said: u32| said == number))
    };
    match (done, total) {
        (Some(done), Some(total)) if !(says(done) && says(total)) => format!("{message} ({done}/{total})"),
        (Some(done), None) if !says(done) => format!("{message} ({done})"),
        _ => message.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_counts_once() {
        assert_eq!(status("3 of 4 tasks healthy", Some(3), Some(4)), "3 of 4 tasks healthy");
        assert_eq!(status("tasks healthy", Some(3), Some(4)), "tasks healthy (3/4)");
        assert_eq!(status("13 of 14", Some(3), Some(4)), "13 of 14 (3/4)");
        assert_eq!(status("layers", Some(3), None), "layers (3)");
        assert_eq!(status("BUILD phase", None, None), "BUILD phase");
    }
}
