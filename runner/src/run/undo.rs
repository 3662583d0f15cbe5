//! Takes back what a failed run did, stage by stage, the last first.
//!
//! The main function is [`undo_all`].

use super::attempt::{Answer, Ask, AttemptError};
use super::setup::Prepared;
use super::stage::{Worked, millis};
use super::stop::HostStop;
use crate::event::{EventKind, Failure};
use crate::journal::{Record, UndoEnd, UndoStart};
use crate::pipeline::Stage;

/// Undo all stages in `worked` (in the order in which they ended) whose plugins can. A stage that cannot be undone does
/// not keep the others from it. Answers how many AWS calls were made.
pub(crate) async fn undo_all(prepared: &Prepared, worked: Vec<Worked>) -> Result<u32, HostStop> {
    let mut calls = 0;
    for worked in worked.into_iter().rev().filter(|worked| worked.plugin.description.undoable) {
        if prepared.run.control.interrupted().is_some() {
            break;
        }
        if let Some(stage) = prepared.stage(&worked.name) {
            calls += undo_stage(prepared, stage, &worked).await?;
        }
    }
    Ok(calls)
}

async fn undo_stage(prepared: &Prepared, stage: &Stage, worked: &Worked) -> Result<u32, HostStop> {
    let run = &prepared.run;
    let at = run.clock.now();
    let deadline = at.saturating_add(millis(stage.timeout));
    let attempt = 1;
    run.record_durable(&Record::UndoStart(UndoStart {
        stage: stage.name.clone(),
        attempt,
        config: worked.config.clone(),
        plugin: worked.plugin.digest.clone(),
        deadline,
        at,
    }))
    .await?;
    run.events.emit(Some(&stage.name), EventKind::UndoStarted);
    let attempted = worked.attempt(prepared, stage, attempt, deadline).perform(Ask::Undo).await;
    let result = match attempted.answer {
        Ok(Answer::Undone(sentence)) => Ok(sentence),
        Ok(Answer::Done(_) | Answer::Planned(_)) => {
            return Err(HostStop::Defect("an undo answered something else".to_owned()));
        }
        Err(AttemptError::Failed(failure)) => Err(failure),
        Err(AttemptError::Fatal(stop)) => return Err(stop),
        // No end is written: a resumed run goes on with this undo.
        Err(AttemptError::Interrupted) => return Ok(attempted.calls),
    };
    let at = run.clock.now();
    run.record_durable(&Record::UndoEnd(UndoEnd { stage: stage.name.clone(), attempt, result: result.clone(), at }))
        .await?;
    let result = result.map_err(|failure| Failure {
        help: failure.help.or_else(|| Some("what is left must be undone by hand".to_owned())),
        ..failure
    });
    run.events.emit(Some(&stage.name), EventKind::UndoFinished { result });
    Ok(attempted.calls)
}
