//! The life of one stage: its condition, its config, its attempts.
//!
//! The main function is [`run_stage`]; it answers an [`EndedStage`].

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_span::millis;
use serde_json::Value;

use super::attempt::{Answer, Ask, Attempt, AttemptError, Attempted, is_worth_another_attempt};
use super::early::Early;
use super::identity::{clients_in, clients_of, place_in};
use super::setup::Prepared;
use crate::aws::clients::Clients;
use crate::call::gate::{Arrival, Gate, Replay};
use crate::call::stop::HostStop;
use crate::call::{Actor, Standing};
use crate::event::{EventKind, Failure, SkipReason, StageOutcome};
use crate::journal::{self, AttemptPast, Record, StagePast, StageStart};
use crate::pipeline::{Misnamed, Named, Stage, Unfit, named};
use crate::plugin::Plugin;
use crate::policy::{Grants, reaches_elsewhere};
use crate::secrets::redact::Sealed;
use crate::types::{EnvironmentName, Place, StageName};

/// How a stage ended.
#[derive(Debug)]
pub(crate) struct EndedStage {
    pub(crate) name: StageName,
    pub(crate) outcome: StageOutcome,
    pub(crate) outputs: Option<Value>,
    pub(crate) failure: Option<Failure>,
    pub(crate) skipped: Option<SkipReason>,
    /// The last attempt; 0 where there was none.
    pub(crate) attempt: u32,
    pub(crate) calls: u32,
    /// What an undo would need, where the stage began.
    pub(crate) worked: Option<Worked>,
}

/// A stage that was worked on, as its undo needs it.
#[derive(Debug, Clone)]
pub(crate) struct Worked {
    pub(crate) name: StageName,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) standing: Arc<Standing>,
    pub(crate) config: Value,
    pub(crate) memory: BTreeMap<String, String>,
}

/// What stands between a stage and its first attempt.
pub(crate) enum Readiness {
    Ready(Box<Worked>),
    Skipped(SkipReason),
    Failed(Failure),
}

/// Where a stage goes on that had begun when the run stopped.
pub(crate) enum GoingOn {
    /// In the middle of an attempt.
    Attempt(Replayed),
    /// It rested, or was about to begin with another attempt.
    Rest {
        /// As its attempts get it.
        config: Sealed,
        /// What its attempts remembered.
        memory: Vec<(Sealed, Sealed)>,
        /// How the last one ended, and when the next may begin.
        end: journal::StageEnd,
    },
}

/// An attempt that is done again as far as the journal knows it.
pub(crate) struct Replayed {
    past: AttemptPast,
    /// What the attempts before it remembered.
    memory: Vec<(Sealed, Sealed)>,
    arrival: Arrival,
}

impl GoingOn {
    /// What is left of a stage of which `past` is known. The gate waits for those alone that have something to replay.
    pub(crate) fn of(past: StagePast, gate: &Gate) -> Option<Self> {
        let remembered = past.remembered().cloned().collect();
        Some(match (past.attempt?, past.rest) {
            (attempt, Some(end)) => Self::Rest { config: attempt.start.config, memory: remembered, end },
            (attempt, None) => Self::Attempt(Replayed { past: attempt, memory: past.memory, arrival: gate.expect() }),
        })
    }
}

/// With which attempt a stage begins, or goes on.
enum From {
    /// With its first.
    Beginning,
    /// In the middle of one.
    Attempt(AttemptPast, Arrival),
    /// With the one after this, whose end says when.
    Rest(journal::StageEnd),
}

