//! A recording as people look at it.
//!
//! The main function is [`view`].

use std::collections::BTreeMap;

use super::show::{CallView, RunView, ShownOutcome, StageView, UndoView};
use crate::event::StageOutcome;
use crate::journal::{CallKey, CallOutcome, CallResult, Intent, Phase, Record, Recording, RunStart, Tail};
use crate::types::StageName;

/// What a recording tells of its run; none where it does not even tell how the run began.
pub fn view(recording: &Recording) -> Option<RunView> {
    let start = recording.start()?;
    let mut viewer = Viewer::new(start);
    for entry in &recording.entries {
        viewer.take(&entry.record);
    }
    let mut view = viewer.finish();
    if let Tail::Torn { at } = recording.tail {
        view.warnings.push(format!(
            "the journal ends in the middle of a record, at byte {at}: the runner was killed, or writes at this moment"
        ));
    }
    Some(view)
}

struct Viewer<'a> {
    start: &'a RunStart,
    view: RunView,
    index: BTreeMap<StageName, usize>,
    began: BTreeMap<StageName, u64>,
    open: BTreeMap<CallKey, CallView>,
}

impl<'a> Viewer<'a> {
    fn new(start: &'a RunStart) -> Self {
        let view = RunView {
            run: start.run.clone(),
            pipeline: start.pipeline.clone(),
            account: start.account.clone(),
            region: start.region.clone(),
            started: start.at,
            outcome: None,
            millis: None,
            stages: Vec::new(),
            warnings: Vec::new(),
        };
        let mut viewer = Self { start, view, index: BTreeMap::new(), began: BTreeMap::new(), open: BTreeMap::new() };
        for stage in &start.stages {
            if let Some(view) = viewer.stage(&stage.name) {
                view.plugin.clone_from(&stage.plugin);
            }
        }
        viewer
    }

    fn stage(&mut self, name: &StageName) -> Option<&mut StageView> {
        let index = *self.index.entry(name.clone()).or_insert_with(|| {
            self.view.stages.push(StageView {
                name: name.clone(),
                plugin: String::new(),
                attempts: 0,
                outcome: None,
                millis: None,
                outputs: None,
                failure: None,
                undo: None,
                calls: Vec::new(),
            });
            self.view.stages.len() - 1
        });
        self.view.stages.get_mut(index)
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::StageStart(begun) => {
                self.began.entry(begun.stage.clone()).or_insert(begun.at);
                if let Some(stage) = self.stage(&begun.stage) {
                    stage.attempts = begun.attempt;
                    stage.outcome = None;
                }
            }
            Record::Intent(intent) => {
                self.open.insert(intent.call.clone(), asked(intent));
            }
            Record::Result(result) => {
                let call = self.open.remove(&result.call);
                let stage = result.call.stage.clone();
                if let Some(stage) = self.stage(&stage) {
                    stage.calls.push(answered(call, result));
                }
            }
            Record::StageEnd(end) if end.retry_at.is_none() => {
                let began = self.began.get(&end.stage).copied();
                if let Some(stage) = self.stage(&end.stage) {
                    stage.outcome = Some(end.outcome);
                    stage.millis = began.map(|began| end.at.saturating_sub(began));
                    stage.outputs = end.outputs.as_ref().map(|outputs| outputs.shown().value().clone());
                    stage.failure.clone_from(&end.failure);
                }
            }
            Record::UndoStart(undo) => {
                if let Some(stage) = self.stage(&undo.stage) {
                    stage.undo = Some(UndoView::Unfinished);
                }
            }
            Record::UndoEnd(undo) => {
                if let Some(stage) = self.stage(&undo.stage) {
                    stage.undo = Some(match &undo.result {
                        Ok(sentence) => UndoView::Done(sentence.clone()),
                        Err(failure) => UndoView::Failed(failure.clone()),
                    });
                }
            }
            Record::Stuck(stuck) => self.view.warnings.push(format!("stuck: {}", stuck.failure.message)),
            Record::RunEnd(end) => {
                self.view.outcome = Some(end.outcome);
                self.view.millis = Some(end.at.saturating_sub(self.start.at));
            }
            Record::RunResume(_) => {
                self.view.outcome = None;
                self.view.millis = None;
            }
            Record::StageEnd(_)
            | Record::RunStart(_)
            | Record::LocalRead(_)
            | Record::Timer(_)
            | Record::Remember(_)
            | Record::Reconciled(_)
            | Record::Fence(_) => {}
        }
    }

    fn finish(mut self) -> RunView {
        for (key, call) in std::mem::take(&mut self.open) {
            if let Some(stage) = self.stage(&key.stage) {
                stage.calls.push(call);
            }
        }
        // The host's own calls, before the first stage: they are no stage that could have been started.
        if let Some(host) = self.view.stages.iter_mut().find(|stage| stage.name.as_str() == crate::types::HOST) {
            host.plugin = "the runner's own calls".to_owned();
            host.outcome = Some(StageOutcome::Done);
        }
        self.view
    }
}

fn asked(intent: &Intent) -> CallView {
    CallView {
        seq: intent.call.seq,
        at: Some(intent.at),
        action: shown(&intent.call, &intent.action),
        write: true,
        token: intent.token.clone(),
        outcome: ShownOutcome::Unknown,
        request_id: None,
        millis: None,
    }
}

fn answered(asked: Option<CallView>, result: &CallResult) -> CallView {
    let outcome = match &result.outcome {
        CallOutcome::Ok(_) => ShownOutcome::Answered,
        CallOutcome::Err(error) => {
            let error = error.shown();
            let part = |name: &str| error.value().get(name).and_then(|text| text.as_str()).unwrap_or_default();
            ShownOutcome::Failed(format!("{}: {}", part("code"), part("message")))
        }
    };
    CallView {
        seq: result.call.seq,
        at: Some(result.at.saturating_sub(result.millis)),
        action: shown(&result.call, &result.action),
        write: asked.is_some(),
        token: asked.and_then(|asked| asked.token),
        outcome,
        request_id: result.request_id.clone(),
        millis: Some(result.millis),
    }
}

fn shown(call: &CallKey, action: &str) -> String {
    match call.phase {
        Phase::Run => action.to_owned(),
        Phase::Undo => format!("{action} (undo)"),
    }
}
