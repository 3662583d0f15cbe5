//! The one way of every AWS call: authorise, journal, send, journal, answer. Where the journal holds the answer already,
//! because the run was stopped and goes on, nothing is sent.
//!
//! The main type is [`Caller`]: whoever makes calls in one attempt of a stage. What a call is asked with, and how its answer is
//! written down, is here; [`read`](super::read) and [`write`](super::write) are the two ways that part in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kiln_span::millis;
use tokio::sync::OwnedSemaphorePermit;

use super::actor::{Actor, Standing};
use super::asked::{Asked, check_size, defect};
use super::context::RunContext;
use super::gate::{Arrival, Replay};
use super::shown;
use super::stop::HostStop;
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, ErrorKind, NO_CREDENTIALS};
use crate::aws::operation::Operation;
use crate::aws::pacing::PaceKey;
use crate::aws::retry::Tries;
use crate::contract::Limits;
use crate::event::EventKind;
use crate::journal::{self, Body, CallKey, CallOutcome, CallResult, Mismatch, Record, RecordedCall, Script, Step};

/// What a call comes to: AWS's answer, or why the guest must end.
pub(crate) type Answered<O> = Result<Result<<O as Operation>::Output, AwsError>, HostStop>;

/// Makes the calls of one attempt of one stage.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(super) run: Arc<RunContext>,
    pub(super) actor: Actor,
    /// What the journal holds of the attempt and was not asked for again yet.
    script: Script,
    /// Held until the script is over.
    arrival: Option<Arrival>,
    seq: u64,
    used: Used,
    limits: Limits,
}

/// How much an attempt has used.
#[derive(Debug, Default)]
struct Used {
    calls: u32,
    refused: u32,
    /// Bytes of records.
    noted: u64,
}

/// How a call was answered that the journal holds.
#[derive(Debug)]
pub(super) enum Recorded<T> {
    Answer(Result<T, AwsError>),
    /// The answer was not written down, because it is secret; what is not secret of it is known.
    Withheld(Body),
}

/// Whoever waits for a service that throttles looks after so many milliseconds whether it still does.
const HEAR_AGAIN: u64 = 5_000;

/// An error's text in an event is cut to this.
const ERROR_BYTES: usize = 2_000;

/// What is done about a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is tried again; the pause is over.
    TryAgain,
    /// That cannot help.
    GiveUp,
}

/// Nothing is sent any more when a guest must end.
fn check_stop(run: &RunContext) -> Result<(), HostStop> {
    match run.control.interrupted() {
        Some(_) => Err(HostStop::Interrupted),
        None => Ok(()),
    }
}

impl Caller {
    /// Makes the calls of `actor`, which does again what `replay` holds: as many as it likes.
    pub(crate) fn new(run: Arc<RunContext>, actor: Actor, replay: Replay) -> Self {
        let Replay { script, arrival } = replay;
        let limits = Limits { calls: u32::MAX, refused_calls: u32::MAX, journal_bytes: u64::MAX, ..Limits::default() };
        Self { run, actor, script, arrival, seq: 0, used: Used::default(), limits }
    }

