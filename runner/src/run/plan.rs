//! Plans a pipeline: every stage says what it would do; reads are real, every write is refused.
//!
//! The main function is [`plan`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_span::millis;
use serde_json::Value;

use super::access;
use super::attempt::{Answer, Ask, Attempt, AttemptError};
use super::error::RunError;
use super::identity::clients_of;
use super::setup::{Beginning, Prepared, RunOptions, prepare};
use super::stage::{elsewhere_of, standing_of};
use crate::call::Actor;
use crate::call::gate::Replay;
use crate::contract::bindings::kiln::stage::types::{Change, ChangeAction as Guest, StagePlan as GuestPlan};
use crate::event::{Event, EventKind, Failure, LogLevel, SkipReason, StageOutcome};
use crate::pipeline::{Evaluated, Pipeline, Stage};
use crate::plugin::Plugins;
use crate::policy::Grants;
use crate::report::plan::{ChangeAction, ChangeLine, PlanView, StagePlan};
use crate::report::{Report, Reports, why_skipped};
use crate::types::StageName;

/// Ask every stage of `pipeline` what it would do.
///
/// # Errors
/// The run could not begin. That a stage cannot be planned is no error: see [`StagePlan::failure`].
pub async fn plan(pipeline: Arc<Pipeline>, plugins: Arc<Plugins>, options: RunOptions) -> Result<PlanView, RunError> {
    let notices = Notices::default();
    let report: Box<dyn Report> = Box::new(Reports::new(vec![options.report, Box::new(notices.clone())]));
    let prepared = prepare(pipeline, plugins, Beginning::Plan, RunOptions { report, ..options }).await?;
    let mut stages = Vec::new();
    for stage in &prepared.pipeline.stages {
        stages.push(plan_stage(&prepared, stage).await?);
    }
    let mut notices = notices.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for stage in &mut stages {
        stage.notes = notices.stages.remove(&stage.name).unwrap_or_default();
    }
    let access = access::ask(&prepared).await?;
    Ok(PlanView { pipeline: prepared.pipeline.name.clone(), warnings: notices.run, stages, access })
}

/// Gathers what should be known before a run.
#[derive(Clone, Default)]
struct Notices(Arc<Mutex<Sentences>>);

#[derive(Clone, Default)]
struct Sentences {
    /// What the run would warn of.
    run: Vec<String>,
    /// What each stage warns of.
    stages: BTreeMap<StageName, Vec<String>>,
}

impl Report for Notices {
    fn event(&mut self, event: &Event) {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (&event.kind, &event.stage) {
            (EventKind::Warning { message, help }, _) => {
                let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
                notices.run.push(format!("{message}{help}"));
            }
            (EventKind::StageLog { level: LogLevel::Warn | LogLevel::Error, message }, Some(stage)) => {
                notices.stages.entry(stage.clone()).or_default().push(message.clone());
            }
            _ => {}
        }
    }

    fn finish(&mut self) {}
}

async fn plan_stage(prepared: &Prepared, stage: &Stage) -> Result<StagePlan, RunError> {
    let mut view = StagePlan {
        name: stage.name.clone(),
        plugin: stage.plugin.name().to_owned(),
        environment: stage.environment.clone(),
        summary: String::new(),
        changes: Vec::new(),
        notes: Vec::new(),
        unknown: Vec::new(),
        failure: None,
        skipped: None,
    };
    let skip = |why| {
        prepared.note_outcome(&stage.name, StageOutcome::Skipped);
        Ok(StagePlan { skipped: Some(why_skipped(Some(why)).to_owned()), ..view.clone() })
    };
    if prepared.follows_only_skipped(stage) {
        return skip(SkipReason::Followed);
    }
    let evaluated = match prepared.with_scope(|scope| (stage.when(scope), stage.config(scope))) {
        (Ok(Some(false)), _) => return skip(SkipReason::When),
        (Ok(_), Ok(evaluated)) if evaluated.waits_for(&prepared.skipped_before(stage)) => {
            return skip(SkipReason::Output);
        }
        (Err(error), _) | (_, Err(error)) => {
            view.failure = Some(config_failure(error.to_string()));
            return Ok(view);
        }
        (Ok(Some(true) | None), Ok(evaluated)) => evaluated,
    };
    view.unknown.clone_from(&evaluated.unknown);
    match ask(prepared, stage, evaluated).await? {
        Ok(answer) => {
            view.summary = answer.summary;
            view.changes = answer.changes.into_iter().map(change_line).collect();
            keep_known_outputs(prepared, stage, answer.outputs.as_deref());
        }
        Err(failure) => view.failure = Some(failure),
    }
    Ok(view)
}