/// Run the stage `name`, all attempts of it that `past` does not know the end of.
pub(crate) async fn run_stage(
    prepared: Arc<Prepared>,
    name: StageName,
    past: Option<GoingOn>,
) -> Result<EndedStage, HostStop> {
    let Some(stage) = prepared.stage(&name) else {
        return Err(HostStop::Defect(format!("the schedule knows a stage `{name}` that the pipeline does not")));
    };
    let mut end = EndedStage {
        name: name.clone(),
        outcome: StageOutcome::Failed,
        outputs: None,
        failure: None,
        skipped: None,
        attempt: 0,
        calls: 0,
        worked: None,
    };
    let (readiness, from) = match past {
        Some(GoingOn::Attempt(Replayed { past, memory, arrival })) => {
            let (config, memory) = opened(&prepared, &past.start.config, &memory)?;
            (work_of(&prepared, stage, config, memory).await, From::Attempt(past, arrival))
        }
        Some(GoingOn::Rest { config, memory, end }) => {
            let (config, memory) = opened(&prepared, &config, &memory)?;
            (work_of(&prepared, stage, config, memory).await, From::Rest(end))
        }
        None => (ready(&prepared, stage).await, From::Beginning),
    };
    let mut worked = match readiness {
        Readiness::Ready(worked) => *worked,
        Readiness::Skipped(why) => {
            return Ok(EndedStage { outcome: StageOutcome::Skipped, skipped: Some(why), ..end });
        }
        Readiness::Failed(failure) => return Ok(EndedStage { failure: Some(failure), ..end }),
    };
    Early::prepare_followers_of(&prepared, &name);
    let attempts = stage.retry.attempts.max(1);
    let (mut attempt, mut going_on) = match from {
        From::Beginning => (1, None),
        From::Attempt(past, arrival) => (past.start.attempt, Some((past, arrival))),
        From::Rest(rest) => {
            if rested(&prepared, rest.retry_at.unwrap_or_default()).await?.is_interrupted() {
                return Ok(EndedStage { outcome: StageOutcome::Interrupted, attempt: rest.attempt, ..end });
            }
            (rest.attempt + 1, None)
        }
    };
    loop {
        end.attempt = attempt;
        let attempted = try_stage(&prepared, stage, &worked, attempt, going_on.take()).await?;
        end.calls += attempted.calls;
        worked.memory = attempted.memory;
        match attempted.answer {
            Ok(Answer::Done(outputs)) => {
                end.outcome = StageOutcome::Done;
                end.outputs = Some(outputs);
                break;
            }
            Ok(Answer::Planned(_) | Answer::Undone(_)) => {
                return Err(HostStop::Defect("a stage that was run answered something else".to_owned()));
            }
            Err(AttemptError::Fatal(stop)) => return Err(stop),
            Err(AttemptError::Interrupted) => {
                end.outcome = StageOutcome::Interrupted;
                break;
            }
            Err(AttemptError::Stuck(failure)) => {
                end.outcome = StageOutcome::Stuck;
                end.failure = Some(failure);
                break;
            }
            Err(AttemptError::Failed(failure)) if attempt < attempts && is_worth_another_attempt(&failure) => {
                if rest(&prepared, stage, attempt, attempts, failure).await?.is_interrupted() {
                    end.outcome = StageOutcome::Interrupted;
                    break;
                }
                attempt += 1;
            }
            Err(AttemptError::Failed(failure)) => {
                end.failure = Some(failure);
                break;
            }
        }
    }
    end.worked = Some(worked);
    Ok(end)
}

/// What a stage goes on with, exactly as it was. Where it cannot be had nobody goes on.
fn opened(
    prepared: &Prepared,
    config: &Sealed,
    memory: &[(Sealed, Sealed)],
) -> Result<(Value, BTreeMap<String, String>), HostStop> {
    let run = &prepared.run;
    let opened = run.open(config).and_then(|config| Ok((config, run.open_memory(memory.iter())?)));
    // Before its place is given up: nobody may take that for an arrival.
    opened.inspect_err(|_| run.gate.hold())
}

/// Decide `when`, evaluate the config, and settle what the stage may do.
async fn ready(prepared: &Prepared, stage: &Stage) -> Readiness {
    if prepared.follows_only_skipped(stage) {
        return Readiness::Skipped(SkipReason::Followed);
    }
    match prepared.with_scope(|scope| stage.when(scope)) {
        Ok(Some(true)) => {}
        Ok(Some(false)) => return Readiness::Skipped(SkipReason::When),
        // A condition that refers to an output of a stage that was skipped cannot be decided: there is nothing to do either.
        Ok(None) => return Readiness::Skipped(SkipReason::Output),
        Err(error) => return fail("config", format!("its `when` cannot be decided: {error}"), Vec::new()),
    }
    let evaluated = match prepared.with_scope(|scope| stage.config(scope)) {
        Ok(evaluated) => evaluated,
        Err(error) => return fail("config", format!("its config cannot be evaluated: {error}"), Vec::new()),
    };
    if !evaluated.unknown.is_empty() {
        // Every stage that it refers to has ended as it should; one that has no outputs was skipped.
        return Readiness::Skipped(SkipReason::Output);
    }
    match stage.check_config(&evaluated.config) {
        Ok(()) => {}
        Err(Unfit::Breaks(problems)) => {
            return fail("config", "its config does not satisfy the plugin's schema".to_owned(), problems);
        }
        Err(Unfit::Costly(costly)) => return fail("config", format!("its config is too much: {costly}"), Vec::new()),
    }
    work_of(prepared, stage, evaluated.config, BTreeMap::new()).await
}

