//! Takes back what a failed run did, stage by stage, the last first.
//!
//! The main function is [`undo_all`]. Undoing is journaled as any other work: a run that was killed in the middle of it goes on with
//! it.

use std::collections::BTreeMap;

use super::attempt::{Answer, Ask, AttemptError};
use super::setup::Prepared;
use super::stage::Worked;
use crate::call::gate::Replay;
use crate::call::stop::HostStop;
use crate::event::{EventKind, Failure};
use crate::journal::{Record, Stuck, UndoEnd, UndoPast, UndoStart};
use crate::pipeline::Stage;
use crate::types::StageName;
use kiln_span::millis;

/// What came of undoing.
#[derive(Debug, Default)]
pub(crate) struct Undone {
    /// How many stages were undone, now or before.
    pub(crate) undone: usize,
    /// Whether something could not be undone, or it cannot be found out whether it was.
    pub(crate) stuck: bool,
}

/// Undo all stages in `worked` (in the order in which they ended) whose plugins can, but for those that `past` knows to be
/// undone. A stage that cannot be undone does not keep the others from it.
pub(crate) async fn undo_all(
    prepared: &Prepared,
    worked: Vec<Worked>,
    mut past: BTreeMap<StageName, UndoPast>,
) -> Result<Undone, HostStop> {
    let mut all = Undone::default();
    for worked in worked.into_iter().rev().filter(|worked| worked.plugin.description.undoable) {
        if prepared.run.control.interrupted().is_some() {
            break;
        }
        let Some(stage) = prepared.stage(&worked.name) else { continue };
        undo_stage(prepared, stage, &worked, past.remove(&worked.name), &mut all).await?;
    }
    Ok(all)
}

async fn undo_stage(
    prepared: &Prepared,
    stage: &Stage,
    worked: &Worked,
    past: Option<UndoPast>,
    all: &mut Undone,
) -> Result<(), HostStop> {
    let run = &prepared.run;
    let (attempt, deadline, replay) = match past {
        Some(UndoPast { end: Some(UndoEnd { result: Ok(sentence), .. }), .. }) => {
            all.undone += 1;
            run.events.emit(Some(&stage.name), EventKind::UndoFinished { result: Ok(sentence) });
            return Ok(());
        }
        // It is tried again.
        Some(UndoPast { start, end: Some(_), .. }) => begin(prepared, stage, worked, start.attempt + 1).await?,
        Some(UndoPast { start, script, end: None }) => {
            (start.attempt, start.deadline, Replay { script, arrival: None })
        }
        None => begin(prepared, stage, worked, 1).await?,
    };
    run.events.emit(Some(&stage.name), EventKind::UndoStarted);
    let attempted = worked.attempt(prepared, stage, Ask::Undo, attempt, deadline, replay).perform().await;
    let result = match attempted.answer {
        Ok(Answer::Undone(sentence)) => Ok(sentence),
        Ok(Answer::Done(_) | Answer::Planned(_)) => {
            return Err(HostStop::Defect("an undo answered something else".to_owned()));
        }
        Err(AttemptError::Failed(failure)) => Err(failure),
        Err(AttemptError::Fatal(stop)) => return Err(stop),
        // No end is written: a resumed run goes on with this undo.
        Err(AttemptError::Interrupted) => return Ok(()),
        Err(AttemptError::Stuck(failure)) => {
            all.stuck = true;
            run.events.emit(Some(&stage.name), EventKind::UndoFinished { result: Err(failure) });
            return Ok(());
        }
    };
    let at = run.clock.now();
    run.record(&Record::UndoEnd(UndoEnd { stage: stage.name.clone(), attempt, result: result.clone(), at }))?;
    let result = result.map_err(|failure| Failure {
        help: failure.help.or_else(|| {
            Some(format!("what is left must be undone by hand, or by `kiln undo {}` when its cause is gone", run.id))
        }),
        ..failure
    });
    match &result {
        Ok(_) => all.undone += 1,
        Err(failure) => {
            all.stuck = true;
            let stuck = Stuck { stage: stage.name.clone(), call: None, failure: failure.clone(), at };
            run.record(&Record::Stuck(stuck))?;
        }
    }
    run.sync().await?;
    run.events.emit(Some(&stage.name), EventKind::UndoFinished { result });
    Ok(())
}

/// Write down that an undo begins.
async fn begin(
    prepared: &Prepared,
    stage: &Stage,
    worked: &Worked,
    attempt: u32,
) -> Result<(u32, u64, Replay), HostStop> {
    let at = prepared.run.clock.now();
    let deadline = at.saturating_add(millis(stage.timeout));
    prepared
        .run
        .record_durable(&Record::UndoStart(UndoStart {
            stage: stage.name.clone(),
            attempt,
            config: prepared.run.seal(&worked.config)?,
            plugin: worked.plugin.digest.clone(),
            deadline,
            at,
        }))
        .await?;
    Ok((attempt, deadline, Replay::default()))
}