async fn ask(prepared: &Prepared, stage: &Stage, evaluated: Evaluated) -> Result<Result<GuestPlan, Failure>, RunError> {
    let plugin = prepared.plugin(stage)?;
    let place = prepared.place(stage);
    let grants = match Grants::resolve(&plugin.description.permissions, &evaluated.config, &place) {
        Ok(grants) => grants,
        Err(error) => return Ok(Err(config_failure(error.to_string()))),
    };
    let warn = |kind| prepared.run.events.emit(Some(&stage.name), kind);
    let id = &prepared.run.id;
    let clients = clients_of(&prepared.pipeline, stage, &place, &grants, &prepared.connection, None, id, warn).await;
    let elsewhere = match elsewhere_of(prepared, stage, &plugin, &evaluated.config, &evaluated.unknown).await {
        Ok(elsewhere) => elsewhere,
        Err(failure) => return Ok(Err(failure)),
    };
    let ask = Ask::Plan;
    let attempted = Attempt {
        run: &prepared.run,
        engine: prepared.plugins.engine(),
        limits: prepared.limits,
        plugin: &plugin,
        stage,
        ask,
        actor: Actor {
            standing: Arc::new(standing_of(stage, place, clients, grants, elsewhere)),
            attempt: 1,
            phase: ask.phase(),
            access: ask.access(),
            deadline: prepared.run.clock.now().saturating_add(millis(stage.timeout)),
        },
        config: &evaluated.config,
        unknown: evaluated.unknown,
        memory: BTreeMap::new(),
        replay: Replay::default(),
    }
    .perform()
    .await;
    match attempted.answer {
        Ok(Answer::Planned(plan)) => Ok(Ok(plan)),
        Ok(Answer::Done(_) | Answer::Undone(_)) => {
            Err(RunError::GivenUp(crate::call::HostStop::Defect("a plan answered something else".to_owned())))
        }
        Err(AttemptError::Failed(failure)) => Ok(Err(failure)),
        Err(AttemptError::Interrupted) => Err(RunError::GivenUp(crate::call::HostStop::Interrupted)),
        // INVARIANT: a plan writes nothing that could be stuck.
        Err(AttemptError::Stuck(failure)) => Ok(Err(failure)),
        Err(AttemptError::Fatal(stop)) => Err(RunError::GivenUp(stop)),
    }
}

/// What a plan knows of its outputs, later stages' plans may use: only properties that the plugin declares.
fn keep_known_outputs(prepared: &Prepared, stage: &Stage, outputs: Option<&str>) {
    let known = outputs.and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(known @ Value::Object(_)) = known {
        prepared.keep_outputs(&stage.name, known);
    }
}

fn config_failure(message: String) -> Failure {
    Failure { kind: "config".to_owned(), message, help: None, details: Vec::new() }
}

fn change_line(change: Change) -> ChangeLine {
    let action = match change.action {
        Guest::Create => ChangeAction::Create,
        Guest::Update => ChangeAction::Update,
        Guest::Replace => ChangeAction::Replace,
        Guest::Delete => ChangeAction::Delete,
        Guest::Start => ChangeAction::Start,
        Guest::Read => ChangeAction::Read,
        Guest::Keep => ChangeAction::Keep,
    };
    ChangeLine { action, subject: change.subject, detail: change.detail }
}