/// Settle what the stage may do with this config, where and as whom.
pub(crate) async fn work_of(
    prepared: &Prepared,
    stage: &Stage,
    config: Value,
    memory: BTreeMap<String, String>,
) -> Readiness {
    let plugin = match prepared.plugin(stage) {
        Ok(plugin) => plugin,
        Err(error) => return fail("internal", error.to_string(), Vec::new()),
    };
    let place = prepared.place(stage);
    let grants = match Grants::resolve(&plugin.description.permissions, &config, &place) {
        Ok(grants) => grants,
        Err(error) => return fail("config", error.to_string(), Vec::new()),
    };
    let own = stage.place.as_ref().is_none_or(|environment| environment.role.is_none());
    let clients = if own && place.region == prepared.pipeline.region {
        // Making a client takes longer than a call: stages that act as the runner itself share the runner's.
        Arc::clone(&prepared.run.own_clients)
    } else {
        let warn = |kind| prepared.run.events.emit(Some(&stage.name), kind);
        let run = &prepared.run.id;
        let early = Some(&prepared.early);
        clients_of(&prepared.pipeline, stage, &place, &grants, &prepared.connection, early, run, warn).await
    };
    let elsewhere = match elsewhere_of(prepared, stage, &plugin, &config, &[]).await {
        Ok(elsewhere) => elsewhere,
        Err(failure) => return Readiness::Failed(failure),
    };
    let standing = Arc::new(standing_of(stage, place, clients, grants, elsewhere));
    Readiness::Ready(Box::new(Worked { name: stage.name.clone(), plugin, standing, config, memory }))
}

/// As what `stage` acts in the other environments that its config names, where its plugin acts in others.
pub(super) async fn elsewhere_of(
    prepared: &Prepared,
    stage: &Stage,
    plugin: &Plugin,
    config: &Value,
    unknown: &[String],
) -> Result<Vec<(EnvironmentName, Arc<Standing>)>, Failure> {
    let (pipeline, declared) = (&prepared.pipeline, &plugin.description.permissions);
    let mut standings = Vec::new();
    if !reaches_elsewhere(declared) {
        return Ok(standings);
    }
    let (named, misnamed) = named(config, unknown, stage.environment.as_ref(), pipeline.environments.iter());
    if let Some(Misnamed { index: _, message, help }) = misnamed.into_iter().next() {
        let message = format!("`elsewhere` of its config: {message}");
        return Err(Failure { kind: "config".to_owned(), message, help, details: Vec::new() });
    }
    for Named { index: _, name, environment, config } in named {
        let place = place_in(pipeline, environment);
        let grants = Grants::elsewhere(declared, &config, &place).map_err(|error| Failure {
            kind: "config".to_owned(),
            message: error.to_string(),
            help: None,
            details: Vec::new(),
        })?;
        let (connection, run) = (&prepared.connection, &prepared.run);
        let clients = if environment.role.is_none() && place.region == pipeline.region {
            Arc::clone(&run.own_clients)
        } else {
            let warn = |kind| run.events.emit(Some(&stage.name), kind);
            clients_in(pipeline, stage, environment, &grants, connection, &run.id, warn).await
        };
        standings.push((name.clone(), Arc::new(standing_of(stage, place, clients, grants, Vec::new()))));
    }
    Ok(standings)
}

/// As what all attempts of `stage` act.
pub(crate) fn standing_of(
    stage: &Stage,
    place: Place,
    clients: Arc<Clients>,
    grants: Grants,
    elsewhere: Vec<(EnvironmentName, Arc<Standing>)>,
) -> Standing {
    Standing {
        stage: stage.name.clone(),
        place,
        clients,
        grants: Arc::new(grants),
        reveal: stage.reveal,
        secrets: stage.secrets.iter().cloned().collect(),
        elsewhere,
    }
}

fn fail(kind: &str, message: String, details: Vec<String>) -> Readiness {
    let failure = Failure { kind: kind.to_owned(), message, help: None, details };
    Readiness::Failed(failure)
}

async fn try_stage(
    prepared: &Prepared,
    stage: &Stage,
    worked: &Worked,
    attempt: u32,
    past: Option<(AttemptPast, Arrival)>,
) -> Result<Attempted, HostStop> {
    let run = &prepared.run;
    if let Some((AttemptPast { start, script }, arrival)) = past {
        run.events.emit(Some(&stage.name), EventKind::StageResumed { attempt, replayed: script.calls() });
        let replay = Replay { script, arrival: Some(arrival) };
        return Ok(worked.attempt(prepared, stage, Ask::Run, attempt, start.deadline, replay).perform().await);
    }
    match run.gate.pass(None, &run.control).await {
        Ok(()) => {}
        Err(HostStop::Interrupted) => {
            let memory = worked.memory.clone();
            return Ok(Attempted { answer: Err(AttemptError::Interrupted), calls: 0, memory });
        }
        Err(stop) => return Err(stop),
    }
    let at = run.clock.now();
    let deadline = at.saturating_add(millis(stage.timeout));
    run.record(&Record::StageStart(StageStart {
        stage: stage.name.clone(),
        attempt,
        config: run.seal(&worked.config)?,
        plugin: worked.plugin.digest.clone(),
        account: worked.standing.place.account.clone(),
        region: worked.standing.place.region.clone(),
        deadline,
        at,
    }))?;
    run.events.emit(Some(&stage.name), EventKind::StageStarted { attempt });
    Ok(worked.attempt(prepared, stage, Ask::Run, attempt, deadline, Replay::default()).perform().await)
}