    /// The caller for a guest: it may call and be refused only so often, and fill only so much of the journal.
    pub(crate) fn bounded(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The run that it makes calls for.
    pub(crate) fn run(&self) -> &Arc<RunContext> {
        &self.run
    }

    /// Who makes them.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whoever calls from here on acts as `standing`: in another environment of the same stage.
    pub(crate) fn act_as(&mut self, standing: Arc<Standing>) {
        self.actor.standing = standing;
    }

    /// Something happened to the stage. What is only repeated was told before.
    pub(crate) fn emit(&self, kind: EventKind) {
        if self.script.is_over() {
            self.run.events.emit(Some(&self.actor.standing.stage), kind);
        }
    }

    /// How many AWS calls were answered.
    pub(crate) fn calls(&self) -> u32 {
        self.used.calls
    }

    /// That a guest came to its end before all that it had asked for before.
    pub(crate) fn left_over(&self) -> Option<Mismatch> {
        self.script.left_over()
    }

    /// The key of the next thing that the journal holds of this attempt, and what it holds of it already. Where that is
    /// nothing, the attempt has come to where it stopped, and this returns when the run may go on.
    pub(crate) async fn step(&mut self) -> Result<(CallKey, Option<Step>), HostStop> {
        let call = self.next_key()?;
        let step = self.script.next(&call);
        if step.is_none() {
            self.go_live().await?;
        }
        Ok((call, step))
    }

    /// Wait until the run may do what it has not done before.
    pub(crate) async fn go_live(&mut self) -> Result<(), HostStop> {
        self.run.gate.pass(self.arrival.take(), &self.run.control).await
    }

    /// Whether all that is recorded was asked for again.
    pub(crate) fn is_live(&self) -> bool {
        self.script.is_over()
    }

    /// The key of the next thing that the journal holds of this attempt.
    pub(crate) fn next_key(&mut self) -> Result<CallKey, HostStop> {
        check_stop(&self.run)?;
        if self.used.noted > self.limits.journal_bytes {
            return Err(HostStop::Limit(format!(
                "what it asked for fills more than {} MiB, the journal of one attempt",
                self.limits.journal_bytes >> 20
            )));
        }
        let key = self.actor.key(self.seq);
        self.seq += 1;
        Ok(key)
    }

    /// Write down what happened in this attempt.
    pub(crate) fn note(&mut self, record: &Record) -> Result<(), HostStop> {
        let bytes = self.run.ledger.record(record, &self.run.redactor)?;
        self.used.noted = self.used.noted.saturating_add(bytes);
        Ok(())
    }

    /// Write down what happened in this attempt, and wait until it is durable.
    pub(crate) async fn note_durable(&mut self, record: &Record) -> Result<(), HostStop> {
        let bytes = self.run.ledger.record_durable(record, &self.run.redactor).await?;
        self.used.noted = self.used.noted.saturating_add(bytes);
        Ok(())
    }

    /// A guest asks for `operation`: what it asks with, and what the journal holds of it already.
    pub(super) async fn ask<O: Operation>(&mut self, operation: &O) -> Result<(Asked, Option<Step>), HostStop> {
        let (call, recorded) = self.step().await?;
        if self.used.calls >= self.limits.calls {
            return Err(HostStop::Limit(format!("it made more than {} AWS calls", self.limits.calls)));
        }
        self.used.calls += 1;
        self.run.calls.fetch_add(1, Ordering::Relaxed);
        Ok((self.asked(operation, call)?, recorded))
    }

    /// The host asks for `operation`. Nothing that the journal holds answers it: each process finds out anew who it is, and reads the
    /// secrets.
    pub(super) fn ask_as_host<O: Operation>(&mut self, operation: &O) -> Result<Asked, HostStop> {
        let call = self.next_key()?;
        self.used.calls += 1;
        self.asked(operation, call)
    }

    fn asked<O: Operation>(&self, operation: &O, call: CallKey) -> Result<Asked, HostStop> {
        let request = operation.journaled().map_err(defect)?;
        check_size::<O>(&request)?;
        let sealed = self.run.seal(&request)?;
        let request_hash = journal::request_hash(sealed.written());
        let token = journal::token(&self.run.id, &call);
        Ok(Asked { call, request, sealed, request_hash, token, began: self.run.clock.now() })
    }

    /// What the journal holds in the place of a call, which must be the same call.
    pub(super) fn recorded<O: Operation>(&self, asked: &Asked, step: Step) -> Result<RecordedCall, HostStop> {
        match step {
            Step::Call(recorded) if recorded.action == O::ACTION && self.is_same(&recorded, asked)? => Ok(*recorded),
            other @ (Step::Call(_) | Step::Local(_) | Step::Timer(_) | Step::Remember(_)) => {
                Err(differs(&asked.call, &other, &journal::asked_aws(O::ACTION, &asked.request_hash)))
            }
        }
    }

    /// Whether a guest asks for what the journal holds.
    fn is_same(&self, recorded: &RecordedCall, asked: &Asked) -> Result<bool, HostStop> {
        Ok(match recorded.request() {
            Some(Body::Sealed(request)) => self.run.open(request)? == asked.request,
            // Of format 1, which masked the request and kept the hash of what it was.
            Some(Body::Plain(_)) => recorded.request_hash == journal::request_hash(&asked.request),
            Some(Body::Withheld(_) | Body::Hashed(_)) | None => false,
        })
    }

    /// How the call was answered when it was made first.
    pub(super) fn recorded_answer<O: Operation>(
        &mut self,
        outcome: CallOutcome,
    ) -> Result<Recorded<O::Output>, HostStop> {
        let output = match outcome {
            CallOutcome::Ok(Body::Plain(output)) => output,
            CallOutcome::Ok(Body::Sealed(output)) => self.run.open(&output)?,
            CallOutcome::Ok(withheld @ (Body::Withheld(_) | Body::Hashed(_))) => {
                return Ok(Recorded::Withheld(withheld));
            }
            CallOutcome::Err(error) => {
                let error: AwsError = serde_json::from_value(self.run.open(&error)?).map_err(defect)?;
                if error.kind == ErrorKind::Denied || error.kind == ErrorKind::ReadOnly {
                    self.count_refused(&error)?;
                }
                return Ok(Recorded::Answer(Err(error)));
            }
        };
        Ok(Recorded::Answer(Ok(serde_json::from_value(output).map_err(defect)?)))
    }

    /// Count that kiln itself refused a call.
    pub(super) fn count_refused(&mut self, refused: &AwsError) -> Result<(), HostStop> {
        self.used.refused += 1;
        if self.used.refused > self.limits.refused_calls {
            return Err(HostStop::Limit(format!(
                "it was refused {} AWS calls, the last with: {}",
                self.used.refused,
                shown(&self.run.redactor, &refused.message, ERROR_BYTES)
            )));
        }
        Ok(())
    }

    /// What is written down of an error.
    pub(super) fn failed(&self, error: &AwsError) -> Result<CallOutcome, HostStop> {
        Ok(CallOutcome::Err(self.run.seal(&serde_json::to_value(error).map_err(defect)?)?))
    }

    /// The record of how a call was answered. `request` is left out where an intent holds it.
    pub(super) fn result<O: Operation>(
        &self,
        asked: &Asked,
        request: Option<Body>,
        outcome: CallOutcome,
        request_id: Option<String>,
    ) -> CallResult {
        let at = self.run.clock.now();
        CallResult {
            call: asked.call.clone(),
            action: O::ACTION.to_owned(),
            request_hash: asked.request_hash.clone(),
            request,
            outcome,
            request_id,
            millis: at.saturating_sub(asked.began),
            at,
        }
    }

    /// What is told of a call that was answered as `result` says. The text of `error` is fit to be told.
    pub(super) fn event_of(result: &CallResult, write: bool, error: Option<&AwsError>) -> EventKind {
        let cut = |error: &AwsError| {
            let mut text = format!("{}: {}", error.code, error.message);
            text.truncate(text.floor_char_boundary(ERROR_BYTES));
            text
        };
        EventKind::Call {
            action: result.action.clone(),
            write,
            millis: result.millis,
            request_id: result.request_id.clone(),
            error: error.map(cut),
        }
    }

    /// An error as it may travel on: AWS repeats parts of requests in its messages, and a secret may be among them.
    pub(super) fn masked<O: Operation>(&self, error: AwsError) -> AwsError {
        let message = self.run.redactor.text(&error.message).into_owned();
        AwsError { message, operation: O::ACTION.to_owned(), ..error }
    }

    /// A call failed with `error`, asked by the credentials of `generation`: learn from it for what is asked next, and rest before
    /// it is tried again, where that can help.
    pub(super) async fn after<O: Operation>(
        &self,
        error: &AwsError,
        clients: &Clients,
        generation: u64,
        tries: &mut Tries,
        token: &str,
    ) -> Result<Next, HostStop> {
        self.learn_from::<O>(clients, generation, error);
        let Some(pause) = tries.fail(error.kind, token) else { return Ok(Next::GiveUp) };
        self.emit(EventKind::CallRetrying {
            action: O::ACTION.to_owned(),
            attempt: tries.failed(),
            delay: millis(pause),
            error: error.message.clone(),
        });
        // Nothing is lost by stopping here: an intent is written, and a resumed run takes it up again.
        self.run.pause(pause).await?;
        Ok(Next::TryAgain)
    }

    /// A service answered: it need not be asked more slowly.
    pub(super) fn answered<O: Operation>(&self) {
        self.run.pacer.answered(&self.pace_of(O::ACTION), self.run.clock.now());
    }

    /// Learn from an error for what is asked next: more slowly, or with other credentials than those of `generation`.
    pub(super) fn learn_from<O: Operation>(&self, clients: &Clients, generation: u64, error: &AwsError) {
        let (key, now) = (self.pace_of(O::ACTION), self.run.clock.now());
        match error.kind {
            // Where it was STS that could not give credentials, this service was not asked.
            _ if error.code == NO_CREDENTIALS => {}
            ErrorKind::Throttled => self.run.pacer.throttled(&key, now),
            ErrorKind::Unavailable | ErrorKind::Denied | ErrorKind::ReadOnly => {}
            ErrorKind::Expired
            | ErrorKind::AccessDenied
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Conflict
            | ErrorKind::Invalid
            | ErrorKind::Limit
            | ErrorKind::Other => self.run.pacer.answered(&key, now),
        }
        if error.kind == ErrorKind::Expired {
            clients.renew(generation);
        }
    }

    /// Wait until another call may be under way.
    pub(super) async fn in_flight(&self) -> Result<OwnedSemaphorePermit, HostStop> {
        let permit = Arc::clone(&self.run.in_flight).acquire_owned().await;
        // INVARIANT: nobody closes it.
        permit.map_err(|error| HostStop::Defect(format!("no call of AWS may be made any more: {error}")))
    }

    /// Wait until the service may be asked again, where it was asked too often.
    pub(super) async fn keep_pace(&self, action: &'static str) -> Result<(), HostStop> {
        let (key, mut now) = (self.pace_of(action), self.run.clock.now());
        let mut slot = self.run.pacer.admit(&key, now);
        while slot.at > now {
            // Those who wait long hear of it when the service is no longer throttled.
            self.run.sleep_until(slot.at.min(now.saturating_add(HEAR_AGAIN))).await?;
            now = self.run.clock.now();
            slot = self.run.pacer.confirm(&key, slot, now);
        }
        Ok(())
    }

    fn pace_of(&self, action: &'static str) -> PaceKey {
        let service = action.split(':').next().unwrap_or(action);
        let place = &self.actor.standing.place;
        PaceKey { account: place.account.clone(), region: place.region.clone(), service }
    }
}

/// A guest asked for something else than the journal holds in its place.
pub(crate) fn differs(call: &CallKey, recorded: &Step, got: &str) -> HostStop {
    HostStop::NonDeterminism(Box::new(Mismatch {
        call: call.clone(),
        expected: recorded.words(),
        got: format!("asked for {got}"),
    }))
}
