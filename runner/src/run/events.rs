//! Puts a run's events in order, masks them, and hands them to the reports.
//!
//! The main type is [`Events`].

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::event::{Event, EventKind, Failure};
use crate::report::{Report, Reports};
use crate::secrets::redact::{Redactor, sanitise};
use crate::types::StageName;

/// Where events go. Clones share one order.
#[derive(Clone)]
pub struct Events {
    clock: Clock,
    redactor: Redactor,
    sink: Arc<Mutex<Sink>>,
}

struct Sink {
    seq: u64,
    report: Box<dyn Report>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// Events of one run, for `report`.
    pub fn new(clock: Clock, redactor: Redactor, report: Box<dyn Report>) -> Self {
        Self { clock, redactor, sink: Arc::new(Mutex::new(Sink { seq: 0, report })) }
    }

    /// Events that nobody is told.
    pub(crate) fn silent(clock: Clock) -> Self {
        Self::new(clock, Redactor::default(), Box::new(Reports::new(Vec::new())))
    }

    /// Something happened, to `stage` if it is about one.
    pub fn emit(&self, stage: Option<&StageName>, kind: EventKind) {
        let kind = self.redactor.masked(&sanitised(kind)).unwrap_or_else(|_| EventKind::Warning {
            message: "an event held a secret in the place of a name and was left out".to_owned(),
            help: None,
        });
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event { seq: sink.seq, at: self.clock.now(), stage: stage.cloned(), kind };
        sink.seq += 1;
        sink.report.event(&event);
    }

    /// Nothing more will happen.
    pub fn finish(&self) {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).report.finish();
    }
}

/// `kind` with what stages and AWS wrote made fit for terminals and CI logs. Outputs stay as they are: they are data.
fn sanitised(kind: EventKind) -> EventKind {
    match kind {
        EventKind::StageProgress { message, done, total } => {
            EventKind::StageProgress { message: sanitise(&message), done, total }
        }
        EventKind::StageLog { level, message } => EventKind::StageLog { level, message: sanitise(&message) },
        EventKind::Call { action, write, millis, request_id, error } => EventKind::Call {
            action,
            write,
            millis,
            request_id: request_id.map(|id| sanitise(&id)),
            error: error.map(|error| sanitise(&error)),
        },
        EventKind::CallRetrying { action, attempt, delay, error } => {
            EventKind::CallRetrying { action, attempt, delay, error: sanitise(&error) }
        }
        EventKind::StageRetrying { attempt, attempts, delay, failure } => {
            EventKind::StageRetrying { attempt, attempts, delay, failure: sanitised_failure(failure) }
        }
        EventKind::StageFinished { outcome, outputs, failure, millis, calls } => {
            EventKind::StageFinished { outcome, outputs, failure: failure.map(sanitised_failure), millis, calls }
        }
        EventKind::UndoFinished { result } => {
            EventKind::UndoFinished { result: result.map(|sentence| sanitise(&sentence)).map_err(sanitised_failure) }
        }
        EventKind::Warning { message, help } => {
            EventKind::Warning { message: sanitise(&message), help: help.map(|help| sanitise(&help)) }
        }
        EventKind::CallReconciled { action, verdict, evidence } => {
            EventKind::CallReconciled { action, verdict, evidence: sanitise(&evidence) }
        }
        EventKind::RunStarted { .. }
        | EventKind::StageResumed { .. }
        | EventKind::StageStarted { .. }
        | EventKind::UndoStarted
        | EventKind::Interrupted { .. }
        | EventKind::RunFinished { .. } => kind,
    }
}

fn sanitised_failure(failure: Failure) -> Failure {
    Failure {
        kind: failure.kind,
        message: sanitise(&failure.message),
        help: failure.help.map(|help| sanitise(&help)),
        details: failure.details.iter().map(|line| sanitise(line)).collect(),
    }
}
