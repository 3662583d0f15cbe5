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
        let kind = masked(kind, &self.redactor);
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

/// `kind` with its texts made fit for terminals and CI logs, and without secrets. What is structure stays as it is: names,
/// ids and kinds hold none, although a secret may be a word like one of them. Outputs are data: only secrets go.
fn masked(mut kind: EventKind, redactor: &Redactor) -> EventKind {
    let text = |text: &mut String| *text = redactor.untrusted(text);
    let failure = |failure: &mut Failure| {
        text(&mut failure.message);
        failure.help.iter_mut().for_each(text);
        failure.details.iter_mut().for_each(text);
    };
    match &mut kind {
        EventKind::StageProgress { message, done: _, total: _ } => text(message),
        EventKind::StageLog { level: _, message } => text(message),
        EventKind::Call { action: _, write: _, millis: _, request_id, error } => {
            // AWS's own id, but it comes from outside.
            request_id.iter_mut().for_each(|id| *id = sanitise(id));
            error.iter_mut().for_each(text);
        }
        EventKind::CallRetrying { action: _, attempt: _, delay: _, error } => text(error),
        EventKind::StageRetrying { attempt: _, attempts: _, delay: _, failure: why } => failure(why),
        EventKind::StageFinished { outcome: _, outputs, failure: why, millis: _, calls: _, skipped: _ } => {
            outputs.iter_mut().for_each(|outputs| redactor.json(outputs));
            why.iter_mut().for_each(failure);
        }
        EventKind::UndoFinished { result } => match result {
            Ok(sentence) => text(sentence),
            Err(why) => failure(why),
        },
        EventKind::Warning { message, help } => {
            text(message);
            help.iter_mut().for_each(text);
        }
        EventKind::CallReconciled { action: _, verdict: _, evidence } => text(evidence),
        EventKind::RunStarted { .. }
        | EventKind::StageResumed { .. }
        | EventKind::StageStarted { .. }
        | EventKind::UndoStarted
        | EventKind::LeftOut { .. }
        | EventKind::Interrupted { .. }
        | EventKind::RunFinished { .. } => {}
    }
    kind
}