impl Worked {
    /// An attempt at the stage, or at its undo, that does again what `replay` holds.
    pub(crate) fn attempt<'a>(
        &'a self,
        prepared: &'a Prepared,
        stage: &'a Stage,
        ask: Ask,
        attempt: u32,
        deadline: u64,
        replay: Replay,
    ) -> Attempt<'a> {
        Attempt {
            run: &prepared.run,
            engine: prepared.plugins.engine(),
            limits: prepared.limits,
            plugin: &self.plugin,
            stage,
            ask,
            actor: Actor {
                standing: Arc::clone(&self.standing),
                attempt,
                phase: ask.phase(),
                access: ask.access(),
                deadline,
            },
            config: &self.config,
            unknown: Vec::new(),
            memory: self.memory.clone(),
            replay,
        }
    }
}

/// Whether a rest was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rested {
    Whole,
    Interrupted,
}

impl Rested {
    fn is_interrupted(self) -> bool {
        self == Self::Interrupted
    }
}

/// Note that `attempt` failed, and rest until the next.
async fn rest(
    prepared: &Prepared,
    stage: &Stage,
    attempt: u32,
    attempts: u32,
    failure: Failure,
) -> Result<Rested, HostStop> {
    let run = &prepared.run;
    let delay = stage.retry.delay(attempt, seed(run.id.as_str(), stage.name.as_str()));
    let at = run.clock.now();
    let until = at.saturating_add(millis(delay));
    run.record_durable(&Record::StageEnd(journal::StageEnd {
        stage: stage.name.clone(),
        attempt,
        outcome: StageOutcome::Failed,
        outputs: None,
        failure: Some(failure.clone()),
        skipped: None,
        retry_at: Some(until),
        at,
    }))
    .await?;
    let kind = EventKind::StageRetrying { attempt, attempts, delay: millis(delay), failure };
    run.events.emit(Some(&stage.name), kind);
    rested(prepared, until).await
}

async fn rested(prepared: &Prepared, until: u64) -> Result<Rested, HostStop> {
    match prepared.run.sleep_until(until).await {
        Ok(()) => Ok(Rested::Whole),
        Err(HostStop::Interrupted) => Ok(Rested::Interrupted),
        Err(stop) => Err(stop),
    }
}

/// Stages of many runs must not retry in step: the seed differs by run and stage, and is the same after a resume.
fn seed(run: &str, stage: &str) -> u64 {
    let digest = crate::types::Digest::of(format!("{run}/{stage}").as_bytes());
    digest.as_str().get(7..23).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::journal::Script;
    use crate::types::Digest;

    fn at_work() -> StagePast {
        let mut past = StagePast::default();
        let start = StageStart {
            stage: "deploy".parse().unwrap(),
            attempt: 1,
            config: Sealed::structure(serde_json::json!({ "service": "web" })),
            plugin: Digest::of(b""),
            account: "111111111111".parse().unwrap(),
            region: "us-west-2".parse().unwrap(),
            deadline: 2,
            at: 1,
        };
        past.attempt = Some(AttemptPast { start, script: Script::default() });
        past
    }

    fn at_rest() -> StagePast {
        let mut past = at_work();
        past.rest = Some(journal::StageEnd {
            stage: "deploy".parse().unwrap(),
            attempt: 1,
            outcome: StageOutcome::Failed,
            outputs: None,
            failure: None,
            skipped: None,
            retry_at: Some(9),
            at: 2,
        });
        past
    }

    /// Whether the gate waits for nobody, once `past` goes on.
    fn arrived(past: StagePast) -> bool {
        let gate = Gate::shut();
        let _going_on = GoingOn::of(past, &gate);
        is_over(gate.all_arrived())
    }

    /// Whether `waiting` is over at once.
    fn is_over(waiting: impl Future) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(waiting).as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn the_gate_waits_for_a_stage_at_work_and_for_none_that_rests() {
        assert!(!arrived(at_work()));
        assert!(arrived(at_rest()), "it has nothing to replay");
        assert!(arrived(StagePast::default()), "it has not begun");
    }
}
