//! The one way of every AWS call: authorise, journal, send, journal, answer. Where the journal holds the answer already,
//! because the run was stopped and goes on, nothing is sent.
//!
//! The main type is [`Caller`]: whoever makes calls in one attempt of a stage. Whatever must hold for all calls is
//! written here once and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::clients::Clients;
use super::error::{AwsError, ErrorKind, NO_CREDENTIALS};
use super::flight::send_once;
use super::operation::{Operation, Token};
use super::pacing::PaceKey;
use super::reconcile::{Found, Sent};
use super::retry::Tries;
use crate::event::EventKind;
use crate::journal::{
    self, Body, CallKey, CallOutcome, CallResult, Intent, Mismatch, Phase, Reconciled, Record, RecordedCall, Script,
    Step,
};
use crate::plugin::Limits;
use crate::policy::{Grants, Place};
use crate::run::context::RunContext;
use crate::run::gate::{Arrival, Replay};
use crate::run::shown;
use crate::run::stop::HostStop;
use crate::types::{Digest, StageName};

/// On whose authority a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// A plugin's: what it declared.
    Plugin,
    /// The host's own, for what it needs to run stages at all (secrets, its own identity).
    Host,
}

/// Makes the calls of one attempt of one stage.
#[derive(Debug)]
pub(crate) struct Caller {
    run: Arc<RunContext>,
    stage: StageName,
    attempt: u32,
    phase: Phase,
    place: Place,
    clients: Arc<Clients>,
    grants: Grants,
    reveal: bool,
    read_only: bool,
    maximum_calls: u32,
    deadline: Option<u64>,
    /// What the journal holds of the attempt and was not asked for again yet.
    script: Script,
    /// Held until the script is over.
    arrival: Option<Arrival>,
    seq: u64,
    calls: u32,
    refused: u32,
    maximum_refused: u32,
    /// Bytes of records so far.
    noted: u64,
    maximum_noted: u64,
}

/// What a [`Caller`] is made of.
#[derive(Debug)]
pub(crate) struct CallerParts {
    pub(crate) run: Arc<RunContext>,
    pub(crate) stage: StageName,
    pub(crate) attempt: u32,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    pub(crate) clients: Arc<Clients>,
    pub(crate) grants: Grants,
    pub(crate) reveal: bool,
    /// While planning: every write is refused.
    pub(crate) read_only: bool,
    pub(crate) maximum_calls: u32,
    /// Nothing that is new is asked of AWS at this instant of the run's clock or later.
    pub(crate) deadline: Option<u64>,
    /// What the journal holds of the attempt: nothing, unless it goes on.
    pub(crate) replay: Replay,
}

/// Whoever waits for a service that throttles looks after so many milliseconds whether it still does.
const HEAR_AGAIN: u64 = 5_000;

/// The largest request, as JSON: a record of the journal holds it, and what it repeats of it.
const MAXIMUM_REQUEST: u64 = 256 << 10;

/// An error's text in an event is cut to this.
const ERROR_BYTES: usize = 2_000;

/// Nothing is sent any more when a guest must end.
fn check_stop(run: &RunContext) -> Result<(), HostStop> {
    match run.control.interrupted() {
        Some(_) => Err(HostStop::Interrupted),
        None => Ok(()),
    }
}

impl Caller {
    pub(crate) fn new(parts: CallerParts) -> Self {
        let CallerParts {
            run,
            stage,
            attempt,
            phase,
            place,
            clients,
            grants,
            reveal,
            read_only,
            maximum_calls,
            deadline,
            replay,
        } = parts;
        let Replay { script, arrival } = replay;
        Self {
            script,
            arrival,
            run,
            stage,
            attempt,
            phase,
            place,
            clients,
            grants,
            reveal,
            read_only,
            maximum_calls,
            deadline,
            seq: 0,
            calls: 0,
            refused: 0,
            maximum_refused: u32::MAX,
            noted: 0,
            maximum_noted: u64::MAX,
        }
    }

    /// The caller for a guest: it may be refused only so often, and fill only so much of the journal.
    pub(crate) fn bounded(self, limits: &Limits) -> Self {
        Self { maximum_refused: limits.refused_calls, maximum_noted: limits.journal_bytes, ..self }
    }

    /// Something happened to the stage. What is only repeated was told before.
    pub(crate) fn emit(&self, kind: EventKind) {
        if self.script.is_over() {
            self.run.events.emit(Some(&self.stage), kind);
        }
    }

    /// How many AWS calls were answered.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
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
        if self.noted > self.maximum_noted {
            return Err(HostStop::Limit(format!(
                "what it asked for fills more than {} MiB, the journal of one attempt",
                self.maximum_noted >> 20
            )));
        }
        let key = CallKey { stage: self.stage.clone(), attempt: self.attempt, phase: self.phase, seq: self.seq };
        self.seq += 1;
        Ok(key)
    }

    /// Write down what happened in this attempt.
    pub(crate) fn note(&mut self, record: &Record) -> Result<(), HostStop> {
        self.weigh(record);
        self.run.record(record)
    }

    /// Write down what happened in this attempt, and wait until it is durable.
    pub(crate) async fn note_durable(&mut self, record: &Record) -> Result<(), HostStop> {
        self.weigh(record);
        self.run.record_durable(record).await
    }

    fn weigh(&mut self, record: &Record) {
        let mut size = Size(0);
        // A record that cannot be written as JSON is an error when it is written.
        let _ = serde_json::to_writer(&mut size, record);
        self.noted = self.noted.saturating_add(size.0);
    }

    /// A plugin's call, in the stage's place and with its credentials.
    pub(crate) async fn call<O: Operation>(&mut self, operation: O) -> Result<Result<O::Output, AwsError>, HostStop> {
        let clients = Arc::clone(&self.clients);
        self.call_as(Authority::Plugin, &clients, operation).await
    }

    /// The host's own call, with the runner's own credentials.
    pub(crate) async fn call_as_host<O: Operation>(
        &mut self,
        operation: O,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        let (clients, control) = (Arc::clone(&self.run.own_clients), self.run.control.clone());
        tokio::select! {
            biased;
            answered = self.call_as(Authority::Host, &clients, operation) => answered,
            // The host only reads: whoever ends the run need not wait for an answer.
            () = control.interruption() => Err(HostStop::Interrupted),
        }
    }

    async fn call_as<O: Operation>(
        &mut self,
        authority: Authority,
        clients: &Arc<Clients>,
        operation: O,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        let operation = Arc::new(operation);
        let (call, recorded) = match authority {
            Authority::Plugin => self.step().await?,
            // Each process finds out anew who it is, and reads the secrets.
            Authority::Host => (self.next_key()?, None),
        };
        if self.calls >= self.maximum_calls {
            return Err(HostStop::Limit(format!("it made more than {} AWS calls", self.maximum_calls)));
        }
        self.calls += 1;
        let request = operation.journaled().map_err(defect)?;
        check_size::<O>(&request)?;
        let request_hash = journal::request_hash(&request);
        let token = Token::new(journal::token(&self.run.id, &call));
        let asked = Asked { call, request, request_hash, token, began: self.run.clock.now() };
        if let Some(step) = recorded {
            return Box::pin(self.repeat(clients, &operation, asked, step)).await;
        }
        self.check_deadline()?;
        if let Err(refused) = self.authorise(authority, &*operation) {
            let request = Some(asked.request.clone());
            self.note_result::<O>(&asked, request, &Err(refused.clone()), None).await?;
            self.count_refused(&refused)?;
            return Ok(Err(refused));
        }
        if !O::ACTION.write {
            let (answer, request_id) = self.send(clients, &operation, &asked.token, None, None).await?;
            let request = Some(asked.request.clone());
            return self.answer::<O>(&asked, request, answer, request_id).await;
        }
        let intent = Intent {
            call: asked.call.clone(),
            action: O::ACTION.name.to_owned(),
            request: Body::Plain(asked.request.clone()),
            request_hash: asked.request_hash.clone(),
            retry: O::RETRY,
            token: Some(asked.token.as_str().to_owned()),
            before: self.look_before(clients, &operation, &asked.token).await?,
            at: self.run.clock.now(),
        };
        self.note_durable(&Record::Intent(intent.clone())).await?;
        let (answer, request_id) = self.send(clients, &operation, &asked.token, Some(&intent), None).await?;
        self.answer::<O>(&asked, None, answer, request_id).await
    }

    /// Answer a call that the journal holds: with what it was answered then, or by finding out what became of it.
    async fn repeat<O: Operation>(
        &mut self,
        clients: &Arc<Clients>,
        operation: &Arc<O>,
        asked: Asked,
        step: Step,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        let recorded = match step {
            Step::Call(recorded)
                if recorded.action == O::ACTION.name && recorded.request_hash == asked.request_hash =>
            {
                *recorded
            }
            other @ (Step::Call(_) | Step::Local(_) | Step::Timer(_) | Step::Remember(_)) => {
                let got = journal::asked_aws(O::ACTION.name, &asked.request_hash);
                return Err(differs(&asked.call, &other, &got));
            }
        };
        match recorded {
            RecordedCall { result: Some(result), .. } => self.recorded_answer(clients, operation, &asked, result).await,
            RecordedCall { result: None, intent: Some(intent), settled, .. } => {
                self.go_live().await?;
                let verdict = settled.map(|settled| settled.verdict);
                // The process that died may have waited long before it sent the call.
                let (last, slept, given_up) = (self.run.clock.now(), Duration::ZERO, false);
                let sent = Sent { intent: &intent, token: &asked.token, last, slept, given_up, verdict };
                let (answer, request_id) =
                    self.send(clients, operation, &asked.token, Some(&intent), Some(sent)).await?;
                self.answer::<O>(&Asked { began: intent.at, ..asked }, None, answer, request_id).await
            }
            // INVARIANT: a script's call comes from an intent or from a result.
            RecordedCall { result: None, intent: None, .. } => {
                Err(HostStop::Defect("the journal holds a call that is neither asked nor answered".to_owned()))
            }
        }
    }

    async fn recorded_answer<O: Operation>(
        &mut self,
        clients: &Arc<Clients>,
        operation: &Arc<O>,
        asked: &Asked,
        result: CallResult,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        match result.outcome {
            CallOutcome::Ok(Body::Plain(output)) => Ok(Ok(serde_json::from_value(output).map_err(defect)?)),
            // It was not written down, because it holds a secret: it is asked for again.
            CallOutcome::Ok(Body::Hashed(expected)) => {
                let (answer, _) = self.send(clients, operation, &asked.token, None, None).await?;
                let output = match answer {
                    Ok(output) => output,
                    Err(error) => return Ok(Err(self.named::<O>(error))),
                };
                let found = journal::request_hash(&serde_json::to_value(&output).map_err(defect)?);
                if found != expected {
                    return Err(HostStop::NonDeterminism(Box::new(Mismatch {
                        call: asked.call.clone(),
                        expected: format!("an answer of {} that holds a secret", O::ACTION.name),
                        got: "was answered another secret: it was changed meanwhile".to_owned(),
                    })));
                }
                Ok(Ok(output))
            }
            CallOutcome::Err(error) => {
                let error: AwsError = serde_json::from_value(error).map_err(defect)?;
                if error.kind == ErrorKind::Denied || error.kind == ErrorKind::ReadOnly {
                    self.count_refused(&error)?;
                }
                Ok(Err(error))
            }
        }
    }

    /// Write down how a call was answered, and answer it.
    async fn answer<O: Operation>(
        &mut self,
        asked: &Asked,
        request: Option<Value>,
        answer: Result<O::Output, AwsError>,
        request_id: Option<String>,
    ) -> Result<Result<O::Output, AwsError>, HostStop> {
        let answer = answer.map_err(|error| self.named::<O>(error));
        self.note_result::<O>(asked, request, &answer, request_id).await?;
        if O::ACTION.write {
            self.run.progressed();
        }
        Ok(answer)
    }

    fn named<O: Operation>(&self, error: AwsError) -> AwsError {
        self.mask(AwsError { operation: O::ACTION.name.to_owned(), ..error })
    }

    fn count_refused(&mut self, refused: &AwsError) -> Result<(), HostStop> {
        self.refused += 1;
        if self.refused > self.maximum_refused {
            return Err(HostStop::Limit(format!(
                "it was refused {} AWS calls, the last with: {}",
                self.refused,
                shown(&self.run.redactor, &refused.message, ERROR_BYTES)
            )));
        }
        Ok(())
    }

    /// Send it, and again as long as that is harmless and can help. Every time with the same token. What became of a write
    /// whose answer did not come is found out first: also of one that an earlier process sent, which `doubt` tells of.
    async fn send<O: Operation>(
        &self,
        clients: &Arc<Clients>,
        operation: &Arc<O>,
        token: &Token,
        intent: Option<&Intent>,
        mut doubt: Option<Sent<'_>>,
    ) -> Result<(Result<O::Output, AwsError>, Option<String>), HostStop> {
        let mut tries = Tries::default();
        // Whether an earlier sending was in doubt; `doubt` is there while one still is.
        let mut doubted = doubt.is_some();
        let mut request_id = None;
        let slept = self.run.clock.slept();
        loop {
            self.keep_pace(O::ACTION.name).await?;
            let turn = self.turn().await?;
            // Not sooner: what is found must still hold when the call is sent again.
            if let Some(mut sent) = doubt {
                // Past the deadline it is only looked at.
                sent.given_up |= self.check_deadline().is_err();
                match Box::pin(self.find_out(clients, operation, sent)).await? {
                    Found::Answer(output) => return Ok((Ok(output), request_id)),
                    Found::Send => doubt = None,
                    // What is harmless now may not be after the next refusal: a token is forgotten.
                    Found::SendAgain => {}
                }
            }
            let generation = clients.generation();
            // Only now: who waits for a turn may lose the lease meanwhile.
            if O::ACTION.write {
                self.check_deadline()?;
                self.run.guard()?;
            }
            let (sent, id) = send_once(turn, operation, clients, token).await?;
            request_id = id;
            let error = match sent {
                Ok(output) => {
                    self.run.pacer.answered(&self.pace_of(O::ACTION.name), self.run.clock.now());
                    let before = intent.and_then(|intent| intent.before.as_ref());
                    let output = if doubted { operation.amend(before, output) } else { output };
                    return Ok((Ok(output), request_id));
                }
                Err(error) => error,
            };
            let failed_at = self.run.clock.now();
            self.heed::<O>(clients, generation, &error);
            let pause = tries.fail(error.kind, token.as_str());
            if let Some(pause) = pause {
                self.emit(EventKind::CallRetrying {
                    action: O::ACTION.name.to_owned(),
                    attempt: tries.failed(),
                    delay: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    error: self.mask(error.clone()).message,
                });
                // Nothing is lost by stopping here: the intent is written, and a resumed run takes it up again.
                self.run.pause(pause).await?;
            }
            // What could not be signed was not sent.
            let sent = error.code != NO_CREDENTIALS;
            if let Some(intent) = intent.filter(|_| sent && error.kind == ErrorKind::Unavailable) {
                let slept = doubt.map_or(slept, |doubt| doubt.slept);
                doubt = Some(Sent { intent, token, last: failed_at, slept, given_up: false, verdict: None });
                doubted = true;
            }
            match doubt {
                _ if pause.is_some() => {}
                // It was not sent again, so that it failed says nothing of the sending before.
                Some(doubt) if !sent => {
                    let evidence =
                        format!("it could not be signed when it was to be sent again: {}", self.mask(error).message);
                    return Err(self.stuck::<O>(&doubt, &evidence, "see to the stage's role").await?);
                }
                // Whoever gives up on it must know what became of it.
                Some(doubt) => {
                    let doubt = Sent { given_up: true, ..doubt };
                    return match Box::pin(self.find_out(clients, operation, doubt)).await? {
                        Found::Answer(output) => Ok((Ok(output), request_id)),
                        Found::Send | Found::SendAgain => Ok((Err(error), request_id)),
                    };
                }
                None => return Ok((Err(error), request_id)),
            }
        }
    }

    /// That the attempt may ask AWS for what it has not asked for before.
    fn check_deadline(&self) -> Result<(), HostStop> {
        match self.deadline {
            Some(deadline) if self.run.clock.now() >= deadline => Err(HostStop::TimedOut),
            Some(_) | None => Ok(()),
        }
    }

    /// Learn from an error for what is asked next: more slowly, or with other credentials than those of `generation`.
    pub(super) fn heed<O: Operation>(&self, clients: &Clients, generation: u64, error: &AwsError) {
        let (key, now) = (self.pace_of(O::ACTION.name), self.run.clock.now());
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
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, HostStop> {
        let turn = Arc::clone(&self.run.in_flight).acquire_owned().await;
        // INVARIANT: nobody closes it.
        turn.map_err(|error| HostStop::Defect(format!("no call of AWS may be made any more: {error}")))
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
        PaceKey { account: self.place.account.clone(), region: self.place.region.clone(), service }
    }

    /// Where the stage acts.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What the stage may do.
    pub(super) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The run's id.
    pub(super) fn run_id(&self) -> &crate::types::RunId {
        &self.run.id
    }

    /// Now, by the run's clock.
    pub(super) fn clock_now(&self) -> u64 {
        self.run.clock.now()
    }

    /// For how long the machine has slept since the run's clock began.
    pub(super) fn slept(&self) -> Duration {
        self.run.clock.slept()
    }

    /// Wait, unless the run is told to end.
    pub(super) async fn pause(&self, duration: Duration) -> Result<(), HostStop> {
        self.run.pause(duration).await
    }

    /// Write down, durably, what became of a call.
    pub(super) async fn reconciled(&self, reconciled: Reconciled) -> Result<(), HostStop> {
        self.run.record_durable(&Record::Reconciled(reconciled)).await
    }

    /// Write down, durably, what is not of this attempt alone.
    pub(super) async fn record_durable(&self, record: &Record) -> Result<(), HostStop> {
        self.run.record_durable(record).await
    }

    fn authorise<O: Operation>(&self, authority: Authority, operation: &O) -> Result<(), AwsError> {
        let refuse = |kind, code: &str, message: String| AwsError {
            kind,
            code: code.to_owned(),
            message,
            operation: O::ACTION.name.to_owned(),
            request_id: None,
        };
        if authority == Authority::Plugin {
            let own = (O::ACTION.name, operation.resources(&self.place));
            for (action, resources) in std::iter::once(own).chain(operation.requires(&self.place)) {
                self.grants
                    .allows(action, &resources)
                    .map_err(|denied| refuse(ErrorKind::Denied, "PermissionNotDeclared", denied.to_string()))?;
            }
            if O::REVEALS && !self.reveal {
                let message = format!("{} shows plaintext to the stage, which needs `reveal = true`", O::ACTION.name);
                return Err(refuse(ErrorKind::Denied, "NotRevealed", message));
            }
        }
        if O::ACTION.write && self.read_only {
            let message = format!("{} was refused: planning changes nothing", O::ACTION.name);
            return Err(refuse(ErrorKind::ReadOnly, "ReadOnly", message));
        }
        Ok(())
    }

    /// AWS repeats parts of requests in its messages; a secret among them must not travel on.
    pub(super) fn mask(&self, error: AwsError) -> AwsError {
        AwsError { message: self.run.redactor.text(&error.message).into_owned(), ..error }
    }

    async fn note_result<O: Operation>(
        &mut self,
        asked: &Asked,
        request: Option<Value>,
        answer: &Result<O::Output, AwsError>,
        request_id: Option<String>,
    ) -> Result<(), HostStop> {
        let outcome = match answer {
            Ok(output) => {
                let response = serde_json::to_value(output).map_err(defect)?;
                CallOutcome::Ok(match O::SECRET_OUTPUT {
                    true => Body::Hashed(journal::request_hash(&response)),
                    false => Body::Plain(response),
                })
            }
            Err(error) => CallOutcome::Err(serde_json::to_value(error).map_err(defect)?),
        };
        let at = self.run.clock.now();
        let millis = at.saturating_sub(asked.began);
        let record = Record::Result(CallResult {
            call: asked.call.clone(),
            action: O::ACTION.name.to_owned(),
            request_hash: asked.request_hash.clone(),
            request: request.map(Body::Plain),
            outcome,
            request_id: request_id.clone(),
            millis,
            at,
        });
        if O::ACTION.write {
            self.note_durable(&record).await?;
        } else {
            self.note(&record)?;
        }
        self.emit(EventKind::Call {
            action: O::ACTION.name.to_owned(),
            write: O::ACTION.write,
            millis,
            request_id,
            error: answer.as_ref().err().map(|error| {
                let text = format!("{}: {}", error.code, error.message);
                shown(&self.run.redactor, &text, ERROR_BYTES)
            }),
        });
        Ok(())
    }
}

/// A call that is asked for.
struct Asked {
    call: CallKey,
    request: Value,
    request_hash: Digest,
    token: Token,
    began: u64,
}

/// A guest asked for something else than the journal holds in its place.
pub(crate) fn differs(call: &CallKey, recorded: &Step, got: &str) -> HostStop {
    HostStop::NonDeterminism(Box::new(Mismatch {
        call: call.clone(),
        expected: recorded.words(),
        got: format!("asked for {got}"),
    }))
}

fn check_size<O: Operation>(request: &Value) -> Result<(), HostStop> {
    let mut size = Size(0);
    serde_json::to_writer(&mut size, request).map_err(defect)?;
    if size.0 <= MAXIMUM_REQUEST {
        return Ok(());
    }
    Err(HostStop::Limit(format!(
        "a request of {} with {} KiB is too large for the journal; it takes {}",
        O::ACTION.name,
        size.0 >> 10,
        MAXIMUM_REQUEST >> 10
    )))
}

/// Counts what is written to it.
struct Size(u64);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn defect(error: serde_json::Error) -> HostStop {
    HostStop::Defect(format!("a record of AWS cannot be written as JSON: {error}"))
}
